//! Model folders. Folders that transformers can load are loaded, and any other gets a 400 that names the
//! file and the field. No content of a folder ends the server.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::model_folder::{chat, edit, edit_header, expect_refused, folder, set};
use crate::support::{Project, Server};

/// A defect, the words in its refusal, and a function that causes it.
type Broken = (&'static str, &'static [&'static str], fn(&Path));

type Change = fn(&mut Value);

#[tokio::test]
async fn a_number_in_config_json_that_would_take_all_memory_is_refused_by_name() {
    let project = Project::new();
    let server = Server::start(&project.store());
    for (field, value) in [
        ("max_position_embeddings", json!(1_000_000_000)),
        ("head_dim", json!(1_000_000_000)),
        ("num_hidden_layers", json!(1_000_000_000_000_u64)),
        ("vocab_size", json!(1_000_000_000_000_u64)),
        ("hidden_size", json!(u64::MAX)),
        ("intermediate_size", json!(1e300)),
        ("num_attention_heads", json!(1_000_000_000)),
        ("num_attention_heads", json!(3)),
        ("num_key_value_heads", json!(3)),
        ("rms_norm_eps", json!(-1)),
        ("rope_theta", json!("many")),
        (
            "rope_scaling",
            json!({ "rope_type": "llama3", "factor": 1e300, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8192 }),
        ),
        ("eos_token_id", json!([258, 4_000_000_000_u64])),
        ("hidden_act", json!("gelu")),
        (
            "quantization_config",
            json!({ "quant_method": "bitsandbytes", "load_in_4bit": true }),
        ),
        ("quantization_config", json!({ "quant_method": "fp8" })),
        ("compression_config", json!({ "format": "pack-quantized" })),
    ] {
        let dir = folder();
        set(dir.path(), "config.json", field, value.clone());
        let started = Instant::now();
        let answer = chat(&server, dir.path().to_str().unwrap()).await;
        expect_refused(
            &format!("{field}: {value}"),
            &answer,
            started,
            &["config.json", field],
        );
    }
    assert_eq!(server.get("/v1/me").await.0, 200);
}

#[tokio::test]
async fn numbers_that_are_possible_but_not_those_of_the_weights_are_refused_before_memory_is_asked_for()
 {
    let project = Project::new();
    let server = Server::start(&project.store());
    for (field, value, tensor) in [
        ("vocab_size", json!(4_000_000), "model.embed_tokens.weight"),
        ("num_hidden_layers", json!(1000), "model.layers."),
        ("num_hidden_layers", json!(1), "model.layers."),
        ("head_dim", json!(1024), "_proj.weight"),
        ("tie_word_embeddings", json!(false), "lm_head.weight"),
        ("attention_bias", json!(true), "_proj.bias"),
    ] {
        let dir = folder();
        set(dir.path(), "config.json", field, value);
        let started = Instant::now();
        let answer = chat(&server, dir.path().to_str().unwrap()).await;
        expect_refused(field, &answer, started, &[tensor]);
    }
    // A model may support many positions: the tables only grow with its longest text.
    let dir = folder();
    set(
        dir.path(),
        "config.json",
        "max_position_embeddings",
        json!(16_000_000),
    );
    let (status, error) = chat(&server, dir.path().to_str().unwrap()).await;
    assert_eq!(status, 200, "{error}");
}

#[tokio::test]
async fn weights_that_are_quantised_cut_off_or_not_there_are_refused_by_file_and_tensor() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let broken: [Broken; 9] = [
        (
            "fp8",
            &["model.safetensors", "model.norm.weight", "F8_E4M3"],
            |dir| {
                edit_header(
                    dir,
                    |header| header["model.norm.weight"]["dtype"] = json!("F8_E4M3"),
                    &[],
                );
            },
        ),
        ("integers", &["model.safetensors", "I16"], |dir| {
            edit_header(
                dir,
                |header| header["model.norm.weight"]["dtype"] = json!("I16"),
                &[],
            );
        }),
        (
            "a scale",
            &["model.safetensors", "q_proj.weight_scale"],
            |dir| {
                edit_header(
                    dir,
                    |header| {
                        let end = header
                            .as_object()
                            .unwrap()
                            .values()
                            .filter_map(|info| info["data_offsets"][1].as_u64())
                            .max()
                            .unwrap();
                        header["model.layers.0.self_attn.q_proj.weight_scale"] =
                            json!({ "dtype": "F32", "shape": [1], "data_offsets": [end, end + 4] });
                    },
                    &[0; 4],
                );
            },
        ),
        (
            "a shape of its own",
            &["model.safetensors", "model.norm.weight"],
            |dir| {
                edit_header(
                    dir,
                    |header| {
                        header["model.norm.weight"]["shape"] = json!([1_u64 << 40, 1_u64 << 40]);
                    },
                    &[],
                );
            },
        ),
        ("cut off", &["model.safetensors", "ends before"], |dir| {
            let file = fs::File::options()
                .write(true)
                .open(dir.join("model.safetensors"))
                .unwrap();
            file.set_len(500_000).unwrap();
        }),
        ("no header", &["model.safetensors", "header"], |dir| {
            fs::write(dir.join("model.safetensors"), [0xff; 64]).unwrap();
        }),
        ("an LFS pointer", &["model.safetensors", "header"], |dir| {
            fs::write(
                dir.join("model.safetensors"),
                "version https://git-lfs.github.com/spec/v1\n",
            )
            .unwrap();
        }),
        ("bin only", &["pytorch_model.bin", "safetensors"], |dir| {
            fs::rename(dir.join("model.safetensors"), dir.join("pytorch_model.bin")).unwrap();
        }),
        ("nothing", &["model.safetensors"], |dir| {
            fs::remove_file(dir.join("model.safetensors")).unwrap();
        }),
    ];
    for (what, parts, break_it) in broken {
        let dir = folder();
        break_it(dir.path());
        let model = dir.path().to_str().unwrap();
        let started = Instant::now();
        expect_refused(what, &chat(&server, model).await, started, parts);
        // A job with this model is also refused, instead of training a stand-in.
        let config = project.config(&json!({ "model": model }));
        let (status, body) = server
            .post("/v1/jobs", &json!({ "name": "t", "config": config }))
            .await;
        assert_eq!(status, 400, "{what}: {body}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_model_larger_than_memory_is_refused_with_both_sizes() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let dir = folder();
    edit(dir.path(), "config.json", |config| {
        config["vocab_size"] = json!(4_000_000);
        config["hidden_size"] = json!(131_072);
        config["num_attention_heads"] = json!(1024);
        config["num_key_value_heads"] = json!(1024);
        config["head_dim"] = json!(128);
        config["num_hidden_layers"] = json!(1);
        config["intermediate_size"] = json!(2);
    });
    // The tensors for that config, in a sparse file that takes up no space on disk.
    let (hidden, inner) = (131_072_u64, 2_u64);
    let mut shapes = vec![
        (
            "model.embed_tokens.weight".to_owned(),
            vec![4_000_000, hidden],
        ),
        ("model.norm.weight".to_owned(), vec![hidden]),
    ];
    for (name, shape) in [
        ("input_layernorm", vec![hidden]),
        ("post_attention_layernorm", vec![hidden]),
        ("self_attn.q_proj", vec![hidden, hidden]),
        ("self_attn.k_proj", vec![hidden, hidden]),
        ("self_attn.v_proj", vec![hidden, hidden]),
        ("self_attn.o_proj", vec![hidden, hidden]),
        ("mlp.gate_proj", vec![inner, hidden]),
        ("mlp.up_proj", vec![inner, hidden]),
        ("mlp.down_proj", vec![hidden, inner]),
    ] {
        shapes.push((format!("model.layers.0.{name}.weight"), shape));
    }
    let mut end = 0;
    let mut header = json!({});
    for (name, shape) in shapes {
        let begin = end;
        end += 2 * shape.iter().product::<u64>();
        header[name] = json!({ "dtype": "F16", "shape": shape, "data_offsets": [begin, end] });
    }
    let header = header.to_string();
    let length = u64::try_from(header.len()).unwrap();
    let path = dir.path().join("model.safetensors");
    fs::write(&path, [&length.to_le_bytes(), header.as_bytes()].concat()).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(8 + length + end).unwrap();
    let started = Instant::now();
    let answer = chat(&server, dir.path().to_str().unwrap()).await;
    expect_refused(
        "memory",
        &answer,
        started,
        &["model.safetensors", "GiB of memory"],
    );
}

#[tokio::test]
async fn a_tokenizer_with_ids_that_the_model_does_not_have_is_refused_when_the_model_is_loaded() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let changes: [(&str, Change); 4] = [
        ("added_tokens", |json| {
            json["added_tokens"][3]["id"] = json!(260);
        }),
        ("added_tokens", |json| {
            json["added_tokens"][3]["id"] = json!(4_000_000_000_u64);
        }),
        ("model.vocab", |json| {
            json["model"]["vocab"]["A"] = json!(4_000_000_000_u64);
        }),
        ("post_processor", |json| {
            json["post_processor"] = json!({
                "type": "TemplateProcessing",
                "single": [{ "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
                "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }],
                "special_tokens": { "<s>": { "id": "<s>", "ids": [999], "tokens": ["<s>"] } },
            });
        }),
    ];
    for (field, change) in changes {
        let dir = folder();
        edit(dir.path(), "tokenizer.json", change);
        let started = Instant::now();
        let answer = chat(&server, dir.path().to_str().unwrap()).await;
        expect_refused(
            field,
            &answer,
            started,
            &["tokenizer.json", field, "vocab_size is 260"],
        );
    }
    // Padding to two billion tokens is turned off, like all padding in a tokenizer file.
    let dir = folder();
    edit(dir.path(), "tokenizer.json", |json| {
        json["padding"] = json!({
            "strategy": { "Fixed": 2_000_000_000 }, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 256, "pad_type_id": 0, "pad_token": "<|pad|>",
        });
    });
    assert_eq!(chat(&server, dir.path().to_str().unwrap()).await.0, 200);
    for file in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    ] {
        let dir = folder();
        fs::write(dir.path().join(file), "{ broken").unwrap();
        let started = Instant::now();
        expect_refused(
            file,
            &chat(&server, dir.path().to_str().unwrap()).await,
            started,
            &[file],
        );
    }
}

#[tokio::test]
async fn a_tokenizer_whose_replacements_double_a_text_thirty_times_is_refused() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let double = json!({ "type": "Replace", "pattern": { "String": "h" }, "content": "hh" });
    for (field, steps) in [("normalizer", "normalizers"), ("decoder", "decoders")] {
        let dir = folder();
        let bomb = json!({ "type": "Sequence", steps: vec![double.clone(); 30] });
        set(dir.path(), "tokenizer.json", field, bomb);
        let started = Instant::now();
        let answer = chat(&server, dir.path().to_str().unwrap()).await;
        expect_refused(field, &answer, started, &["tokenizer.json", field]);
    }
    let prepend = json!({ "type": "Prepend", "prepend": "x".repeat(1_000_000) });
    let template = json!({
        "type": "TemplateProcessing", "pair": [],
        "single": vec![json!({ "SpecialToken": { "id": "<s>", "type_id": 0 } }); 300],
        "special_tokens": {
            "<s>": { "id": "<s>", "ids": vec![1; 100_000], "tokens": vec!["A"; 100_000] },
        },
    });
    for (field, bomb) in [("normalizer", prepend), ("post_processor", template)] {
        let dir = folder();
        set(dir.path(), "tokenizer.json", field, bomb);
        let started = Instant::now();
        let answer = chat(&server, dir.path().to_str().unwrap()).await;
        expect_refused(field, &answer, started, &["tokenizer.json", field]);
    }
}

#[tokio::test]
async fn an_adapter_outside_of_the_store_answers_by_its_directory() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let (id, events) = server
        .complete(&project.config(&json!({ "dryRun": true })))
        .await;
    let artifact = events[events.len() - 2].data["artifacts"][0]["path"].clone();
    let outside = tempfile::tempdir().unwrap();
    let from = Path::new(artifact.as_str().unwrap()).parent().unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), outside.path().join(entry.file_name())).unwrap();
    }
    let ask = async |weights: (&str, Value)| {
        let mut body = json!({
            "messages": [{ "role": "user", "content": "Question 1?" }],
            "temperature": 0, "maxTokens": 8, "stream": false,
        });
        body[weights.0] = weights.1;
        let (status, answer) = server.post("/v1/inference/chat", &body).await;
        (status, answer["choices"][0]["message"]["content"].clone())
    };
    let own = ask(("adapter", json!({ "kind": "final", "jobId": id }))).await;
    assert_eq!(own.0, 200);
    assert_eq!(ask(("baseModel", json!(outside.path()))).await, own);

    let config = outside.path().join("adapter_config.json");
    let text = fs::read_to_string(&config)
        .unwrap()
        .replace("arkor-tiny", "acme/gone");
    fs::write(&config, text).unwrap();
    assert_eq!(ask(("baseModel", json!(outside.path()))).await.0, 400);
}
