//! What every request can see.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::turns::Turns;
use crate::endpoints::Endpoints;
use crate::error::Result;
use crate::jobs::Jobs;

/// Stand-ins are logged for this many models, and not at all after that.
const STAND_INS_SAID: usize = 100;

/// What every request can see.
#[derive(Debug)]
pub struct App {
    /// The jobs.
    pub jobs: Jobs,
    /// The endpoints.
    pub endpoints: Endpoints,
    /// Turns at the model.
    pub turns: Turns,
    /// The bearer token.
    pub token: String,
    /// The port that is listened on.
    pub port: u16,
    /// Slugs of the projects that were made since the start, or have jobs or endpoints.
    projects: Mutex<BTreeSet<String>>,
    /// Models that were asked for and are not here.
    stood_in: Mutex<BTreeSet<String>>,
    /// True once the server is ending: streams then end too.
    pub ending: watch::Sender<bool>,
}

impl App {
    /// An app around the jobs of a store, and its endpoints.
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

    /// Whether another model stands in for `model` for the first time.
    pub fn stands_in_first_time(&self, model: &str) -> bool {
        let mut stood_in = self.stood_in.lock().unwrap_or_else(PoisonError::into_inner);
        // A client may ask for any name: what is remembered must not grow with that.
        stood_in.len() < STAND_INS_SAID && stood_in.insert(model.to_owned())
    }

    /// The slugs of the projects.
    pub fn projects(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
