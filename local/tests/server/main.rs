//! Tests of the program from outside: the real binary, real HTTP, and real training on the built-in base.
//! They wait for lines and events, and never for time to pass.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod attacks;
mod calls;
mod chat;
#[path = "../conformance/mod.rs"]
mod conformance;
mod conforming_engines;
mod damaged_models;
mod data;
mod dataset;
mod endpoint_targets;
mod endpoints;
mod engines;
mod http;
mod hub_datasets;
mod hub_downloads;
mod hub_jobs;
#[path = "../hub_server/mod.rs"]
mod hub_server;
mod hub_world;
mod lifecycle;
mod lost_workers;
mod memory;
mod model_folder;
mod models;
mod no_runs;
mod outside;
mod resume;
mod run;
mod scale;
mod support;
mod templates;
mod turns;
#[path = "../worker/mod.rs"]
mod worker;
