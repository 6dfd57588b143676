//! Writes the credentials file. Every writer takes the lock and reads the file before it writes, so that it
//! doesn't undo another writer's change.

use std::path::Path;

use super::refresh::same_login;
use super::stored::{Credentials, Stored, content, path};
use crate::api::within_limit;
use crate::error::{Error, Result};
use crate::files::{self, Access};

/// A lock on an operation that only one process may do at a time. Dropping it releases the lock.
pub struct Lock(#[expect(dead_code, reason = "held until it is dropped")] std::fs::File);

/// The change to make to the file.
pub enum Change {
    /// Leave the file as it is.
    Keep,
    /// Write these credentials.
    Write(Credentials),
    /// Delete the file.
    Remove,
}

/// Makes the change that `decide` returns. `decide` is called under the lock, and again if somebody who
/// doesn't take the lock (another SDK, an `rm`) has changed the file meanwhile.
///
/// # Errors
/// Those of `decide` and of the file system. The file is then untouched.
pub async fn change(
    home: &Path,
    mut decide: impl FnMut(Stored) -> Result<Change> + Send,
) -> Result<()> {
    let _lock = file_lock(home).await?;
    let path = path(home);
    loop {
        let seen = content(&path)?;
        let done = match decide(Stored::of(seen.as_deref()))? {
            Change::Keep => return Ok(()),
            Change::Write(credentials) => {
                let text = serde_json::to_string_pretty(&credentials).map_err(|error| {
                    Error::plain(format!("Can't write the credentials: {error}"))
                })?;
                let text = format!("{text}\n");
                files::write_if_unchanged(&path, text.as_bytes(), Access::Owner, seen.as_deref())
                    .map_err(|error| Error::file("Can't write the credentials to", &path, &error))?
            }
            Change::Remove => {
                let is_same = content(&path)? == seen;
                if is_same {
                    delete(&path)?;
                }
                is_same
            }
        };
        if done {
            return Ok(());
        }
    }
}

/// Stores credentials. They replace anything except a login that this version can't read.
///
/// # Errors
/// Those of the file system, and a refusal to replace such a login.
pub async fn write(home: &Path, credentials: &Credentials) -> Result<()> {
    change(home, |stored| {
        stored.refuse_unusable(home)?;
        Ok(Change::Write(credentials.clone()))
    })
    .await
}

/// Stores the result of a login. `seen` is the stored credentials when it began: an anonymous identity
/// created since then couldn't be restored, and the user hasn't agreed to lose it.
///
/// # Errors
/// Those of [`write`], and one if somebody else has signed in meanwhile.
pub async fn sign_in(
    home: &Path,
    credentials: &Credentials,
    seen: Option<&Credentials>,
) -> Result<()> {
    change(home, |stored| {
        stored.refuse_unusable(home)?;
        match stored {
            Stored::Present(found @ Credentials::Anonymous { .. }) if Some(&found) != seen => {
                Err(Error::plain(
                    "Another arkor has signed in anonymously meanwhile, and that identity can't \
                     be restored, so it was kept. To replace it, run arkor login again.",
                ))
            }
            _ => Ok(Change::Write(credentials.clone())),
        }
    })
    .await
}

/// Deletes the file. `seen` is the file's content when the user was asked. Without it, nobody was asked, and
/// the file is deleted whatever it holds.
///
/// # Errors
/// Those of the file system, and one if the file holds another login by now.
pub async fn sign_out(home: &Path, seen: Option<&[u8]>) -> Result<()> {
    let Some(seen) = seen.map(|content| Stored::of(Some(content))) else {
        let _lock = file_lock(home).await?;
        return delete(&path(home));
    };
    change(home, |found| {
        if is_same_login(&found, &seen) {
            Ok(Change::Remove)
        } else {
            Err(Error::plain(
                "The credentials are no longer those that you were asked about, so they were \
                 kept. Run arkor logout again.",
            ))
        }
    })
    .await
}

/// Replaces `old` with its renewed login. Returns whether `old` was stored.
///
/// # Errors
/// Those of the file system.
pub async fn replace(home: &Path, old: &Credentials, new: &Credentials) -> Result<bool> {
    let mut was_there = false;
    change(home, |stored| {
        was_there = matches!(&stored, Stored::Present(found) if found == old);
        Ok(if was_there {
            Change::Write(new.clone())
        } else {
            Change::Keep
        })
    })
    .await?;
    Ok(was_there)
}

/// The lock for requesting tokens that will be stored: two processes must end up with one identity, and must
/// not use the same refresh token twice. Code that only writes doesn't take it, because logging out shouldn't
/// wait a minute. `None` if it can't be taken, for example in a read-only directory.
///
/// # Errors
/// When another process has held it for a minute.
pub async fn network_lock(home: &Path) -> Result<Option<Lock>> {
    let file = path(home).with_extension("lock");
    taken(move || files::lock(&file, Access::Owner)).await
}

/// The lock for reading and writing the file.
async fn file_lock(home: &Path) -> Result<Option<Lock>> {
    let path = path(home);
    taken(move || {
        let directory = path.parent().unwrap_or(Path::new("."));
        files::lock_directory(directory, Access::Owner)
            .or_else(|_| files::lock(&path.with_extension("write.lock"), Access::Owner))
    })
    .await
}

async fn taken(
    take: impl FnOnce() -> std::io::Result<std::fs::File> + Send + 'static,
) -> Result<Option<Lock>> {
    let taken = within_limit("the lock of the credentials", async {
        tokio::task::spawn_blocking(take)
            .await
            .map_err(|error| Error::plain(format!("Can't lock the credentials: {error}")))
    });
    Ok(taken.await?.ok().map(Lock))
}

fn delete(path: &Path) -> Result<()> {
    files::remove(path)
        .map_err(|error| Error::file("Can't delete the credentials at", path, &error))
}

/// Whether the file is gone or still holds `seen`, possibly renewed.
fn is_same_login(found: &Stored, seen: &Stored) -> bool {
    match (found, seen) {
        (Stored::Absent, _) | (Stored::Corrupt, Stored::Corrupt) => true,
        (Stored::Unusable { mode: found }, Stored::Unusable { mode: seen }) => found == seen,
        (Stored::Present(found), Stored::Present(seen)) => found == seen || same_login(found, seen),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn anonymous(id: &str) -> Credentials {
        Credentials::Anonymous {
            token: format!("token-{id}"),
            anonymous_id: id.to_owned(),
            arkor_cloud_api_url: String::new(),
            org_slug: "o".to_owned(),
        }
    }

    fn stored(home: &Path) -> Option<Credentials> {
        match crate::credentials::read(home).unwrap() {
            Stored::Present(credentials) => Some(credentials),
            _ => None,
        }
    }

    /// The result of a writer that waits while another one stores `meanwhile`.
    async fn after_another<F>(
        home: &Path,
        meanwhile: &Credentials,
        writer: impl FnOnce(std::path::PathBuf) -> F,
    ) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let other = file_lock(home).await.unwrap();
        let writing = tokio::spawn(writer(home.to_owned()));
        // Write under the other writer's lock, so that no third one can come in between.
        let text = serde_json::to_string(meanwhile).unwrap();
        files::write_atomically(&path(home), text.as_bytes(), Access::Owner).unwrap();
        drop(other);
        writing.await.unwrap()
    }

    #[tokio::test]
    async fn every_writer_waits_for_the_one_before_and_looks_at_what_it_left() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let (old, new) = (anonymous("old"), anonymous("new"));

        write(home, &old).await.unwrap();
        let was_there = after_another(home, &new, {
            let old = old.clone();
            async move |home| replace(&home, &old, &anonymous("renewed")).await
        });
        assert_eq!(was_there.await, Ok(false));
        assert!(stored(home) == Some(new.clone()));

        write(home, &old).await.unwrap();
        let signed_in = after_another(home, &new, {
            let old = old.clone();
            async move |home| sign_in(&home, &anonymous("login"), Some(&old)).await
        });
        let message = signed_in.await.unwrap_err().to_string();
        assert!(
            message.starts_with("Another arkor has signed in"),
            "{message}"
        );
        assert!(stored(home) == Some(new.clone()));

        write(home, &old).await.unwrap();
        let asked_about = std::fs::read(path(home)).unwrap();
        let signed_out = after_another(home, &new, async move |home| {
            sign_out(&home, Some(&asked_about)).await
        });
        let message = signed_out.await.unwrap_err().to_string();
        assert!(
            message.starts_with("The credentials are no longer"),
            "{message}"
        );
        assert!(stored(home) == Some(new.clone()));

        // Without `seen`, delete whatever is there.
        let signed_out = after_another(home, &old, async move |home| sign_out(&home, None).await);
        signed_out.await.unwrap();
        assert!(stored(home).is_none());
    }

    /// Another SDK takes no lock, and neither does a user's `rm`.
    #[tokio::test]
    async fn a_writer_without_a_lock_that_comes_in_between_is_seen() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        write(home, &anonymous("old")).await.unwrap();
        let mut looks = 0;
        change(home, |found| {
            looks += 1;
            Ok(match found {
                Stored::Present(_) => {
                    std::fs::remove_file(path(home)).unwrap();
                    Change::Write(anonymous("renewed"))
                }
                _ => Change::Keep,
            })
        })
        .await
        .unwrap();
        assert_eq!(looks, 2);
        assert!(stored(home).is_none());
    }
}
