//! Exported folders for Hugging Face's libraries, which this program loads too.

use std::fs;

use candle_core::{DType, Device};
use serde_json::{Value, json};

use crate::support::directory;
use crate::world::{ANSWER, World, difference, merged, names};

#[tokio::test]
async fn a_merged_folder_answers_as_the_adapter_does() {
    let world = World::trained(&json!({}), &[]).await;
    let export = world.export("out", &["--format", "merged"]);
    let done = export.done();
    assert_eq!(
        (&done["base"], &done["notes"]),
        (&json!("arkor-tiny"), &json!([]))
    );
    let out = world.path("out");
    assert_eq!(
        names(&out),
        [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
    for (file, name) in done["files"].as_array().unwrap().iter().zip(names(&out)) {
        let path = out.join(name);
        assert_eq!(file["path"], path.display().to_string());
        assert_eq!(file["bytes"], fs::metadata(path).unwrap().len());
    }
    let progress = &export.lines[..export.lines.len() - 1];
    let (first, last) = (&progress[0], progress.last().unwrap());
    assert_eq!(
        (&first["type"], &first["done"]),
        (&json!("progress"), &json!(0))
    );
    assert_eq!(last["done"], last["total"]);
    let total: u64 = done["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(last["total"], total);

    let tensors =
        candle_core::safetensors::load(out.join("model.safetensors"), &Device::Cpu).unwrap();
    let expected = merged(&world.job_dir().join("adapter"), 2.0);
    assert_eq!(tensors.len(), expected.len());
    for (name, expected) in &expected {
        assert_eq!(tensors[name].dtype(), DType::F16);
        let actual = tensors[name].to_dtype(DType::F32).unwrap();
        assert!(difference(expected, &actual) < 5e-4, "{name}");
    }
    let adapter = json!({ "adapter": { "kind": "final", "jobId": world.job } });
    assert_eq!(world.answer(adapter).await, ANSWER);
    assert_eq!(world.answer(json!({ "baseModel": out })).await, ANSWER);
    assert_ne!(
        world.answer(json!({ "baseModel": "arkor-tiny" })).await,
        ANSWER
    );
}

#[tokio::test]
async fn shards_stay_shards_and_a_base_in_another_place_is_given_with_a_flag() {
    let base = directory();
    let model = json!({ "model": base.path() });
    let world = World::trained(&model, &[]).await;
    world.export("out", &["--format", "merged"]).done();
    let shard = "model-00001-of-00001.safetensors";
    let index = "model.safetensors.index.json";
    assert_eq!(
        names(&world.path("out")),
        [
            "config.json",
            shard,
            index,
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
    assert_eq!(
        world
            .answer(json!({ "baseModel": world.path("out") }))
            .await,
        ANSWER
    );

    let moved = world.path("moved");
    fs::rename(base.path(), &moved).unwrap();
    let refused = world.export("again", &["--format", "merged"]);
    let (code, error) = (refused.code, refused.error);
    assert_eq!(code, 1);
    assert!(
        error.contains("--base-model") && error.contains(&base.path().display().to_string()),
        "{error}"
    );
    let moved = moved.display().to_string();
    let export = world.export("again", &["--format", "merged", "--base-model", &moved]);
    assert_eq!(export.done()["base"], moved.as_str());
    assert!(
        export.notes()[0].contains("--base-model"),
        "{:?}",
        export.notes()
    );
    let weights = |dir: &str| fs::read(world.path(dir).join(shard)).unwrap();
    assert!(weights("again") == weights("out"));
    // PEFT only needs the name of the base.
    let peft = world.export("peft", &["--format", "peft"]);
    assert!(
        peft.notes()[0].contains("base_model_name_or_path"),
        "{:?}",
        peft.notes()
    );
}

#[tokio::test]
async fn an_adapter_for_peft_brings_the_built_in_base_along() {
    let world = World::trained(&json!({}), &[]).await;
    let export = world.export("out", &["--format", "peft"]);
    let out = world.path("out");
    assert_eq!(
        names(&out),
        [
            "adapter_config.json",
            "adapter_model.safetensors",
            "arkor-tiny"
        ]
    );
    let config: Value =
        serde_json::from_slice(&fs::read(out.join("adapter_config.json")).unwrap()).unwrap();
    let base = out.join("arkor-tiny");
    assert_eq!(
        config["base_model_name_or_path"],
        base.display().to_string()
    );
    assert_eq!(config["r"], 4);
    assert!(base.join("config.json").is_file() && base.join("model.safetensors").is_file());
    assert!(export.notes()[0].contains("base_model_name_or_path"));
    assert_eq!(export.done()["files"].as_array().unwrap().len(), 6);
    let weights = "adapter_model.safetensors";
    let trained = fs::read(world.job_dir().join("adapter").join(weights)).unwrap();
    assert!(fs::read(out.join(weights)).unwrap() == trained);
    assert_eq!(world.answer(json!({ "baseModel": out })).await, ANSWER);
}

#[tokio::test]
async fn a_checkpoint_is_exported_when_it_is_named_or_when_it_is_all_there_is() {
    let world = World::trained(&json!({}), &[]).await;
    let weights =
        |name: &str| fs::read(world.path(name).join("adapter_model.safetensors")).unwrap();
    let of_step = |step: usize| {
        let dir = world
            .job_dir()
            .join(format!("checkpoints/checkpoint-{step}"));
        fs::read(dir.join("adapter_model.safetensors")).unwrap()
    };
    world
        .export("named", &["--format", "peft", "--checkpoint", "8"])
        .done();
    assert!(weights("named") == of_step(8));
    let missing = world.export("missing", &["--format", "peft", "--checkpoint", "9"]);
    assert_eq!(missing.code, 1);
    assert!(
        missing.error.contains("no checkpoint 9. It has 8, 16, 24."),
        "{}",
        missing.error
    );

    // Turns the job into a cancelled one.
    fs::remove_dir_all(world.job_dir().join("adapter")).unwrap();
    let record = world.job_dir().join("job.json");
    let mut job: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    job["status"] = json!("cancelled");
    fs::write(&record, job.to_string()).unwrap();
    let last = world.export("last", &["--format", "peft"]);
    assert!(weights("last") == of_step(24));
    let note = "The job is cancelled and has no final adapter: this is its checkpoint of step 24.";
    assert_eq!(last.notes()[0], note);

    fs::remove_dir_all(world.job_dir().join("checkpoints")).unwrap();
    let refused = world.export("none", &["--format", "peft"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused
            .error
            .contains("neither an adapter nor a checkpoint"),
        "{}",
        refused.error
    );
}

#[tokio::test]
async fn a_base_that_stood_in_is_what_is_exported_and_the_notes_say_so() {
    let world = World::trained(&json!({ "model": "acme/not-here", "dryRun": true }), &[]).await;
    let export = world.export("out", &["--format", "merged"]);
    assert_eq!(export.done()["base"], "arkor-tiny");
    let notes = export.notes();
    assert!(
        notes[0] == "The model is arkor-tiny, which stood in for acme/not-here in this job.",
        "{notes:?}"
    );
    assert!(notes[1].contains("dry run"), "{notes:?}");
}

#[tokio::test]
async fn the_scale_of_rank_stabilised_adapters_is_theirs() {
    let world = World::trained(&json!({}), &[]).await;
    let path = world.job_dir().join("adapter/adapter_config.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("\"use_rslora\": false", "\"use_rslora\": true"),
    )
    .unwrap();
    world.export("out", &["--format", "merged"]).done();
    let tensors =
        candle_core::safetensors::load(world.path("out").join("model.safetensors"), &Device::Cpu)
            .unwrap();
    let name = "model.layers.0.mlp.up_proj.weight";
    let actual = tensors[name].to_dtype(DType::F32).unwrap();
    let expected = merged(&world.job_dir().join("adapter"), 4.0);
    assert!(difference(&expected[name], &actual) < 5e-4);
}
