//! Exports that are refused with a single sentence and leave nothing behind.

use std::fs;

use serde_json::json;

use crate::support::directory;
use crate::world::{World, names};

#[tokio::test]
async fn what_can_not_be_exported_is_refused_by_its_name_and_leaves_nothing() {
    let world = World::trained(&json!({ "maxSteps": 1 }), &[]).await;
    let before = names(&world.path(""));
    for (job, args, expected) in [
        (
            world.job.as_str(),
            &["--format", "onnx"][..],
            "'onnx' for '--format <FORMAT>'",
        ),
        (&world.job, &[], "--format <FORMAT>"),
        (
            &world.job,
            &["--format", "gguf", "--quantize", "q2_k"],
            "q4_0",
        ),
        (
            &world.job,
            &["--format", "peft", "--quantize", "f16"],
            "--quantize",
        ),
        (
            &world.job,
            &["--format", "peft", "--checkpoint", "last"],
            "--checkpoint",
        ),
        (
            &world.job,
            &["--format", "merged", "--base-model", "not/there"],
            "--base-model",
        ),
        (
            "none",
            &["--format", "peft"],
            "--job: there is no job \"none\"",
        ),
        ("../jobs", &["--format", "peft"], "--job: there is no job"),
    ] {
        let export = world.export_of(job, "new/out", args);
        assert_eq!(export.code, 1, "{args:?}");
        assert!(
            export.error.contains(expected),
            "{args:?}: {}",
            export.error
        );
        assert_eq!(export.error.lines().count(), 1, "{}", export.error);
        assert_eq!(export.lines.len(), 0, "{args:?}");
        assert_eq!(names(&world.path("")), before, "{args:?}");
    }
}

#[tokio::test]
async fn a_damaged_adapter_leaves_no_directory_behind() {
    let world = World::trained(&json!({ "maxSteps": 1 }), &[]).await;
    let weights = world.job_dir().join("adapter/adapter_model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let before = names(&world.path(""));
    for format in ["merged", "gguf", "ollama"] {
        let export = world.export("new/deep/out", &["--format", format]);
        assert_eq!(export.code, 1);
        assert!(
            export.error.contains("adapter_model.safetensors"),
            "{}",
            export.error
        );
        assert_eq!(names(&world.path("")), before);
    }
    fs::create_dir(world.path("empty")).unwrap();
    assert_eq!(world.export("empty", &["--format", "gguf"]).code, 1);
    assert_eq!(names(&world.path("empty")), [""; 0]);
}

#[tokio::test]
async fn values_that_a_type_can_not_hold_are_refused() {
    let world = World::trained(&json!({ "maxSteps": 1 }), &[]).await;
    let path = world.job_dir().join("adapter/adapter_config.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("\"lora_alpha\": 8", "\"lora_alpha\": 1e9"),
    )
    .unwrap();
    for args in [
        &["--format", "merged"][..],
        &["--format", "gguf", "--quantize", "f16"],
    ] {
        let export = world.export("out", args);
        assert_eq!(export.code, 1, "{args:?}");
        assert!(export.error.contains("can't be stored"), "{}", export.error);
        assert!(!world.path("out").exists());
    }
}

#[tokio::test]
async fn a_directory_with_files_is_refused_and_force_replaces_exports_only() {
    let world = World::trained(&json!({ "maxSteps": 1 }), &[]).await;
    world.export("out", &["--format", "peft"]).done();
    let out = world.path("out");
    fs::write(out.join("mine.txt"), "mine").unwrap();
    let refused = world.export("out", &["--format", "ollama"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.error.contains("is not empty") && refused.error.contains("--force"),
        "{}",
        refused.error
    );
    assert_eq!(
        names(&out),
        [
            "adapter_config.json",
            "adapter_model.safetensors",
            "arkor-tiny",
            "mine.txt"
        ]
    );
    // A failed export replaces no files.
    let failed = world.export(
        "out",
        &[
            "--format",
            "merged",
            "--force",
            "--base-model",
            &world.project.file(""),
        ],
    );
    assert_eq!(failed.code, 1);
    assert!(out.join("adapter_config.json").is_file());

    let forced = world.export("out", &["--format", "ollama", "--force"]);
    assert_eq!(forced.done()["files"].as_array().unwrap().len(), 2);
    assert_eq!(names(&out), ["Modelfile", "mine.txt", "model.gguf"]);
    assert_eq!(fs::read_to_string(out.join("mine.txt")).unwrap(), "mine");
    let store = world.export("store", &["--format", "peft", "--force"]);
    assert!(
        store.error.contains("the export reads from"),
        "{}",
        store.error
    );
    assert!(world.job_dir().join("job.json").is_file());
    fs::write(world.path("file"), "").unwrap();
    let file = world.export("file", &["--format", "peft", "--force"]);
    assert!(file.error.contains("is a file"), "{}", file.error);
}

#[tokio::test]
async fn what_a_killed_export_left_is_taken_over_and_what_another_one_writes_is_not() {
    let world = World::trained(&json!({ "maxSteps": 1 }), &[]).await;
    let work = world.path(".out.arkor-export");
    fs::create_dir(&work).unwrap();
    fs::write(work.join("model.gguf"), "half").unwrap();
    let unknown = world.export("out", &["--format", "peft"]);
    assert!(unknown.error.contains("is in the way"), "{}", unknown.error);
    let lock = fs::File::create(work.join("lock")).unwrap();
    lock.lock().unwrap();
    let busy = world.export("out", &["--format", "peft"]);
    assert!(
        busy.error.contains("another export writes"),
        "{}",
        busy.error
    );
    assert!(work.join("model.gguf").is_file());
    drop(lock);
    world.export("out", &["--format", "peft"]).done();
    assert!(!work.exists() && !world.path("out").join("model.gguf").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_limit_on_the_size_of_files_is_said_and_leaves_nothing() {
    let base = directory();
    let world = World::trained(&json!({ "maxSteps": 1, "model": base.path() }), &[]).await;
    let before = names(&world.path(""));
    let binary = env!("CARGO_BIN_EXE_arkor-local");
    // Blocks of 512 or 1024 bytes, depending on the shell. Either limit is smaller than the file.
    let script = format!(
        "trap '' XFSZ; ulimit -f 500; exec {binary} export --store {} --job {} --to {} --format gguf",
        world.project.store().display(),
        world.job,
        world.path("out").display()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("there's no space left"), "{error}");
    assert_eq!(names(&world.path("")), before);
}

#[tokio::test]
async fn a_job_is_exported_while_its_server_runs() {
    let world = World::trained(&json!({ "maxSteps": 1 }), &[]).await;
    let server = crate::support::Server::start(&world.project.store());
    world.export("out", &["--format", "merged"]).done();
    drop(server);
}
