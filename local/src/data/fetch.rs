//! Finds, measures and downloads the files of a dataset. No other code opens files or URLs that a client
//! names.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use reqwest::Url;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::source::Blob;
use crate::error::{Error, Result, refused};
use crate::net::{chain, is_loopback};

/// The largest total size of a dataset's files, in bytes.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// How long a download may take. The SDK gives up after 60 s, and should get the reason before that.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(50);

/// A file of a dataset.
#[derive(Debug)]
pub struct DataFile {
    /// The file's name, unless the client named the file itself.
    pub name: Option<String>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Path(PathBuf),
    /// A downloaded temporary file, which disappears when it's closed.
    Open(File),
}

impl DataFile {
    /// Opens the file.
    pub fn open(self) -> Result<File> {
        match self.content {
            Content::Open(file) => Ok(file),
            Content::Path(path) => {
                let file = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
                match file {
                    // The file may have been replaced since it was measured.
                    Ok((metadata, file)) if metadata.len() <= MAX_BYTES => Ok(file),
                    Ok(_) => too_large(),
                    Err(error) => unreadable(&path, &error),
                }
            }
        }
    }
}

/// Finds or downloads a dataset of one file. Every failure is a refusal, because the run can't start
/// without it.
pub async fn fetch(source: &Blob) -> Result<Vec<DataFile>> {
    match source {
        Blob::File(path) => {
            let mut files = measured(vec![path.clone()])?;
            for file in &mut files {
                file.name = None;
            }
            Ok(files)
        }
        Blob::Http(url, token) => {
            let download = download(url, token.as_deref());
            let Ok(file) = tokio::time::timeout(DOWNLOAD_LIMIT, download).await else {
                return refused(format!(
                    "datasetSource.url: no complete answer within {DOWNLOAD_LIMIT:?}"
                ));
            };
            Ok(vec![DataFile {
                name: None,
                content: Content::Open(file?),
            }])
        }
    }
}

/// Measures files on this machine. Refuses them if they're too large to be read.
pub fn measured(paths: Vec<PathBuf>) -> Result<Vec<DataFile>> {
    let mut files = Vec::with_capacity(paths.len());
    let mut total = 0;
    for path in paths {
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => return unreadable(&path, &error),
        };
        // A device or a pipe may have no end and no length.
        if !metadata.is_file() {
            return refused(format!(
                "datasetSource: {} is no regular file",
                path.display()
            ));
        }
        total += metadata.len();
        if total > MAX_BYTES {
            return too_large();
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        files.push(DataFile {
            name: Some(name.into_owned()),
            content: Content::Path(path),
        });
    }
    Ok(files)
}

fn unreadable<T>(path: &Path, error: &std::io::Error) -> Result<T> {
    refused(format!(
        "datasetSource: can't read {}: {error}",
        path.display()
    ))
}

fn too_large<T>() -> Result<T> {
    refused(format!(
        "datasetSource: the dataset is larger than {} MiB",
        MAX_BYTES >> 20
    ))
}

async fn download(url: &Url, token: Option<&str>) -> Result<File> {
    // Leave out the URL, because its query may be a signature.
    let failed = |error: reqwest::Error| {
        Error::Refused(format!(
            "datasetSource.url: can't download the dataset from {}: {}",
            url.host_str().unwrap_or_default(),
            chain(&error.without_url())
        ))
    };
    let unwritable = |source: std::io::Error| Error::Io {
        what: "can't write a temporary file for the dataset".to_owned(),
        source,
    };
    let mut client = reqwest::Client::builder();
    if is_loopback(url) {
        client = client.no_proxy();
    }
    let mut request = client.build().map_err(failed)?.get(url.clone());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return refused(format!(
            "datasetSource.url: the server answered {}",
            answer.status()
        ));
    }
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(unwritable)?);
    let mut length = 0;
    let mut body = answer.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(failed)?;
        length += chunk.len() as u64;
        if length > MAX_BYTES {
            return too_large();
        }
        file.write_all(&chunk).await.map_err(unwritable)?;
    }
    file.flush().await.map_err(unwritable)?;
    file.rewind().await.map_err(unwritable)?;
    Ok(file.into_std().await)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[tokio::test]
    async fn what_can_not_be_read_is_refused_without_a_secret_and_without_end() {
        // `main` does the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let download = Url::parse("http://user:hunter2@127.0.0.1:1/a?sig=SECRET").unwrap();
        let sources = [
            (Blob::Http(download, None), "from 127.0.0.1: "),
            (Blob::File("/dev/zero".into()), "no regular file"),
            (Blob::File("/no/such/file".into()), "can't read"),
        ];
        for (source, expected) in sources {
            let error = fetch(&source).await.err().unwrap();
            assert!(error.is_refusal());
            let error = error.to_string();
            assert!(error.contains(expected), "{error}");
            assert!(
                !error.contains("SECRET") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_file_over_the_limit_is_refused_before_it_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(MAX_BYTES + 1).unwrap();
        let source = Blob::File(file.path().to_owned());
        let error = fetch(&source).await.err().unwrap().to_string();
        assert!(error.contains("larger than 256 MiB"), "{error}");
    }
}
