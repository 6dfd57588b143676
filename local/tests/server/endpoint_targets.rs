//! Targets of endpoints, which must exist.

use reqwest::Method;
use serde_json::{Value, json};

use crate::endpoints::{BASE, create, input, refuses, send};
use crate::support::{Project, Server};

#[tokio::test]
async fn a_target_that_is_not_there_is_refused_by_name() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let id = create(&server, "there", &json!({})).await;
    let base = |name: &str| json!({ "target": { "kind": "base_model", "baseModel": name } });
    let adapter = |adapter: Value| json!({ "target": { "kind": "adapter", "adapter": adapter } });
    let cases = [
        (json!({ "target": { "kind": "dataset" } }), "target.kind: "),
        (
            json!({ "target": { "kind": "adapter" } }),
            "target.adapter is missing",
        ),
        (
            json!({ "target": { "kind": "base_model" } }),
            "target.baseModel is missing",
        ),
        (
            base("acme/not-here"),
            "target.baseModel: acme/not-here can't be served",
        ),
        (
            base("/no/such/dir"),
            "target.baseModel: there is no directory",
        ),
        (
            adapter(json!({ "kind": "final" })),
            "target.adapter: missing field `jobId`",
        ),
        (
            adapter(json!({ "kind": "final", "jobId": "nope" })),
            "target.adapter.jobId: there is no job nope",
        ),
        (
            adapter(json!({ "kind": "final", "jobId": "nope", "step": 1 })),
            "target.adapter.step means nothing",
        ),
        (
            adapter(json!({ "kind": "checkpoint", "jobId": "nope" })),
            "target.adapter.step is missing",
        ),
        (
            adapter(json!({ "kind": "checkpoint", "jobId": "nope", "step": -1 })),
            "target.adapter.step: ",
        ),
    ];
    let before = server.get(BASE).await;
    refuses(&server, &id, &cases).await;
    assert_eq!(server.get(BASE).await, before);
}

#[tokio::test]
async fn a_target_is_an_adapter_that_is_there() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let config = project.config(&json!({ "saveSteps": 2 }));
    let (job, _) = server.complete(&config).await;
    let target = |adapter: Value| json!({ "target": { "kind": "adapter", "adapter": adapter } });
    let last = target(json!({ "kind": "final", "jobId": job }));
    let id = create(&server, "final", &last).await;
    let step = target(json!({ "kind": "checkpoint", "jobId": job, "step": 2 }));
    create(&server, "step", &step).await;
    let path = format!("{BASE}/{id}");
    let (status, body) = send(&server, Method::PATCH, &path, &step).await;
    assert_eq!(
        (status, &body["deployment"]["target"]),
        (200, &step["target"])
    );
    let absent = target(json!({ "kind": "checkpoint", "jobId": job, "step": 3 }));
    let (status, body) = send(&server, Method::PATCH, &path, &absent).await;
    let said = format!(
        "target.adapter.step: the job {job} has no checkpoint of step 3, it has a final adapter and checkpoints of the steps 2, 4"
    );
    assert_eq!((status, body["error"].as_str()), (400, Some(said.as_str())));

    let running = server.submit(&project.endless()).await;
    server
        .events(&running, None)
        .await
        .until("checkpoint.saved")
        .await;
    let unfinished = target(json!({ "kind": "final", "jobId": running }));
    let (status, body) = server.post(BASE, &input("new", &unfinished)).await;
    let said = body["error"].as_str().unwrap();
    assert!(
        status == 400 && said.contains("has no final adapter, it has "),
        "{said}"
    );
    assert!(said.contains("checkpoint"), "{said}");
}
