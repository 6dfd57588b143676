//! Datasets that are only on the Hub: the rows that are trained, and when a dataset is refused.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::data::parquet_of;
use crate::hub_server::Fate;
use crate::hub_world::{World, expect_completed, failure, losses, metadata, refusal};
use crate::support::{Server, kinds};

const README: &str = "---\nconfigs:\n- config_name: main\n  default: true\n  data_files:\n  - split: train\n    \
    path: data/train-*\n  - split: test\n    path: held_out.jsonl\n- config_name: flat\n  data_files: \
    flat.parquet\n- config_name: wide\n  data_files: data/*\n---\n# Rows\n";

/// Rows whose text names their origin.
fn rows(of: &str, count: usize) -> String {
    let row = |number| json!({ "text": format!("{of} {number}") }).to_string() + "\n";
    (0..count).map(row).collect()
}

/// A Hub with the dataset `acme/rows`.
fn world() -> World {
    let world = World::new();
    let flat = parquet_of("flat 0", 6);
    // Blank lines make the file larger, so that it takes a while to arrive.
    let second = rows("second", 8) + &"\n".repeat(4000);
    world.hub.add(
        "datasets/acme/rows",
        &[
            ("README.md", README.as_bytes(), false),
            ("data/train-0.jsonl", rows("first", 6).as_bytes(), false),
            ("data/train-1.jsonl", second.as_bytes(), true),
            ("held_out.jsonl", rows("test", 5).as_bytes(), true),
            ("flat.parquet", &flat, true),
            ("other.jsonl", rows("other", 9).as_bytes(), false),
        ],
    );
    world
}

/// The config of a small job on a part of `acme/rows`.
fn config(world: &World, part: &Value) -> Value {
    let mut source = json!({ "type": "huggingface", "name": "acme/rows" });
    let fields = source.as_object_mut().unwrap();
    fields.extend(part.as_object().unwrap().clone());
    let more = json!({ "datasetSource": source, "maxSteps": 2 });
    world.project.config(&more)
}

/// The rows that a job was trained on, in order.
fn trained(world: &World, id: &str) -> Vec<String> {
    let text = fs::read_to_string(world.job_dir(id).join("dataset.jsonl")).unwrap();
    let texts = text.split('"').filter(|part| part.contains(' '));
    texts.map(str::to_owned).collect()
}

fn expected(parts: &[(&str, usize)]) -> Vec<String> {
    let numbered = |(of, count): &(&str, usize)| {
        let of = (*of).to_owned();
        (0..*count).map(move |number| format!("{of} {number}"))
    };
    parts.iter().flat_map(numbered).collect()
}

const TRAIN: [(&str, usize); 2] = [("first", 6), ("second", 8)];

#[tokio::test]
async fn a_split_is_trained_with_all_of_its_rows_and_no_others() {
    let world = world();
    let server = world.start();
    let (id, events) = server.complete(&config(&world, &json!({}))).await;
    expect_completed(&events);
    assert_eq!(trained(&world, &id), expected(&TRAIN));
    let counts = &metadata(&events)["rows"];
    let sum = counts["train"].as_u64().unwrap() + counts["eval"].as_u64().unwrap();
    assert_eq!(sum, 14);
    let files = ["README.md", "data/train-0.jsonl", "data/train-1.jsonl"];
    assert_eq!(world.files_asked(), files);

    let same = rows("first", 6) + &rows("second", 8);
    let source = world.project.dataset("same.jsonl", same.as_bytes());
    let same = world
        .project
        .config(&json!({ "datasetSource": source, "maxSteps": 2 }));
    assert_eq!(losses(&server.complete(&same).await.1), losses(&events));
}

#[tokio::test]
async fn a_preview_downloads_nothing_and_says_that_a_run_does() {
    let world = world();
    let server = world.start();
    let body = json!({ "config": config(&world, &json!({})) });
    let (status, answer) = server.post("/v1/dataset/preview", &body).await;
    let error = answer["error"].as_str().unwrap_or_default();
    assert_eq!(status, 409, "{answer}");
    assert!(
        error.starts_with("datasetSource: this dataset isn't on this machine"),
        "{error}"
    );
    assert_eq!(world.files_asked(), ["README.md"]);

    server.complete(&body["config"]).await;
    let (status, answer) = server.post("/v1/dataset/preview", &body).await;
    assert_eq!((status, &answer["totals"]["rows"]), (200, &json!(14)));
}

#[tokio::test]
async fn another_split_or_config_than_the_one_in_the_cache_is_downloaded_too() {
    let world = world();
    let server = world.start();
    let parts: [(Value, &[(&str, usize)]); 4] = [
        (json!({ "split": "test" }), &[("test", 5)]),
        (json!({}), &TRAIN),
        (json!({ "subset": "flat" }), &[("flat", 1); 6]),
        (json!({ "split": "test" }), &[("test", 5)]),
    ];
    for (part, rows) in parts {
        let (id, events) = server.complete(&config(&world, &part)).await;
        expect_completed(&events);
        assert_eq!(trained(&world, &id), expected(rows), "{part}");
    }
    let files = [
        "README.md",
        "held_out.jsonl",
        "data/train-0.jsonl",
        "data/train-1.jsonl",
        "flat.parquet",
    ];
    assert_eq!(world.files_asked(), files, "each once");
    drop(server);

    let server = Server::from_command(world.command().env("HF_HUB_OFFLINE", "1"));
    let (id, events) = server.complete(&config(&world, &json!({}))).await;
    expect_completed(&events);
    assert_eq!(trained(&world, &id), expected(&TRAIN));
}

#[tokio::test]
async fn what_a_dataset_does_not_have_is_refused_at_once() {
    let world = world();
    let server = world.start();
    for (part, words) in [
        (
            json!({ "split": "dev" }),
            ["datasetSource.split", "train, test"],
        ),
        (
            json!({ "subset": "de" }),
            ["datasetSource.subset", "main, flat"],
        ),
        (
            json!({ "name": "acme/raws" }),
            ["datasetSource.name", "no dataset acme/raws"],
        ),
    ] {
        let error = refusal(&server, &config(&world, &part)).await;
        for word in words {
            assert!(error.contains(word), "{error}");
        }
    }
    assert_eq!(world.files_asked(), ["README.md"]);
    world
        .hub
        .conduct(|hub| hub.token = Some("hf_secret".to_owned()));
    let error = refusal(&server, &config(&world, &json!({}))).await;
    assert!(
        error.contains("acme/rows") && error.contains("set HF_TOKEN"),
        "{error}"
    );
}

#[tokio::test]
async fn a_bad_row_fails_the_run_with_its_file_and_line() {
    let world = world();
    let bad = rows("bad", 2) + "{\"txt\":1}\n";
    world.hub.add(
        "datasets/acme/bad",
        &[("train.jsonl", bad.as_bytes(), true)],
    );
    let server = world.start();
    let config = config(&world, &json!({ "name": "acme/bad" }));
    let (_, events) = server.complete(&config).await;
    let error = failure(&events);
    assert!(error.contains("train.jsonl: line 3"), "{error}");
    // The dataset is in the cache now, so that the submission already finds the problem.
    let error = refusal(&server, &config).await;
    assert!(error.contains("train.jsonl: line 3"), "{error}");
}

#[tokio::test]
async fn a_split_that_is_there_in_part_is_never_trained_in_part() {
    let world = world();
    let file = "data/train-1.jsonl";
    let drip = || [Fate::Drip(Arc::default())];
    world.hub.fate(file, drip());
    let mut server = world.start();
    // The cache doesn't show that the split has more than one file.
    let part = json!({ "subset": "wide" });
    let id = server.submit(&config(&world, &part)).await;
    let mut events = server.events(&id, None).await;
    let progress = events.until("training.progress").await.data;
    assert_eq!(
        (&progress["phase"], &progress["name"]),
        (&json!("downloading"), &json!("acme/rows"))
    );
    server.child.kill().unwrap();
    server.child.wait().unwrap();

    world.hub.fate(file, drip());
    let server = world.start();
    let mut events = server.events(&id, Some("1")).await;
    events.until("training.progress").await;
    let other = server.submit(&config(&world, &part)).await;
    let cancel = format!("/v1/jobs/{id}/cancel");
    server.post(&cancel, &json!({})).await;
    expect_completed(&server.events(&other, None).await.rest().await);
    assert_eq!(trained(&world, &other), expected(&TRAIN));
    let starts = world.starts(file);
    assert!(starts.len() == 3 && starts.is_sorted(), "{starts:?}");
}

#[tokio::test]
async fn a_run_that_waits_for_the_hub_can_be_cancelled() {
    let world = world();
    let server = world.start();
    let before = server.submit(&world.project.endless()).await;
    let id = server.submit(&config(&world, &json!({}))).await;
    let next = world.project.config(&json!({ "dryRun": true }));
    let next = server.submit(&next).await;
    let asked = world.hub.asked().len();
    // The Hub asks for a pause of a minute.
    world
        .hub
        .conduct(|hub| hub.first.push_back((429, Some("60"))));
    let cancel = async |id: &str| {
        let path = format!("/v1/jobs/{id}/cancel");
        server.post(&path, &json!({})).await
    };
    cancel(&before).await;
    world.hub.until_asked(asked + 1).await;
    let begun = Instant::now();
    cancel(&id).await;
    let mut events = server.events(&next, None).await;
    events.until("training.started").await;
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    let events = server.events(&id, None).await.rest().await;
    assert_eq!(kinds(&events), ["end"]);
}
