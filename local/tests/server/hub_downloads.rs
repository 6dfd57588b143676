//! Downloads in a run: reported on the event stream, cut off, killed, damaged, cancelled, and shared.
//! Each test decides how slow the Hub is.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Notify;

use crate::hub_server::{Fate, HubServer};
use crate::hub_world::{
    MODEL, WEIGHTS, World, expect_completed, failure, files_of, metadata, weights,
};
use crate::lifecycle::terminate;
use crate::support::{Project, Server, directory, kinds};

#[tokio::test]
async fn a_download_that_takes_a_while_is_reported_at_most_once_a_second() {
    let world = World::new();
    let gate = Arc::new(Notify::new());
    world.hub.fate(WEIGHTS, [Fate::Drip(gate.clone())]);
    let server = world.start();
    let begun = Instant::now();
    let id = server.submit(&world.config(&json!({}))).await;
    let mut events = server.events(&id, None).await;
    let mut done = weights().len() as u64 / 2;
    for seconds in 1..=2 {
        let event = events.next().await.unwrap();
        assert_eq!(event.kind, "training.progress");
        assert!(begun.elapsed() >= Duration::from_secs(seconds));
        let data = event.data;
        assert_eq!(
            (&data["phase"], &data["unit"]),
            (&json!("downloading"), &json!("bytes"))
        );
        assert_eq!(data["name"], MODEL);
        let now = data["done"].as_u64().unwrap();
        assert!(
            done < now && now < data["total"].as_u64().unwrap(),
            "{data}"
        );
        done = now;
    }
    gate.notify_one();
    events.rest().await;
    let all = server.events(&id, None).await.rest().await;
    expect_completed(&all);
    assert_eq!(all[2].kind, "training.started", "{all:?}");
}

#[tokio::test]
async fn a_connection_that_is_cut_is_gone_on_with_where_it_was() {
    let world = World::new();
    world.hub.fate(WEIGHTS, [Fate::Cut]);
    let server = world.start();
    let (_, events) = server.complete(&world.config(&json!({}))).await;
    expect_completed(&events);
    assert_eq!(metadata(&events)["baseModel"]["used"], MODEL);
    assert_eq!(world.starts(WEIGHTS), [0, weights().len() as u64 / 2]);
}

#[tokio::test]
async fn a_server_killed_in_a_download_goes_on_with_the_part_that_is_there() {
    let world = World::new();
    world.hub.fate(WEIGHTS, [Fate::Drip(Arc::default())]);
    let mut server = world.start();
    let id = server.submit(&world.config(&json!({}))).await;
    let mut events = server.events(&id, None).await;
    events.until("training.progress").await;
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let there = world.incomplete();
    assert!(there > weights().len() as u64 / 2);

    let server = world.start();
    let events = server.events(&id, None).await.rest().await;
    expect_completed(&events);
    assert_eq!(kinds(&events)[0], "training.progress");
    assert_eq!(metadata(&events)["baseModel"]["used"], MODEL);
    assert_eq!(world.starts(WEIGHTS), [0, there]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_that_is_stopped_in_a_download_ends_at_once_and_goes_on_later() {
    let world = World::new();
    world.hub.fate(WEIGHTS, [Fate::Drip(Arc::default())]);
    let server = world.start();
    let id = server.submit(&world.config(&json!({}))).await;
    let mut events = server.events(&id, None).await;
    events.until("training.progress").await;
    let asked = Instant::now();
    terminate(&server);
    let (status, log) = server.wait();
    assert!(status.success() && log.contains("goes on when"), "{log}");
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "{:?}",
        asked.elapsed()
    );
    let there = world.incomplete();

    let server = world.start();
    let events = server.events(&id, None).await.rest().await;
    expect_completed(&events);
    assert_eq!(world.starts(WEIGHTS), [0, there]);
}

#[tokio::test]
async fn damaged_weights_fail_the_job_and_are_gone_before_the_next_one() {
    let world = World::new();
    world.hub.fate(WEIGHTS, [Fate::Corrupt]);
    let server = world.start();
    let (_, events) = server.complete(&world.config(&json!({}))).await;
    let error = failure(&events);
    for word in ["model:", WEIGHTS, MODEL, "arrived damaged"] {
        assert!(error.contains(word), "{error}");
    }
    let blob = world.blob();
    assert!(!blob.exists() && !blob.with_extension("incomplete").exists());

    let (_, events) = server.complete(&world.config(&json!({}))).await;
    expect_completed(&events);
    assert_eq!(world.starts(WEIGHTS), [0, 0]);
    assert_eq!(fs::read(blob).unwrap(), weights());
}

#[tokio::test]
async fn two_servers_with_one_cache_download_a_model_once() {
    let world = World::new();
    let gate = Arc::new(Notify::new());
    world.hub.fate(WEIGHTS, [Fate::Drip(gate.clone())]);
    let other = Project::new();
    let first = world.start();
    let second = Server::from_command(&mut world.command_for(&other));
    let config = world.config(&json!({}));
    let id = first.submit(&config).await;
    // The requests so far: the listing, three small files, the listing again, and the weights.
    world.hub.until_asked(6).await;
    let other_id = second.submit(&config).await;
    // Two listings. After these, the second server waits for the lock.
    world.hub.until_asked(8).await;
    gate.notify_one();
    for (server, id) in [(&first, id), (&second, other_id)] {
        let events = server.events(&id, None).await.rest().await;
        expect_completed(&events);
        assert_eq!(metadata(&events)["baseModel"]["used"], MODEL);
    }
    assert_eq!(world.starts(WEIGHTS), [0]);
}

#[tokio::test]
async fn a_cancelled_download_lets_the_next_job_start_and_keeps_what_is_there() {
    let world = World::new();
    world.hub.fate(WEIGHTS, [Fate::Drip(Arc::default())]);
    let server = world.start();
    let id = server.submit(&world.config(&json!({}))).await;
    let next = world.project.config(&json!({ "dryRun": true }));
    let next = server.submit(&next).await;
    let mut events = server.events(&id, None).await;
    events.until("training.progress").await;

    let asked = Instant::now();
    let cancel = format!("/v1/jobs/{id}/cancel");
    let (_, body) = server.post(&cancel, &json!({})).await;
    assert_eq!(body["job"]["status"], "cancelled");
    let rest = events.rest().await;
    assert!(!kinds(&rest).contains(&"training.failed"), "{rest:?}");
    let mut events = server.events(&next, None).await;
    events.until("training.started").await;
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "{:?}",
        asked.elapsed()
    );
    let there = world.incomplete();
    assert!(there > weights().len() as u64 / 2);

    let (_, events) = server.complete(&world.config(&json!({}))).await;
    expect_completed(&events);
    assert_eq!(world.starts(WEIGHTS), [0, there]);
}

#[tokio::test]
async fn a_job_for_a_model_in_shards_that_is_still_on_its_way_waits_for_it() {
    let world = World::new();
    let shard = "model-00001-of-00001.safetensors";
    world.add_model(MODEL, &files_of(directory().path()));
    let gate = Arc::new(Notify::new());
    world.hub.fate(shard, [Fate::Drip(gate.clone())]);
    let server = world.start();
    let first = server.submit(&world.config(&json!({}))).await;
    let mut events = server.events(&first, None).await;
    events.until("training.progress").await;
    // By now, the index of the shards is in the cache.
    let second = server.submit(&world.config(&json!({}))).await;
    gate.notify_one();
    for id in [first, second] {
        let events = server.events(&id, None).await.rest().await;
        expect_completed(&events);
        assert_eq!(metadata(&events)["baseModel"]["used"], MODEL);
    }
    assert_eq!(world.starts(shard), [0]);
}

#[tokio::test]
async fn a_job_whose_weights_another_one_has_downloaded_needs_no_hub() {
    let mut world = World::new();
    let gate = Arc::new(Notify::new());
    world.hub.fate(WEIGHTS, [Fate::Drip(gate.clone())]);
    let server = world.start();
    let endless = json!({ "maxSteps": 1_000_000, "evalSteps": 1_000_000 });
    let first = server.submit(&world.config(&endless)).await;
    let second = server.submit(&world.config(&json!({}))).await;
    gate.notify_one();
    let mut events = server.events(&first, None).await;
    events.until("training.started").await;
    world.hub = HubServer::start();
    let cancel = format!("/v1/jobs/{first}/cancel");
    server.post(&cancel, &json!({})).await;
    let events = server.events(&second, None).await.rest().await;
    expect_completed(&events);
    assert_eq!(metadata(&events)["baseModel"]["used"], MODEL);
}
