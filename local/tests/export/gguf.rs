//! Exported GGUF files, which candle reads.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{Device, Tensor};
use serde_json::json;

use crate::support::directory;
use crate::world::{World, difference, merged, names};

/// Reads a file, and its tensors as `f32`.
fn read(path: &Path) -> (Content, HashMap<String, (GgmlDType, Tensor)>) {
    let mut file = fs::File::open(path).unwrap();
    let content = Content::read(&mut file).unwrap();
    let tensors = content
        .tensor_infos
        .keys()
        .map(|name| {
            let tensor = content.tensor(&mut file, name, &Device::Cpu).unwrap();
            let values = tensor.dequantize(&Device::Cpu).unwrap();
            (name.clone(), (tensor.dtype(), values))
        })
        .collect();
    (content, tensors)
}

/// Reorders a head's rows from pairs of neighbours to two halves, as in Hugging Face's files.
fn halves(tensor: &Tensor, heads: usize) -> Tensor {
    let (rows, width) = tensor.dims2().unwrap();
    let pairs = tensor.reshape((heads, rows / heads / 2, 2, width)).unwrap();
    let halves = pairs.transpose(1, 2).unwrap().contiguous().unwrap();
    halves.reshape((rows, width)).unwrap()
}

fn of_layer(layer: usize, name: &str) -> String {
    format!("model.layers.{layer}.{name}.weight")
}

#[tokio::test]
async fn a_gguf_file_has_the_merged_weights_in_each_type() {
    let world = World::trained(&json!({}), &[]).await;
    let expected = merged(&world.job_dir().join("adapter"), 2.0);
    // The default is q8_0.
    for (args, dtype, head, most) in [
        (
            &["--quantize", "f16"][..],
            GgmlDType::F16,
            GgmlDType::F16,
            5e-4,
        ),
        (&[], GgmlDType::Q8_0, GgmlDType::Q8_0, 1e-2),
        (
            &["--quantize", "q4_0"],
            GgmlDType::Q4_0,
            GgmlDType::Q8_0,
            0.15,
        ),
    ] {
        let to = format!("{dtype:?}");
        world
            .export(&to, &[&["--format", "gguf"], args].concat())
            .done();
        assert_eq!(names(&world.path(&to)), ["model.gguf"]);
        let (_, tensors) = read(&world.path(&to).join("model.gguf"));
        assert_eq!(tensors.len(), expected.len());
        let close = |name: &str, expected: &Tensor, actual: Option<Tensor>| {
            let actual = actual.unwrap_or_else(|| tensors[name].1.clone());
            let difference = difference(expected, &actual);
            assert!(difference < most, "{to} {name}: {difference}");
        };
        close(
            "token_embd.weight",
            &expected["model.embed_tokens.weight"],
            None,
        );
        assert_eq!(tensors["token_embd.weight"].0, head, "{to}");
        close("output_norm.weight", &expected["model.norm.weight"], None);
        assert_eq!(tensors["output_norm.weight"].0, GgmlDType::F32);
        for layer in 0..5 {
            for (name, theirs) in [
                ("attn_norm", "input_layernorm"),
                ("ffn_norm", "post_attention_layernorm"),
                ("attn_v", "self_attn.v_proj"),
                ("attn_output", "self_attn.o_proj"),
                ("ffn_gate", "mlp.gate_proj"),
                ("ffn_up", "mlp.up_proj"),
                ("ffn_down", "mlp.down_proj"),
            ] {
                close(
                    &format!("blk.{layer}.{name}.weight"),
                    &expected[&of_layer(layer, theirs)],
                    None,
                );
            }
            for (name, theirs, heads) in [("attn_q", "q_proj", 4), ("attn_k", "k_proj", 2)] {
                let name = format!("blk.{layer}.{name}.weight");
                let (kind, tensor) = &tensors[&name];
                assert_eq!(*kind, dtype);
                let theirs = &expected[&of_layer(layer, &format!("self_attn.{theirs}"))];
                close(&name, theirs, Some(halves(tensor, heads)));
            }
        }
    }
}

#[tokio::test]
async fn a_gguf_file_says_what_llama_cpp_needs_to_know() {
    let world = World::trained(&json!({}), &[]).await;
    world.export("out", &["--format", "gguf"]).done();
    let (content, _) = read(&world.path("out").join("model.gguf"));
    let meta = &content.metadata;
    let text = |key: &str| meta[key].to_string().unwrap().as_str();
    let number = |key: &str| meta[key].to_u32().unwrap();
    assert_eq!(text("general.architecture"), "llama");
    assert_eq!(number("general.file_type"), 7);
    for (key, expected) in [
        ("vocab_size", 260),
        ("context_length", 1024),
        ("embedding_length", 128),
        ("block_count", 5),
        ("feed_forward_length", 352),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
        ("rope.dimension_count", 32),
    ] {
        assert_eq!(number(&format!("llama.{key}")), expected, "{key}");
    }
    assert!((meta["llama.rope.freq_base"].to_f32().unwrap() - 1e4).abs() < 1e-3);
    assert!(
        (meta["llama.attention.layer_norm_rms_epsilon"]
            .to_f32()
            .unwrap()
            - 1e-5)
            .abs()
            < 1e-9
    );
    assert_eq!(
        (text("tokenizer.ggml.model"), text("tokenizer.ggml.pre")),
        ("gpt2", "default")
    );
    assert_eq!(number("tokenizer.ggml.eos_token_id"), 258);
    assert_eq!(number("tokenizer.ggml.padding_token_id"), 256);
    assert!(!meta["tokenizer.ggml.add_bos_token"].to_bool().unwrap());
    assert!(text("tokenizer.chat_template").contains("<|im_start|>"));
    let list = |key: &str| meta[key].to_vec().unwrap();
    let tokens = list("tokenizer.ggml.tokens");
    assert_eq!(tokens.len(), 260);
    assert_eq!(tokens[258].to_string().unwrap(), "<|im_end|>");
    assert_eq!(tokens[32].to_string().unwrap(), "\u{120}");
    let types = list("tokenizer.ggml.token_type");
    let kind = |id: usize| types[id].to_i32().unwrap();
    assert_eq!((kind(65), kind(258)), (1, 3));
    assert!(matches!(meta["tokenizer.ggml.merges"], Value::Array(ref merges) if merges.is_empty()));
}

#[tokio::test]
async fn ollama_gets_a_modelfile_with_the_bases_template() {
    let world = World::trained(&json!({}), &[]).await;
    let export = world.export("out", &["--format", "ollama", "--quantize", "q4_0"]);
    assert_eq!(export.notes(), [""; 0]);
    assert_eq!(names(&world.path("out")), ["Modelfile", "model.gguf"]);
    let modelfile = fs::read_to_string(world.path("out").join("Modelfile")).unwrap();
    let expected = "# ollama create NAME -f Modelfile && ollama run NAME\n\
        FROM ./model.gguf\n\
        TEMPLATE \"\"\"{{ range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}\
        <|im_start|>{{ .Role }}\n{{ .Content }}{{ if or (not $last) (ne .Role \"assistant\") }}<|im_end|>\n{{ end }}\
        {{ if and $last (ne .Role \"assistant\") }}<|im_start|>assistant\n{{ end }}{{ end }}\"\"\"\n\
        PARAMETER stop \"<|im_end|>\"\n\
        PARAMETER stop \"<|endoftext|>\"\n";
    assert_eq!(modelfile, expected);
}

/// Exports the built-in base with another chat template.
async fn with_template(template: &str) -> (World, String, Vec<String>) {
    let base = directory();
    let path = base.path().join("tokenizer_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["chat_template"] = json!(template);
    fs::write(&path, config.to_string()).unwrap();
    let world = World::trained(&json!({ "model": base.path(), "maxSteps": 1 }), &[]).await;
    let export = world.export("out", &["--format", "ollama"]);
    let notes = export.notes().into_iter().map(str::to_owned).collect();
    let modelfile = fs::read_to_string(world.path("out").join("Modelfile")).unwrap();
    (world, modelfile, notes)
}

#[tokio::test]
async fn a_system_prompt_that_the_template_brings_is_in_the_modelfile() {
    let (_, modelfile, notes) = with_template(
        "{% for message in messages %}{% if loop.first and message.role != 'system' %}<|im_start|>system\n\
         You are kind.<|im_end|>\n{% endif %}<|im_start|>{{ message.role }}\n{% generation %}\
         {{ message.content }}{% endgeneration %}<|im_end|>\n{% endfor %}\
         {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    )
    .await;
    assert!(
        modelfile.contains("\nSYSTEM \"\"\"You are kind.\"\"\"\n"),
        "{modelfile}"
    );
    assert_eq!(notes, [""; 0]);
}

#[tokio::test]
async fn what_llama_3_writes_around_a_system_message_is_in_the_template() {
    let (world, modelfile, _) = with_template(
        "{% if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set messages = messages[1:] %}\
         {% else %}{% set system = '' %}{% endif %}\
         {{ '<|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024\n\n' + system + '<|eot_id|>' }}\
         {% for message in messages %}{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' \
         + message.content + '<|eot_id|>' }}{% endfor %}\
         {% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    )
    .await;
    let start = "TEMPLATE \"\"\"{{ if not .System }}<|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024\n\n\
        <|eot_id|>{{ end }}{{ range";
    assert!(modelfile.contains(start), "{modelfile}");
    let system = "{{ if eq .Role \"system\" }}Today Date: 26 Jul 2024\n\n{{ .Content }}{{ else }}{{ .Content }}{{ end }}";
    assert!(modelfile.contains(system), "{modelfile}");
    assert!(!modelfile.contains("\nSYSTEM"), "{modelfile}");
    // llama.cpp uses the base's own template.
    let (content, _) = read(&world.path("out").join("model.gguf"));
    let template = content.metadata["tokenizer.chat_template"]
        .to_string()
        .unwrap();
    assert!(template.contains("26 Jul 2024"));
}

#[tokio::test]
async fn a_template_of_no_known_family_is_left_to_ollama() {
    let (world, modelfile, notes) = with_template(
        "{% for message in messages %}[{{ message.role }}]{% generation %}{{ message.content }}\
         {%- endgeneration -%}{% endfor %}",
    )
    .await;
    assert!(!modelfile.contains("TEMPLATE"), "{modelfile}");
    assert!(
        notes[0].contains("neither ChatML nor Llama 3's"),
        "{notes:?}"
    );
    let (content, _) = read(&world.path("out").join("model.gguf"));
    let template = content.metadata["tokenizer.chat_template"]
        .to_string()
        .unwrap();
    assert!(
        template.contains("{% if true %}{{ message.content }}{%- endif -%}"),
        "{template}"
    );
}
