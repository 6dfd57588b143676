//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::engine::auto::INSTALL;
use crate::engine::candle::train::budget::parse_size;
use crate::error::{Result, refused};
use crate::export::args::ExportArgs;
use crate::server::outside::OutsideArgs;

/// Which engine trains and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// The CPU engine if it knows the model and can do what's asked, else --worker.
    Auto,
    /// The CPU engine, in this process.
    Cpu,
    /// The worker that --worker names.
    Torch,
    /// With --worker as torch, else as auto.
    #[value(name = "", hide = true)]
    Unset,
}

/// Trains LoRA adapters on this machine and speaks the arkor cloud's HTTP API.
///
/// When it is ready it prints one line of JSON on stdout, { "url", "token" }; logs go to stderr. It
/// listens on 127.0.0.1 only, except for what --listen opens, and ends on SIGINT or SIGTERM.
#[derive(Debug, Parser)]
#[command(
    name = "arkor-local",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  arkor-local --port 4820 --store .arkor/local"
)]
pub struct Args {
    /// Something else than serving.
    #[command(subcommand)]
    pub command: Option<Command>,
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
    /// Hugging Face directory or GGUF file of a model to train, whatever model a job names.
    #[arg(long)]
    pub base_model: Option<PathBuf>,
    /// Refuse a job whose model can't be trained here, instead of training the built-in base in its place.
    #[arg(long)]
    pub strict_model: bool,
    /// The second listener.
    #[command(flatten)]
    pub outside: OutsideArgs,
    /// What trains and answers.
    #[arg(
        long,
        env = "ARKOR_ENGINE",
        value_enum,
        default_value = "",
        hide_default_value = true
    )]
    pub engine: EngineChoice,
    /// The program of the torch engine. It speaks the protocol of docs/engine-protocol.md. Without
    /// --engine, it trains and answers instead of this process.
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
    /// How many times a run resumes from its last checkpoint after its worker died, fell silent or lost a
    /// process.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub max_failures: u32,
    /// How much memory the CPU engine may take for a run, the model included, such as 4GB (default: what is
    /// free when the run starts).
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Run no jobs: those that aren't over wait for the next server. For a program that only asks.
    #[arg(long)]
    pub no_runs: bool,
    /// End when stdin is closed: for a program that starts this one and may die.
    #[arg(long)]
    pub with_parent: bool,
}

/// What the program does instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes the model that a job trained, for other programs.
    Export(ExportArgs),
}

impl Args {
    /// The engine to use, which is never `Unset`. Refuses one that contradicts --worker.
    pub fn engine(&self) -> Result<EngineChoice> {
        match (self.engine, &self.worker) {
            (EngineChoice::Cpu, Some(_)) => refused(
                "--worker: --engine cpu trains and answers without a worker. Remove one of the two.",
            ),
            (EngineChoice::Torch, None) => refused(format!(
                "--engine: the torch engine isn't installed. Install it with: {INSTALL}"
            )),
            (EngineChoice::Unset, Some(_)) => Ok(EngineChoice::Torch),
            (EngineChoice::Unset, None) => Ok(EngineChoice::Auto),
            (choice, _) => Ok(choice),
        }
    }
}
