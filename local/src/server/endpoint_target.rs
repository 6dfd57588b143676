//! Resolves an endpoint's target for each request, because jobs and models come and go.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::app::App;
use crate::adapter_folder::is_adapter;
use crate::base::resolve;
use crate::endpoints::{Adapter, Target};
use crate::error::{Error, Result, refused};
use crate::jobs::JobHandle;

/// An error message lists this many of the newest checkpoints.
const STEPS_NAMED: usize = 10;

/// Returns the chat request's field for a target. No other model stands in for a missing target: the
/// error lists the ones that exist.
pub fn chat_field(app: &App, target: &Target) -> Result<(&'static str, Value)> {
    match target {
        Target::Adapter { adapter } => Ok(("adapter", adapter_field(app, adapter)?)),
        Target::BaseModel { base_model } => {
            check_base(app, base_model)?;
            Ok(("baseModel", Value::from(base_model.as_str())))
        }
    }
}

fn adapter_field(app: &App, adapter: &Adapter) -> Result<Value> {
    let (Adapter::Final { job_id } | Adapter::Checkpoint { job_id, .. }) = adapter;
    let Some(job) = app.jobs.get(job_id) else {
        return refused(format!(
            "target.adapter.jobId: there is no job {job_id} here. GET /v1/jobs lists them."
        ));
    };
    match adapter {
        Adapter::Final { .. } if job.adapter_dir().is_dir() => {
            Ok(json!({ "kind": "final", "jobId": job_id }))
        }
        Adapter::Checkpoint { step, .. } if job.checkpoint_dir(*step).is_dir() => {
            Ok(json!({ "kind": "checkpoint", "jobId": job_id, "step": step }))
        }
        Adapter::Final { .. } => refused(format!(
            "target.adapter: the job {job_id} has no final adapter, it has {}",
            what_there_is(&job)
        )),
        Adapter::Checkpoint { step, .. } => refused(format!(
            "target.adapter.step: the job {job_id} has no checkpoint of step {step}, it has {}",
            what_there_is(&job)
        )),
    }
}

fn what_there_is(job: &JobHandle) -> String {
    let mut steps: Vec<String> = job.checkpoints().iter().map(usize::to_string).collect();
    let more = steps.len().saturating_sub(STEPS_NAMED);
    steps.drain(..more);
    let checkpoints = match steps.len() {
        0 => "no checkpoint".to_owned(),
        _ if more > 0 => format!("checkpoints of the steps …, {}", steps.join(", ")),
        1 => format!("a checkpoint of step {}", steps.join("")),
        _ => format!("checkpoints of the steps {}", steps.join(", ")),
    };
    if job.adapter_dir().is_dir() {
        format!("a final adapter and {checkpoints}")
    } else {
        checkpoints
    }
}

fn check_base(app: &App, name: &str) -> Result<()> {
    if resolve::is_path(name) && is_adapter(Path::new(name)) {
        return Ok(());
    }
    let base_model = app.jobs.bases().1.map(PathBuf::as_path);
    let renamed = |error: Error| {
        let words = error.to_string();
        let reason = words.strip_prefix("model: ").unwrap_or(&words);
        Error::Refused(format!("target.baseModel: {reason}"))
    };
    let found = resolve::resolve(name, base_model).map_err(renamed)?;
    let engine = app.jobs.engine();
    engine.check_model(&found.source, false).map_err(renamed)?;
    match found.stand_in {
        Some(reason) => refused(format!(
            "target.baseModel: {name} can't be served: {reason}"
        )),
        None => Ok(()),
    }
}
