#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

fn cache(files: &[&str], readme: &str) -> tempfile::TempDir {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("datasets--acme--rows");
    fs::create_dir_all(folder.join("refs")).unwrap();
    fs::write(folder.join("refs/main"), "abc").unwrap();
    let write = |file: &str, content: &str| {
        let path = folder.join("snapshots/abc").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    for file in files {
        write(file, "");
    }
    if !readme.is_empty() {
        write("README.md", readme);
    }
    cache
}

fn with_readme(
    files: &[&str],
    readme: &str,
    subset: Option<&str>,
    split: &str,
) -> Result<Vec<String>, String> {
    let cache = cache(files, readme);
    let dataset = HubDataset {
        name: "acme/rows".to_owned(),
        subset: subset.map(str::to_owned),
        split: split.to_owned(),
    };
    let root = cache.path().join("datasets--acme--rows/snapshots/abc");
    let relative = |path: PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
    match dataset.cached(cache.path()) {
        Ok(files) => Ok(files.unwrap().into_iter().map(relative).collect()),
        Err(error) => {
            assert!(error.is_refusal());
            Err(error.to_string())
        }
    }
}

fn found(files: &[&str], split: &str) -> Result<Vec<String>, String> {
    with_readme(files, "", None, split)
}

#[test]
fn shards_name_any_split() {
    let files = [
        "data/train_sft-00001-of-00002-abc.parquet",
        "data/train_sft-00000-of-00002-abc.parquet",
        "data/train_gen-00000-of-00001.parquet",
        "data/test_sft-00000-of-00001.parquet",
        "other/train.jsonl",
    ];
    assert_eq!(
        found(&files, "train_sft").unwrap(),
        [
            "data/train_sft-00000-of-00002-abc.parquet",
            "data/train_sft-00001-of-00002-abc.parquet"
        ]
    );
    let error = found(&files, "train").unwrap_err();
    assert!(error.starts_with("datasetSource.split: "), "{error}");
    assert!(error.contains("test_sft, train_gen, train_sft"), "{error}");
}

#[test]
fn keywords_of_a_split_are_words_of_a_file_or_a_folder() {
    for (files, split, expected) in [
        (
            &["training.jsonl", "val.jsonl"][..],
            "train",
            &["training.jsonl"][..],
        ),
        (
            &["training.jsonl", "val.jsonl"],
            "validation",
            &["val.jsonl"],
        ),
        (
            &["my-train_0.jsonl", "my-train_1.jsonl", "dev1.jsonl"],
            "train",
            &["my-train_0.jsonl", "my-train_1.jsonl"],
        ),
        (
            &["my-train_0.jsonl", "dev1.jsonl"],
            "validation",
            &["dev1.jsonl"],
        ),
        (
            &["a/eval.jsonl", "b/train.jsonl"],
            "test",
            &["a/eval.jsonl"],
        ),
        (
            &["train/a.jsonl", "train/b/c.jsonl", "test/a.jsonl"],
            "train",
            &["train/a.jsonl", "train/b/c.jsonl"],
        ),
        // Folder names are checked before file names.
        (
            &["train/test.jsonl", "x.jsonl"],
            "train",
            &["train/test.jsonl"],
        ),
        (
            &["constraint.jsonl", "rows.jsonl"],
            "train",
            &["constraint.jsonl", "rows.jsonl"],
        ),
        (
            &["a.jsonl", "b/c.jsonl"],
            "train",
            &["a.jsonl", "b/c.jsonl"],
        ),
        (
            &["Train.jsonl", "TEST.jsonl"],
            "train",
            &["TEST.jsonl", "Train.jsonl"],
        ),
        // Files of the most frequent kind, without the ones that describe the dataset.
        (
            &["a.jsonl", "b.jsonl.gz", "c.parquet", "notes.txt"],
            "train",
            &["a.jsonl", "b.jsonl.gz"],
        ),
        (
            &["a.parquet", "state.json", "config.json"],
            "train",
            &["a.parquet"],
        ),
        (
            &[
                "a.jsonl",
                "dataset_info.json",
                "dataset_infos.json",
                ".cache/b.jsonl",
                "__x/c.jsonl",
            ],
            "train",
            &["a.jsonl"],
        ),
    ] {
        assert_eq!(found(files, split).unwrap(), expected, "{files:?} {split}");
    }
    let error = found(&["training.jsonl", "val.jsonl"], "val").unwrap_err();
    assert!(error.contains("it has train, validation"), "{error}");
    assert!(found(&["rows.jsonl"], "test").is_err());
}

#[test]
fn what_can_not_be_read_is_refused_by_its_kind() {
    let error = found(&["README.md"], "train").unwrap_err();
    assert!(error.contains("Parquet"), "{error}");
    let error = found(&["train.csv", "test.csv", "x.json"], "train").unwrap_err();
    assert!(error.contains("its rows as csv"), "{error}");
}

#[test]
fn a_subset_without_configs_is_a_folder() {
    let files = ["en/train.jsonl", "de/train.jsonl"];
    let subset = |name: &str| with_readme(&files, "# Rows\n", Some(name), "train");
    assert_eq!(subset("de").unwrap(), ["de/train.jsonl"]);
    let error = subset("fr").unwrap_err();
    assert!(
        error.starts_with("datasetSource.subset: ") && error.contains("de/train.jsonl"),
        "{error}"
    );
}

const CONFIGS: &str = "---\nlicense: mit\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    \
    path: main/train-*\n  - split: test\n    path:\n    - main/test.jsonl\n- config_name: other\n  data_files: \
    \"other/*.jsonl\"\n- config_name: folder\n  data_dir: third\n---\n# Rows\n";

#[test]
fn the_configs_of_a_readme_decide() {
    let files = [
        "main/train-0.jsonl",
        "main/train-1.jsonl",
        "main/test.jsonl",
        "other/x.jsonl",
        "third/train.jsonl",
        "third/dev.jsonl",
        "raw/train.jsonl",
    ];
    let of = |subset: Option<&str>, split: &str| with_readme(&files, CONFIGS, subset, split);
    assert_eq!(
        of(Some("main"), "train").unwrap(),
        ["main/train-0.jsonl", "main/train-1.jsonl"]
    );
    assert_eq!(of(Some("main"), "test").unwrap(), ["main/test.jsonl"]);
    assert_eq!(of(Some("other"), "train").unwrap(), ["other/x.jsonl"]);
    assert_eq!(
        of(Some("folder"), "validation").unwrap(),
        ["third/dev.jsonl"]
    );
    let error = of(None, "train").unwrap_err();
    assert!(error.contains("main, other, folder"), "{error}");
    let error = of(Some("raw"), "train").unwrap_err();
    assert!(error.contains("main, other, folder"), "{error}");
    let error = of(Some("other"), "test").unwrap_err();
    assert!(error.contains("it has train"), "{error}");

    let default = CONFIGS.replace(
        "- config_name: other\n",
        "- config_name: other\n  default: true\n",
    );
    assert_eq!(
        with_readme(&files, &default, None, "train").unwrap(),
        ["other/x.jsonl"]
    );
    let only = "---\nconfigs:\n- config_name: default\n  data_files:\n  - main/*\n  - ./other/x.jsonl\n---\n";
    assert_eq!(with_readme(&files, only, None, "train").unwrap().len(), 4);
    let windows = only.replace('\n', "\r\n");
    assert_eq!(
        with_readme(&files, &windows, None, "train").unwrap().len(),
        4
    );
}

#[test]
fn a_readme_that_can_not_be_followed_is_refused() {
    for (yaml, expected) in [
        ("configs: [", "broken YAML"),
        ("configs: 1", "configs"),
        ("configs:\n- data_files: a", "config_name"),
        (
            "configs:\n- config_name: a\n  data_files: ../x.jsonl",
            "outside",
        ),
        (
            "configs:\n- config_name: a\n  data_files: /etc/passwd",
            "outside",
        ),
        (
            "configs:\n- config_name: a\n  data_files: hf://x/y",
            "outside",
        ),
        ("configs:\n- config_name: a\n  data_dir: ../..", "outside"),
        (
            "configs:\n- config_name: a\n  data_files: gone.jsonl",
            "gone.jsonl",
        ),
        (
            "configs:\n- config_name: a\n  data_files: \"**.jsonl\"",
            "pattern",
        ),
        (
            "configs:\n- config_name: a\n  data_files:\n  - path: a",
            "split",
        ),
    ] {
        let error =
            with_readme(&["a.jsonl"], &format!("---\n{yaml}\n---\n"), None, "train").unwrap_err();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
}

#[test]
fn a_name_can_not_leave_the_cache() {
    let cache = cache(&["rows.jsonl"], "");
    for name in ["../rows", "acme/../rows", "/etc", "", "a/b/c"] {
        let dataset = HubDataset {
            name: name.to_owned(),
            subset: None,
            split: "train".to_owned(),
        };
        assert_eq!(dataset.cached(cache.path()).unwrap(), None, "{name}");
    }
}

#[test]
fn the_first_of_several_default_configs_was_taken() {
    let readme = |second: &str| {
        format!(
            "---\nconfigs:\n- config_name: a\n  default: true\n  data_files: a.jsonl\n\
             - config_name: {second}\n  default: true\n  data_files: b.jsonl\n---\n"
        )
    };
    let files = ["a.jsonl", "b.jsonl"];
    let error = with_readme(&files, &readme("b"), None, "train").unwrap_err();
    assert!(
        error.contains("several default configs. Name one of a, b"),
        "{error}"
    );
    let named = with_readme(&files, &readme("b"), Some("b"), "train");
    assert_eq!(named.unwrap(), ["b.jsonl"]);
    let error = with_readme(&files, &readme("a"), Some("a"), "train").unwrap_err();
    assert!(error.contains("two configs of one name"), "{error}");
}

#[test]
fn the_captions_of_an_image_folder_were_trained_as_texts() {
    let files = ["train/metadata.jsonl", "train/cat.PNG", "README.md"];
    let error = found(&files, "train").unwrap_err();
    assert!(
        error.contains("train/cat.PNG") && error.contains("train/metadata.jsonl"),
        "{error}"
    );
    // A picture for the README doesn't make a dataset an image folder.
    let files = ["train.jsonl", "images/logo.png"];
    assert_eq!(found(&files, "train").unwrap(), ["train.jsonl"]);
}
