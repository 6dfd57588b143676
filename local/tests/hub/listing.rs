//! Listings of repositories, the files that a model needs, and responses that can't be trusted.

use arkor_local::hub::{Listing, is_complete, model_files};
use serde_json::{Value, json};

use super::support::{WEIGHTS, World, etag, refusal, weights};

#[tokio::test]
async fn a_listing_says_the_sizes_and_the_hashes() {
    let world = World::new();
    let listing = world.list().await.unwrap();
    assert_eq!(listing.commit, world.commit);
    assert_eq!(listing.files.len(), 6);
    let file = listing.files.iter().find(|file| file.path == WEIGHTS);
    let file = file.unwrap();
    assert_eq!(file.size, 20_000);
    assert_eq!(file.etag, etag(&weights(), true));
    assert_eq!(listing.files[0].etag, etag(b"{}", false));
}

async fn told(world: &World, info: impl Into<Vec<u8>>) -> String {
    let info = info.into();
    world.server.conduct(|conduct| conduct.info = Some(info));
    refusal(world.list().await.unwrap_err())
}

fn info(files: &[Value]) -> String {
    json!({ "sha": "a".repeat(40), "siblings": files }).to_string()
}

fn file(path: &str) -> Value {
    json!({ "rfilename": path, "size": 1, "blobId": "b".repeat(40) })
}

#[tokio::test]
async fn a_file_name_that_leads_out_of_the_snapshot_is_refused() {
    let world = World::new();
    for path in [
        "../a",
        "a/../../b",
        "/etc/passwd",
        "C:\\a",
        "C:/a",
        "a\\..\\b",
        "a\0b",
        "",
        ".",
    ] {
        let text = told(&world, info(&[file("config.json"), file(path)])).await;
        assert!(text.contains("isn't safe"), "{path:?}: {text}");
    }
}

#[tokio::test]
async fn a_listing_without_what_is_needed_is_refused() {
    let world = World::new();
    let change = |name: &str, value: Value| {
        let mut file = file("config.json");
        file[name] = value;
        info(&[file])
    };
    let hash = |sha: &str| json!({ "sha256": sha, "size": 1 });
    let cases = [
        (change("size", Value::Null), "no size or no hash"),
        (change("blobId", Value::Null), "no size or no hash"),
        (change("size", json!(-1)), "invalid value"),
        (change("size", json!(u64::MAX)), "bytes"),
        (
            change("blobId", json!("../../x")),
            "the hash of config.json",
        ),
        (change("lfs", hash("../../x")), "the hash of config.json"),
        (
            change("lfs", hash(&"B".repeat(64))),
            "the hash of config.json",
        ),
        (
            json!({ "sha": "main", "siblings": [] }).to_string(),
            "no commit",
        ),
        ("<html>".to_owned(), "can't be used"),
        ("{}".to_owned(), "missing field"),
    ];
    for (info, expected) in cases {
        let text = told(&world, info).await;
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[tokio::test]
async fn a_listing_has_bounds() {
    let world = World::new();
    let text = told(&world, vec![b' '; (32 << 20) + 1]).await;
    assert!(text.contains("32 MiB"), "{text}");
    let text = told(&world, info(&vec![file("a"); 100_001])).await;
    assert!(text.contains("100000 files"), "{text}");
}

/// A listing of empty files.
fn listing(paths: &[&str]) -> Listing {
    let file = |path: &&str| arkor_local::hub::RemoteFile {
        path: (*path).to_owned(),
        size: 0,
        etag: etag(b"", false),
    };
    Listing {
        commit: "a".repeat(40),
        files: paths.iter().map(file).collect(),
    }
}

const SMALL: [&str; 7] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "additional_chat_templates/rag.jinja",
];

#[tokio::test]
async fn a_model_is_its_config_its_tokenizer_and_its_safetensors() {
    let world = World::new();
    let not_wanted = [
        "README.md",
        "pytorch_model.bin",
        "model.Q4_K_M.gguf",
        "onnx/model.onnx",
        "original/consolidated.00.pth",
        "original/model.safetensors",
        "additional_chat_templates/more/a.jinja",
        "vae/model.safetensors",
        "consolidated.safetensors",
    ];
    let index = "model.safetensors.index.json";
    let shards = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ];
    let picked = |weights: &[&str]| {
        let listing = listing(&[&SMALL, &not_wanted[..], weights].concat());
        let files = model_files(&world.repo, &listing).unwrap();
        let paths = files.into_iter().map(|file| file.path);
        paths.skip(SMALL.len()).collect::<Vec<_>>()
    };
    assert_eq!(picked(&[WEIGHTS]), [WEIGHTS]);
    let sharded = [index, shards[0], shards[1]];
    assert_eq!(picked(&sharded), sharded);
    // As in transformers, a single weights file takes precedence.
    assert_eq!(picked(&[WEIGHTS, index, shards[0], shards[1]]), [WEIGHTS]);
}

#[tokio::test]
async fn a_model_without_safetensors_says_what_it_has() {
    let world = World::new();
    let cases: [(&[&str], &str); 4] = [
        (
            &["pytorch_model.bin", "gguf/a.gguf"],
            "It has pytorch_model.bin, gguf/a.gguf.",
        ),
        (
            &["1.bin", "2.bin", "3.bin", "4.bin", "5.bin", "6.bin"],
            "4.bin, 5.bin, … Name",
        ),
        (&["model.safetensors.index.json"], "It has none at all."),
        (
            &["model-00001-of-00002.safetensors"],
            "shards with an index",
        ),
    ];
    for (weights, expected) in cases {
        let listing = listing(&[&SMALL, weights].concat());
        let text = refusal(model_files(&world.repo, &listing).unwrap_err());
        assert!(text.contains(expected), "{text}");
    }
    let text = refusal(model_files(&world.repo, &listing(&[WEIGHTS])).unwrap_err());
    assert!(text.contains("acme/small has no config.json"), "{text}");
}

#[test]
fn a_directory_is_complete_with_its_weights_and_all_their_shards() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    for name in &SMALL[..3] {
        write(name, "{}");
    }
    assert!(!is_complete(dir.path()));
    let index = json!({ "weight_map": { "a": "1.safetensors", "b": "2.safetensors" } });
    write("model.safetensors.index.json", &index.to_string());
    write("1.safetensors", "");
    assert!(!is_complete(dir.path()));
    write("2.safetensors", "");
    assert!(is_complete(dir.path()));
    std::fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
    assert!(!is_complete(dir.path()));
}
