//! Shared parts of a test's gateways: a store in a file, pictures in memory, a broker, and keys.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use faceline_gateway::families::biometric::template::TemplateCodec;
use faceline_gateway_store::embedded::EmbeddedStore;
use faceline_gateway_store::idempotency::{Claim, ClaimRequest, IdempotencyStore};
use faceline_gateway_store::outbox::{Lane, LeasedRow, ListedRow, NewRow, OutboxStore};
use faceline_gateway_store::redis::RedisStore;
use faceline_gateway_store::sealed::SealedStores;
use faceline_gateway_store::sessions::{
    Deletion, FaceLookup, Insertion, ReplayChange, ReplayLookup, ReplayOutcome, SessionName, SessionStore,
    StoredReplay, StoredSession,
};
use faceline_gateway_store::{ClientBounds, ClientUsage, StoreError, StoreHealth};
use faceline_shared::broker::{self, BrokerSettings, SharedBroker};
use faceline_shared::object::{ObjectError, ObjectStore, ObjectStream, ObjectUpload, SealedObjects};
use faceline_shared::seal::{KeyRing, KeyRingFile};
use faceline_shared::settings::{ClientTls, Settings};
use faceline_shared::testkit::Redis;
use futures_util::stream;
use tempfile::TempDir;
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

/// The stores of one installation.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) store: faceline_gateway_store::Stores,
    pub(crate) objects: Arc<Objects>,
    pub(crate) broker: SharedBroker,
    pub(crate) data_keys: KeyRingFile,
    pub(crate) template_keys: KeyRingFile,
    pub(crate) folder: Arc<TempDir>,
}

impl Stores {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            store: faceline_gateway_store::Stores::of(EmbeddedStore::open(folder.path()).unwrap()),
            objects: Arc::default(),
            broker: broker::open(&BrokerSettings::default()).unwrap(),
            data_keys: KeyRingFile::generate().unwrap(),
            template_keys: KeyRingFile::generate().unwrap(),
            folder: Arc::new(folder),
        }
    }

    pub(crate) fn ring(&self) -> KeyRing {
        KeyRing::try_from(&self.data_keys).unwrap()
    }

    pub(crate) fn records(&self) -> SealedStores {
        SealedStores::new(self.store.clone(), self.ring())
    }

    pub(crate) fn sealed_objects(&self) -> SealedObjects {
        SealedObjects::new(self.objects.clone(), self.ring())
    }

    pub(crate) fn objects(&self) -> Arc<dyn ObjectStore> {
        self.objects.clone()
    }

    pub(crate) fn templates(&self) -> TemplateCodec {
        TemplateCodec::new(KeyRing::try_from(&self.template_keys).unwrap())
    }

    /// Writes the keys of these stores to the key file of `settings`.
    pub(crate) fn write_keys(&self, settings: &Settings) {
        let rings = BTreeMap::from([("data", &self.data_keys), ("templates", &self.template_keys)]);
        let mut options = std::fs::OpenOptions::new();
        let path = settings.data_dir.join("keys.toml");
        let mut file = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
        file.write_all(toml::to_string(&rings).unwrap().as_bytes()).unwrap();
    }

    /// The same stores with a session store and a broker that other processes may use, too.
    pub(crate) fn shared(&self, redis: &Redis, broker: &BrokerSettings) -> Self {
        let store = RedisStore::new(&redis.url(), &ClientTls::default()).unwrap();
        Self {
            store: faceline_gateway_store::Stores::of(store),
            broker: broker::open(broker).unwrap(),
            ..self.clone()
        }
    }

    /// The keys of all stored pictures.
    pub(crate) fn pictures(&self) -> Vec<String> {
        self.objects.kept.lock().unwrap().keys().cloned().collect()
    }

    /// The bytes of the session store's file.
    pub(crate) fn raw(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("sessions.redb")).unwrap()
    }

    /// The same stores with a session store that always fails.
    pub(crate) fn broken(&self, fault: fn() -> StoreError) -> Self {
        Self { store: faceline_gateway_store::Stores::of(Broken(fault)), ..self.clone() }
    }
}

/// Objects in memory, which can be made unreachable.
pub(crate) struct Objects {
    /// An object takes a permit before it is put.
    pub(crate) puts: Semaphore,
    /// Notified when an object is to be put.
    pub(crate) put_begun: Notify,
    pub(crate) kept: Arc<Mutex<BTreeMap<String, Bytes>>>,
    pub(crate) away: Arc<AtomicBool>,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            puts: Semaphore::new(Semaphore::MAX_PERMITS),
            put_begun: Notify::new(),
            kept: Arc::default(),
            away: Arc::default(),
        }
    }
}

impl Objects {
    fn reach(&self) -> Result<std::sync::MutexGuard<'_, BTreeMap<String, Bytes>>, ObjectError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(ObjectError::Unreachable("away".into()));
        }
        Ok(self.kept.lock().unwrap())
    }
}

/// An object that is being uploaded to memory.
struct Upload {
    key: String,
    bytes: BytesMut,
    kept: Arc<Mutex<BTreeMap<String, Bytes>>>,
    away: Arc<AtomicBool>,
}

#[async_trait]
impl ObjectUpload for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(ObjectError::Unreachable("away".into()));
        }
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), ObjectError> {
        self.write(Bytes::new()).await?;
        self.kept.lock().unwrap().insert(self.key, self.bytes.freeze());
        Ok(())
    }
}

#[async_trait]
impl ObjectStore for Objects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.put_begun.notify_one();
        self.puts.acquire().await.unwrap().forget();
        self.reach()?.insert(key.to_owned(), bytes);
        Ok(())
    }

    async fn begin_upload(&self, key: &str, _: Option<&str>) -> Result<Box<dyn ObjectUpload>, ObjectError> {
        drop(self.reach()?);
        let (kept, away) = (Arc::clone(&self.kept), Arc::clone(&self.away));
        Ok(Box::new(Upload { key: key.to_owned(), bytes: BytesMut::new(), kept, away }))
    }

    async fn open(&self, key: &str) -> Result<Option<ObjectStream>, ObjectError> {
        let Some(bytes) = self.get(key).await? else { return Ok(None) };
        let pieces: Vec<_> = bytes.chunks(100_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Ok(Some(ObjectStream::new(bytes.len() as u64, stream::iter(pieces))))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        Ok(self.reach()?.get(key).cloned())
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.reach()?.remove(key);
        Ok(())
    }

    async fn delete_all(&self, prefix: &str) -> Result<usize, ObjectError> {
        let mut kept = self.reach()?;
        let before = kept.len();
        kept.retain(|key, _| !key.starts_with(&format!("{prefix}/")));
        Ok(before - kept.len())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let kept = self.reach()?;
        Ok(kept.keys().filter(|key| key.starts_with(&format!("{prefix}/"))).cloned().collect())
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let below = self.list(prefix).await?;
        let names = below.iter().filter_map(|key| key[prefix.len() + 1..].split_once('/'));
        let names: std::collections::BTreeSet<_> = names.map(|(folder, _)| folder.to_owned()).collect();
        Ok(names.into_iter().collect())
    }

    async fn check(&self) -> Result<(), ObjectError> {
        self.reach().map(|_| ())
    }
}

/// A store that always fails.
struct Broken(fn() -> StoreError);

#[async_trait]
impl SessionStore for Broken {
    async fn create(
        &self,
        _: &SessionName,
        _: Bytes,
        _: Duration,
        _: NewRow,
        _: &ClientBounds,
    ) -> Result<(), StoreError> {
        Err(self.0())
    }

    async fn keep_owner(&self, _: Uuid, _: Bytes, _: Duration) -> Result<(), StoreError> {
        Err(self.0())
    }

    async fn owner(&self, _: Uuid) -> Result<Option<Bytes>, StoreError> {
        Err(self.0())
    }

    async fn session(&self, _: &SessionName) -> Result<Option<StoredSession>, StoreError> {
        Err(self.0())
    }

    async fn delete(&self, _: &SessionName, _: NewRow) -> Result<Deletion, StoreError> {
        Err(self.0())
    }

    async fn replay(&self, _: &SessionName) -> Result<ReplayLookup<StoredReplay>, StoreError> {
        Err(self.0())
    }

    async fn change_replay(
        &self,
        _: &SessionName,
        _: ReplayChange,
        _: &ClientBounds,
    ) -> Result<ReplayOutcome, StoreError> {
        Err(self.0())
    }

    async fn add_face(
        &self,
        _: &SessionName,
        _: Uuid,
        _: Bytes,
        _: usize,
        _: &ClientBounds,
    ) -> Result<Insertion, StoreError> {
        Err(self.0())
    }

    async fn face(&self, _: &SessionName, _: Uuid) -> Result<FaceLookup<Bytes>, StoreError> {
        Err(self.0())
    }

    async fn faces(&self, _: &SessionName) -> Result<Option<Vec<(Uuid, Bytes)>>, StoreError> {
        Err(self.0())
    }

    async fn delete_faces(
        &self,
        _: &SessionName,
        _: &[Uuid],
        _: Option<NewRow>,
    ) -> Result<Option<usize>, StoreError> {
        Err(self.0())
    }

    async fn client_usage(&self, _: &str) -> Result<ClientUsage, StoreError> {
        Err(self.0())
    }
}

#[async_trait]
impl OutboxStore for Broken {
    async fn enqueue(&self, _: Lane, _: NewRow) -> Result<(), StoreError> {
        Err(self.0())
    }

    async fn finish_all(&self, _: Lane, _: &[LeasedRow]) -> Result<usize, StoreError> {
        Err(self.0())
    }

    async fn lease(&self, _: Lane, _: usize, _: Duration) -> Result<Vec<LeasedRow>, StoreError> {
        Err(self.0())
    }

    async fn finish(&self, _: &LeasedRow) -> Result<bool, StoreError> {
        Err(self.0())
    }

    async fn postpone(&self, _: &LeasedRow, _: Duration, _: Option<Bytes>) -> Result<bool, StoreError> {
        Err(self.0())
    }

    async fn list(&self, _: Lane, _: usize) -> Result<Vec<ListedRow>, StoreError> {
        Err(self.0())
    }

    async fn transfer(&self, _: Uuid, _: Lane, _: Lane, _: Duration) -> Result<bool, StoreError> {
        Err(self.0())
    }

    async fn remove(&self, _: Lane, _: Uuid) -> Result<bool, StoreError> {
        Err(self.0())
    }

    async fn depth(&self, _: Lane) -> Result<u64, StoreError> {
        Err(self.0())
    }
}

#[async_trait]
impl IdempotencyStore for Broken {
    async fn claim(&self, _: &ClaimRequest, _: &ClientBounds) -> Result<Claim<Bytes>, StoreError> {
        Err(self.0())
    }

    async fn complete(&self, _: &ClaimRequest, _: Bytes) -> Result<bool, StoreError> {
        Err(self.0())
    }

    async fn release(&self, _: &ClaimRequest) -> Result<bool, StoreError> {
        Err(self.0())
    }
}

#[async_trait]
impl StoreHealth for Broken {
    async fn check(&self) -> Result<(), StoreError> {
        Err(self.0())
    }
}
