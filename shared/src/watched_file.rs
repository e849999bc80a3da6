//! Values that are loaded from files, and loaded again when the files change.

use std::fmt::Display;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use prometheus::{IntCounterVec, IntGauge};

use crate::telemetry::Metrics;

/// Interval at which a watched file is read.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Source of a value: one file, or several that belong together, such as a certificate and its key.
pub trait FileSource: Send + Sync + 'static {
    /// Content of the files.
    type Content: Hash;
    /// The value.
    type Value: Send + Sync;
    /// Reason why there is no value. Its text names the file.
    type Error: Display;

    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read.
    fn read(&self) -> Result<Self::Content, Self::Error>;

    /// Makes the value from the content of the files.
    ///
    /// # Errors
    /// The content is not of the right form.
    fn parse(&self, content: &Self::Content) -> Result<Self::Value, Self::Error>;

    /// Called with each value that comes into use, also with the first one.
    fn taken(&self, _value: &Self::Value) {}
}

/// A value from files, which follows their changes while [`WatchedFile::watch`] runs.
///
/// Only the content counts as a change. It does not matter how it changed: in place, by a new file under the same name, or by a
/// link that leads elsewhere, as in a Kubernetes volume. A change is loaded at the second poll that finds it, since the first may
/// have found half a file, or a new certificate beside an old key. If the new content cannot be used, the old value stays.
pub struct WatchedFile<S: FileSource> {
    source: S,
    current: ArcSwap<S::Value>,
    polled: Mutex<Polled>,
    metrics: WatchMetrics,
}

/// Metrics of one watched file.
#[derive(Clone)]
pub struct WatchMetrics {
    name: &'static str,
    reloads: IntCounterVec,
    is_current: IntGauge,
}

/// SHA-256 of a content. The content itself may be a secret, which is not kept longer than its parsing takes.
type ContentDigest = [u8; 32];

/// Result of a poll: the digest of the content, or the reason why it cannot be read.
type Found = Result<ContentDigest, String>;

struct Polled {
    /// Result that was last loaded, or reported as unusable.
    known: Found,
    /// Result of the last poll, if it differs from `known`.
    changed: Option<Found>,
    /// Reason why the present content is not in use.
    error: Option<String>,
}

impl WatchMetrics {
    /// Metrics of the file that `name` calls by its purpose: `accounts`, `certificate`.
    #[must_use]
    pub fn new(metrics: &Metrics, name: &'static str) -> Self {
        let reloads = metrics.counters(
            &format!("faceline_{name}_reloads_total"),
            "Changes of the file, by outcome: `taken`, or `refused` if the new content cannot be used.",
            &["outcome"],
        );
        let is_current = metrics.gauge(
            &format!("faceline_{name}_current"),
            "1 if the content of the file is in use, 0 if it cannot be used and the previous one stays.",
        );
        is_current.set(1);
        Self { name, reloads, is_current }
    }
}

impl Polled {
    /// Records the result of a poll. Returns true once after each change, when two polls in a row have the same result.
    fn is_settled(&mut self, found: Found) -> bool {
        if found == self.known {
            self.changed = None;
            return false;
        }
        if self.changed.as_ref() != Some(&found) {
            self.changed = Some(found);
            return false;
        }
        self.changed = None;
        self.known = found;
        true
    }
}

/// A hasher that computes SHA-256.
struct Sha256Hasher(Context);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the digest has more bits than a hash.
    fn finish(&self) -> u64 {
        0
    }
}

fn digest(content: &impl Hash) -> ContentDigest {
    let mut hasher = Sha256Hasher(Context::new(&SHA256));
    content.hash(&mut hasher);
    let mut digest = [0; 32];
    digest.copy_from_slice(hasher.0.finish().as_ref());
    digest
}

impl<S: FileSource> WatchedFile<S> {
    /// Loads the value for the first time.
    ///
    /// # Errors
    /// As [`FileSource::read`] and [`FileSource::parse`].
    pub fn load(source: S, metrics: WatchMetrics) -> Result<Self, S::Error> {
        let content = source.read()?;
        let value = source.parse(&content)?;
        source.taken(&value);
        Ok(Self {
            source,
            current: ArcSwap::from_pointee(value),
            polled: Mutex::new(Polled { known: Ok(digest(&content)), changed: None, error: None }),
            metrics,
        })
    }

    /// The value from the last usable content.
    #[must_use]
    pub fn current(&self) -> Arc<S::Value> {
        self.current.load_full()
    }

    /// Reason why the present content of the files is not in use, if it is not.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.polled.lock().unwrap_or_else(PoisonError::into_inner).error.clone()
    }

    /// Reads the files once, and loads a change that two polls in a row have found. Blocks the thread.
    pub fn poll(&self) {
        let read = self.source.read().map_err(|error| error.to_string());
        let found = read.as_ref().map(digest).map_err(Clone::clone);
        let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
        if !polled.is_settled(found) {
            return;
        }
        let loaded = read.and_then(|content| self.source.parse(&content).map_err(|error| error.to_string()));
        let file = self.metrics.name;
        self.metrics.is_current.set(loaded.is_ok().into());
        let outcome = match loaded {
            Ok(value) => {
                self.source.taken(&value);
                self.current.store(Arc::new(value));
                polled.error = None;
                tracing::info!(file, "a file has changed, and its new content is in use");
                "taken"
            }
            Err(error) => {
                tracing::error!(
                    file,
                    error,
                    "a file has changed and cannot be used; its previous content stays in use"
                );
                polled.error = Some(error);
                "refused"
            }
        };
        self.metrics.reloads.with_label_values(&[outcome]).inc();
    }

    /// Polls the files until it is dropped, on a thread that may block.
    pub async fn watch(self: Arc<Self>) {
        let mut interval = tokio::time::interval(POLL_INTERVAL);
        loop {
            interval.tick().await;
            let file = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || file.poll()).await {
                tracing::error!(%error, file = self.metrics.name, "a watched file could not be polled");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    /// A file that must not contain `bad`.
    struct Text(PathBuf);

    impl FileSource for Text {
        type Content = String;
        type Value = String;
        type Error = String;

        fn read(&self) -> Result<String, String> {
            fs::read_to_string(&self.0).map_err(|error| format!("{:?}", error.kind()))
        }

        fn parse(&self, content: &String) -> Result<String, String> {
            if content == "bad" { Err("bad content".into()) } else { Ok(content.clone()) }
        }
    }

    struct Watched {
        file: WatchedFile<Text>,
        metrics: Metrics,
    }

    impl Watched {
        fn new(path: PathBuf) -> Self {
            let metrics = Metrics::new();
            let file = WatchedFile::load(Text(path), WatchMetrics::new(&metrics, "text")).unwrap();
            Self { file, metrics }
        }

        /// Polls once. Returns the value, and how many changes were taken and refused so far.
        fn poll(&self) -> (String, u64, u64) {
            self.file.poll();
            let count = |outcome| self.file.metrics.reloads.with_label_values(&[outcome]).get();
            ((*self.file.current()).clone(), count("taken"), count("refused"))
        }
    }

    #[test]
    fn a_change_is_told_once_when_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let watched = Watched::new(path.clone());
        assert_eq!(watched.poll(), ("one".into(), 0, 0));

        fs::write(&path, "").unwrap();
        assert_eq!(watched.poll(), ("one".into(), 0, 0), "it may be half a file");
        fs::write(&path, "two").unwrap();
        assert_eq!(watched.poll(), ("one".into(), 0, 0));
        assert_eq!(watched.poll(), ("two".into(), 1, 0));
        assert_eq!(watched.poll(), ("two".into(), 1, 0));

        fs::remove_file(&path).unwrap();
        assert_eq!(watched.poll(), ("two".into(), 1, 0));
        assert_eq!(watched.poll(), ("two".into(), 1, 1));
        assert_eq!(watched.poll(), ("two".into(), 1, 1), "it was told already");
        assert_eq!(watched.file.error().as_deref(), Some("NotFound"));
        assert!(watched.metrics.encode().contains("faceline_text_current 0\n"));
        fs::write(&path, "two").unwrap();
        assert_eq!([watched.poll().1, watched.poll().1], [1, 2]);
        assert_eq!(watched.file.error(), None);
        assert!(watched.metrics.encode().contains("faceline_text_current 1\n"));
    }

    #[test]
    fn a_change_that_cannot_be_used_leaves_the_value_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let watched = Watched::new(path.clone());
        fs::write(&path, "bad").unwrap();
        for refused in [0, 1, 1] {
            assert_eq!(watched.poll(), ("one".into(), 0, refused));
        }
        assert_eq!(watched.file.error().as_deref(), Some("bad content"));
    }

    #[test]
    fn a_change_that_is_taken_back_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let watched = Watched::new(path.clone());
        for text in ["two", "one", "two", "one"] {
            fs::write(&path, text).unwrap();
            assert_eq!(watched.poll(), ("one".into(), 0, 0));
        }
    }

    /// `file -> ..data/file`, `..data -> one`, as in a mounted ConfigMap or Secret; an update swaps `..data`.
    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["one", "two"] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("file"), name).unwrap();
        }
        symlink("one", at("..data")).unwrap();
        symlink("..data/file", at("file")).unwrap();
        let watched = Watched::new(at("file"));
        assert_eq!(watched.poll().0, "one");
        symlink("two", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_eq!([watched.poll().0, watched.poll().0], ["one", "two"]);
    }
}
