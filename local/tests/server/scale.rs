//! A store with many jobs: paged lists, and deleted jobs.

use std::fs;

use serde_json::{Value, json};

use crate::lifecycle::terminate;
use crate::support::{Project, Server};

fn ids(list: &Value) -> Vec<String> {
    let jobs = list["jobs"].as_array().unwrap().iter();
    jobs.map(|job| job["id"].as_str().unwrap().to_owned())
        .collect()
}

/// The sizes of all pages, and the ids of the jobs in them.
async fn pages(server: &Server, query: &str) -> (Vec<usize>, Vec<String>) {
    let (mut sizes, mut all) = (Vec::new(), Vec::new());
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/jobs?{query}&limit=2{cursor}");
        let (status, page) = server.get(&path).await;
        assert_eq!(status, 200, "{page}");
        sizes.push(ids(&page).len());
        all.extend(ids(&page));
        let Some(next) = page["nextCursor"].as_str() else {
            assert!(page.get("nextCursor").is_none());
            return (sizes, all);
        };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn pages_hold_every_job_of_a_project_once_the_newest_first() {
    let project = Project::new();
    let server = Server::start(&project.store());
    for slug in ["a", "b", "a", "a", "b", "a", "a"] {
        let body = json!({ "name": "t", "config": project.endless() });
        let path = format!("/v1/jobs?projectSlug={slug}");
        assert_eq!(server.post(&path, &body).await.0, 201);
    }
    for (query, sizes) in [
        ("projectSlug=a", vec![2, 2, 1]),
        ("projectSlug=b", vec![2]),
        ("projectSlug=c", vec![0]),
        ("orgSlug=local", vec![2, 2, 2, 1]),
    ] {
        let (_, whole) = server.get(&format!("/v1/jobs?{query}")).await;
        let (paged, all) = pages(&server, query).await;
        assert_eq!((paged, &all), (sizes, &ids(&whole)), "{query}");
        assert!(all.is_sorted_by(|newer, older| newer > older), "{all:?}");
        assert!(whole.get("nextCursor").is_none());
    }
    for limit in ["0", "two", "-1", "1.5", ""] {
        let path = format!("/v1/jobs?projectSlug=a&limit={limit}");
        let (status, answer) = server.get(&path).await;
        assert_eq!(status, 400, "{limit}: {answer}");
        assert!(
            answer["error"].as_str().unwrap().contains("limit"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_job_that_is_over_can_be_deleted_and_is_nowhere_then() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let config = project.config(&json!({ "dryRun": true }));
    let (kept, _) = server.complete(&config).await;
    let (id, events) = server.complete(&config).await;
    let saved = events.iter().find(|event| event.kind == "checkpoint.saved");
    let step = saved.unwrap().data["step"].clone();
    let ask = async |adapter: Value| {
        let chat = json!({
            "adapter": adapter, "stream": false, "maxTokens": 1,
            "messages": [{ "role": "user", "content": "Question 1?" }],
        });
        server.post("/v1/inference/chat", &chat).await.0
    };
    let checkpoint = json!({ "kind": "checkpoint", "jobId": id, "step": step });
    let last = json!({ "kind": "final", "jobId": id });
    // The checkpoint is in memory now, which doesn't prevent its deletion.
    assert_eq!(ask(checkpoint.clone()).await, 200);

    let path = format!("/v1/jobs/{id}");
    assert_eq!(server.delete(&path).await, (204, json!("")));
    let jobs = project.store().join("jobs");
    let left: Vec<_> = fs::read_dir(jobs).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(server.delete(&path).await.0, 404);
    assert_eq!(server.get(&path).await.0, 404);
    assert_eq!(server.get(&format!("{path}/events/stream")).await.0, 404);
    assert_eq!(ids(&server.get("/v1/jobs").await.1), [kept]);
    assert_eq!((ask(checkpoint).await, ask(last).await), (404, 404));
}

#[tokio::test]
async fn a_job_that_runs_or_waits_is_not_deleted() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let running = server.submit(&project.endless()).await;
    let waiting = server.submit(&project.endless()).await;
    let mut events = server.events(&running, None).await;
    events.until("training.started").await;
    for id in [&waiting, &running] {
        let path = format!("/v1/jobs/{id}");
        let (status, answer) = server.delete(&path).await;
        assert_eq!(status, 409, "{answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(id) && error.contains("cancel"), "{error}");
        assert!(project.store().join("jobs").join(id).is_dir());
        server.post(&format!("{path}/cancel"), &json!({})).await;
    }
    for id in [&waiting, &running] {
        assert_eq!(server.delete(&format!("/v1/jobs/{id}")).await.0, 204);
    }
    // When this job is complete, the earlier run has noticed that its job is gone.
    server
        .complete(&project.config(&json!({ "dryRun": true })))
        .await;
    for id in [waiting, running] {
        assert!(!project.store().join("jobs").join(id).exists());
    }
}

#[test]
fn what_a_kill_left_of_a_submission_or_a_deletion_is_gone_after_a_start() {
    let project = Project::new();
    let jobs = project.store().join("jobs");
    for name in [".new-0123", ".deleted-job_0123"] {
        fs::create_dir_all(jobs.join(name).join("adapter")).unwrap();
        fs::write(jobs.join(name).join("job.json"), "{}").unwrap();
    }
    let _server = Server::start(&project.store());
    assert_eq!(fs::read_dir(jobs).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn a_server_that_ends_takes_its_address_back() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let address = project.store().join("server.json");
    let text = fs::read_to_string(&address).unwrap();
    assert!(text.contains(&server.url), "{text}");
    terminate(&server);
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    assert!(!address.exists());
}
