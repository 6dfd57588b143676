//! Assigns files to splits. The rules and their order are those of `data_files.py` in `datasets`.

use glob::{MatchOptions, Pattern};

/// Splits and their files.
pub(super) type Splits = Vec<(String, Vec<String>)>;

/// File extensions by kind, including kinds that `datasets` reads but we can't. A dataset's kind is the
/// one that most of its files have. On a tie, the first of them in this list wins.
const KINDS: [(&str, &[&str]); 9] = [
    ("Parquet", &["parquet", "geoparquet", "gpq"]),
    ("arrow", &["arrow"]),
    ("JSON", &["jsonl", "json", "ndjson"]),
    ("csv", &["csv", "tsv"]),
    ("txt", &["txt"]),
    ("xml", &["xml"]),
    ("hdf5", &["h5", "hdf5"]),
    ("tar", &["tar"]),
    ("zip", &["zip"]),
];

const READABLE: [&str; 2] = ["Parquet", "JSON"];

/// Files that describe a dataset and contain no rows.
const NOT_DATA: [&str; 6] = [
    "README.md",
    "config.json",
    "dataset_info.json",
    "dataset_infos.json",
    "dummy_data.zip",
    "dataset_dict.json",
];

/// Splits and their keywords.
const KEYWORDS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "dev", "val"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

/// Separates a keyword from the rest of a name.
const SEPARATOR: &str = "[-._ 0-9]";

const SHARD: &str = "-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9]*.*";

/// The splits of a config that lists them. Refuses a pattern that matches no file.
pub(super) fn listed(splits: &[(String, Vec<String>)], all: &[String]) -> Result<Splits, String> {
    let mut found = Vec::new();
    for (split, patterns) in splits {
        let mut files: Vec<String> = Vec::new();
        for pattern in patterns {
            let more = matching(pattern, all)?;
            if more.is_empty() && !pattern.contains(['*', '?', '[']) {
                return Err(format!(
                    "has no file {pattern} in the cache, which its README lists. Download it again."
                ));
            }
            files.extend(more);
        }
        found.push((split.clone(), files));
    }
    of_one_kind(found)
}

/// The splits of the files in `folder`, according to their names.
pub(super) fn found(folder: &str, all: &[String]) -> Result<Splits, String> {
    let inside: Vec<String> = all
        .iter()
        .filter_map(|file| file.strip_prefix(folder).map(str::to_owned))
        .collect();
    if let Some(file) = inside.iter().find(|file| is_metadata(file))
        && let Some(media) = inside.iter().find(|file| is_media(file))
    {
        return Err(format!(
            "is a folder of images, audio or video ({media}) with their texts in {file}. Only texts can be \
             trained here."
        ));
    }
    let sharded = sharded(&inside)?;
    let splits = if !sharded.is_empty() {
        sharded
    } else if let Some(splits) = by_keyword(&inside, in_folder_name)? {
        splits
    } else if let Some(splits) = by_keyword(&inside, in_file_name)? {
        splits
    } else {
        vec![("train".to_owned(), matching("**", &inside)?)]
    };
    let prefixed = |(split, files): (String, Vec<String>)| {
        let files = files.iter().map(|file| format!("{folder}{file}"));
        (split, files.collect())
    };
    of_one_kind(splits.into_iter().map(prefixed).collect())
}

/// Whether a file is one in which `datasets` looks for the texts that go with images, audio or video.
fn is_metadata(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    matches!(name, "metadata.jsonl" | "metadata.csv" | "metadata.parquet")
}

fn is_media(file: &str) -> bool {
    const MEDIA: [&str; 12] = [
        "png", "jpg", "jpeg", "webp", "gif", "wav", "mp3", "flac", "ogg", "mp4", "webm", "mkv",
    ];
    let end = file.rsplit('.').next().unwrap_or_default();
    MEDIA.iter().any(|media| end.eq_ignore_ascii_case(media))
}

/// The splits of files like `data/<split>-00000-of-00001.parquet`. The split may have any name.
fn sharded(files: &[String]) -> Result<Splits, String> {
    let mut splits: Splits = Vec::new();
    for file in matching(&format!("data/*{SHARD}"), files)? {
        let name = file.rsplit('/').next().unwrap_or_default();
        let shard = Pattern::new(&SHARD[..SHARD.len() - 3]).map_err(|error| error.to_string())?;
        // The last position from which the name looks like a shard's suffix.
        let end = name.char_indices().rev().find(|(at, _)| {
            name.get(*at..*at + 15)
                .is_some_and(|part| shard.matches(part))
        });
        let Some((end, _)) = end else { continue };
        match splits.iter_mut().find(|(split, _)| *split == name[..end]) {
            Some((_, files)) => files.push(file.clone()),
            None => splits.push((name[..end].to_owned(), vec![file.clone()])),
        }
    }
    Ok(splits)
}

fn in_folder_name(keyword: &str) -> [String; 4] {
    [
        format!("**/{keyword}/**"),
        format!("**/{keyword}{SEPARATOR}*/**"),
        format!("**/*{SEPARATOR}{keyword}/**"),
        format!("**/*{SEPARATOR}{keyword}{SEPARATOR}*/**"),
    ]
}

fn in_file_name(keyword: &str) -> [String; 2] {
    [
        format!("**/{keyword}{SEPARATOR}*"),
        format!("**/*{SEPARATOR}{keyword}{SEPARATOR}*"),
    ]
}

/// The splits whose keywords occur in the names, if there are any.
fn by_keyword<const N: usize>(
    files: &[String],
    patterns: impl Fn(&str) -> [String; N],
) -> Result<Option<Splits>, String> {
    let mut splits = Vec::new();
    for (split, keywords) in KEYWORDS {
        let mut found = Vec::new();
        for pattern in keywords.iter().flat_map(|keyword| patterns(keyword)) {
            for file in matching(&pattern, files)? {
                // A file may match several patterns, but its rows are only trained once.
                if !found.contains(&file) {
                    found.push(file);
                }
            }
        }
        if !found.is_empty() {
            splits.push((split.to_owned(), found));
        }
    }
    Ok((!splits.is_empty()).then_some(splits))
}

/// The files that match a pattern by the rules of `datasets`: hidden files only match if the pattern
/// names them.
fn matching(pattern: &str, files: &[String]) -> Result<Vec<String>, String> {
    let compiled = Pattern::new(pattern)
        .map_err(|error| format!("has the pattern {pattern:?}, which is broken: {error}"))?;
    let options = MatchOptions {
        require_literal_separator: true,
        ..MatchOptions::new()
    };
    let special = |path: &str, mark: &str| {
        path.split('/')
            .filter(|part| part.starts_with(mark))
            .count()
    };
    let folder = |path: &str| {
        path.rsplit_once('/')
            .map_or(String::new(), |(dir, _)| dir.to_owned())
    };
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let seen = |file: &&String| {
        compiled.matches_with(file, options)
            && special(file, ".") == special(pattern, ".")
            && special(&folder(file), "__") == special(&folder(pattern), "__")
            && (!NOT_DATA.contains(&name(file).as_str()) || name(file) == name(pattern))
    };
    Ok(files.iter().filter(seen).cloned().collect())
}

/// The kind of a file by its extensions: `rows.jsonl.gz` is JSON.
fn kind(file: &str) -> Option<&'static str> {
    let name = file.rsplit('/').next().unwrap_or_default();
    let endings: Vec<String> = name.split('.').skip(1).map(str::to_lowercase).collect();
    let of = |(_, known): &&(&str, &[&str])| {
        endings
            .iter()
            .any(|ending| known.contains(&ending.as_str()))
    };
    KINDS.iter().find(of).map(|(kind, _)| *kind)
}

/// Keeps the files of the most frequent kind. Refuses a dataset whose kind can't be read.
fn of_one_kind(splits: Splits) -> Result<Splits, String> {
    let files: Vec<&String> = splits.iter().flat_map(|(_, files)| files).collect();
    let count = |wanted: &str| {
        files
            .iter()
            .filter(|file| kind(file) == Some(wanted))
            .count()
    };
    // On a tie, `max_by_key` returns the last one.
    let most = KINDS
        .iter()
        .rev()
        .map(|(kind, _)| *kind)
        .max_by_key(|kind| count(kind));
    match most.filter(|kind| count(kind) > 0) {
        Some(most) if READABLE.contains(&most) => {
            let kept = |(split, files): (String, Vec<String>)| {
                let files: Vec<String> = files
                    .into_iter()
                    .filter(|file| kind(file) == Some(most))
                    .collect();
                (split, files)
            };
            let mut splits: Splits = splits.into_iter().map(kept).collect();
            splits.retain(|(_, files)| !files.is_empty());
            Ok(splits)
        }
        Some(other) => Err(format!(
            "has its rows as {other}, only JSON Lines and Parquet can be read"
        )),
        None => Err(
            "has no JSON Lines or Parquet files in the cache, only these can be read".to_owned(),
        ),
    }
}
