//! The limit on the memory of a run.

use serde_json::json;

use crate::support::{Project, Server, command};

#[tokio::test]
async fn a_run_that_needs_more_memory_than_it_may_have_fails_and_says_how_much() {
    let project = Project::new();
    let server = Server::from_command(command(&project.store()).args(["--memory", "5MB"]));
    let id = server.submit(&project.config(&json!({}))).await;
    let last = server
        .events(&id, None)
        .await
        .until("training.failed")
        .await;
    let error = last.data["error"].as_str().unwrap();
    let expected = "and --memory allows 5 MB. Use a smaller lora.maxLength, or allow more.";
    assert!(
        error.starts_with("memory: this run needs about "),
        "{error}"
    );
    assert!(error.ends_with(expected), "{error}");
}

#[tokio::test]
async fn a_run_takes_the_same_steps_in_less_memory() {
    let project = Project::new();
    let run = async |memory: &str| {
        let server = Server::from_command(command(&project.store()).args(["--memory", memory]));
        let config = project.config(&json!({ "maxSteps": 3 }));
        let (_, events) = server.complete(&config).await;
        let started = events.iter().find(|event| event.kind == "training.started");
        let bytes = started.unwrap().data["metadata"]["memoryBytes"].as_u64();
        (bytes.unwrap(), crate::resume::losses(&events))
    };
    let (plenty, expected) = run("4GB").await;
    let (least, losses) = run(&(plenty - 1).to_string()).await;
    assert!(least < plenty, "{least} {plenty}");
    assert_eq!(losses, expected);
}
