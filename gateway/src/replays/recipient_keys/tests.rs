//! Tests of the keys for uploads.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

const PLAIN: &[u8] = b"metadata";

struct Installation {
    settings: Settings,
    _folder: TempDir,
}

impl Installation {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        Self { settings, _folder: folder }
    }

    fn load(&self) -> RecipientKeys {
        RecipientKeys::load(&self.settings, &Metrics::new()).unwrap()
    }

    fn run(&self, command: ReplayKeysCommand) -> Result<Vec<(String, String)>, ReplayKeysCommandError> {
        let mut out = Vec::new();
        command.run(&self.settings, &mut out)?;
        let column = |line: &str, at| line.split_whitespace().nth(at).unwrap().to_owned();
        Ok(String::from_utf8(out).unwrap().lines().map(|line| (column(line, 0), column(line, 1))).collect())
    }

    fn rotate(&self, now: bool) -> Vec<(String, String)> {
        self.run(ReplayKeysCommand::Rotate { now }).unwrap()
    }

    fn remove(&self, id: &str) -> Result<Vec<(String, String)>, ReplayKeysCommandError> {
        self.run(ReplayKeysCommand::Remove { id: id.to_owned() })
    }
}

fn statuses(keys: &[(String, String)]) -> Vec<&str> {
    keys.iter().map(|(status, _)| status.as_str()).collect()
}

fn sealed_for(certificate: &str) -> String {
    jwe::seal(PLAIN, &STANDARD.decode_to_vec(certificate).unwrap()).unwrap()
}

#[test]
fn the_first_start_makes_a_key_which_the_others_share() {
    let installation = Installation::new();
    let (one, two) = (installation.load(), installation.load());
    assert_eq!(one.certificates().len(), 1);
    assert_eq!(one.certificates(), two.certificates());
    assert_eq!(two.open(&sealed_for(&one.certificates()[0])).as_deref(), Ok(PLAIN));
    let path = installation.settings.data_dir.join("replay.toml");
    assert!(!faceline_shared::secret_file::is_readable_by_others(&path).unwrap());
}

#[test]
fn a_file_that_the_settings_name_is_not_made() {
    let mut installation = Installation::new();
    installation.settings.replay.keys_file = Some(installation.settings.data_dir.join("mine.toml"));
    let error = RecipientKeys::load(&installation.settings, &Metrics::new()).err().unwrap();
    assert!(matches!(error, RecipientKeyError::File(_)), "{error}");
    installation.rotate(false);
    assert_eq!(installation.load().certificates().len(), 1, "the only key is offered at once");
}

#[test]
fn a_new_key_opens_before_it_is_offered_and_the_previous_one_afterwards() {
    let installation = Installation::new();
    let first = installation.load().certificates();
    assert_eq!(statuses(&installation.rotate(false)), ["next", "active"]);
    let announced = installation.load();
    assert_eq!(announced.certificates(), first);
    let next = &announced.keys.current().keys()[0].certificate().to_vec();
    assert_eq!(announced.open(&jwe::seal(PLAIN, next).unwrap()).as_deref(), Ok(PLAIN));

    assert_eq!(statuses(&installation.rotate(true)), ["next", "active", "previous"]);
    let rotated = installation.load();
    let certificates = rotated.certificates();
    assert_eq!((certificates.len(), &certificates[1]), (2, &first[0]));
    for certificate in &certificates {
        assert_eq!(rotated.open(&sealed_for(certificate)).as_deref(), Ok(PLAIN));
    }
}

#[test]
fn a_removed_key_opens_nothing_and_the_last_one_in_use_stays() {
    let installation = Installation::new();
    let first = installation.load().certificates();
    let [(_, id)] = &installation.run(ReplayKeysCommand::List).unwrap()[..] else { panic!() };
    installation.rotate(false);
    let error = installation.remove(id).unwrap_err();
    assert!(matches!(error, ReplayKeysCommandError::Keys(RecipientKeyError::OnlyOne)), "{error}");
    let error = installation.remove("x").unwrap_err();
    assert!(matches!(error, ReplayKeysCommandError::Keys(RecipientKeyError::Unknown(_))), "{error}");
    installation.rotate(true);
    assert_eq!(statuses(&installation.remove(id).unwrap()), ["next", "active"]);
    assert_eq!(installation.load().open(&sealed_for(&first[0])), Err(JweError));
}

#[tokio::test]
async fn a_changed_file_is_read_again() {
    let installation = Installation::new();
    let keys = Arc::new(installation.load());
    let watching = tokio::spawn(Arc::clone(&keys).watch());
    installation.rotate(true);
    let changed = async {
        while keys.certificates().len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), changed).await.expect("the file is not read again");
    watching.abort();
}

#[test]
fn keys_that_cannot_be_used_are_refused_without_showing_them() {
    let installation = Installation::new();
    installation.load();
    let path = installation.settings.data_dir.join("replay.toml");
    let good = fs::read_to_string(&path).unwrap();
    let other = {
        let other = Installation::new();
        other.load();
        fs::read_to_string(other.settings.data_dir.join("replay.toml")).unwrap()
    };
    let certificate = |text: &str| {
        let start = text.find("-----BEGIN CERT").unwrap();
        text[start..text.find("-----END CERT").unwrap()].to_owned()
    };
    for (text, reason) in [
        (good.replace(&certificate(&good), &certificate(&other)), "belongs to another key"),
        (good.replace("BEGIN PRIVATE", "BEGIN EC PRIVATE"), "not PEM of a PKCS #8"),
        (good.replace("BEGIN CERT", "BEGIN XCERT"), "certificate is not PEM"),
        (format!("secret = \"hidden\"\n{good}"), "not of the form"),
        (String::new(), "has no key"),
    ] {
        let error = RecipientKeyFile::of(&installation.settings).parse(&text).err().unwrap().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(!error.contains("hidden") && !error.contains("MI"), "{error}");
    }
}
