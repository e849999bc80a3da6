//! Tests of every operation of the table, on both stores: without a credential, with a wrong one, without the
//! permission, with resources of another client, and with everything right.

use base64_simd::STANDARD;
use faceline_gateway::accounts::Permission;
use faceline_gateway::http::operations::{self, Access, MakesJob, Operation};
use faceline_shared::seal::{KeyRing, Purpose};
use faceline_shared::settings::StoreUrl;
use faceline_shared::testkit::Redis;
use uuid::Uuid;

use crate::bws;
use crate::client::{Answer, send};
use crate::contract::probes::{self, Probe};
use crate::gateway::Gateway;
use crate::stores::Stores;
use crate::workers::Workers;

/// An operation, the requests that test it, and the access that it must require.
struct Row {
    operation: &'static Operation,
    access: Access,
    tried: Tried,
    /// The status of a valid request.
    right: u16,
    /// The kind of resource that the path names, if any.
    of: Of,
}

/// The valid requests of an operation.
#[derive(Clone, Copy)]
enum Tried {
    /// A request without a body to this path.
    At(&'static str),
    /// The probes with these names.
    Probes(&'static [&'static str]),
    /// The JSON of BWS.
    BwsRest,
    /// The messages of BWS.
    BwsGrpc,
    /// None: the tests in `bws/health.rs` cover the operation without a credential.
    InHealthTests,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Of {
    Nobody,
    Session,
    Face,
}

const fn public(operation: &'static Operation) -> Row {
    public_at(operation, operation.path)
}

const fn public_at(operation: &'static Operation, path: &'static str) -> Row {
    Row { operation, access: Access::Public, tried: Tried::At(path), right: 200, of: Of::Nobody }
}

const fn in_health_tests(operation: &'static Operation) -> Row {
    Row { tried: Tried::InHealthTests, ..public(operation) }
}

const fn row(
    operation: &'static Operation,
    permission: Permission,
    probes: &'static [&'static str],
    right: u16,
    of: Of,
) -> Row {
    Row { operation, access: Access::Permission(permission), tried: Tried::Probes(probes), right, of }
}

/// An operation that capture pages may call, too. `upload::session_id` tests it with only the id of a session.
const fn page(operation: &'static Operation, permission: Permission, probes: &'static [&'static str]) -> Row {
    Row {
        access: Access::PermissionOrCapturePage(permission),
        ..row(operation, permission, probes, 200, Of::Session)
    }
}

/// An operation that devices may call, too.
const fn device(
    operation: &'static Operation,
    permission: Permission,
    probes: &'static [&'static str],
) -> Row {
    Row {
        access: Access::PermissionOrCaptureToken(permission),
        ..row(operation, permission, probes, 200, Of::Session)
    }
}

const fn bws(operation: &'static Operation, permission: Permission, tried: Tried, right: u16) -> Row {
    Row { operation, access: Access::Permission(permission), tried, right, of: Of::Nobody }
}

static ROWS: &[Row] = &[
    public(&operations::LIVEZ),
    public(&operations::READYZ),
    public(&operations::JWKS),
    public(&operations::SIGNING_CERTIFICATE),
    public(&operations::OPENAPI),
    Row { right: 308, ..public(&operations::DOCS_WITHOUT_SLASH) },
    public(&operations::DOCS),
    public_at(&operations::DOCS_FILE, "/docs/start.js"),
    in_health_tests(&operations::GRPC_HEALTH_CHECK),
    in_health_tests(&operations::GRPC_HEALTH_WATCH),
    in_health_tests(&operations::GRPC_REFLECTION),
    in_health_tests(&operations::GRPC_REFLECTION_ALPHA),
    row(&operations::CAPABILITIES, Permission::CapabilitiesRead, &["GetCapabilities"], 200, Of::Nobody),
    row(&operations::CREATE_FACE, Permission::FacesCreate, &["CreateDirectFaceFromImage"], 200, Of::Nobody),
    row(&operations::MATCH_IMAGES, Permission::Match, &["ImagesMatch"], 200, Of::Nobody),
    row(&operations::MATCH, Permission::Match, &["Match"], 200, Of::Nobody),
    row(&operations::CREATE_AGE, Permission::AgesCreate, &["CreateDirectAgeFromImage"], 200, Of::Nobody),
    row(&operations::CREATE_SESSION, Permission::SessionsCreate, &["CreateBioSession"], 201, Of::Nobody),
    row(&operations::GET_SESSION, Permission::SessionsRead, &["GetBioSession"], 200, Of::Session),
    row(&operations::DELETE_SESSION, Permission::SessionsDelete, &["DeleteBioSession"], 204, Of::Session),
    row(
        &operations::CREATE_SESSION_FACE,
        Permission::FacesCreate,
        &["CreateFaceFromImage", "CreateFaceFromJson"],
        201,
        Of::Session,
    ),
    row(&operations::GET_SESSION_FACES, Permission::FacesRead, &["GetFaces"], 200, Of::Session),
    row(&operations::DELETE_SESSION_FACES, Permission::FacesDelete, &["DeleteFaces"], 204, Of::Session),
    row(&operations::GET_SESSION_FACE, Permission::FacesRead, &["GetFace"], 200, Of::Face),
    row(&operations::DELETE_SESSION_FACE, Permission::FacesDelete, &["DeleteFace"], 204, Of::Face),
    row(&operations::GET_SESSION_FACE_IMAGE, Permission::FacesRead, &["GetFaceImage"], 200, Of::Face),
    row(&operations::GET_SESSION_MATCHES, Permission::Match, &["GetMatches"], 200, Of::Face),
    row(&operations::INIT_REPLAY, Permission::ReplaysCreate, &["InitLivenessParameters"], 200, Of::Session),
    page(&operations::GET_REPLAY_PARAMETERS, Permission::ReplaysRead, &["GetLivenessParameters"]),
    page(&operations::GET_REPLAY_STATUS, Permission::ReplaysRead, &["GetReplayStatus"]),
    device(&operations::GET_REPLAY_STATUS_V2, Permission::ReplaysRead, &["GetReplayStatusV2"]),
    // The tests of uploads cover accepted requests.
    Row { right: 400, ..page(&operations::UPLOAD_REPLAY, Permission::ReplaysUpload, &["UploadReplay"]) },
    row(&operations::INIT_WEB_CAPTURE, Permission::ReplaysCreate, &["InitLivenessSession"], 201, Of::Nobody),
    row(
        &operations::GET_CHALLENGE_RESULT,
        Permission::ReplaysRead,
        &["GetChallengeResult"],
        200,
        Of::Session,
    ),
    row(
        &operations::GET_CHALLENGE_RESULT_OF_MODE,
        Permission::ReplaysRead,
        &["GetChallengeResultOfMode"],
        200,
        Of::Session,
    ),
    public(&operations::VIDEO_CAPABILITIES),
    public(&operations::VIDEO_CAPABILITIES_UNVERSIONED),
    public(&operations::VIDEO_MONITOR),
    Row { right: 308, ..public(&operations::CAPTURE_WITHOUT_SLASH) },
    public(&operations::CAPTURE),
    public_at(&operations::CAPTURE_FILE, "/web/capture/index.html"),
    Row { right: 308, ..public(&operations::PLAYGROUND_WITHOUT_SLASH) },
    public(&operations::PLAYGROUND),
    public_at(&operations::PLAYGROUND_FILE, "/web/playground/index.html"),
    public_at(&operations::WEB_SDK, "/web/sdk/faceline.js"),
    public_at(&operations::VIDEO_SCRIPT, "/video-server/bioserver-video-api.js"),
    public(&operations::NETWORK_UPLOAD),
    public(&operations::NETWORK_DOWNLOAD),
    public(&operations::NETWORK_LATENCY),
    public(&operations::RELAYS),
    // A gateway with accounts has no demonstration.
    Row { right: 404, ..public(&operations::DEMO_SESSION) },
    Row { right: 404, ..public(&operations::DEMO_RESULT) },
    Row { right: 404, ..public(&operations::DEMO_IMAGE) },
    row(&operations::FACE_LIVENESS, Permission::LivenessDetect, &["FaceLiveness"], 200, Of::Nobody),
    // The operations of BWS have requests of their own.
    bws(&operations::LIVENESS_DETECTION, Permission::LivenessDetect, Tried::BwsRest, 200),
    bws(&operations::PHOTO_VERIFY, Permission::PhotosVerify, Tried::BwsRest, 200),
    bws(&operations::VIDEO_LIVENESS_DETECTION, Permission::LivenessDetect, Tried::BwsRest, 200),
    bws(&operations::GRPC_LIVENESS_DETECTION, Permission::LivenessDetect, Tried::BwsGrpc, 200),
    bws(&operations::GRPC_PHOTO_VERIFY, Permission::PhotosVerify, Tried::BwsGrpc, 200),
    bws(&operations::GRPC_VIDEO_LIVENESS_DETECTION, Permission::LivenessDetect, Tried::BwsGrpc, 200),
];

#[test]
fn every_operation_has_a_row() {
    let sorted = |all: Vec<&'static Operation>| {
        let mut all: Vec<_> =
            all.into_iter().map(|operation| (operation.path, operation.method.as_str())).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(sorted(ROWS.iter().map(|row| row.operation).collect()), sorted(operations::ALL.to_vec()),);
}

#[tokio::test]
async fn on_the_embedded_store() {
    try_all(Stores::new()).await;
}

#[tokio::test]
async fn on_redis() {
    let redis = Redis::start().await;
    let stores = Stores::new();
    let shared =
        faceline_gateway_store::open(&redis.url().parse::<StoreUrl>().unwrap().into(), stores.folder.path())
            .unwrap();
    try_all(Stores { store: shared, ..stores }).await;
}

/// The hash of the password `demo`.
const PASSWORD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$JsGMAy5peW7p/CCBXhSwQA$BYjvNOxwrBO2ogqt5hp2gxX4WLKBwzaHYREpAyaEnMw";

/// One client has the keys `all`, and `only …` and `not …` for each permission; another client has `other`. Each name
/// is that of an API key and of a user. `only …` and `not …` are also the names of BWS clients, and their secrets.
fn accounts(ring: &KeyRing) -> String {
    let bws = |id: &str, permissions: &[&str]| {
        let associated_data = format!("accounts\none\nbws {id}");
        let sealed = ring.seal(Purpose::Account, associated_data.as_bytes(), id.as_bytes()).unwrap();
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

/// The resources of a client: a session and a face in it, with its picture.
struct Stock {
    session: Uuid,
    face: Uuid,
    json: String,
    /// The capture token of the session's replay.
    token: String,
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
        let mut stock =
            Self { session: id(&created), face: Uuid::nil(), json: String::new(), token: String::new() };
        stock.face = id(&stock.probe("CreateFaceFromImage").send(gateway, Some(key)).await);
        stock.json = stock.probe("GetFace").send(gateway, Some(key)).await.body;
        let begun = stock.probe("InitLivenessParameters").send(gateway, Some(key)).await;
        stock.token = begun.value("X-Capture-Token").unwrap().to_owned();
        stock
    }

    fn probe(&self, name: &str) -> Probe {
        let all = probes::direct(&self.json)
            .into_iter()
            .chain(probes::within(self.session, self.face, &self.json))
            .chain(probes::web_capture(self.session))
            .chain([probes::upload(self.session)])
            .chain([probes::create_session(), probes::capabilities(), probes::face_liveness()])
            .chain([probes::init_web_capture()]);
        all.into_iter().find(|probe| probe.operation == name).unwrap()
    }

    /// The answers to all requests by which its owner reads it.
    async fn seen(&self, gateway: &Gateway, key: &str) -> Vec<(u16, String)> {
        let mut seen = Vec::new();
        for name in ["GetBioSession", "GetFaces", "GetFace", "GetFaceImage", "GetLivenessParameters"] {
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
        (config.capture.pages, config.capture.scripts) = (Some(true), Some(true));
    })
    .await;
    for Row { operation, access, tried, right, of } in ROWS {
        assert_eq!(operation.access, *access, "{}", operation.path);
        match (access, tried) {
            (Access::Public, Tried::At(path)) => try_public(&gateway, operation, path, *right).await,
            (Access::Public, Tried::InHealthTests) => (),
            (Access::Permission(permission), Tried::Probes(names)) => {
                for name in *names {
                    try_probe(&gateway, operation, *permission, name, *right, *of).await;
                    try_token(&gateway, name, 401).await;
                }
            }
            (
                Access::PermissionOrCaptureToken(permission) | Access::PermissionOrCapturePage(permission),
                Tried::Probes(names),
            ) => {
                for name in *names {
                    try_probe(&gateway, operation, *permission, name, *right, *of).await;
                    try_token(&gateway, name, *right).await;
                }
            }
            (Access::Permission(permission), Tried::BwsRest) => {
                bws::try_rest(&gateway, operation, *permission, *right).await;
            }
            (Access::Permission(permission), Tried::BwsGrpc) => {
                bws::try_grpc(&gateway, operation, *permission, *right).await;
            }
            _ => panic!("{} is not tried", operation.path),
        }
    }
}

async fn try_public(gateway: &Gateway, operation: &Operation, path: &str, right: u16) {
    let line = format!("{} {path}", operation.method.as_str());
    assert_eq!(send(gateway.address, &line, &[], b"").await.status, right, "{line}");
    let wrong = send(gateway.address, &line, &[("apikey", "wrong")], b"").await;
    assert_eq!(wrong.status, right, "{line}");
}

async fn try_probe(
    gateway: &Gateway,
    operation: &Operation,
    permission: Permission,
    name: &str,
    right: u16,
    of: Of,
) {
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
    if of != Of::Nobody {
        let crossed = own.probe(name).send(gateway, Some("other")).await;
        assert_eq!(crossed.error(), (404, "Session not found".into()), "{name}");
    }
    if of == Of::Face {
        // Both clients try the id of one client's session with that of the other client's face.
        let mixed =
            Stock { session: others.session, token: String::new(), face: own.face, json: own.json.clone() };
        for (key, message) in [("other", "Face not found"), ("all", "Session not found")] {
            let crossed = mixed.probe(name).send(gateway, Some(key)).await;
            assert_eq!(crossed.error(), (404, message.into()), "{name} with {key}");
        }
    }
    assert_eq!(gateway.workers.jobs.lock().unwrap().len(), jobs, "{name} made a job");
    let after = (own.seen(gateway, "all").await, others.seen(gateway, "other").await);
    assert_eq!(after, before, "{name}");

    assert_eq!(own.probe(name).send(gateway, Some(&only)).await.status, right, "{name} with {only}");
    let made = gateway.workers.jobs.lock().unwrap().len() - jobs;
    match operation.makes_job {
        MakesJob::Never => assert_eq!(made, 0, "{name}"),
        // A session with one face has no other face to compare with.
        MakesJob::Always if name == "GetMatches" => assert_eq!(made, 0),
        MakesJob::Always | MakesJob::Video => assert_eq!(made, 1, "{name}"),
        MakesJob::Sometimes => assert!(made <= 1, "{name}"),
    }
}

/// Tries a request with the capture token of its own session, and with others. Only its own token may authorise it.
async fn try_token(gateway: &Gateway, name: &str, right: u16) {
    let (own, others) = (Stock::of(gateway, "all").await, Stock::of(gateway, "other").await);
    let same_client = Stock::of(gateway, "all").await;
    let probe = own.probe(name);
    for (token, status) in [
        (own.token.as_str(), right),
        (others.token.as_str(), 401),
        (same_client.token.as_str(), 401),
        ("all", 401),
        ("", 401),
    ] {
        let answer = probe.send_with_token(gateway, token).await;
        assert_eq!(answer.status, status, "{name} with {token}: {answer:?}");
    }
    // A new replay invalidates the earlier token.
    let again = own.probe("InitLivenessParameters").send(gateway, Some("all")).await;
    assert_eq!(again.status, 200);
    assert_eq!(probe.send_with_token(gateway, &own.token).await.status, 401, "{name}");
}

/// Whether a request tests this operation.
fn is_of(probe: &Probe, operation: &Operation) -> bool {
    let (method, path) = probe.line.split_once(' ').unwrap();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let (path, pattern) = (path.split('/'), operation.path.split('/'));
    method == operation.method.as_str()
        && path.clone().count() == pattern.clone().count()
        && path.zip(pattern).all(|(part, pattern)| part == pattern || pattern.starts_with('{'))
}
