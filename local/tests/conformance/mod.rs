//! Tests that every engine has to pass, through HTTP. `conforms!` defines them for one engine.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Event, Project, Server, command};

/// An engine under test.
#[derive(Clone, Copy)]
pub struct Engine {
    pub name: &'static str,
    /// Whether it draws the same random numbers as the CPU engine.
    pub same_chance: bool,
    /// The longest time between a cancellation and the first step of the next run.
    pub next_within: Duration,
    pub args: fn() -> Vec<String>,
}

/// The CPU engine, which the other engines are compared with.
pub const CANDLE: Engine = Engine {
    name: "candle",
    same_chance: true,
    next_within: Duration::from_secs(4),
    args: Vec::new,
};

/// Defines a module with the tests of an engine.
macro_rules! conforms {
    ($module:ident, $engine:expr) => {
        $crate::conformance::conforms!($module, $engine,
            a_run_has_the_same_events_numbers_and_adapter
            what_can_not_be_done_is_refused_by_field_before_anything_starts
            the_same_prompt_gets_the_same_answer
            a_cancelled_run_ends_within_two_seconds_and_the_next_one_starts
            a_killed_server_resumes_the_run_to_the_bit
        );
    };
    ($module:ident, $engine:expr, $($rule:ident)*) => {
        mod $module {
            $(#[tokio::test] async fn $rule() { $crate::conformance::$rule($engine).await; })*
        }
    };
}
pub(crate) use conforms;

impl Engine {
    fn start(self, project: &Project) -> Server {
        Server::from_command(command(&project.store()).args((self.args)()))
    }
}

/// The events that must be the same with every engine, without times, the machine, and the progress of
/// loading.
fn comparable(events: &[Event]) -> Vec<Value> {
    let lasting = events
        .iter()
        .filter(|event| event.kind != "training.progress");
    let mut list: Vec<Value> = lasting.map(|event| event.data.clone()).collect();
    for event in &mut list {
        for field in ["timestamp", "jobId", "samplesPerSecond", "artifacts"] {
            event.as_object_mut().unwrap().remove(field);
        }
        if let Some(metadata) = event.get_mut("metadata").and_then(Value::as_object_mut) {
            let of_engine = [
                "engine",
                "dtype",
                "memoryBytes",
                "processes",
                "modelClass",
                "targets",
            ];
            for field in of_engine {
                metadata.remove(field);
            }
        }
    }
    list
}

fn files(job: &Path) -> Vec<u8> {
    std::fs::read(job.join("adapter/adapter_model.safetensors")).unwrap()
}

fn config(project: &Project) -> Value {
    project.config(&json!({
        "maxSteps": 12, "saveSteps": 4, "evalSteps": 4, "loggingSteps": 2, "warmupSteps": 3,
        "lrSchedulerType": "cosine", "weightDecay": 0.01, "trainOnResponsesOnly": true,
        // So low that the initial values of the adapter hardly matter.
        "learningRate": 1e-4,
    }))
}

pub async fn a_run_has_the_same_events_numbers_and_adapter(engine: Engine) {
    let (project, reference) = (Project::new(), Project::new());
    let server = engine.start(&project);
    let (id, events) = server.complete(&config(&project)).await;
    let other = CANDLE.start(&reference);
    let (other_id, expected) = other.complete(&config(&reference)).await;
    let started = events.iter().find(|event| event.kind == "training.started");
    assert_eq!(started.unwrap().data["metadata"]["engine"], engine.name);
    let (events, expected) = (comparable(&events), comparable(&expected));
    assert_eq!(events.len(), expected.len());
    let mut updated = false;
    for (event, expected) in events.iter().zip(&expected) {
        let number = |field: &str| Some((event[field].as_f64()?, expected[field].as_f64()?));
        for field in ["loss", "evalLoss"] {
            let Some((left, right)) = number(field) else {
                continue;
            };
            updated |= field == "evalLoss";
            // An adapter with other initial values takes other steps.
            let room = if updated && !engine.same_chance {
                0.02
            } else {
                1e-3
            };
            assert!((left - right).abs() < room * right, "{event} {expected}");
        }
        for field in ["learningRate", "epoch"] {
            if let Some((left, right)) = number(field) {
                assert!((left - right).abs() < 1e-12, "{event} {expected}");
            }
        }
    }
    let without_losses = |events: &[Value]| -> Vec<Value> {
        let mut events = events.to_vec();
        for event in &mut events {
            for number in ["loss", "evalLoss", "learningRate", "epoch", "metrics"] {
                event.as_object_mut().unwrap().remove(number);
            }
        }
        events
    };
    assert_eq!(without_losses(&events), without_losses(&expected));

    // The CPU engine answers with the adapter.
    let jobs = reference.store().join("jobs");
    drop(server);
    let adapter = project.store().join("jobs").join(&id).join("adapter");
    let ask = |model: String| {
        json!({
            "baseModel": model, "stream": false, "temperature": 0, "maxTokens": 8,
            "messages": [{ "role": "user", "content": "Question 4?" }],
        })
    };
    let (status, body) = other
        .post("/v1/inference/chat", &ask(adapter.display().to_string()))
        .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        files(&jobs.join(&other_id)).len(),
        files(adapter.parent().unwrap()).len()
    );
}

pub async fn what_can_not_be_done_is_refused_by_field_before_anything_starts(engine: Engine) {
    let project = Project::new();
    let server = engine.start(&project);
    for (field, value) in [
        ("optim", json!("adafactor")),
        ("maxSteps", json!("many")),
        ("datasetFormat", json!("alpaca")),
        ("model", json!("./no/such/dir")),
    ] {
        let config = project.config(&json!({ field: value }));
        let (status, body) = server
            .post("/v1/jobs", &json!({ "name": "t", "config": config }))
            .await;
        assert_eq!(status, 400, "{field}: {body}");
        assert!(body["error"].as_str().unwrap().contains(field), "{body}");
    }
    assert_eq!(server.get("/v1/jobs").await.1["jobs"], json!([]));
    let left = std::fs::read_dir(project.store().join("jobs")).unwrap();
    assert_eq!(left.count(), 0, "nothing is left of a refused job");
}

pub async fn the_same_prompt_gets_the_same_answer(engine: Engine) {
    let (project, reference) = (Project::new(), Project::new());
    let (server, other) = (engine.start(&project), CANDLE.start(&reference));
    let ask = |more: Value| {
        let mut body = json!({
            "baseModel": "arkor-tiny", "stream": false, "temperature": 0, "maxTokens": 24,
            "messages": [{ "role": "user", "content": "Translate to German: street" }],
        });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] });
    for more in [
        json!({}),
        json!({ "temperature": 0.8, "topP": 0.9, "seed": 7 }),
        json!({ "structuredOutputs": { "choice": ["one", "two"] } }),
        json!({ "structuredOutputs": { "json": schema } }),
    ] {
        if !engine.same_chance && more.get("temperature").is_some() {
            continue;
        }
        let (status, body) = server.post("/v1/inference/chat", &ask(more.clone())).await;
        assert_eq!(status, 200, "{body}");
        let (_, expected) = other.post("/v1/inference/chat", &ask(more)).await;
        assert_eq!(body["choices"], expected["choices"]);
        assert_eq!(body["usage"], expected["usage"]);
    }
    let mut stream = ask(json!({}));
    stream["stream"] = json!(true);
    let (status, text) = server.post("/v1/inference/chat", &stream).await;
    let text = text.as_str().unwrap();
    assert!(
        status == 200 && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
}

pub async fn a_cancelled_run_ends_within_two_seconds_and_the_next_one_starts(engine: Engine) {
    let project = Project::new();
    let server = engine.start(&project);
    let id = server.submit(&project.endless()).await;
    let next = server.submit(&config(&project)).await;
    server.events(&id, None).await.until("training.log").await;
    let before = Instant::now();
    let (_, body) = server
        .post(&format!("/v1/jobs/{id}/cancel"), &json!({}))
        .await;
    assert_eq!(body["job"]["status"], "cancelled");
    assert!(before.elapsed() < Duration::from_secs(2));
    server
        .events(&next, None)
        .await
        .until("training.started")
        .await;
    assert!(
        before.elapsed() < engine.next_within,
        "{:?}",
        before.elapsed()
    );
    let rest = server.events(&next, None).await.rest().await;
    assert_eq!(rest[rest.len() - 2].kind, "training.completed");
    let checkpoints = project.store().join("jobs").join(&id).join("checkpoints");
    let unfinished = std::fs::read_dir(checkpoints)
        .into_iter()
        .flatten()
        .flatten();
    let unfinished =
        unfinished.filter(|entry| entry.path().extension().is_some_and(|end| end == "tmp"));
    assert_eq!(unfinished.count(), 0);
}

pub async fn a_killed_server_resumes_the_run_to_the_bit(engine: Engine) {
    let project = Project::new();
    let mut server = engine.start(&project);
    let (whole_id, whole) = server.complete(&config(&project)).await;
    let id = server.submit(&config(&project)).await;
    let mut events = server.events(&id, None).await;
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        let is_due = event.kind == "training.log" && event.data["step"] == 6;
        seen.push(event);
        if is_due {
            break;
        }
    }
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    seen.extend(events.rest().await);
    server = engine.start(&project);
    let last = seen.iter().rev().find_map(|event| event.id.clone());
    seen.extend(server.events(&id, last.as_deref()).await.rest().await);
    let resumed = seen.iter().filter(|event| event.kind == "training.resumed");
    assert_eq!(resumed.count(), 1);
    seen.retain(|event| event.kind != "training.resumed");
    assert_eq!(comparable(&seen), comparable(&whole));
    let jobs = project.store().join("jobs");
    assert_eq!(files(&jobs.join(&id)), files(&jobs.join(&whole_id)));
}
