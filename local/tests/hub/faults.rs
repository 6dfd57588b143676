//! Faults during a download, and how they're handled.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use arkor_local::error::Error;
use tokio::sync::Notify;

use super::support::{FOREVER, Fate, WEIGHTS, World, has_weights, pick, refusal, weights};

/// The `Range` headers of the requests for the weights.
fn ranges(world: &World) -> Vec<Option<String>> {
    let asked = world.server.asked_for(WEIGHTS);
    let range = |asked: &super::hub_server::Asked| asked.header("range").map(str::to_owned);
    asked.iter().map(range).collect()
}

#[tokio::test]
async fn a_body_that_is_cut_is_gone_on_with() {
    let world = World::new();
    world.server.fate(WEIGHTS, [Fate::Cut]);
    assert!(has_weights(&world.download(&[WEIGHTS]).await.unwrap()));
    let half = weights().len() / 2;
    assert_eq!(ranges(&world), [None, Some(format!("bytes={half}-"))]);
}

#[tokio::test]
async fn what_an_earlier_try_left_is_gone_on_with() {
    let world = World::new();
    world.leave(&weights()[..1234]);
    assert!(has_weights(&world.download(&[WEIGHTS]).await.unwrap()));
    assert_eq!(ranges(&world), [Some("bytes=1234-".to_owned())]);
    assert!(!world.incomplete().exists());
}

#[tokio::test]
async fn what_is_left_in_full_is_only_checked() {
    let world = World::new();
    world.leave(&weights());
    assert!(has_weights(&world.download(&[WEIGHTS]).await.unwrap()));
    assert!(ranges(&world).is_empty());
}

#[tokio::test]
async fn what_is_left_and_too_long_starts_anew() {
    let world = World::new();
    world.leave(&[weights(), weights()].concat());
    assert!(has_weights(&world.download(&[WEIGHTS]).await.unwrap()));
    assert_eq!(ranges(&world), [None]);
}

#[tokio::test]
async fn a_server_that_ignores_ranges_starts_anew() {
    let world = World::new();
    world
        .server
        .conduct(|conduct| conduct.ignores_ranges = true);
    world.leave(&weights()[..1234]);
    assert!(has_weights(&world.download(&[WEIGHTS]).await.unwrap()));
    assert_eq!(ranges(&world), [Some("bytes=1234-".to_owned())]);
}

#[tokio::test]
async fn a_file_that_grew_shorter_ends_in_a_refusal() {
    let world = World::new();
    let listing = world.list().await.unwrap();
    let mut files = pick(&listing, &[WEIGHTS]);
    files[0].size += 1;
    let download = world
        .hub
        .download(&world.repo, &listing, &files, &|_| {}, &world.cancel);
    let text = refusal(download.await.unwrap_err());
    assert!(text.contains("127.0.0.1 sent"), "{text}");
}

#[tokio::test]
async fn damage_is_refused_by_name_and_removed() {
    for fate in [Fate::Corrupt, Fate::Long] {
        let world = World::new();
        world.server.fate(WEIGHTS, [fate]);
        let text = world.refused().await;
        assert!(
            text.contains("model.safetensors of acme/small arrived damaged"),
            "{text}"
        );
        assert!(!world.incomplete().exists() && !world.blob().exists());
        assert!(!world.folder().join("refs").exists());
        assert_eq!(ranges(&world).len(), 1, "not asked for again");
        assert!(has_weights(&world.download(&[WEIGHTS]).await.unwrap()));
    }
    let world = World::new();
    world.server.fate("config.json", [Fate::Corrupt]);
    let error = world.download(&["config.json"]).await.unwrap_err();
    assert!(refusal(error).contains("config.json of acme/small arrived damaged"));
}

#[tokio::test]
async fn damage_in_what_was_left_is_found() {
    let world = World::new();
    world.leave(b"something else");
    let text = world.refused().await;
    assert!(text.contains("arrived damaged"), "{text}");
    assert!(has_weights(&world.download(&[WEIGHTS]).await.unwrap()));
}

#[tokio::test]
async fn a_server_that_falls_silent_is_asked_again() {
    let mut world = World::new();
    let listing = world.list().await.unwrap();
    world.server.fate(WEIGHTS, [Fate::Hang]);
    world.hub.timing.silence = Duration::from_millis(500);
    let files = pick(&listing, &[WEIGHTS]);
    let download = world
        .hub
        .download(&world.repo, &listing, &files, &|_| {}, &world.cancel);
    assert!(has_weights(&download.await.unwrap()));
    // On a busy machine, the next response may time out as well.
    assert!(ranges(&world).len() > 1);
}

#[tokio::test]
async fn a_busy_server_is_asked_again_five_times() {
    let world = World::new();
    let busy = [
        (429, None),
        (503, None),
        (500, None),
        (502, None),
        (504, None),
    ];
    world.server.conduct(|conduct| conduct.first = busy.into());
    world.list().await.unwrap();
    assert_eq!(world.server.asked().len(), 6);
    world
        .server
        .conduct(|conduct| conduct.first = [(503, None); 9].into());
    let text = refusal(world.list().await.unwrap_err());
    assert!(text.contains("127.0.0.1 answered 503"), "{text}");
    assert_eq!(world.server.asked().len(), 12);
}

#[tokio::test]
async fn tries_that_bring_something_are_not_counted() {
    let world = World::new();
    let cuts = [(); 12].map(|()| Fate::Cut);
    world.server.fate(WEIGHTS, cuts);
    assert!(has_weights(&world.download(&[WEIGHTS]).await.unwrap()));
    assert_eq!(ranges(&world).len(), 13);
    // If each retry starts over, none makes progress.
    let world = World::new();
    world
        .server
        .conduct(|conduct| conduct.ignores_ranges = true);
    world.server.fate(WEIGHTS, [(); 12].map(|()| Fate::Cut));
    let text = world.refused().await;
    assert!(text.contains("broke off model.safetensors"), "{text}");
    assert!(text.contains("models--acme--small"), "{text}");
    assert_eq!(ranges(&world).len(), 6);
}

#[tokio::test]
async fn retry_after_counts_instead_of_the_own_pause() {
    let mut world = World::new();
    world.hub.timing.backoff = FOREVER;
    let busy = [(429, Some("0")), (503, Some("0"))];
    world.server.conduct(|conduct| conduct.first = busy.into());
    world.list().await.unwrap();
    assert_eq!(world.server.asked().len(), 3);
}

#[tokio::test]
async fn other_answers_are_not_asked_for_again() {
    let mut world = World::new();
    world.hub.timing.backoff = FOREVER;
    world
        .server
        .conduct(|conduct| conduct.first = [(418, None)].into());
    let text = refusal(world.list().await.unwrap_err());
    assert!(text.contains("127.0.0.1 answered 418"), "{text}");
    assert_eq!(world.server.asked().len(), 1);
}

#[tokio::test]
async fn a_download_is_cancelled_and_what_has_come_is_kept() {
    let world = World::new();
    let never = Arc::new(Notify::new());
    world.server.fate(WEIGHTS, [Fate::Hold(never)]);
    let listing = world.list().await.unwrap();
    let files = pick(&listing, &[WEIGHTS]);
    let half = weights().len() as u64 / 2;
    let at_half = |progress: arkor_local::hub::Progress<'_>| {
        if progress.done_bytes == half {
            world.cancel.cancel();
        }
    };
    let download = world
        .hub
        .download(&world.repo, &listing, &files, &at_half, &world.cancel);
    assert!(matches!(download.await, Err(Error::Stopped)));
    assert_eq!(fs::metadata(world.incomplete()).unwrap().len(), half);
    assert!(!world.folder().join("refs").exists());
}

#[tokio::test]
async fn a_pause_is_cancelled() {
    let mut world = World::new();
    world.hub.timing.backoff = FOREVER;
    world
        .server
        .conduct(|conduct| conduct.first = [(503, None)].into());
    let cancel = world.cancel.clone();
    let server = &world.server;
    let (listed, ()) = tokio::join!(world.list(), async {
        server.until_asked(1).await;
        cancel.cancel();
    });
    assert!(matches!(listed, Err(Error::Stopped)));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_told_and_what_has_come_is_kept() {
    let world = World::new();
    world.leave(b"");
    fs::remove_file(world.incomplete()).unwrap();
    std::os::unix::fs::symlink("/dev/full", world.incomplete()).unwrap();
    let error = world.download(&[WEIGHTS]).await.unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("model: the disk is full"), "{text}");
    assert!(
        text.contains(WEIGHTS) && text.contains(".incomplete"),
        "{text}"
    );
    assert!(world.incomplete().is_symlink(), "kept");
    assert!(!world.blob().exists());
}
