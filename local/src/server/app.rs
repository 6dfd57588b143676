//! The state that all requests share.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::turns::Turns;
use crate::endpoints::Endpoints;
use crate::error::Result;
use crate::jobs::Jobs;

/// Only this many stand-ins are logged.
const LOGGED_STAND_INS: usize = 100;

/// The state that all requests share.
#[derive(Debug)]
pub struct App {
    /// The jobs.
    pub jobs: Jobs,
    /// The endpoints.
    pub endpoints: Endpoints,
    /// Limits how many chats run at once.
    pub turns: Turns,
    /// The bearer token.
    pub token: String,
    /// The port the server listens on.
    pub port: u16,
    /// Slugs of projects that were created since the start, or that have jobs or endpoints.
    projects: Mutex<BTreeSet<String>>,
    /// Requested models that aren't on this machine, each of which another model stood in for.
    stood_in: Mutex<BTreeSet<String>>,
    /// Becomes true when the server is stopping, which also ends the event streams.
    pub ending: watch::Sender<bool>,
}

impl App {
    /// Creates the state from the jobs and endpoints of a store.
    pub fn new(jobs: Jobs, token: String, port: u16) -> Result<Arc<Self>> {
        let endpoints = Endpoints::open(jobs.store().endpoints_file())?;
        let with_endpoints = endpoints.all();
        let projects = jobs
            .list(None)
            .into_iter()
            .map(|job| job.project_id)
            .chain(with_endpoints.iter().map(|one| one.project_id.clone()))
            .collect();
        let (projects, ending) = (Mutex::new(projects), watch::Sender::new(false));
        Ok(Arc::new(Self {
            jobs,
            endpoints,
            turns: Turns::default(),
            token,
            port,
            projects,
            stood_in: Mutex::default(),
            ending,
        }))
    }

    /// Whether this is the first time that another model stands in for `model`.
    pub fn stands_in_first_time(&self, model: &str) -> bool {
        let mut stood_in = self.stood_in.lock().unwrap_or_else(PoisonError::into_inner);
        // A client may ask for any name, so the set must not grow without bound.
        stood_in.len() < LOGGED_STAND_INS && stood_in.insert(model.to_owned())
    }

    /// The slugs of the projects.
    pub fn projects(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
