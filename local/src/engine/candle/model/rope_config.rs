//! How a `config.json` says that positions are rotated. Older ones have `rope_theta` and `rope_scaling`, newer
//! ones have both in `rope_parameters`.

use serde_json::Value;

use super::family::Family;
use crate::base::config_fields::{flag, number};
use crate::error::{Result, refused};

/// The base of the rotary frequencies, and how they are stretched.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// The base.
    pub theta: f64,
    /// The stretching.
    pub scaling: RopeScaling,
}

/// How the rotary frequencies are stretched for long contexts.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All are divided by this factor.
    Linear(f64),
    /// As Llama 3.1 and later do.
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Below this many turns in the original context, a frequency is low.
        low_freq_factor: f64,
        /// Above this many turns, it is left alone.
        high_freq_factor: f64,
        /// The original context, in tokens.
        original_positions: f64,
    },
    /// YaRN.
    Yarn(Yarn),
}

/// The numbers of YaRN.
#[derive(Debug, Clone, PartialEq)]
pub struct Yarn {
    /// Divisor of the low frequencies.
    pub factor: f64,
    /// The original context, in tokens.
    pub original_positions: f64,
    /// Above this many turns in the original context, a frequency is left alone.
    pub beta_fast: f64,
    /// Below this many turns, it is low.
    pub beta_slow: f64,
    /// Whether the dimensions between the two are rounded outwards.
    pub truncate: bool,
    /// Factor of the rotated queries, and of the rotated keys.
    pub attention_factor: f64,
}

impl Yarn {
    /// Whether all that can be left out is as it is where it's left out.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let plain = Self {
            beta_fast: BETA_FAST,
            beta_slow: BETA_SLOW,
            truncate: true,
            attention_factor: attention_factor(self.factor, 1.0),
            ..*self
        };
        *self == plain
    }
}

const BETA_FAST: f64 = 32.0;
const BETA_SLOW: f64 = 1.0;

impl RopeConfig {
    /// Reads it. `max_positions` is the context, in tokens.
    pub fn from_json(family: Family, json: &Value, max_positions: f64) -> Result<Self> {
        let mut found = None;
        for name in ["rope_scaling", "rope_parameters"] {
            let fields = match json.get(name) {
                None | Some(Value::Null) => continue,
                Some(Value::Object(fields)) if fields.is_empty() => continue,
                Some(Value::Object(fields)) => fields,
                Some(other) => {
                    return refused(format!(
                        "model: config.json has {name}: {other}, expected an object"
                    ));
                }
            };
            if let Some((kind, _)) = fields.iter().find(|(_, value)| value.is_object()) {
                return refused(format!(
                    "model: config.json has {name} for {kind} alone, which is not supported"
                ));
            }
            let reader = Reader { json, name };
            let own = Self {
                theta: reader.theta(family)?,
                scaling: reader.scaling(max_positions)?,
            };
            if found.as_ref().is_some_and(|found| *found != own) {
                return refused(
                    "model: config.json has a rope_scaling and other rope_parameters. Remove one of them.",
                );
            }
            found = Some(own);
        }
        let reader = Reader { json, name: "" };
        reader.check_whole()?;
        match found {
            Some(found) => Ok(found),
            None => Ok(Self {
                theta: reader.theta(family)?,
                scaling: RopeScaling::None,
            }),
        }
    }
}

/// One object of a `config.json`.
struct Reader<'a> {
    json: &'a Value,
    /// `rope_scaling` or `rope_parameters`.
    name: &'a str,
}

impl Reader<'_> {
    fn fields(&self) -> &Value {
        &self.json[self.name]
    }

    fn number(&self, name: &str) -> Result<Option<f64>> {
        let field = format!("{}.{name}", self.name);
        number(self.fields().get(name), &field, 1e-3..=1e9)
    }

    fn required(&self, name: &str) -> Result<f64> {
        match self.number(name)? {
            Some(number) => Ok(number),
            None => refused(format!("model: config.json lacks {}.{name}", self.name)),
        }
    }

    fn theta(&self, family: Family) -> Result<f64> {
        for fields in [self.fields(), self.json] {
            if let Some(theta) = number(fields.get("rope_theta"), "rope_theta", 1.0..=1e12)? {
                return Ok(theta);
            }
        }
        Ok(match family {
            Family::SmolLm3 => 2_000_000.0,
            _ => 10_000.0,
        })
    }

    /// Refuses models that rotate a part of each head.
    fn check_whole(&self) -> Result<()> {
        let field = "partial_rotary_factor";
        for fields in [
            self.json,
            &self.json["rope_scaling"],
            &self.json["rope_parameters"],
        ] {
            let factor = number(fields.get(field), field, 0.0..=1.0)?;
            if factor.is_some_and(|factor| factor < 1.0) {
                return refused(format!(
                    "model: config.json has a {field}, which is not supported"
                ));
            }
        }
        Ok(())
    }

    fn scaling(&self, max_positions: f64) -> Result<RopeScaling> {
        let kind = ["rope_type", "type"]
            .iter()
            .find_map(|name| self.fields().get(*name).and_then(Value::as_str))
            .unwrap_or("default");
        match kind {
            // It stretches nothing before the end of the context, and no text is longer.
            "default" | "dynamic" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear(self.required("factor")?)),
            "llama3" => {
                let low = self.required("low_freq_factor")?;
                let high = self.required("high_freq_factor")?;
                if low >= high {
                    return refused(format!(
                        "model: config.json has a {}.low_freq_factor that is not below high_freq_factor",
                        self.name
                    ));
                }
                Ok(RopeScaling::Llama3 {
                    factor: self.required("factor")?,
                    low_freq_factor: low,
                    high_freq_factor: high,
                    original_positions: self.original_positions(max_positions)?,
                })
            }
            "yarn" => Ok(RopeScaling::Yarn(self.yarn(max_positions)?)),
            other => refused(format!(
                "model: config.json has {} of type {other:?}, only \"default\", \"linear\", \"dynamic\", \
                 \"llama3\" and \"yarn\" are supported",
                self.name
            )),
        }
    }

    fn yarn(&self, max_positions: f64) -> Result<Yarn> {
        let factor = self.required("factor")?;
        let scale =
            |name| Ok::<_, crate::error::Error>(self.number(name)?.filter(|scale| *scale > 0.0));
        let given = self.number("attention_factor")?;
        let attention_factor = match (given, scale("mscale")?, scale("mscale_all_dim")?) {
            (Some(given), ..) => given,
            (None, Some(mscale), Some(all)) => {
                attention_factor(factor, mscale) / attention_factor(factor, all)
            }
            _ => attention_factor(factor, 1.0),
        };
        let truncate = self.fields().get("truncate").is_none_or(Value::is_null)
            || flag(self.fields(), "truncate")?;
        Ok(Yarn {
            factor,
            original_positions: self.original_positions(max_positions)?,
            beta_fast: self.number("beta_fast")?.unwrap_or(BETA_FAST),
            beta_slow: self.number("beta_slow")?.unwrap_or(BETA_SLOW),
            truncate,
            attention_factor,
        })
    }

    /// Beside the object before in it, as transformers takes it.
    fn original_positions(&self, max_positions: f64) -> Result<f64> {
        let field = "original_max_position_embeddings";
        Ok(match number(self.json.get(field), field, 1.0..=1e9)? {
            Some(positions) => positions,
            None => self.number(field)?.unwrap_or(max_positions),
        })
    }
}

/// As the paper suggests.
fn attention_factor(factor: f64, scale: f64) -> f64 {
    if factor <= 1.0 {
        return 1.0;
    }
    0.1 * scale * factor.ln() + 1.0
}
