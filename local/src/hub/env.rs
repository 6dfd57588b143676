//! The environment variables of Hugging Face's libraries.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use super::settings::{Hub, Timing};

/// Looks up a variable, so that tests can use an environment of their own.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Hub {
    /// Reads the settings from the environment: `HF_ENDPOINT`, the variables of [`cache_folder`],
    /// `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, `HF_TOKEN_PATH` or the file that `hf auth login` writes,
    /// `HF_HUB_DISABLE_IMPLICIT_TOKEN`, `HF_HUB_OFFLINE` and `TRANSFORMERS_OFFLINE`. `None` if there's no
    /// home directory, and no variable that locates the cache.
    #[must_use]
    pub fn from_env() -> Option<Self> {
        Self::from(&|name| env::var_os(name))
    }

    fn from(lookup: Lookup<'_>) -> Option<Self> {
        let variables = Variables(lookup);
        let endpoint = variables
            .text("HF_ENDPOINT")
            .unwrap_or_else(|| "https://huggingface.co".to_owned());
        Some(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: variables.cache()?,
            token: variables.token(),
            offline: variables.is_true("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
            timing: Timing::default(),
        })
    }
}

/// Hugging Face's cache folder. Like its libraries, looks at `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`,
/// `hub` in `HF_HOME`, and `huggingface/hub` in `XDG_CACHE_HOME` or in `~/.cache`.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    Variables(&|name| env::var_os(name)).cache()
}

struct Variables<'a>(Lookup<'a>);

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<OsString> {
        self.0(name).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.into_string().ok()
    }

    /// Whether `name` is true, or `otherwise` if `name` isn't set.
    fn is_true(&self, name: &str, otherwise: &str) -> bool {
        let value = self.text(name).or_else(|| self.text(otherwise));
        value.is_some_and(|value| {
            ["1", "ON", "YES", "TRUE"]
                .iter()
                .any(|yes| value.eq_ignore_ascii_case(yes))
        })
    }

    fn home(&self) -> Option<PathBuf> {
        let home = self.get("HOME").or_else(|| self.get("USERPROFILE"))?;
        Some(home.into())
    }

    /// Reads a path. `~` stands for the home directory, even if no shell has expanded it.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.get(name)?);
        match path.strip_prefix("~") {
            Ok(rest) => Some(self.home()?.join(rest)),
            Err(_) => Some(path),
        }
    }

    fn hf_home(&self) -> Option<PathBuf> {
        self.path("HF_HOME").or_else(|| {
            let caches = self
                .path("XDG_CACHE_HOME")
                .or_else(|| Some(self.home()?.join(".cache")))?;
            Some(caches.join("huggingface"))
        })
    }

    fn cache(&self) -> Option<PathBuf> {
        self.path("HF_HUB_CACHE")
            .or_else(|| self.path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(self.hf_home()?.join("hub")))
    }

    fn token(&self) -> Option<String> {
        let no = "HF_HUB_DISABLE_IMPLICIT_TOKEN";
        if self.is_true(no, no) {
            return None;
        }
        let clean = |token: String| Some(token.trim().to_owned()).filter(|token| !token.is_empty());
        self.text("HF_TOKEN")
            .or_else(|| self.text("HUGGING_FACE_HUB_TOKEN"))
            .and_then(clean)
            .or_else(|| {
                let file = self
                    .path("HF_TOKEN_PATH")
                    .or_else(|| Some(self.hf_home()?.join("token")))?;
                fs::read_to_string(file).ok().and_then(clean)
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn hub(variables: &[(&str, &str)]) -> Option<Hub> {
        Hub::from(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        // Each variable overrides all those above it.
        let order = [
            ("HOME", "/home/a", "/home/a/.cache/huggingface/hub"),
            ("XDG_CACHE_HOME", "/xdg", "/xdg/huggingface/hub"),
            ("HF_HOME", "/hf", "/hf/hub"),
            ("HUGGINGFACE_HUB_CACHE", "~/old", "/home/a/old"),
            ("HF_HUB_CACHE", "/hub", "/hub"),
        ];
        let mut variables = Vec::new();
        for (name, value, expected) in order {
            variables.push((name, value));
            assert_eq!(hub(&variables).unwrap().cache, PathBuf::from(expected));
        }
        variables.push(("HF_HUB_CACHE", ""));
        variables.retain(|(_, value)| *value != "/hub");
        let cache = hub(&variables).unwrap().cache;
        assert_eq!(cache, PathBuf::from("/home/a/old"), "empty is not set");
        assert!(hub(&[]).is_none());
    }

    #[test]
    fn the_token_comes_from_a_variable_or_from_the_file_of_a_login() {
        let home = tempfile::tempdir().unwrap();
        let elsewhere = home.path().join("elsewhere");
        fs::write(home.path().join("token"), " hf_login\n").unwrap();
        fs::write(&elsewhere, "hf_path\n").unwrap();
        let order = [
            ("HF_HOME", home.path().to_str().unwrap(), Some("hf_login")),
            (
                "HF_TOKEN_PATH",
                elsewhere.to_str().unwrap(),
                Some("hf_path"),
            ),
            ("HUGGING_FACE_HUB_TOKEN", "hf_old", Some("hf_old")),
            ("HF_TOKEN", "hf_new\n", Some("hf_new")),
            ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", None),
        ];
        let mut variables = Vec::new();
        for (name, value, expected) in order {
            variables.push((name, value));
            let hub = hub(&variables).unwrap();
            assert_eq!(hub.token.as_deref(), expected);
            assert!(!format!("{hub:?}").contains("hf_"), "{hub:?}");
        }
    }

    #[test]
    fn offline_and_the_endpoint_are_read() {
        let with = |name, value| hub(&[("HOME", "/home/a"), (name, value)]).unwrap();
        assert!(!with("HF_HUB_OFFLINE", "0").offline);
        assert!(with("HF_HUB_OFFLINE", "true").offline);
        assert!(with("TRANSFORMERS_OFFLINE", "1").offline);
        let endpoint = |value| with("HF_ENDPOINT", value).endpoint;
        assert_eq!(endpoint(""), "https://huggingface.co");
        assert_eq!(endpoint("http://127.0.0.1:1/"), "http://127.0.0.1:1");
    }
}
