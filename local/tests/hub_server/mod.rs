//! A mock of the Hugging Face Hub on 127.0.0.1, with a second port for its CDN. It behaves as the test
//! configures it, and records all requests. It runs on its own thread, so that a test may block.

#![allow(dead_code, reason = "each test target uses a part of it")]

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use futures::stream;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};

/// The pause between the bytes of [`Fate::Drip`].
const BETWEEN_DROPS: Duration = Duration::from_millis(10);

/// A fault in the next response with a file. Each occurs once.
#[derive(Clone)]
pub enum Fate {
    /// The connection is closed after half of the file.
    Cut,
    /// Nothing is sent after half of the file, and the connection stays open.
    Hang,
    /// The second half is sent when the test notifies the server.
    Hold(Arc<Notify>),
    /// The second half is sent byte by byte, and its rest when the test notifies the server.
    Drip(Arc<Notify>),
    /// One byte is changed.
    Corrupt,
    /// One byte is added.
    Long,
}

/// The behaviour of the Hub. By default, it has no faults.
#[derive(Default)]
pub struct Conduct {
    /// Every request needs this token.
    pub token: Option<String>,
    /// Files are denied, although the listing is public.
    pub gated: bool,
    /// The faults of responses with a file, by the file's path.
    pub fates: HashMap<String, VecDeque<Fate>>,
    /// Files are redirected to the second port, with a signature in the query.
    pub cdn: bool,
    /// The status code of every response of the CDN.
    pub cdn_status: Option<u16>,
    /// Every response is the whole file, even if the request has a `Range`.
    pub ignores_ranges: bool,
    /// The status codes of the next responses, with their `Retry-After`.
    pub first: VecDeque<(u16, Option<&'static str>)>,
    /// The body of every response with a listing, instead of the real one.
    pub info: Option<Vec<u8>>,
}

/// A request. Its path is still escaped.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whether it arrived at the second port.
    pub cdn: bool,
    pub path: String,
    pub headers: HeaderMap,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

struct File {
    path: String,
    content: Vec<u8>,
    lfs: bool,
}

#[derive(Default)]
struct Inner {
    /// The repositories by `models/owner/name`.
    repos: HashMap<String, (String, Vec<File>)>,
    conduct: Conduct,
    asked: Vec<Asked>,
    count: watch::Sender<usize>,
    cdn_url: String,
}

type Shared = Arc<Mutex<Inner>>;

/// A running Hub. It stops when it's dropped.
pub struct HubServer {
    /// The value for `HF_ENDPOINT`.
    pub url: String,
    inner: Shared,
    _stop: oneshot::Sender<()>,
}

/// The name of a file's blob.
pub fn etag(content: &[u8], lfs: bool) -> String {
    if lfs {
        return hex::encode(Sha256::digest(content));
    }
    let mut hash = Sha1::new_with_prefix(format!("blob {}\0", content.len()));
    hash.update(content);
    hex::encode(hash.finalize())
}

impl HubServer {
    pub fn start() -> Self {
        let inner = Shared::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, urls) = std::sync::mpsc::channel();
        let shared = inner.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                for cdn in [false, true] {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    let url = format!("http://{}", listener.local_addr().unwrap());
                    ready.send(url).unwrap();
                    let answer = move |State(shared): State<Shared>, request: Request| async move {
                        answer(&shared, cdn, &request)
                    };
                    let router = Router::new().fallback(answer).with_state(shared.clone());
                    tokio::spawn(async move { axum::serve(listener, router).await });
                }
                // An error also means that the test is over.
                let _ = stopped.await;
            });
        });
        let url = urls.recv().unwrap();
        inner.lock().unwrap().cdn_url = urls.recv().unwrap();
        Self {
            url,
            inner,
            _stop: stop,
        }
    }

    /// Adds or replaces a repository, `models/owner/name` or `datasets/owner/name`. Returns its commit.
    /// Each file is given by its path, its content, and whether it's in LFS.
    pub fn add(&self, name: &str, files: &[(&str, &[u8], bool)]) -> String {
        let mut commit = Sha1::new();
        let mut stored = Vec::new();
        for (path, content, lfs) in files {
            commit.update(path);
            commit.update(etag(content, *lfs));
            stored.push(File {
                path: (*path).to_owned(),
                content: content.to_vec(),
                lfs: *lfs,
            });
        }
        let commit = hex::encode(commit.finalize());
        let repo = (commit.clone(), stored);
        self.lock().repos.insert(name.to_owned(), repo);
        commit
    }

    /// Changes the Hub's behaviour.
    pub fn conduct(&self, change: impl FnOnce(&mut Conduct)) {
        change(&mut self.lock().conduct);
    }

    /// Sets the faults of the next responses with a file, in order.
    pub fn fate<const N: usize>(&self, path: &str, fates: [Fate; N]) {
        self.conduct(|conduct| {
            conduct.fates.insert(path.to_owned(), fates.into());
        });
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// The requests for a file, or for any path that ends like this.
    pub fn asked_for(&self, ending: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.path.ends_with(ending));
        asked
    }

    /// Waits until there have been this many requests.
    pub async fn until_asked(&self, times: usize) {
        let mut count = self.lock().count.subscribe();
        count.wait_for(|count| *count >= times).await.unwrap();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

fn plain(status: u16) -> Response<Body> {
    let mut answer = Response::new(Body::from("{\"error\":\"no\"}"));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

fn coded(status: u16, code: &'static str) -> Response<Body> {
    let mut answer = plain(status);
    answer
        .headers_mut()
        .insert("x-error-code", code.parse().unwrap());
    answer
}

fn answer(shared: &Shared, cdn: bool, request: &Request) -> Response<Body> {
    let mut inner = shared.lock().unwrap();
    let path = request.uri().path().to_owned();
    inner.asked.push(Asked {
        cdn,
        path: path.clone(),
        headers: request.headers().clone(),
    });
    let count = inner.asked.len();
    inner.count.send_replace(count);
    let path = decoded(&path);
    if cdn {
        if let Some(status) = inner.conduct.cdn_status {
            return plain(status);
        }
        return file(&mut inner, &path, request.headers());
    }
    if let Some((status, after)) = inner.conduct.first.pop_front() {
        let mut answer = plain(status);
        if let Some(after) = after {
            let after = after.parse().unwrap();
            answer.headers_mut().insert("retry-after", after);
        }
        return answer;
    }
    let sent = request.headers().get("authorization");
    let token = inner.conduct.token.as_ref();
    let wanted = token.map(|token| format!("Bearer {token}"));
    let admitted =
        wanted.is_none() || sent.and_then(|sent| sent.to_str().ok()) == wanted.as_deref();
    if let Some(name) = path.strip_prefix("/api/") {
        if !admitted {
            return plain(401);
        }
        return info(&inner, name, request.uri().query());
    }
    if !admitted || inner.conduct.gated {
        return coded(if sent.is_some() { 403 } else { 401 }, "GatedRepo");
    }
    if inner.conduct.cdn {
        let to = format!("{}{}?Signature=SECRET", inner.cdn_url, request.uri().path());
        let mut answer = plain(302);
        answer.headers_mut().insert("location", to.parse().unwrap());
        return answer;
    }
    file(&mut inner, &path, request.headers())
}

/// Unescapes a path, except for slashes, which are part of a revision's name.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let escaped = more
            .get(..2)
            .filter(|digits| *first == b'%' && *digits != b"2F");
        let (byte, after) = match escaped {
            Some(digits) => {
                let digits = std::str::from_utf8(digits).unwrap();
                (u8::from_str_radix(digits, 16).unwrap(), &more[2..])
            }
            None => (*first, more),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).unwrap()
}

fn info(inner: &Inner, name: &str, query: Option<&str>) -> Response<Body> {
    let (name, revision) = name.split_once("/revision/").unwrap_or((name, "main"));
    let Some((commit, files)) = inner.repos.get(name) else {
        return coded(404, "RepoNotFound");
    };
    if revision != "main" && revision != commit {
        return coded(404, "RevisionNotFound");
    }
    if let Some(info) = &inner.conduct.info {
        return Response::new(Body::from(info.clone()));
    }
    let siblings: Vec<Value> = files
        .iter()
        .map(|file| {
            if query != Some("blobs=true") {
                return json!({ "rfilename": file.path });
            }
            let size = file.content.len();
            // In git, an LFS file is a pointer, and `blobId` is the hash of that pointer.
            let mut json =
                json!({ "rfilename": file.path, "size": size, "blobId": etag(b"pointer", false) });
            if file.lfs {
                json["lfs"] =
                    json!({ "sha256": etag(&file.content, true), "size": size, "pointerSize": 7 });
            } else {
                json["blobId"] = json!(etag(&file.content, false));
            }
            json
        })
        .collect();
    let info = json!({ "id": name, "sha": commit, "private": false, "siblings": siblings });
    Response::new(Body::from(info.to_string()))
}

fn file(inner: &mut Inner, path: &str, headers: &HeaderMap) -> Response<Body> {
    let Some((repo, rest)) = path.trim_start_matches('/').split_once("/resolve/") else {
        return plain(404);
    };
    let repo = match repo.strip_prefix("datasets/") {
        Some(_) => repo.to_owned(),
        None => format!("models/{repo}"),
    };
    let (revision, path) = rest.split_once('/').unwrap();
    let found = inner.repos.get(&repo).and_then(|(commit, files)| {
        assert!(revision == commit || revision == "main");
        let file = files.iter().find(|file| file.path == path)?;
        Some((commit.clone(), file.content.clone(), file.lfs))
    });
    let Some((commit, mut content, lfs)) = found else {
        return coded(404, "EntryNotFound");
    };
    let (all, name) = (content.len(), etag(&content, lfs));
    let fate = inner
        .conduct
        .fates
        .get_mut(path)
        .and_then(VecDeque::pop_front);
    match fate {
        Some(Fate::Corrupt) => content[all / 2] ^= 1,
        Some(Fate::Long) => content.push(b'!'),
        _ => {}
    }
    let mut builder = Response::builder()
        .header("etag", format!("\"{name}\""))
        .header("x-repo-commit", commit);
    let range = headers
        .get("range")
        .filter(|_| !inner.conduct.ignores_ranges);
    if let Some(range) = range {
        let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
        let from: usize = range.strip_suffix('-').unwrap().parse().unwrap();
        if from >= all {
            return plain(416);
        }
        let part = format!("bytes {from}-{}/{all}", all - 1);
        builder = builder.status(206).header("content-range", part);
        content.drain(..from);
    }
    builder = builder.header("content-length", content.len());
    builder.body(body(content, fate)).unwrap()
}

/// The body of a response, in two halves if a fault occurs between them.
fn body(content: Vec<u8>, fate: Option<Fate>) -> Body {
    let Some(fate @ (Fate::Cut | Fate::Hang | Fate::Hold(_) | Fate::Drip(_))) = fate else {
        return Body::from(content);
    };
    let half = content.len() / 2;
    let first = Bytes::copy_from_slice(&content[..half]);
    let second = Bytes::copy_from_slice(&content[half..]);
    Body::from_stream(stream::unfold(0, move |step| {
        let (first, second, fate) = (first.clone(), second.clone(), fate.clone());
        async move {
            match (step, fate) {
                (0, _) => return Some((Ok(first), 1)),
                (1, Fate::Hold(gate)) => gate.notified().await,
                (1.., Fate::Drip(gate)) if step <= second.len() => {
                    let pause = tokio::time::timeout(BETWEEN_DROPS, gate.notified());
                    let end = pause.await.map_or(step, |()| second.len());
                    return Some((Ok(second.slice(step - 1..end)), end + 1));
                }
                (1, Fate::Hang) => std::future::pending().await,
                // hyper sends the first half during this await, and then closes the connection.
                (1, _) => {
                    tokio::task::yield_now().await;
                    return Some((Err(io::Error::other("cut")), 2));
                }
                _ => return None,
            }
            Some((Ok(second), 2))
        }
    }))
}
