//! How the layers of a model differ from each other: which ones rotate queries and keys, and how far back
//! each one looks.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::family::Family;
use crate::base::config_fields::{POSITIONS, flag, optional_size};
use crate::error::{Result, refused};

/// What is special about a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerKind {
    /// Whether it rotates queries and keys by their position.
    pub rotates: bool,
    /// A token sees itself and the tokens before it, so many in all. `None`: all of them.
    pub window: Option<usize>,
}

/// What is asked of a number of layers in `config.json`.
const LAYERS: RangeInclusive<u64> = 0..=1 << 16;

/// The window of Mistral, Qwen2 and Qwen3 where `config.json` doesn't say.
const DEFAULT_WINDOW: usize = 4096;

/// All layers, from the first to the last. A window that's no shorter than the context is none.
pub fn layer_kinds(
    family: Family,
    json: &Value,
    layers: usize,
    max_positions: usize,
) -> Result<Vec<LayerKind>> {
    let window = window(family, json)?;
    let rotates = rotating_layers(family, json, layers)?;
    let slides = match layer_types(json, layers)? {
        Some(slides) => {
            check_layer_types(family, &slides, window)?;
            slides
        }
        None => sliding_layers(family, json, &rotates)?,
    };
    let window = window.filter(|window| *window < max_positions);
    let kind = |(rotates, slides): (bool, bool)| LayerKind {
        rotates,
        window: window.filter(|_| slides),
    };
    Ok(rotates.into_iter().zip(slides).map(kind).collect())
}

/// The window of the layers that have one. `None`: no layer has.
fn window(family: Family, json: &Value) -> Result<Option<usize>> {
    let used = match family {
        Family::Llama => false,
        Family::Mistral => true,
        Family::Qwen2 | Family::Qwen3 | Family::SmolLm3 => flag(json, "use_sliding_window")?,
    };
    if !used {
        return Ok(None);
    }
    let absent = json.get("sliding_window").is_none();
    Ok(match optional_size(json, "sliding_window", POSITIONS)? {
        None if absent && family != Family::SmolLm3 => Some(DEFAULT_WINDOW),
        window => window,
    })
}

/// Which layers have the window where there are no `layer_types`.
fn sliding_layers(family: Family, json: &Value, rotates: &[bool]) -> Result<Vec<bool>> {
    let layers = rotates.len();
    Ok(match family {
        Family::Llama => vec![false; layers],
        Family::Mistral => vec![true; layers],
        Family::Qwen2 | Family::Qwen3 => {
            let full = optional_size(json, "max_window_layers", LAYERS)?.unwrap_or(28);
            (0..layers).map(|index| index >= full).collect()
        }
        Family::SmolLm3 => rotates.iter().map(|rotates| !rotates).collect(),
    })
}

/// Which layers have the window by their `layer_types`.
fn layer_types(json: &Value, layers: usize) -> Result<Option<Vec<bool>>> {
    let list = match json.get("layer_types") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) if list.len() == layers => list,
        Some(_) => {
            return refused(format!(
                "model: config.json has layer_types that aren't a list of {layers}, one for each layer"
            ));
        }
    };
    let slides = list.iter().map(|kind| match kind.as_str() {
        Some("full_attention") => Ok(false),
        Some("sliding_attention") => Ok(true),
        _ => refused(format!(
            "model: config.json has layer_types with {kind}, only \"full_attention\" and \
             \"sliding_attention\" are supported"
        )),
    });
    slides.collect::<Result<_>>().map(Some)
}

/// transformers has no window for Llama, and one for all layers of Mistral, whatever `layer_types` say.
fn check_layer_types(family: Family, slides: &[bool], window: Option<usize>) -> Result<()> {
    let wrong = match family {
        Family::Mistral if window.is_some() => slides.contains(&false),
        _ => window.is_none() && slides.contains(&true),
    };
    if wrong {
        return refused(
            "model: config.json has layer_types that don't fit its sliding_window, which is not supported",
        );
    }
    Ok(())
}

/// Which layers rotate. In SmolLM3, one of so many doesn't.
fn rotating_layers(family: Family, json: &Value, layers: usize) -> Result<Vec<bool>> {
    if family != Family::SmolLm3 {
        return Ok(vec![true; layers]);
    }
    let list = match json.get("no_rope_layers") {
        None | Some(Value::Null) => {
            let interval = optional_size(json, "no_rope_layer_interval", 1..=1 << 16)?.unwrap_or(4);
            let rotates = (1..=layers).map(|number| number % interval != 0);
            return Ok(rotates.collect());
        }
        Some(list) => list.as_array().filter(|list| list.len() >= layers),
    };
    // Named for the layers without, and 1 for those with: that's how it is in transformers.
    let rotates = list.and_then(|list| {
        let one = |value: &Value| match value {
            Value::Bool(value) => Some(*value),
            value => value
                .as_u64()
                .filter(|value| *value <= 1)
                .map(|value| value == 1),
        };
        list[..layers].iter().map(one).collect()
    });
    match rotates {
        Some(rotates) => Ok(rotates),
        None => refused(format!(
            "model: config.json has no_rope_layers that aren't a list of 0 and 1 for each of its {layers} layers"
        )),
    }
}
