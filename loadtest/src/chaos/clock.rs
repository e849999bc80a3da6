//! Wall clocks that jump, by `libfaketime`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::program::Program;

/// Where Debian's package `libfaketime` installs the library.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// The wall clock of some programs. Their monotonic clocks stay right, as after a step by NTP.
pub(super) struct FakeClock {
    library: PathBuf,
    /// Holds the offset, which the library reads repeatedly.
    file: PathBuf,
}

impl FakeClock {
    /// Finds the library, and creates the clock's file in `folder`.
    ///
    /// # Errors
    /// `libfaketime` is not installed.
    pub(super) fn find(folder: &Path) -> anyhow::Result<Self> {
        let library = LIBRARIES.iter().map(PathBuf::from).find(|library| library.is_file());
        let library = library.context("libfaketime is not installed")?;
        let clock = Self { library, file: folder.join("clock") };
        clock.set(0)?;
        Ok(clock)
    }

    /// Moves the clock of all its programs to `seconds` after the true time.
    pub(super) fn set(&self, seconds: i64) -> anyhow::Result<()> {
        // A rename is atomic, so the library never reads half of the text.
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{seconds:+}\n"))?;
        Ok(fs::rename(next, &self.file)?)
    }

    /// Gives this clock to a program, from its next start on.
    pub(super) fn apply_to(&self, program: &mut Program) {
        let variables = [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        for (name, value) in variables {
            program.set_environment(name, value);
        }
    }
}
