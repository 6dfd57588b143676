//! Renders conversations with a model's chat template and prints the token ids, for the comparison with
//! transformers in `local/check`. Each input line is a JSON object, `{ model, messages, tools, generate
//! }`, and each output line is `{ text, ids, generated }` or `{ error }`. For `{ model, text }`, the text
//! is encoded without a template.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::Path;

use arkor_local::base::{Base, Source};
use arkor_local::error::Result;
use serde_json::{Value, json};

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let mut bases = HashMap::new();
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let model = request["model"].as_str().unwrap_or_default().to_owned();
        let base = bases.entry(model.clone()).or_insert_with(|| {
            Source::at(Path::new(&model)).and_then(|source| Base::load(&source))
        });
        let answer = match base {
            Ok(base) => rendered(base, &request),
            Err(error) => Ok(json!({ "error": error.to_string() })),
        };
        let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(output, "{answer}")?;
    }
    Ok(())
}

fn rendered(base: &Base, request: &Value) -> Result<Value> {
    if let Some(text) = request["text"].as_str() {
        return Ok(json!({ "ids": base.text.encode(text, true)?.ids }));
    }
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let tools = request.get("tools").filter(|tools| !tools.is_null());
    let generate = request["generate"] == true;
    let rendered = base
        .text
        .render_with_generated(&messages, tools, generate)?;
    let ids = base.text.encode(&rendered.text, false)?.ids;
    Ok(json!({ "text": rendered.text, "ids": ids, "generated": rendered.generated }))
}
