//! Runs: their events, their files, and their results.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Event, Project, Server, command, directory, kinds};

fn losses(events: &[Event]) -> Vec<(Value, Value)> {
    let logs = events.iter().filter(|event| event.kind == "training.log");
    logs.map(|event| (event.data["loss"].clone(), event.data["evalLoss"].clone()))
        .collect()
}

#[tokio::test]
async fn a_dry_run_goes_all_the_way_from_started_to_the_final_adapter() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let config = project.config(&json!({ "dryRun": true, "maxSteps": 500, "numTrainEpochs": 3 }));
    let (id, events) = server.complete(&config).await;
    let log = "training.log";
    let save = "checkpoint.saved";
    let expected = [
        "training.started",
        log,
        log,
        save,
        log,
        log,
        save,
        log,
        log,
        save,
        "training.completed",
        "end",
    ];
    assert_eq!(kinds(&events), expected);
    for (index, event) in events[..events.len() - 1].iter().enumerate() {
        assert_eq!(event.id.as_deref(), Some((index + 1).to_string().as_str()));
        assert_eq!(event.data["type"], event.kind.as_str());
        assert_eq!(event.data["jobId"], id.as_str());
        assert!(event.data["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    let metadata = &events[0].data["metadata"];
    assert_eq!(metadata["baseModel"]["used"], "arkor-tiny");
    assert_eq!(metadata["baseModel"]["standIn"], false);
    assert_eq!(
        (&metadata["backend"], &metadata["device"]),
        (&json!("arkor-local"), &json!("cpu"))
    );
    assert_eq!(metadata["totalSteps"], 6);
    let first = &events[1].data;
    assert!(
        first["loss"].is_f64() && first["evalLoss"].is_f64() && first["samplesPerSecond"].is_f64()
    );
    assert_eq!(first["learningRate"], 3e-3);

    let completed = &events[10].data;
    for artifact in completed["artifacts"].as_array().unwrap() {
        let bytes = fs::read(artifact["path"].as_str().unwrap()).unwrap();
        assert_eq!(artifact["size"], bytes.len());
        let sha256 = hex::encode(Sha256::digest(&bytes));
        assert_eq!(artifact["sha256"], sha256);
    }
    let (_, body) = server.get(&format!("/v1/jobs/{id}")).await;
    let job = &body["job"];
    assert_eq!(
        (&job["status"], &job["projectId"]),
        (&json!("completed"), &json!("demo"))
    );
    assert_eq!((&job["config"], &job["orgId"]), (&config, &json!("local")));
    assert_eq!(job["startedAt"], events[0].data["timestamp"]);
}

#[tokio::test]
async fn a_model_that_is_not_here_is_stood_in_for_and_that_is_said() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let config = project.config(&json!({ "model": "acme/huge-70b", "dryRun": true }));
    let (_, events) = server.complete(&config).await;
    let base = &events[0].data["metadata"]["baseModel"];
    assert_eq!(
        (&base["requested"], &base["used"]),
        (&json!("acme/huge-70b"), &json!("arkor-tiny"))
    );
    assert_eq!(base["standIn"], true);
    assert!(
        base["reason"]
            .as_str()
            .unwrap()
            .contains("acme/huge-70b is not on this machine")
    );
}

#[tokio::test]
async fn with_strict_model_nothing_stands_in_and_what_is_here_is_trained() {
    let project = Project::new();
    let store = project.store();
    // A run with a stand-in, which is resumed below.
    let lenient = Server::start(&store);
    let config =
        project.config(&json!({ "model": "acme/huge-70b", "maxSteps": 100_000, "saveSteps": 1 }));
    let id = lenient.submit(&config).await;
    lenient
        .events(&id, None)
        .await
        .until("checkpoint.saved")
        .await;
    let (status, _) = lenient
        .post(&format!("/v1/jobs/{id}/cancel"), &json!({}))
        .await;
    assert!(status < 300, "{status}");
    drop(lenient);

    let server = Server::from_command(command(&store).arg("--strict-model"));
    let submission = json!({ "name": "t", "config": config });
    for (path, body) in [
        ("/v1/jobs".to_owned(), &submission),
        (format!("/v1/jobs/{id}/resume"), &json!({})),
    ] {
        let (status, body) = server.post(&path, body).await;
        let error = body["error"].as_str().unwrap_or_default();
        assert_eq!(status, 400, "{path}: {body}");
        for word in [
            "model: acme/huge-70b is not on this machine",
            "--strict-model",
            "--base-model",
            "arkor engine install torch",
            "--no-strict-model",
        ] {
            assert!(error.contains(word), "{path}: {error}");
        }
    }
    let (_, jobs) = server.get("/v1/jobs").await;
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1));
    let (_, events) = server
        .complete(&project.config(&json!({ "dryRun": true })))
        .await;
    assert!(kinds(&events).contains(&"training.completed"), "{events:?}");
}

#[tokio::test]
async fn training_lowers_the_loss_on_rows_that_it_never_saw() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let config = project.config(&json!({ "maxSteps": 25, "trainOnResponsesOnly": true }));
    let (_, events) = server.complete(&config).await;
    let evals: Vec<f64> = losses(&events)
        .iter()
        .filter_map(|(_, eval)| eval.as_f64())
        .collect();
    assert!(evals.len() >= 3, "{evals:?}");
    assert!(evals.last() < evals.first(), "{evals:?}");
    let train: Vec<f64> = losses(&events)
        .iter()
        .map(|(loss, _)| loss.as_f64().unwrap())
        .collect();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / 5.0;
    assert!(mean(&train[20..]) < 0.85 * mean(&train[..5]), "{train:?}");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_losses() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let config = project.config(&json!({ "seed": 7 }));
    let (_, first) = server.complete(&config).await;
    let (_, second) = server.complete(&config).await;
    assert_eq!(losses(&first), losses(&second));
    let (_, other) = server
        .complete(&project.config(&json!({ "seed": 8 })))
        .await;
    assert_ne!(losses(&first), losses(&other));
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_exactly_the_rest_and_a_stranger_everything() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let (id, all) = server.complete(&project.config(&json!({}))).await;
    let last = (all.len() - 1).to_string();
    assert_eq!(server.events(&id, Some("3")).await.rest().await, all[3..]);
    let end = server.events(&id, Some(&last)).await.rest().await;
    assert_eq!(kinds(&end), ["end"]);
    for unknown in ["1000", "garbled", "-1"] {
        assert_eq!(
            server.events(&id, Some(unknown)).await.rest().await,
            all,
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn many_readers_see_the_same_and_one_that_never_reads_holds_nobody_up() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let id = server
        .submit(&project.config(&json!({ "maxSteps": 30 })))
        .await;
    let _silent = server.events(&id, None).await;
    let (first, second) = (
        server.events(&id, None).await,
        server.events(&id, None).await,
    );
    let (first, second) = tokio::join!(first.rest(), second.rest());
    assert_eq!(first, second);
    assert_eq!(
        kinds(&first)[first.len() - 2..],
        ["training.completed", "end"]
    );
}

#[tokio::test]
async fn one_job_runs_at_a_time_and_cancel_ends_it_within_a_second_with_its_checkpoints_kept() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let running = server.submit(&project.endless()).await;
    let queued = server.submit(&project.endless()).await;
    let mut events = server.events(&running, None).await;
    let checkpoint = events.until("checkpoint.saved").await;
    let status =
        async |id: &str| server.get(&format!("/v1/jobs/{id}")).await.1["job"]["status"].clone();
    assert_eq!(
        (status(&running).await, status(&queued).await),
        (json!("running"), json!("queued"))
    );

    let asked = Instant::now();
    let (code, body) = server
        .post(&format!("/v1/jobs/{running}/cancel"), &json!({}))
        .await;
    assert_eq!((code, &body["job"]["status"]), (200, &json!("cancelled")));
    let rest = events.rest().await;
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(rest.last().unwrap().kind, "end");
    assert!(
        !kinds(&rest)
            .iter()
            .any(|kind| ["training.failed", "training.completed"].contains(kind))
    );
    assert!(fs::exists(checkpoint.data["artifacts"][1]["path"].as_str().unwrap()).unwrap());

    let mut next = server.events(&queued, None).await;
    next.until("training.started").await;
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    server
        .post(&format!("/v1/jobs/{queued}/cancel"), &json!({}))
        .await;
    let again = server
        .post(&format!("/v1/jobs/{queued}/cancel"), &json!({}))
        .await;
    assert_eq!(
        (again.0, &again.1["job"]["status"]),
        (200, &json!("cancelled"))
    );
}

#[tokio::test]
async fn a_diverging_run_fails_and_says_what_to_change() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let (id, events) = server
        .complete(&project.config(&json!({ "learningRate": 1e30 })))
        .await;
    let failed = &events[events.len() - 2];
    assert_eq!(failed.kind, "training.failed");
    let error = failed.data["error"].as_str().unwrap();
    assert!(error.contains("learningRate"), "{error}");
    let (_, body) = server.get(&format!("/v1/jobs/{id}")).await;
    assert_eq!(
        (&body["job"]["status"], &body["job"]["error"]),
        (&json!("failed"), &json!(error))
    );
}

#[tokio::test]
async fn a_hugging_face_directory_trains_like_the_same_model_built_in() {
    let project = Project::new();
    let model = directory();
    let server = Server::start(&project.store());
    let (_, built_in) = server.complete(&project.config(&json!({}))).await;
    let config = project.config(&json!({ "model": model.path() }));
    let (id, from_files) = server.complete(&config).await;
    assert_eq!(losses(&built_in), losses(&from_files));
    let base = &from_files[0].data["metadata"]["baseModel"];
    assert_eq!(
        (&base["standIn"], &base["requested"]),
        (&json!(false), &json!(model.path()))
    );
    let chat = json!({
        "adapter": { "kind": "final", "jobId": id }, "stream": false, "maxTokens": 4,
        "messages": [{ "role": "user", "content": "Question 1?" }],
    });
    assert_eq!(server.post("/v1/inference/chat", &chat).await.0, 200);
}

#[tokio::test]
async fn with_base_model_every_job_trains_on_it_and_says_so() {
    let project = Project::new();
    let model = directory();
    let server = Server::from_command(
        command(&project.store())
            .arg("--base-model")
            .arg(model.path()),
    );
    let config = project.config(&json!({ "model": "acme/huge-70b", "dryRun": true }));
    let (_, events) = server.complete(&config).await;
    let base = &events[0].data["metadata"]["baseModel"];
    assert_eq!(base["standIn"], true);
    assert!(
        base["reason"].as_str().unwrap().contains("--base-model"),
        "{base}"
    );
    assert_eq!(base["used"], json!(model.path().canonicalize().unwrap()));
}

#[tokio::test]
async fn a_dataset_in_the_hugging_face_cache_is_trained_and_one_that_is_not_there_is_named() {
    let project = Project::new();
    let cache = tempfile::tempdir().unwrap();
    let dataset = cache.path().join("datasets--acme--rows");
    let snapshot = dataset.join("snapshots/abc/data");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(dataset.join("refs")).unwrap();
    fs::write(dataset.join("refs/main"), "abc\n").unwrap();
    for split in ["train", "test"] {
        let rows: Vec<String> = (0..8)
            .map(|number| json!({ "text": format!("{split} {number}") }).to_string())
            .collect();
        fs::write(snapshot.join(format!("{split}.jsonl")), rows.join("\n")).unwrap();
    }
    let server = Server::from_command(command(&project.store()).env("HF_HUB_CACHE", cache.path()));
    let source = json!({ "type": "huggingface", "name": "acme/rows" });
    let config = project.config(&json!({ "datasetSource": source, "maxSteps": 1 }));
    let (_, events) = server.complete(&config).await;
    let rows = &events[0].data["metadata"]["rows"];
    assert_eq!((&rows["train"], &rows["eval"]), (&json!(7), &json!(1)));
    for (source, word) in [
        (
            json!({ "type": "huggingface", "name": "acme/other" }),
            "acme/other",
        ),
        (
            json!({ "type": "huggingface", "name": "acme/rows", "split": "dev" }),
            "datasetSource.split",
        ),
        (
            json!({ "type": "huggingface", "name": "../rows" }),
            "datasetSource.name",
        ),
    ] {
        let config = project.config(&json!({ "datasetSource": source }));
        let body = json!({ "name": "t", "config": config });
        let (status, answer) = server.post("/v1/jobs", &body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(word), "{answer}");
    }
}
