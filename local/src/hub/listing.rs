//! A repository's files, as listed by the Hub.

use serde::Deserialize;

use super::http::{Fault, Http, Tries};
use super::path::is_safe;
use super::repo::Repo;
use crate::error::{Error, Result, refused};
use crate::net::chain;

/// The largest response, in bytes.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The most files of a repository.
const MAX_FILES: usize = 100_000;

/// The largest file size, in bytes. It's small enough that no sum of sizes overflows.
const MAX_SIZE: u64 = 1 << 46;

/// The files of a repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The commit.
    pub commit: String,
    /// Its files.
    pub files: Vec<RemoteFile>,
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its path, with `/` as the separator. The path doesn't lead out of the folder that it's joined to.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// The name of its blob, which is its hash in hexadecimal: the SHA-256 of a file in LFS, or git's
    /// SHA-1 of any other file.
    pub etag: String,
}

#[derive(Deserialize)]
struct Info {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

/// Fetches the listing of a repository, with retries.
pub(super) async fn fetch(http: &Http<'_>, retries: u32) -> Result<Listing, Fault> {
    let mut tries = Tries::new(http, retries);
    loop {
        match fetch_once(http).await {
            Ok(json) => return Ok(parse(http.repo, http.host(), &json)?),
            Err(fault) => tries.after(fault, http).await?,
        }
    }
}

async fn fetch_once(http: &Http<'_>) -> Result<Vec<u8>, Fault> {
    let mut answer = http.get(http.info_url(), 0).await?;
    let mut json = Vec::new();
    loop {
        let chunk = http.cancel.run_until_cancelled(answer.chunk()).await;
        let chunk = chunk.ok_or(Error::Stopped)?.map_err(|error| {
            let (host, why) = (http.host(), chain(&error.without_url()));
            Fault::passing(format!("{host} broke off its answer ({why})"))
        })?;
        let Some(chunk) = chunk else { return Ok(json) };
        if json.len() + chunk.len() > MAX_BYTES {
            return Err(too_large(http.repo, &format!("{} MiB", MAX_BYTES >> 20)).into());
        }
        json.extend_from_slice(&chunk);
    }
}

fn too_large(repo: &Repo, limit: &str) -> Error {
    Error::Refused(format!(
        "{}: the list of the files of {} is too long: at most {limit} are supported",
        repo.field(),
        repo.name
    ))
}

fn parse(repo: &Repo, host: &str, json: &[u8]) -> Result<Listing> {
    let odd = |why: &dyn std::fmt::Display| {
        refused(format!(
            "{}: what {host} says about {} can't be used: {why}",
            repo.field(),
            repo.name
        ))
    };
    let info: Info = match serde_json::from_slice(json) {
        Ok(info) => info,
        Err(error) => return odd(&error),
    };
    if info.siblings.len() > MAX_FILES {
        return Err(too_large(repo, &format!("{MAX_FILES} files")));
    }
    if !is_hex(&info.sha, 40) {
        return odd(&"it names no commit");
    }
    let mut files = Vec::with_capacity(info.siblings.len());
    for sibling in info.siblings {
        let path = sibling.rfilename;
        if !is_safe(&path) {
            return odd(&format_args!("the file name {path:?} isn't safe"));
        }
        let (size, etag, digits) = match sibling.lfs {
            Some(lfs) => (Some(lfs.size), Some(lfs.sha256), 64),
            None => (sibling.size, sibling.blob_id, 40),
        };
        let (Some(size), Some(etag)) = (size, etag) else {
            return odd(&format_args!("{path} has no size or no hash"));
        };
        if size > MAX_SIZE {
            return odd(&format_args!("{path} has {size} bytes"));
        }
        if !is_hex(&etag, digits) {
            return odd(&format_args!("the hash of {path} is none"));
        }
        files.push(RemoteFile { path, size, etag });
    }
    Ok(Listing {
        commit: info.sha,
        files,
    })
}

/// Whether a text is a hash of this length. Hashes are always written in lower case here.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
