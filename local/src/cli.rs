//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::server::outside::OutsideArgs;

/// Trains LoRA adapters on this machine and speaks the arkor cloud's HTTP API.
///
/// When it is ready it prints one line of JSON on stdout, { "url", "token" }; logs go to stderr. It
/// listens on 127.0.0.1 only, except for what --listen opens, and ends on SIGINT or SIGTERM.
#[derive(Debug, Parser)]
#[command(
    name = "arkor-local",
    version,
    after_help = "Example:\n  arkor-local --port 4820 --store .arkor/local"
)]
pub struct Args {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Bearer token that clients must send; a random one for each launch if absent. Anyone on this
    /// machine can see arguments: the environment variable is the better place.
    #[arg(long, env = "ARKOR_LOCAL_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Where jobs, events and adapters are kept.
    #[arg(long, default_value = ".arkor/local")]
    pub store: PathBuf,
    /// Hugging Face directory of a Llama model to train, whatever model a job names.
    #[arg(long)]
    pub base_model: Option<PathBuf>,
    /// The second listener.
    #[command(flatten)]
    pub outside: OutsideArgs,
    /// Train and answer with this program instead of in this process. It speaks the protocol of
    /// docs/engine-protocol.md.
    #[arg(long, value_name = "PROGRAM")]
    pub worker: Option<PathBuf>,
    /// An argument for that program; may be given several times.
    #[arg(
        long,
        value_name = "ARG",
        requires = "worker",
        allow_hyphen_values = true
    )]
    pub worker_arg: Vec<String>,
    /// End when stdin is closed: for a program that starts this one and may die.
    #[arg(long)]
    pub with_parent: bool,
}
