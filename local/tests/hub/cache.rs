//! The cache folder in the format of `huggingface_hub`.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use arkor_local::hub::{Found, Hub, Repo, RepoKind, is_complete, snapshot};

use super::support::{WEIGHTS, World, etag, has_weights, pick, weights};

#[tokio::test]
async fn a_download_has_the_layout_of_huggingface_hub() {
    let world = World::new();
    let snapshot_dir = world.download(&[]).await.unwrap();
    let folder = world.folder();
    assert_eq!(snapshot_dir, folder.join("snapshots").join(&world.commit));
    let main = fs::read_to_string(folder.join("refs/main")).unwrap();
    assert_eq!(main, world.commit);
    let nested = "additional_chat_templates/rag.jinja";
    let blobs = [
        ("config.json", etag(b"{}", false), ".."),
        (nested, etag(b"{{ x }}", false), "../.."),
        (WEIGHTS, etag(&weights(), true), ".."),
        ("README.md", etag(b"", false), ".."),
    ];
    for (path, name, up) in blobs {
        let shown = snapshot_dir.join(path);
        assert!(folder.join("blobs").join(&name).is_file(), "{path}");
        assert!(shown.is_file(), "{path}");
        if cfg!(unix) {
            let target = Path::new(up).join("../blobs").join(&name);
            assert_eq!(fs::read_link(&shown).unwrap(), target);
        }
        let lock = format!(".locks/models--acme--small/{name}.lock");
        assert!(world.hub.cache.join(lock).is_file(), "{path}");
    }
    assert!(has_weights(&snapshot_dir));
    let left = fs::read_dir(folder.join("blobs")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().path()).collect();
    assert!(
        left.iter().all(|path| path.extension().is_none()),
        "{left:?}"
    );
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3, "nothing else");
}

#[cfg(unix)]
#[tokio::test]
async fn others_may_read_what_the_umask_lets_them_read() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.download(&[WEIGHTS]).await.unwrap();
    let usual = world.folder().join("usual");
    fs::write(&usual, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&world.blob()), mode(&usual));
    assert_eq!(mode(&world.folder().join("refs/main")), mode(&usual));
}

#[tokio::test]
async fn datasets_have_folders_and_addresses_of_their_own() {
    let world = World::new();
    let rows = [("data/täglich 1#.jsonl", b"{}".as_slice(), false)];
    let commit = world.server.add("datasets/acme/rows", &rows);
    let repo = Repo::new(RepoKind::Dataset, "acme/rows").unwrap();
    let listing = world.hub.list(&repo, &world.cancel).await.unwrap();
    let files = &listing.files;
    let download = world
        .hub
        .download(&repo, &listing, files, &|_| {}, &world.cancel);
    let dir = download.await.unwrap();
    assert_eq!(fs::read_to_string(dir.join(rows[0].0)).unwrap(), "{}");
    let folder = world.hub.cache.join("datasets--acme--rows");
    assert_eq!(dir, folder.join("snapshots").join(&commit));
    let escaped = "/data/t%C3%A4glich%201%23.jsonl";
    let path = format!("/datasets/acme/rows/resolve/{commit}{escaped}");
    assert_eq!(world.server.asked_for(escaped)[0].path, path);
}

#[tokio::test]
async fn what_is_there_is_not_asked_for_again() {
    let world = World::new();
    world.download(&[WEIGHTS]).await.unwrap();
    // The other commit has the same weights but another config.
    let files = [
        ("config.json", b"{\"new\":1}".as_slice(), false),
        (WEIGHTS, &weights(), true),
    ];
    let commit = world.server.add("models/acme/small", &files);
    let dir = world.download(&[]).await.unwrap();
    assert!(dir.ends_with(&commit) && has_weights(&dir));
    world.download(&[]).await.unwrap();
    assert_eq!(world.server.asked_for(WEIGHTS).len(), 1);
    assert_eq!(world.server.asked_for("config.json").len(), 1);
}

#[tokio::test]
async fn a_blob_that_was_truncated_is_downloaded_anew() {
    let world = World::new();
    let dir = world.download(&[WEIGHTS]).await.unwrap();
    fs::write(world.blob(), "short").unwrap();
    world.download(&[WEIGHTS]).await.unwrap();
    assert!(has_weights(&dir));
}

#[tokio::test]
async fn main_moves_only_when_everything_has_come() {
    let world = World::new();
    world.server.conduct(|conduct| conduct.gated = true);
    world.download(&[WEIGHTS]).await.unwrap_err();
    assert!(!world.folder().join("refs/main").exists());
    assert_eq!(world.hub.cached(&world.repo, &[]), None);
    world.server.conduct(|conduct| conduct.gated = false);
    let dir = world.download(&[WEIGHTS]).await.unwrap();
    let cache = &world.hub.cache;
    let found = snapshot(cache, RepoKind::Model, "acme/small");
    assert_eq!(found, Some(dir.clone()));
    assert_eq!(snapshot(cache, RepoKind::Dataset, "acme/small"), None);
    assert_eq!(snapshot(cache, RepoKind::Model, "../small"), None);
    assert_eq!(world.hub.cached(&world.repo, &[WEIGHTS]), Some(dir));
    assert_eq!(world.hub.cached(&world.repo, &["config.json"]), None);
}

#[tokio::test]
async fn a_commit_needs_no_name() {
    let world = World::new();
    let repo = Repo::at(RepoKind::Model, "acme/small", &world.commit).unwrap();
    let listing = world.hub.list(&repo, &world.cancel).await.unwrap();
    let files = pick(&listing, &["config.json"]);
    let download = world
        .hub
        .download(&repo, &listing, &files, &|_| {}, &world.cancel);
    let dir = download.await.unwrap();
    assert!(!world.folder().join("refs").exists());
    assert_eq!(world.hub.cached(&repo, &["config.json"]), Some(dir));
    let repo = Repo::at(RepoKind::Model, "acme/small", "v9").unwrap();
    let error = world.hub.list(&repo, &world.cancel).await.unwrap_err();
    assert!(error.to_string().contains("no revision \"v9\""), "{error}");
}

#[tokio::test]
async fn progress_says_what_is_there_of_all_that_was_asked_for() {
    let world = World::new();
    let listing = world.list().await.unwrap();
    let files = pick(&listing, &["config.json", WEIGHTS]);
    let total = 2 + weights().len() as u64;
    let seen = Mutex::new(Vec::new());
    let note = |progress: arkor_local::hub::Progress<'_>| {
        assert_eq!(progress.total_bytes, total);
        let file = progress.file.to_owned();
        seen.lock().unwrap().push((progress.done_bytes, file));
    };
    let download = world
        .hub
        .download(&world.repo, &listing, &files, &note, &world.cancel);
    download.await.unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(
        seen.windows(2).all(|pair| pair[0].0 <= pair[1].0),
        "{seen:?}"
    );
    assert!(seen.contains(&(2, "config.json".to_owned())), "{seen:?}");
    assert!(seen.contains(&(2, WEIGHTS.to_owned())), "{seen:?}");
    assert_eq!(seen.last(), Some(&(total, WEIGHTS.to_owned())));
}

#[tokio::test]
async fn a_hub_that_can_not_be_asked_is_replaced_by_a_complete_snapshot() {
    let world = World::new();
    let find = async |hub: &Hub| hub.find(&world.repo, &is_complete, &world.cancel).await;
    assert!(matches!(find(&world.hub).await, Ok(Found::Listed(_))));
    let down = Hub {
        endpoint: "http://127.0.0.1:1".to_owned(),
        ..world.hub.clone()
    };
    let offline = Hub {
        offline: true,
        ..world.hub.clone()
    };
    let names = ["config.json", "tokenizer.json", "tokenizer_config.json"];
    world.download(&names).await.unwrap();
    for hub in [&down, &offline] {
        assert!(find(hub).await.is_err(), "there are no weights yet");
    }
    let complete = world.download(&[]).await.unwrap();
    for (hub, why) in [
        (&down, "127.0.0.1 can't be reached"),
        (&offline, "HF_HUB_OFFLINE"),
    ] {
        let Ok(Found::Cached { dir, reason }) = find(hub).await else {
            panic!("{why}");
        };
        assert!(dir == complete && reason.contains(why), "{reason}");
    }
    world
        .server
        .conduct(|conduct| conduct.first = [(503, None)].into());
    assert!(matches!(find(&world.hub).await, Ok(Found::Cached { .. })));
    world.cancel.cancel();
    assert!(find(&world.hub).await.is_err(), "stopped is stopped");
}
