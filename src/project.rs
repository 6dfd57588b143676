//! The project that a trainer's jobs belong to: reads, writes and resolves `.arkor/state.json`.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::api::endpoints::{CREATE_PROJECT, LIST_PROJECTS};
use crate::api::request::{Parts, Scope};
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::files::{self, Access};
use crate::json::{self, without_bom};
use crate::shape::{self, Field, Kind};

/// The content of `.arkor/state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The organisation.
    pub org_slug: String,
    /// The project in that organisation.
    pub project_slug: String,
    /// The project's id.
    pub project_id: String,
}

impl State {
    /// The query parameters of every call about this project's jobs.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope {
            org_slug: self.org_slug.clone(),
            project_slug: Some(self.project_slug.clone()),
        }
    }
}

/// The path of the state file.
#[must_use]
pub fn path(directory: &Path) -> PathBuf {
    directory.join(".arkor").join("state.json")
}

/// Reads the state; `None` if there's no file, or no usable state in it.
///
/// # Errors
/// When the file exists but can't be read.
pub fn read(directory: &Path) -> Result<Option<State>> {
    let path = path(directory);
    let content = files::read_if_present(&path)
        .map_err(|error| Error::file("Can't read the project's state at", &path, &error))?;
    Ok(content.and_then(|content| serde_json::from_slice(without_bom(&content)).ok()))
}

/// Writes the whole state.
///
/// # Errors
/// Those of the file system.
pub fn write(directory: &Path, state: &State) -> Result<()> {
    let path = path(directory);
    let text = serde_json::to_string_pretty(state)
        .map_err(|error| Error::plain(format!("Can't write the project's state: {error}")))?;
    files::write_atomically(&path, format!("{text}\n").as_bytes(), Access::Everyone)
        .map_err(|error| Error::file("Can't write the project's state to", &path, &error))
}

/// The project of a directory. It's created if necessary.
///
/// # Errors
/// `ProjectStateMismatchError`, a missing state under OAuth, or an error from the backend.
pub async fn resolve(api: &Api, credentials: &Credentials, directory: &Path) -> Result<State> {
    if let Some(state) = own(credentials, directory)? {
        return Ok(state);
    }
    match credentials {
        Credentials::OAuth { .. } => Err(Error::plain(format!(
            "No .arkor/state.json found in {}. Create it for the project that the jobs belong \
             to: {{ \"orgSlug\": \"...\", \"projectSlug\": \"...\", \"projectId\": \"...\" }}",
            directory.display()
        ))),
        Credentials::Anonymous { org_slug, .. } => {
            let state = create(api, org_slug, directory).await?;
            write(directory, &state)?;
            Ok(state)
        }
    }
}

/// The project of a directory, which must already exist.
///
/// # Errors
/// `ProjectStateMismatchError`, or an error if there's no project.
pub fn existing(credentials: &Credentials, directory: &Path) -> Result<State> {
    own(credentials, directory)?.ok_or_else(|| {
        Error::plain(format!(
            "No .arkor/state.json found in {}: no run of this project was submitted from here. \
             `arkor start` submits the first one.",
            directory.display()
        ))
    })
}

/// The state of a directory, if these credentials may use it.
fn own(credentials: &Credentials, directory: &Path) -> Result<Option<State>> {
    match (credentials, read(directory)?) {
        (Credentials::Anonymous { org_slug, .. }, Some(state)) if state.org_slug != *org_slug => {
            Err(Error::ProjectStateMismatch {
                message: format!(
                    "{} is scoped to a different organization ({}) than the anonymous identity \
                     of this machine. Delete the file to start a new project, or log in with the \
                     account that owns it.",
                    path(directory).display(),
                    state.org_slug
                ),
            })
        }
        (_, state) => Ok(state),
    }
}

/// The local backend's project, named after the directory. It reads and writes no file.
#[must_use]
pub fn local(directory: &Path) -> State {
    let slug = slug(directory);
    State {
        org_slug: "local".to_owned(),
        project_id: slug.clone(),
        project_slug: slug,
    }
}

const PROJECT: &[Field] = &[("id", Kind::Id), ("slug", Kind::Id)];

#[derive(Deserialize)]
struct Created {
    project: Project,
}

#[derive(Deserialize)]
struct Listed {
    projects: Vec<Project>,
}

#[derive(Deserialize)]
struct Project {
    id: String,
    slug: String,
}

async fn create(api: &Api, org_slug: &str, directory: &Path) -> Result<State> {
    let slug = slug(directory);
    let name = directory
        .file_name()
        .map_or_else(|| slug.clone(), |name| name.to_string_lossy().into_owned());
    let project =
        match api
            .call(&CREATE_PROJECT.request(&Parts {
                body: Some(&json::raw(
                    &serde_json::json!({ "name": name, "slug": slug }),
                )?),
                ..in_org(org_slug)
            })?)
            .await
        {
            Ok(text) => {
                let shape = [("project", Kind::Object(PROJECT))];
                read_answer::<Created>(&text, "POST /v1/projects", &shape)?.project
            }
            Err(Error::Api { status: 409, .. }) => {
                let text = api.call(&LIST_PROJECTS.request(&in_org(org_slug))?).await?;
                let shape = [("projects", Kind::Array(PROJECT))];
                let listed: Listed = read_answer(&text, "GET /v1/projects", &shape)?;
                listed.projects.into_iter().find(|project| project.slug == slug).ok_or_else(|| {
                Error::plain(format!(
                    "The project {slug:?} exists already but is not among those of {org_slug:?}"
                ))
            })?
            }
            Err(error) => return Err(error),
        };
    Ok(State {
        org_slug: org_slug.to_owned(),
        project_slug: project.slug,
        project_id: project.id,
    })
}

fn in_org(org_slug: &str) -> Parts<'static> {
    Parts {
        scope: Some(Scope {
            org_slug: org_slug.to_owned(),
            project_slug: None,
        }),
        ..Parts::default()
    }
}

fn read_answer<T: DeserializeOwned>(text: &str, call: &str, shape: &[Field]) -> Result<T> {
    let text = json::strict(text);
    shape::read(&text, call, shape)?;
    serde_json::from_str(&text).map_err(|error| shape::unusable(call, &error.to_string()))
}

/// Makes a slug from the directory's name: lower case, a dash for anything but `[a-z0-9-]`, no dashes at the
/// ends, at most 40 characters.
#[must_use]
pub fn slug(directory: &Path) -> String {
    let name = directory
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let dashed: String = name
        .chars()
        .map(|char| {
            if char.is_ascii_alphanumeric() {
                char
            } else {
                '-'
            }
        })
        .collect();
    let slug: String = dashed.trim_matches('-').chars().take(40).collect();
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "project".to_owned()
    } else {
        slug.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_made_of_the_directorys_name() {
        let cases = [
            ("/a/My Project!", "my-project"),
            ("/a/--x--", "x"),
            ("/a/日本", "project"),
            ("/", "project"),
            ("/a/Ünder_Score.v2", "nder-score-v2"),
        ];
        for (path, expected) in cases {
            assert_eq!(slug(Path::new(path)), expected, "{path}");
        }
        assert_eq!(
            slug(Path::new(&format!("/{}", "ab-".repeat(20)))),
            "ab-".repeat(13) + "a"
        );
    }
}
