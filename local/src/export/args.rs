//! The arguments of `arkor-local export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::error::{Result, refused};

/// What an export is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The adapter, for PEFT.
    Peft,
    /// The base with the adapter merged into it, as safetensors.
    Merged,
    /// The same as one GGUF file, for llama.cpp.
    Gguf,
    /// GGUF and a Modelfile, for Ollama.
    Ollama,
}

/// The type of the weights in a GGUF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Quantize {
    /// 16 bits per weight.
    #[value(name = "f16")]
    F16,
    /// 8.5 bits per weight.
    #[value(name = "q8_0")]
    Q8_0,
    /// 4.5 bits per weight.
    #[value(name = "q4_0")]
    Q4_0,
}

impl Quantize {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }
}

/// Writes the model that a job trained, for other programs.
///
/// Prints lines of JSON on stdout: { "type": "progress", "done", "total", "file" } in bytes, and at the end
/// { "type": "done", "files", "base", "notes" }. Downloads nothing, and works while a server uses the store.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Where the job is kept.
    #[arg(long, default_value = ".arkor/local")]
    pub store: PathBuf,
    /// The job.
    #[arg(long, value_name = "ID")]
    pub job: String,
    /// The directory to write. It must be empty or not be there yet.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// What to write.
    #[arg(long, value_enum)]
    pub format: Format,
    /// The type of the weights, for gguf and ollama; q8_0 if absent.
    #[arg(long, value_enum)]
    pub quantize: Option<Quantize>,
    /// The checkpoint of this step instead of the final adapter.
    #[arg(long, value_name = "STEP")]
    pub checkpoint: Option<usize>,
    /// The directory of the base model, when it isn't where it was during training.
    #[arg(long, value_name = "DIR")]
    pub base_model: Option<PathBuf>,
    /// Replace an export that is in the directory already. Other files in it stay.
    #[arg(long)]
    pub force: bool,
}

impl ExportArgs {
    /// The type of the weights. Refuses --quantize for a format that it doesn't apply to.
    pub fn quantize(&self) -> Result<Quantize> {
        match (self.format, self.quantize) {
            (Format::Peft | Format::Merged, Some(_)) => refused(
                "--quantize: only --format gguf and ollama have quantised weights. Remove --quantize.",
            ),
            (_, quantize) => Ok(quantize.unwrap_or(Quantize::Q8_0)),
        }
    }
}
