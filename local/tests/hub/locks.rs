//! Two processes at once. Here they are two Hubs on two threads, each with its own file handles.

use std::fs::File;
use std::sync::{Arc, mpsc};

use arkor_local::error::Error;
use arkor_local::hub::{Hub, Listing, Repo};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::support::{Fate, WEIGHTS, World, etag, has_weights, pick, weights};

/// Starts a download on its own thread, and sends its progress to a channel.
fn start(
    hub: Hub,
    repo: Repo,
    listing: Listing,
    cancel: CancellationToken,
) -> (
    mpsc::Receiver<u64>,
    std::thread::JoinHandle<Result<std::path::PathBuf, Error>>,
) {
    let (send, progress) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let files = pick(&listing, &[WEIGHTS]);
        let send = std::sync::Mutex::new(send);
        let report = |progress: arkor_local::hub::Progress<'_>| {
            let _ = send.lock().unwrap().send(progress.done_bytes);
        };
        runtime.block_on(hub.download(&repo, &listing, &files, &report, &cancel))
    });
    (progress, thread)
}

/// Downloads other files. By the time this is done, a download that fails to wait has requested the
/// weights.
async fn meanwhile(world: &World) {
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        world.download(&[name]).await.unwrap();
    }
}

#[tokio::test]
async fn the_second_waits_and_then_finds_the_file() {
    let world = World::new();
    let listing = world.list().await.unwrap();
    let gate = Arc::new(Notify::new());
    world.server.fate(WEIGHTS, [Fate::Hold(gate.clone())]);
    let begin = || {
        let (hub, repo) = (world.hub.clone(), world.repo.clone());
        start(hub, repo, listing.clone(), world.cancel.clone())
    };
    let (progress, first) = begin();
    let half = weights().len() as u64 / 2;
    assert!(progress.iter().any(|bytes| bytes == half));
    let (progress, second) = begin();
    assert_eq!(progress.recv(), Ok(0));
    meanwhile(&world).await;
    assert_eq!(world.server.asked_for(WEIGHTS).len(), 1);
    gate.notify_one();
    for thread in [first, second] {
        assert!(has_weights(&thread.join().unwrap().unwrap()));
    }
    assert_eq!(world.server.asked_for(WEIGHTS).len(), 1);
}

#[tokio::test]
async fn who_waits_for_a_lock_can_be_cancelled_and_goes_on_when_it_is_free() {
    let world = World::new();
    let listing = world.list().await.unwrap();
    let locks = world.hub.cache.join(".locks/models--acme--small");
    std::fs::create_dir_all(&locks).unwrap();
    let path = locks.join(format!("{}.lock", etag(&weights(), true)));
    let held = File::create(path).unwrap();
    held.lock().unwrap();
    let cancel = CancellationToken::new();
    let (hub, repo) = (world.hub.clone(), world.repo.clone());
    let (progress, waiting) = start(hub, repo, listing.clone(), cancel.clone());
    assert_eq!(progress.recv(), Ok(0));
    meanwhile(&world).await;
    cancel.cancel();
    assert!(matches!(waiting.join().unwrap(), Err(Error::Stopped)));
    assert!(progress.iter().all(|bytes| bytes == 0), "nothing has come");
    let begun = Notify::new();
    let files = pick(&listing, &[WEIGHTS]);
    let notify = |_: arkor_local::hub::Progress<'_>| begun.notify_one();
    let download = world
        .hub
        .download(&world.repo, &listing, &files, &notify, &world.cancel);
    let (downloaded, ()) = tokio::join!(download, async {
        begun.notified().await;
        meanwhile(&world).await;
        assert!(world.server.asked_for(WEIGHTS).is_empty());
        drop(held);
    });
    assert!(has_weights(&downloaded.unwrap()));
}
