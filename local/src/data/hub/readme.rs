//! The `configs` in the YAML front matter of a dataset's README.

use serde_json::Value;

use super::{Config, DEFAULT, Data};

/// The configs of a README. Empty if there's no front matter, or none in it.
pub(super) fn configs(readme: &str) -> Result<Vec<Config>, String> {
    let Some(front) = front_matter(readme) else {
        return Ok(Vec::new());
    };
    let front: Value =
        serde_saphyr::from_str(front).map_err(|error| format!("has broken YAML: {error}"))?;
    match &front["configs"] {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => list.iter().map(config).collect(),
        _ => Err("has `configs` that are no list".to_owned()),
    }
}

/// The text between the first two lines of `---`.
fn front_matter(readme: &str) -> Option<&str> {
    let text = readme.trim_start_matches('\u{feff}').trim_start();
    let rest = text.strip_prefix("---")?;
    let begin = rest.find('\n')? + 1;
    if !rest[..begin].trim().is_empty() {
        return None;
    }
    let rest = &rest[begin..];
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return Some(&rest[..at]);
        }
        at += line.len();
    }
    None
}

fn config(config: &Value) -> Result<Config, String> {
    let Some(name) = config["config_name"].as_str() else {
        return Err("has a config without a `config_name`".to_owned());
    };
    let folder = match &config["data_dir"] {
        Value::Null => String::new(),
        Value::String(folder) => match plain(folder)?.trim_end_matches('/') {
            "" | "." => String::new(),
            folder => format!("{folder}/"),
        },
        _ => return Err(format!("has no text as `data_dir` of the config {name}")),
    };
    let data = match &config["data_files"] {
        Value::Null => Data::Found(folder),
        files => Data::Listed(
            splits(files, &folder)
                .map_err(|reason| format!("{reason} in `data_files` of the config {name}"))?,
        ),
    };
    Ok(Config {
        name: name.to_owned(),
        default: config["default"] == true || name == DEFAULT,
        data,
    })
}

/// Reads splits: a pattern, a list of patterns, or a list of splits with patterns.
fn splits(files: &Value, folder: &str) -> Result<Vec<(String, Vec<String>)>, String> {
    let list = match files {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    if !list.iter().any(Value::is_object) {
        return Ok(vec![("train".to_owned(), patterns(files, folder)?)]);
    }
    let mut splits: Vec<(String, Vec<String>)> = Vec::new();
    for entry in list {
        let Some(split) = entry["split"].as_str() else {
            return Err("has an entry without a `split`".to_owned());
        };
        if splits.iter().any(|(name, _)| name == split) {
            return Err(format!("has the split {split} twice"));
        }
        splits.push((split.to_owned(), patterns(&entry["path"], folder)?));
    }
    Ok(splits)
}

fn patterns(paths: &Value, folder: &str) -> Result<Vec<String>, String> {
    let list = match paths {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    list.iter()
        .map(|path| match path.as_str() {
            Some(path) => plain(path).map(|path| format!("{folder}{path}")),
            None => Err("has a path that is no text".to_owned()),
        })
        .collect()
}

/// Checks that a path is inside the dataset.
fn plain(path: &str) -> Result<&str, String> {
    let outside = path.contains("://")
        || path.starts_with(['/', '\\'])
        || path.split(['/', '\\']).any(|part| part == "..");
    if outside {
        return Err(format!("has {path:?}, which is outside of the dataset,"));
    }
    Ok(path.trim_start_matches("./"))
}
