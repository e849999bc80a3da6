//! Every operation, tried without a credential, with a wrong one, without the permission, on what belongs to another
//! client, and rightly; on both stores.

use base64_simd::STANDARD;
use faceline_gateway::accounts::Permission;
use faceline_gateway::http::{OPERATIONS, Operation};
use faceline_shared::seal::{KeyRing, Purpose};
use faceline_shared::testkit::Redis;
use uuid::Uuid;

use crate::bws;
use crate::client::{Answer, send};
use crate::contract::probes::{self, Probe};
use crate::gateway::Gateway;
use crate::stores::Stores;
use crate::workers::Workers;

/// What an operation asks of its callers.
struct Row {
    operation: &'static str,
    /// None of what is for everybody.
    permission: Option<Permission>,
    /// Requests that are answered well.
    probes: &'static [&'static str],
    /// By this.
    right: u16,
    /// Whether something of a client is named in the path.
    of: Of,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Of {
    Nobody,
    Session,
    Face,
}

const fn public(operation: &'static str) -> Row {
    Row { operation, permission: None, probes: &[], right: 200, of: Of::Nobody }
}

const fn row(
    operation: &'static str,
    permission: Permission,
    probes: &'static [&'static str],
    right: u16,
    of: Of,
) -> Row {
    Row { operation, permission: Some(permission), probes, right, of }
}

const ROWS: &[Row] = &[
    public("livez"),
    public("readyz"),
    public("jwks"),
    public("signing_certificate"),
    public("openapi"),
    // The page behind the redirection has tests of its own.
    Row { right: 308, ..public("docs") },
    row("capabilities", Permission::CapabilitiesRead, &["GetCapabilities"], 200, Of::Nobody),
    row("create_face", Permission::FacesCreate, &["CreateDirectFaceFromImage"], 200, Of::Nobody),
    row("match_images", Permission::Match, &["ImagesMatch"], 200, Of::Nobody),
    row("match", Permission::Match, &["Match"], 200, Of::Nobody),
    row("create_age", Permission::AgesCreate, &["CreateDirectAgeFromImage"], 200, Of::Nobody),
    row("create_session", Permission::SessionsCreate, &["CreateBioSession"], 201, Of::Nobody),
    row("get_session", Permission::SessionsRead, &["GetBioSession"], 200, Of::Session),
    row("delete_session", Permission::SessionsDelete, &["DeleteBioSession"], 204, Of::Session),
    row(
        "create_session_face",
        Permission::FacesCreate,
        &["CreateFaceFromImage", "CreateFaceFromJson"],
        201,
        Of::Session,
    ),
    row("get_session_faces", Permission::FacesRead, &["GetFaces"], 200, Of::Session),
    row("delete_session_faces", Permission::FacesDelete, &["DeleteFaces"], 204, Of::Session),
    row("get_session_face", Permission::FacesRead, &["GetFace"], 200, Of::Face),
    row("delete_session_face", Permission::FacesDelete, &["DeleteFace"], 204, Of::Face),
    row("get_session_face_image", Permission::FacesRead, &["GetFaceImage"], 200, Of::Face),
    row("get_session_matches", Permission::Match, &["GetMatches"], 200, Of::Face),
    row("face_liveness", Permission::LivenessDetect, &["FaceLiveness"], 200, Of::Nobody),
    // Those of BWS have requests of their own.
    row("liveness_detection", Permission::LivenessDetect, &[], 200, Of::Nobody),
    row("photo_verify", Permission::PhotosVerify, &[], 200, Of::Nobody),
    row("video_liveness_detection", Permission::LivenessDetect, &[], 501, Of::Nobody),
];

#[test]
fn every_operation_has_a_row() {
    let mut rows: Vec<_> = ROWS.iter().map(|row| row.operation).collect();
    let mut operations: Vec<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
    rows.sort_unstable();
    operations.sort_unstable();
    // One operation may have several paths.
    operations.dedup();
    assert_eq!(rows, operations);
}

#[tokio::test]
async fn on_the_embedded_store() {
    try_all(Stores::new()).await;
}

#[tokio::test]
async fn on_redis() {
    let redis = Redis::start().await;
    let stores = Stores::new();
    let shared = faceline_gateway_store::open(&redis.url().parse().unwrap(), stores.folder.path()).unwrap();
    try_all(Stores { store: shared, ..stores }).await;
}

/// The hash of the password `demo`.
const PASSWORD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$JsGMAy5peW7p/CCBXhSwQA$BYjvNOxwrBO2ogqt5hp2gxX4WLKBwzaHYREpAyaEnMw";

/// One client has the keys `all`, and `only …` and `not …` for each permission; another one has `other`. Each is the name of
/// an API key and of a user; `only …` and `not …` are those of BWS clients, too, and their own secrets.
fn accounts(ring: &KeyRing) -> String {
    let bws = |id: &str, permissions: &[&str]| {
        let place = format!("accounts\none\nbws {id}");
        let sealed = ring.seal(Purpose::Account, place.as_bytes(), id.as_bytes()).unwrap();
        let sealed = STANDARD.encode_to_string(sealed);
        format!(
            "[[clients.keys]]\nid = 'bws {id}'\nsecret = {{ bws = {{ client_id = '{id}', sealed_key = '{sealed}' }} }}\npermissions = {permissions:?}\n"
        )
    };
    let key = |id: &str, permissions: &[Permission]| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, id.as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let permissions: Vec<_> = permissions.iter().map(|permission| permission.as_str()).collect();
        let user = probes::user(id);
        let secrets = [
            ("", format!("api_key_sha256 = '{digest}'")),
            (" basic", format!("basic = {{ user = '{user}', password_argon2id = '{PASSWORD}' }}")),
        ];
        secrets
            .map(|(kind, secret)| {
                format!(
                    "[[clients.keys]]\nid = '{id}{kind}'\nsecret = {{ {secret} }}\npermissions = {permissions:?}\n"
                )
            })
            .concat()
    };
    let mut text = format!("[[clients]]\nname = 'one'\n{}", key("all", &Permission::ALL));
    for permission in Permission::ALL {
        let others: Vec<_> = Permission::ALL.into_iter().filter(|other| *other != permission).collect();
        text += &key(&format!("only {}", permission.as_str()), &[permission]);
        text += &key(&format!("not {}", permission.as_str()), &others);
        let others: Vec<_> = others.iter().map(|other| other.as_str()).collect();
        text += &bws(&format!("only {}", permission.as_str()), &[permission.as_str()]);
        text += &bws(&format!("not {}", permission.as_str()), &others);
    }
    text + &format!("[[clients]]\nname = 'two'\n{}", key("other", &Permission::ALL))
}

/// Something of a client: a session and a face in it, with its picture.
struct Stock {
    session: Uuid,
    face: Uuid,
    json: String,
}

impl Stock {
    async fn of(gateway: &Gateway, key: &str) -> Self {
        let id = |answer: &Answer| {
            let (_, id) = answer.header("location").unwrap().rsplit_once('/').unwrap();
            id.parse::<Uuid>().unwrap()
        };
        let headers = [("apikey", key), ("Content-Type", "application/json")];
        let line = "POST /bioserver-app/v2/bio-sessions";
        let created = send(gateway.address, line, &headers, br#"{"imageStorageEnabled":true}"#).await;
        let mut stock = Self { session: id(&created), face: Uuid::nil(), json: String::new() };
        stock.face = id(&stock.probe("CreateFaceFromImage").send(gateway, Some(key)).await);
        stock.json = stock.probe("GetFace").send(gateway, Some(key)).await.body;
        stock
    }

    fn probe(&self, name: &str) -> Probe {
        let all = probes::direct(&self.json)
            .into_iter()
            .chain(probes::within(self.session, self.face, &self.json))
            .chain([probes::create_session(), probes::capabilities(), probes::face_liveness()]);
        all.into_iter().find(|probe| probe.operation == name).unwrap()
    }

    /// All that its owner sees of it.
    async fn seen(&self, gateway: &Gateway, key: &str) -> Vec<(u16, String)> {
        let mut seen = Vec::new();
        for name in ["GetBioSession", "GetFaces", "GetFace", "GetFaceImage"] {
            let answer = self.probe(name).send(gateway, Some(key)).await;
            seen.push((answer.status, answer.body));
        }
        seen
    }
}

async fn try_all(stores: Stores) {
    let file = stores.folder.path().join("accounts.toml");
    std::fs::write(&file, accounts(&stores.ring())).unwrap();
    let gateway = Gateway::over(stores, Workers::able(), |config| {
        config.accounts.file = Some(file);
        config.limits.failed_logins = 1000;
    })
    .await;
    for row in ROWS {
        let operation = OPERATIONS.iter().find(|operation| operation.name == row.operation).unwrap();
        match row.permission {
            None => try_public(&gateway, operation, row.right).await,
            Some(permission) if row.probes.is_empty() => {
                bws::try_operation(&gateway, operation, permission, row.right).await;
            }
            Some(permission) => {
                for name in row.probes {
                    try_probe(&gateway, operation, row, permission, name).await;
                }
            }
        }
    }
}

async fn try_public(gateway: &Gateway, operation: &Operation, right: u16) {
    let line = format!("{} {}", operation.method, operation.path);
    assert_eq!(send(gateway.address, &line, &[], b"").await.status, right, "{line}");
    let wrong = send(gateway.address, &line, &[("apikey", "wrong")], b"").await;
    assert_eq!(wrong.status, right, "{line}");
}

async fn try_probe(gateway: &Gateway, operation: &Operation, row: &Row, permission: Permission, name: &str) {
    let (own, others) = (Stock::of(gateway, "all").await, Stock::of(gateway, "other").await);
    assert!(is_of(&own.probe(name), operation), "{name} is no request for {}", operation.name);
    let before = (own.seen(gateway, "all").await, others.seen(gateway, "other").await);
    assert!(before.0.iter().chain(&before.1).all(|(status, _)| *status == 200), "{before:?}");
    let jobs = gateway.workers.jobs.lock().unwrap().len();

    let (only, not) = (format!("only {}", permission.as_str()), format!("not {}", permission.as_str()));
    for (key, status) in [(None, 401), (Some("wrong"), 401), (Some(not.as_str()), 403)] {
        let probe = own.probe(name);
        let refused = probe.send(gateway, key).await;
        assert_eq!(probe.refused(&refused), status, "{name} with {key:?}");
    }
    if row.of != Of::Nobody {
        let crossed = own.probe(name).send(gateway, Some("other")).await;
        assert_eq!(crossed.error(), (404, "Session not found".into()), "{name}");
    }
    if row.of == Of::Face {
        // The face of one client under the session of another, from both sides.
        let mixed = Stock { session: others.session, face: own.face, json: own.json.clone() };
        for (key, message) in [("other", "Face not found"), ("all", "Session not found")] {
            let crossed = mixed.probe(name).send(gateway, Some(key)).await;
            assert_eq!(crossed.error(), (404, message.into()), "{name} with {key}");
        }
    }
    assert_eq!(gateway.workers.jobs.lock().unwrap().len(), jobs, "{name} made a job");
    let after = (own.seen(gateway, "all").await, others.seen(gateway, "other").await);
    assert_eq!(after, before, "{name}");

    assert_eq!(own.probe(name).send(gateway, Some(&only)).await.status, row.right, "{name} with {only}");
}

/// Whether a request is one for this operation.
fn is_of(probe: &Probe, operation: &Operation) -> bool {
    let (method, path) = probe.line.split_once(' ').unwrap();
    let (path, pattern) = (path.split('/'), operation.path.split('/'));
    method == operation.method
        && path.clone().count() == pattern.clone().count()
        && path.zip(pattern).all(|(part, pattern)| part == pattern || pattern.starts_with('{'))
}
