//! What is told when the Hub doesn't give what was asked for. Never the token, never an address with a
//! query.

use reqwest::{Response, StatusCode};

use super::cache::Folder;
use super::http::Http;
use super::{Hub, Repo, RepoKind};
use crate::error::Error;

fn refusal(repo: &Repo, text: &str) -> Error {
    Error::Refused(format!("{}: {text}", repo.field()))
}

/// What works without the Hub.
fn instead(repo: &Repo) -> &'static str {
    match repo.kind {
        RepoKind::Model => "give the directory of a model",
        RepoKind::Dataset => "give a file (type \"blob\")",
    }
}

pub(super) fn endpoint(hub: &Hub, repo: &Repo) -> Error {
    let text = format!("HF_ENDPOINT is no http(s) address: {:?}", hub.endpoint);
    refusal(repo, &text)
}

pub(super) fn client(repo: &Repo, why: &str) -> Error {
    refusal(repo, &format!("can't connect to the Hub: {why}"))
}

pub(super) fn offline(hub: &Hub, repo: &Repo) -> Error {
    let text = format!(
        "{} isn't complete in the Hugging Face cache ({}), and nothing is downloaded because HF_HUB_OFFLINE \
         (or TRANSFORMERS_OFFLINE) is set. Unset it, or {}.",
        repo.name,
        hub.cache.display(),
        instead(repo)
    );
    refusal(repo, &text)
}

pub(super) fn unreachable(http: &Http<'_>, what: &str) -> Error {
    let repo = http.repo;
    let folder = Folder::of(&http.hub.cache, repo);
    let text = format!(
        "can't get {} from the Hub: {what}. Try again later; what has been downloaded is kept. Without a \
         network, copy {} from a machine that has it, or {}.",
        repo.name,
        folder.dir().display(),
        instead(repo)
    );
    Error::Unreachable(format!("{}: {text}", repo.field()))
}

/// An answer that another try wouldn't change. `elsewhere`: it isn't from the Hub itself.
pub(super) fn status(http: &Http<'_>, answer: &Response, elsewhere: bool) -> Error {
    let repo = http.repo;
    let (name, noun, host, page) = (&repo.name, repo.noun(), http.host(), http.page());
    let status = answer.status();
    let code = answer
        .headers()
        .get("x-error-code")
        .and_then(|code| code.to_str().ok());
    if elsewhere {
        let host = answer.url().host_str().unwrap_or_default();
        let text = format!("can't get {name}: {host}, which the Hub pointed to, answered {status}");
        return refusal(repo, &text);
    }
    let token = http.hub.token.is_some();
    let text = match (status, code) {
        (_, Some("RevisionNotFound")) => {
            format!("{name} has no revision {:?} on {host}", repo.revision)
        }
        (_, Some("EntryNotFound")) => {
            format!("a file of {name} is no longer on {host}. Try again.")
        }
        (StatusCode::FORBIDDEN, _) | (_, Some("GatedRepo")) if token => format!(
            "{name} is gated or private, and the token (HF_TOKEN, or that of `hf auth login`) has no access \
             to it. Ask for access on {page}."
        ),
        (StatusCode::FORBIDDEN, _) | (_, Some("GatedRepo")) => format!(
            "{name} is gated or private, and HF_TOKEN isn't set. Ask for access on {page}, then set HF_TOKEN \
             or run `hf auth login`."
        ),
        (StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND, _) if token => format!(
            "{host} has no {noun} {name} for this user: it doesn't exist, or the token (HF_TOKEN, or that of \
             `hf auth login`) has no access to it or isn't valid. See {page}."
        ),
        (StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND, _) => format!(
            "{host} has no {noun} {name}: it doesn't exist, or it's private or gated and HF_TOKEN isn't set. \
             Check the name; for one that needs access, ask for it on {page} and set HF_TOKEN or run `hf \
             auth login`."
        ),
        _ => format!("can't get {name}: {host} answered {status}"),
    };
    refusal(repo, &text)
}
