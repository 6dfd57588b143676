//! Writes the adapter that a job trained as files for other programs: PEFT, anything that loads a Hugging
//! Face directory, llama.cpp and Ollama. Weights are read, merged and written one tensor at a time, so
//! that a model of any size only takes the memory of its largest tensor.

pub mod args;
mod dequantised;
mod gguf;
mod job;
mod merge;
mod merged;
mod ollama;
mod peft;
mod progress;
mod target;

use std::path::Path;

use serde_json::json;

use crate::base::{Base, Source, built_in};
use crate::engine::candle::adapter;
use crate::engine::cores::with_all_cores;
use crate::error::{Error, Result, refused};
use crate::gguf::Gguf;
use crate::stop::Stop;
use args::{ExportArgs, Format, Quantize};
use job::Trained;
use merge::Merger;
pub use progress::Print;
use progress::Progress;
use target::Target;

/// Writes an export. `print` receives its progress, and at the end its files.
pub fn run(args: &ExportArgs, stop: &dyn Stop, print: Print) -> Result<()> {
    let quantize = args.quantize()?;
    let trained = Trained::find(args)?;
    check_apart(args, &trained)?;
    let target = Target::open(&args.to, args.force)?;
    let mut export = Export {
        notes: trained.notes.clone(),
        trained: &trained,
        target: &target,
        stop,
        print,
    };
    let written = with_all_cores(|| match args.format {
        Format::Peft => export.peft(),
        format => export.model(format, quantize),
    });
    let notes = export.notes;
    match written {
        Err(Error::Stopped) => return refused("the export was stopped, and nothing was written"),
        written => written?,
    }
    let files = target.publish()?;
    print(&json!({ "type": "done", "files": files, "base": trained.base, "notes": notes }))
}

/// Refuses to write to the directory that the export reads from.
fn check_apart(args: &ExportArgs, trained: &Trained) -> Result<()> {
    let Ok(to) = std::fs::canonicalize(&args.to) else {
        return Ok(());
    };
    let same = |dir: &Path| std::fs::canonicalize(dir).is_ok_and(|dir| dir == to);
    let base = match &trained.source {
        Ok(Source::Dir(dir)) => same(dir),
        Ok(Source::Gguf(file)) => file.parent().is_some_and(same),
        _ => false,
    };
    if base || same(&trained.adapter) || same(&args.store) {
        return refused(format!(
            "--to: the export reads from {}. Choose another directory.",
            to.display()
        ));
    }
    Ok(())
}

/// An export in progress.
struct Export<'a> {
    trained: &'a Trained,
    target: &'a Target,
    stop: &'a dyn Stop,
    print: Print<'a>,
    notes: Vec<String>,
}

impl Export<'_> {
    fn peft(&mut self) -> Result<()> {
        let total = peft::size(&self.trained.adapter)?;
        self.target.check_space(total)?;
        let mut progress = Progress::new(self.print, self.stop, total);
        let note = peft::write(self.trained, self.target, &mut progress)?;
        self.notes.extend(note);
        progress.end()
    }

    fn model(&mut self, format: Format, quantize: Quantize) -> Result<()> {
        let source = match &self.trained.source {
            Ok(source) => source,
            Err(error) => return refused(error.to_string()),
        };
        let lora = adapter::load(&self.trained.adapter)?.lora;
        // The rest of the export needs a directory, so other bases are written to a temporary one.
        let scratch = tempfile::tempdir()
            .map_err(|source| Error::io("can't use", &std::env::temp_dir(), source))?;
        let (dir, merger) = match source {
            Source::Dir(dir) => (dir.as_path(), Merger::open(dir, lora)?),
            Source::BuiltIn => {
                built_in::export(scratch.path())?;
                (scratch.path(), Merger::open(scratch.path(), lora)?)
            }
            Source::Gguf(file) => {
                let gguf = Gguf::open(file)?;
                gguf.write_text_files(scratch.path())?;
                (scratch.path(), Merger::of_gguf(gguf, lora)?)
            }
        };
        if format == Format::Merged {
            let plan = merged::plan(dir, &merger)?;
            self.target.check_space(plan.total)?;
            let mut progress = Progress::new(self.print, self.stop, plan.total);
            merged::write(dir, &merger, &plan, self.target, &mut progress)?;
            return progress.end();
        }
        let base = Base::load(&Source::Dir(dir.to_owned()))?;
        let plan = gguf::plan(dir, &base, &merger, quantize, &self.trained.name)?;
        if plan.unquantised > 0 {
            self.notes.push(format!(
                "{} tensors are stored in 16 bits: their rows can't be divided into blocks of 32 values, as {} needs.",
                plan.unquantised,
                quantize.name()
            ));
        }
        let modelfile = match format {
            Format::Ollama => {
                let (text, notes) = ollama::modelfile(&base)?;
                self.notes.extend(notes);
                text
            }
            _ => String::new(),
        };
        let total = plan.total + modelfile.len() as u64;
        self.target.check_space(total)?;
        let mut progress = Progress::new(self.print, self.stop, total);
        gguf::write(&plan, &merger, self.target, &mut progress)?;
        if format == Format::Ollama {
            self.target
                .write(ollama::FILE, modelfile.as_bytes(), &mut progress)?;
        }
        progress.end()
    }
}
