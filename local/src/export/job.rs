//! The subject of an export: a job's adapter, and the base that it was trained on.

use std::path::{Path, PathBuf};

use super::args::ExportArgs;
use crate::adapter_folder;
use crate::base::built_in;
use crate::base::resolve::{Resolved, Source, resolve};
use crate::error::{Error, Result, refused};
use crate::store::{self, Job};

/// An adapter and its base.
#[derive(Debug)]
pub struct Trained {
    /// The name of the job.
    pub name: String,
    /// The adapter's folder.
    pub adapter: PathBuf,
    /// The base's name or folder.
    pub base: String,
    /// The base if it's on this machine, or else an error that says what to do.
    pub source: Result<Source>,
    /// Whether the base is on the Hub under its name.
    pub on_hub: bool,
    /// Notes about this export for the user.
    pub notes: Vec<String>,
}

impl Trained {
    /// Finds the adapter and the base that `args` select.
    pub fn find(args: &ExportArgs) -> Result<Self> {
        let dir = args.store.join("jobs").join(&args.job);
        let is_id = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if !args.job.chars().all(is_id) || !dir.join("job.json").is_file() {
            return refused(format!(
                "--job: there is no job {:?} in {}. `arkor jobs` lists the jobs.",
                args.job,
                args.store.display()
            ));
        }
        let job = Job::load(&dir)?;
        let mut notes = Vec::new();
        let adapter = adapter(&dir, &job, args.checkpoint, &mut notes)?;
        let mut trained = Self {
            name: job.name.clone(),
            base: String::new(),
            source: Err(Error::Stopped),
            on_hub: false,
            adapter,
            notes,
        };
        trained.find_base(&job, args.base_model.as_deref())?;
        if job.config["dryRun"] == true {
            let note = "The job was a dry run: its adapter was trained for a few steps only.";
            trained.notes.push(note.to_owned());
        }
        if job.config["loadIn4bit"] == true {
            let note = "The adapter was trained on the base in 4 bits. Merged into the full weights, \
                        answers can differ slightly.";
            trained.notes.push(note.to_owned());
        }
        Ok(trained)
    }

    fn find_base(&mut self, job: &Job, base_model: Option<&Path>) -> Result<()> {
        let trained_on = match &job.run {
            Some(run) => run.base.clone(),
            // A job of an older version, which doesn't record its base.
            None => resolve(&adapter_folder::base_name(&self.adapter)?, None)?,
        };
        let name = trained_on.used();
        if job.run.is_some() && trained_on.stand_in.is_some() {
            self.notes.push(format!(
                "The model is {name}, which stood in for {} in this job.",
                trained_on.requested
            ));
        }
        if let Some(dir) = base_model {
            let dir = std::fs::canonicalize(dir)
                .map_err(|source| Error::io("--base-model: can't open", dir, source))?;
            self.base = dir.display().to_string();
            if self.base != name {
                self.notes.push(format!(
                    "The base is {} (--base-model). The job was trained on {name}.",
                    self.base
                ));
            }
            self.source = Source::at(&dir);
            return Ok(());
        }
        self.on_hub = trained_on.hub.is_some();
        self.source = present(&trained_on, job.run.is_some());
        self.base = name;
        Ok(())
    }
}

/// The folder of the final adapter, or of a checkpoint.
fn adapter(dir: &Path, job: &Job, step: Option<usize>, notes: &mut Vec<String>) -> Result<PathBuf> {
    let steps = store::checkpoints(dir);
    if let Some(step) = step {
        if steps.contains(&step) {
            return Ok(store::checkpoint_dir(dir, step));
        }
        let listed: Vec<String> = steps.iter().map(usize::to_string).collect();
        return refused(match listed.as_slice() {
            [] => format!("--checkpoint: job {} has no checkpoint yet", job.id),
            _ => format!(
                "--checkpoint: job {} has no checkpoint {step}. It has {}.",
                job.id,
                listed.join(", ")
            ),
        });
    }
    let adapter = store::adapter_dir(dir);
    if adapter_folder::is_adapter(&adapter) {
        return Ok(adapter);
    }
    let Some(step) = steps.last() else {
        return refused(format!(
            "--job: job {} is {} and has neither an adapter nor a checkpoint. Export it when it's completed.",
            job.id,
            job.status.name()
        ));
    };
    notes.push(format!(
        "The job is {} and has no final adapter: this is its checkpoint of step {step}.",
        job.status.name()
    ));
    Ok(store::checkpoint_dir(dir, *step))
}

/// Finds the base. If `recorded` is false, only its name is known, and nothing may stand in for it.
fn present(base: &Resolved, recorded: bool) -> Result<Source> {
    let there = |source: &Source| match source {
        Source::BuiltIn => recorded || base.requested == built_in::NAME,
        Source::Dir(dir) => dir.join("config.json").is_file(),
        Source::Gguf(file) => file.is_file(),
    };
    if there(&base.source) {
        return Ok(base.source.clone());
    }
    // The Hub's cache may have another snapshot of the model.
    if let Some(hub) = &base.hub
        && let Ok(found) = resolve(&hub.name, None)
        && found.stand_in.is_none()
        && there(&found.source)
    {
        return Ok(found.source);
    }
    let name = if recorded {
        base.used()
    } else {
        base.requested.clone()
    };
    refused(format!(
        "the base model {name} is not on this machine any more. Give its directory with --base-model."
    ))
}
