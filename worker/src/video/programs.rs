//! Locations of ffmpeg and ffprobe, and the way they are started.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use faceline_shared::settings::{self, ReplaySettings};

use super::confine::Confinement;
use super::{DecodeError, DecodeLimits};

/// The running program, even if its file has been replaced by a newer one.
const ITSELF: &str = "/proc/self/exe";

/// The programs that read videos.
#[derive(Clone, Copy, Debug)]
pub(super) enum Program {
    Ffmpeg,
    Ffprobe,
}

/// Parameters for starting children.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// Path or name of ffmpeg.
    ffmpeg: PathBuf,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    Directly,
    Confined { launcher: PathBuf, by_kernel: bool },
}

impl Programs {
    pub(super) fn new(settings: &ReplaySettings) -> Self {
        let by_kernel = settings.confinement == settings::Confinement::Required;
        let how = How::Confined { launcher: ITSELF.into(), by_kernel };
        Self { ffmpeg: settings.ffmpeg.clone(), how }
    }

    pub(super) fn unconfined() -> Self {
        Self { ffmpeg: "ffmpeg".into(), how: How::Directly }
    }

    pub(super) fn set_launcher(&mut self, path: PathBuf) {
        if let How::Confined { launcher, .. } = &mut self.how {
            *launcher = path;
        }
    }

    /// The command of a program, without arguments.
    ///
    /// # Errors
    /// [`DecodeError::Unavailable`] if the program is missing.
    pub(super) fn command(&self, program: Program, limits: &DecodeLimits) -> Result<Command, DecodeError> {
        let path = self.find(program)?;
        Ok(match &self.how {
            How::Directly => Command::new(path),
            How::Confined { launcher, by_kernel } => {
                let (cpu_time, memory, by_kernel) = (limits.cpu_time, limits.memory, *by_kernel);
                Confinement { cpu_time, memory, by_kernel }.command(launcher, &path)
            }
        })
    }

    /// A confined process has no `PATH`, so the path must be known here.
    fn find(&self, program: Program) -> Result<PathBuf, DecodeError> {
        let missing = |path: &Path| {
            DecodeError::Unavailable(format!("there is no program {} (replay.ffmpeg)", path.display()))
        };
        let ffmpeg = if self.ffmpeg.components().count() > 1 {
            self.ffmpeg.clone()
        } else {
            let folders = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
            env::split_paths(&folders)
                .map(|folder| folder.join(&self.ffmpeg))
                .find(|path| path.is_file())
                .ok_or_else(|| missing(&self.ffmpeg))?
        };
        let ffprobe = ffmpeg.with_file_name("ffprobe");
        if let Some(path) = [&ffmpeg, &ffprobe].into_iter().find(|path| !path.is_file()) {
            return Err(missing(path));
        }
        Ok(match program {
            Program::Ffmpeg => ffmpeg,
            Program::Ffprobe => ffprobe,
        })
    }
}
