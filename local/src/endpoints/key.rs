//! Keys: only their SHA-256 hashes are kept. A key is 256 random bits, so that a slow hash would add nothing.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::Result;
use crate::time;

/// What every key begins with.
const MARK: &str = "ark_";
/// How many characters of a key are shown, to tell keys apart.
const SHOWN: usize = MARK.len() + 8;
/// The time of a key's last use is at most this old, in seconds.
const USE_NOTED_EVERY: i64 = 60;

/// A key of an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Key {
    /// Made by this server.
    pub id: String,
    /// Its label, chosen by the owner.
    pub label: String,
    /// Its first characters.
    pub prefix: String,
    /// The hash of the key, in hexadecimal.
    sha256: String,
    /// When it was made.
    pub created_at: String,
    /// When it was used, to the minute.
    pub last_used_at: Option<String>,
}

impl Key {
    /// A new key, and its plaintext.
    pub fn new(label: String) -> Result<(Self, String)> {
        let plaintext = format!("{MARK}{}{}", crate::random_hex()?, crate::random_hex()?);
        let key = Self {
            id: format!("key_{}", crate::random_hex()?),
            label,
            prefix: plaintext[..SHOWN].to_owned(),
            sha256: hash(&plaintext),
            created_at: time::now(),
            last_used_at: None,
        };
        Ok((key, plaintext))
    }

    /// Whether a text is this key. Takes equally long wherever they differ.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        hash(given).as_bytes().ct_eq(self.sha256.as_bytes()).into()
    }

    /// Whether its last use has to be noted anew: it's long ago, or in the future, as after a clock was set.
    #[must_use]
    pub fn is_use_stale(&self) -> bool {
        let last = self.last_used_at.as_deref();
        let Some(Ok(last)) = last.map(str::parse::<jiff::Timestamp>) else {
            return true;
        };
        let seconds = jiff::Timestamp::now().as_second() - last.as_second();
        !(0..USE_NOTED_EVERY).contains(&seconds)
    }

    /// As the API lists it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "label": self.label,
            "prefix": self.prefix,
            // A revoked one is gone.
            "enabled": true,
            "createdAt": self.created_at,
            "lastUsedAt": self.last_used_at,
        })
    }
}

fn hash(key: &str) -> String {
    hex::encode(Sha256::digest(key))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn a_key_has_256_random_bits_and_only_itself_opens() {
        let (key, plaintext) = Key::new("web".to_owned()).unwrap();
        assert_eq!(plaintext.len(), 4 + 64);
        assert!(plaintext.starts_with(&key.prefix) && key.prefix.starts_with("ark_"));
        assert!(key.is(&plaintext));
        let (_, other) = Key::new("web".to_owned()).unwrap();
        for wrong in ["", &other, &plaintext[..67], &key.sha256, &key.prefix] {
            assert!(!key.is(wrong), "{wrong}");
        }
        let stored = serde_json::to_string(&key).unwrap();
        assert!(!stored.contains(&plaintext[12..]), "{stored}");
    }

    #[test]
    fn a_use_is_noted_once_a_minute_also_after_the_clock_was_set_back() {
        let (mut key, _) = Key::new("web".to_owned()).unwrap();
        let now = jiff::Timestamp::now();
        let mut stale = |seconds: i64| {
            let at = now - jiff::SignedDuration::from_secs(seconds);
            key.last_used_at = Some(at.to_string());
            key.is_use_stale()
        };
        assert!(!stale(0) && !stale(50));
        assert!(stale(61) && stale(-90));
        key.last_used_at = None;
        assert!(key.is_use_stale());
    }
}
