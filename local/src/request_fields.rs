//! Deserialises a request's JSON. Errors start with the path of the field.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error as _, Unexpected, Visitor};
use serde_json::Value;

use crate::error::{Error, Result};

/// Reads a request. A top-level field that is `null` counts as absent.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T> {
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let words = error.into_inner();
        Error::Refused(match path.as_str() {
            "." => words.to_string(),
            path => format!("{path}: {words}"),
        })
    })
}

/// Reads a whole number from `LEAST` to `MOST`.
pub fn whole<'de, const LEAST: u64, const MOST: u64, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<usize, D::Error> {
    let number = deserializer.deserialize_any(Whole(LEAST, MOST))?;
    usize::try_from(number).map_err(D::Error::custom)
}

/// Like `whole`, for a number that may be absent.
pub fn some_whole<'de, const LEAST: u64, const MOST: u64, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<usize>, D::Error> {
    whole::<LEAST, MOST, D>(deserializer).map(Some)
}

/// Reads a seed: any whole number from 0 on.
pub fn seed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(Whole(0, u64::MAX))
}

/// Reads a number above 0.
pub fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(deserializer, |number| number > 0.0, "a number above 0")
}

/// Reads a number of 0 or more.
pub fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(
        deserializer,
        |number| number >= 0.0,
        "a number of 0 or more",
    )
}

/// Reads a number that satisfies `fits`. `expected` describes such numbers.
pub fn number<'de, D: Deserializer<'de>>(
    deserializer: D,
    fits: fn(f64) -> bool,
    expected: &'static str,
) -> Result<f64, D::Error> {
    deserializer.deserialize_any(Number { fits, expected })
}

struct Whole(u64, u64);

impl Visitor<'_> for Whole {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            u64::MAX => write!(f, "a whole number of {} or more", self.0),
            most => write!(f, "a whole number from {} to {most}", self.0),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<u64, E> {
        if (self.0..=self.1).contains(&number) {
            return Ok(number);
        }
        Err(E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<u64, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    /// `8` and `8.0` are both eight, since JavaScript doesn't distinguish them.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number in range"
    )]
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<u64, E> {
        if (0.0..9e15).contains(&number) && number.fract() == 0.0 {
            return self.visit_u64(number as u64);
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }
}

struct Number {
    fits: fn(f64) -> bool,
    expected: &'static str,
}

impl Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    #[expect(clippy::cast_precision_loss, reason = "as JavaScript reads it")]
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<f64, E> {
        self.visit_f64(number as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "as JavaScript reads it")]
    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<f64, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<f64, E> {
        if number.is_finite() && (self.fits)(number) {
            return Ok(number);
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }
}
