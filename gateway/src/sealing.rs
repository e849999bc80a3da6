//! `faceline sealing …`: rotates the keys that seal data and templates, in two phases.

use std::io::{self, Write};

use faceline_shared::keys::{KeyFile, KeysError, Ring};
use faceline_shared::settings::Settings;

/// Manage the keys that seal (encrypt) data and templates
#[derive(Clone, Debug, clap::Subcommand)]
pub enum SealingCommand {
    /// Create the key file unless it exists. All gateways and workers of an installation need the same file
    Create,
    /// Phase one: add keys that only open (decrypt). Distribute the file to all gateways and workers before you
    /// activate a key
    Add {
        /// Key ring that gets a new key [default: both]
        #[arg(long)]
        ring: Option<RingName>,
    },
    /// Phase two: seal with this key. The previously active key still opens
    Activate {
        /// Id of the key
        id: String,
    },
    /// Remove a data key, once everything that it sealed has expired
    Remove {
        /// Id of the key
        id: String,
    },
    /// Show the keys without their secrets
    List,
}

/// Name of a key ring
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum RingName {
    /// Keys for jobs, pictures and records
    Data,
    /// Keys for templates that callers keep
    Templates,
}

impl SealingCommand {
    /// Executes the command, and writes the resulting keys to `out`.
    ///
    /// # Errors
    /// [`SealingCommandError`].
    pub fn run(self, settings: &Settings, out: &mut impl Write) -> Result<(), SealingCommandError> {
        let file = KeyFile::of(settings);
        match self {
            Self::Create => file.create_if_missing()?,
            Self::Add { ring } => {
                let rings: &[Ring] = match ring {
                    None => &[Ring::Data, Ring::Templates],
                    Some(RingName::Data) => &[Ring::Data],
                    Some(RingName::Templates) => &[Ring::Templates],
                };
                file.add(rings)?;
            }
            Self::Activate { id } => file.activate(&id)?,
            Self::Remove { id } => file.remove(&id)?,
            Self::List => (),
        }
        for key in file.list()? {
            let status = if key.is_active { "active" } else { "opens" };
            writeln!(out, "{status:<7} {:<9} {} fingerprint {}", key.ring.as_str(), key.id, key.fingerprint)?;
        }
        Ok(())
    }
}

/// The reason why a command fails.
#[derive(Debug, thiserror::Error)]
pub enum SealingCommandError {
    /// The keys cannot be read or changed.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The output cannot be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use faceline_shared::keys::Keys;
    use faceline_shared::seal::Purpose;

    use super::*;

    fn run(command: SealingCommand, settings: &Settings) -> Result<Vec<Vec<String>>, SealingCommandError> {
        let mut out = Vec::new();
        command.run(settings, &mut out)?;
        let text = String::from_utf8(out).unwrap();
        Ok(text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect())
    }

    #[test]
    fn a_rotation_has_two_phases_and_drops_no_template_key() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        assert!(run(SealingCommand::List, &settings).is_err(), "there is no file, and none is made");
        let created = run(SealingCommand::Create, &settings).unwrap();
        assert_eq!(run(SealingCommand::Create, &settings).unwrap(), created, "it is not replaced");
        let before = Keys::load(&settings).unwrap();

        let added = run(SealingCommand::Add { ring: None }, &settings).unwrap();
        let ids = |status: &str| -> Vec<String> {
            let lines = run(SealingCommand::List, &settings).unwrap().into_iter();
            lines.filter(|line| line[0] == status).map(|line| line[2].clone()).collect()
        };
        assert_eq!((added.len(), ids("active").len(), ids("opens").len()), (4, 2, 2));
        let read_only = Keys::find(&settings).unwrap();
        assert_eq!(read_only.data.fingerprint(), before.data.fingerprint(), "phase one seals as before");

        for id in ids("opens") {
            run(SealingCommand::Activate { id }, &settings).unwrap();
        }
        let active = Keys::find(&settings).unwrap();
        assert_ne!(active.data.fingerprint(), before.data.fingerprint());
        let sealed = active.data.seal(Purpose::Job, b"", b"plain").unwrap();
        assert!(read_only.data.open(Purpose::Job, b"", &sealed).is_ok());
        assert!(before.data.open(Purpose::Job, b"", &sealed).is_err());

        let [old_data, old_templates] = &ids("opens")[..] else { panic!("two keys only open") };
        run(SealingCommand::Remove { id: old_data.clone() }, &settings).unwrap();
        let refusals = [
            (old_templates.clone(), "templates"),
            (ids("active")[0].clone(), "active"),
            ("nothing".to_owned(), "no key"),
        ];
        for (id, reason) in refusals {
            let error = run(SealingCommand::Remove { id }, &settings).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert_eq!((ids("active").len(), ids("opens").len()), (2, 1));
    }
}
