//! Settings as a whole: their sources, and the contradictions that are refused.

use std::time::Duration;

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use figment::value::Dict;

use super::environment::NamedValue;
use super::{
    BrokerUrl, ObjectEncryption, ObjectsUrl, Settings, SettingsError, SigningAlgorithm, Sources, StoreUrl,
};

fn load(toml: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<Settings, SettingsError> {
    let mut figment = Figment::new().merge(Toml::string(toml));
    for (key, value) in environment {
        figment = figment.merge(Serialized::default(key, value));
    }
    let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    Settings::from_figment(&Sources { file: None, flags }, figment)
}

fn message(result: Result<Settings, SettingsError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn the_defaults_are_valid() {
    let config = Settings::from_figment(&Sources::default(), Serialized::defaults(Dict::new())).unwrap();
    assert_eq!(config.http.listen, "127.0.0.1:8080".parse().unwrap());
    assert!(matches!(config.blobs_url(), StoreUrl::Embedded));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let toml = "[jobs]\ndeadline = '1s'\n[http]\nlisten = '127.0.0.1:1'";
    let from_file = load(toml, &[], &[]).unwrap();
    assert_eq!(from_file.jobs.deadline, Duration::from_secs(1));
    let from_environment = load(toml, &[("jobs.deadline", "2s")], &[]).unwrap();
    assert_eq!(from_environment.jobs.deadline, Duration::from_secs(2));
    let from_flag = load(toml, &[("jobs.deadline", "2s")], &["jobs.deadline=3s"]).unwrap();
    assert_eq!(from_flag.jobs.deadline, Duration::from_secs(3));
    assert_eq!(from_flag.http.listen.port(), 1);
}

#[test]
fn a_flag_may_be_a_number_or_a_text() {
    let config = load("", &[], &["limits.burst=7", "http.listen=127.0.0.1:9999"]).unwrap();
    assert_eq!((config.limits.burst, config.http.listen.port()), (7, 9999));
}

#[test]
fn unknown_keys_are_errors() {
    assert!(message(load("[http]\nlisten_on = '127.0.0.1:1'", &[], &[])).contains("listen_on"));
    assert!(message(load("", &[], &["nothing.at_all=1"])).contains("nothing"));
}

#[test]
fn the_demo_account_is_for_loopback_listeners_only() {
    assert!(message(load("", &[], &["http.listen=0.0.0.0:8080"])).contains("demo account"));
    assert!(load("", &[], &["http.listen=0.0.0.0:8080", "accounts.file=/etc/accounts.toml"]).is_ok());
    assert!(load("", &[], &["http.listen=127.0.0.2:8080"]).is_ok());
}

#[test]
fn a_broker_elsewhere_needs_a_store_elsewhere() {
    let amqp = "broker.url=amqp://localhost";
    assert!(message(load("", &[], &[amqp])).contains("store.url"));
    assert!(
        message(load("", &[], &[amqp, "store.url=redis://localhost", "blobs.url=embedded:"]))
            .contains("blobs.url")
    );
    assert!(load("", &[], &[amqp, "store.url=redis://localhost"]).is_ok());
}

#[test]
fn a_cluster_has_several_urls() {
    let urls = |toml: &str, flags: &[&str]| {
        let flags = [&["store.url=redis://localhost"], flags].concat();
        match load(toml, &[], &flags).unwrap().broker.url {
            BrokerUrl::Amqp(urls) => urls.iter().map(ToString::to_string).collect::<Vec<_>>(),
            BrokerUrl::Embedded => Vec::new(),
        }
    };
    let both = ["amqp://one", "amqps://user:…@two/vhost"];
    assert_eq!(urls("[broker]\nurl = ['amqp://one', 'amqps://user:pa,ss@two/vhost']", &[]), both);
    assert_eq!(urls("[broker]\nurl = 'amqp://one, amqps://user:pa,ss@two/vhost'", &[]), both);
    assert_eq!(urls("", &["broker.url=amqp://one,amqps://user:pa,ss@two/vhost"]), both);
    for wrong in [
        "broker.url=[\"amqp://one\", \"http://user:s3cret@two\"]",
        "broker.url=[\"s3cret\"]",
        "broker.url=[]",
    ] {
        let said = message(load("", &[], &[wrong, "store.url=redis://localhost"]));
        assert!(said.contains("broker.url must be"), "{wrong}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn tls_towards_the_broker_needs_a_url_that_asks_for_it() {
    let with = |flags: &[&str]| load("", &[], &[&["store.url=redis://localhost"], flags].concat());
    assert!(with(&["broker.url=amqps://one", "broker.tls.ca=/ca.pem"]).is_ok());
    let plain = message(with(&["broker.url=amqp://one", "broker.tls.ca=/ca.pem"]));
    assert!(plain.contains("broker.tls") && plain.contains("amqps://"), "{plain}");
    let half = message(with(&["broker.url=amqps://one", "broker.tls.key=/key.pem"]));
    assert!(half.contains("broker.tls.certificate"), "{half}");
}

#[test]
fn answers_are_signed_with_one_of_two_algorithms() {
    assert_eq!(load("", &[], &[]).unwrap().signing.algorithm, SigningAlgorithm::Es256);
    let chosen = load("[signing]\nalgorithm = 'RS256'", &[], &[]).unwrap();
    assert_eq!(chosen.signing.algorithm, SigningAlgorithm::Rs256);
    let unknown = message(load("", &[], &["signing.algorithm=none"]));
    assert!(unknown.contains("none") && unknown.contains("ES256"), "{unknown}");
}

#[test]
fn a_bucket_is_described_as_a_whole_or_not_at_all() {
    let bucket = "objects.url=s3://bucket/folder";
    assert!(load("", &[], &[bucket]).is_ok());
    assert!(load("", &[], &["objects.url=file:///srv/faceline"]).is_ok());
    let keys = ["objects.access_key_id=a", "objects.secret_access_key=b"];
    assert!(load("", &[], &[bucket, keys[0], keys[1], "objects.endpoint=http://localhost:9000"]).is_ok());
    for (flags, word) in [
        (&["objects.url=ftp://host"][..], "s3://"),
        (&["objects.url=file://relative"], "file:///"),
        (&[bucket, keys[0]], "need each other"),
        (&[bucket, keys[1]], "need each other"),
        (&keys, "only"),
        (&["objects.region=eu-central-1"], "only"),
        (&[bucket, "objects.endpoint=localhost:9000"], "https://"),
    ] {
        let said = message(load("", &[], flags));
        assert!(said.contains(word), "{flags:?}: {said}");
    }
}

#[test]
fn exported_media_have_a_place_of_their_own() {
    let bucket = "exports.store.url=s3://exports/media";
    let settings = load("", &[], &[bucket]).unwrap();
    let store = settings.exports.store(&settings.data_dir);
    assert_eq!(store.encryption, Some(ObjectEncryption::Aes256), "they are encrypted by the bucket");
    let settings = load("", &[], &[bucket, "exports.store.encryption=none"]).unwrap();
    let store = settings.exports.store(&settings.data_dir);
    assert_eq!(store.encryption, Some(ObjectEncryption::BucketDefault));
    let settings = load("", &[], &["data_dir=/srv/faceline"]).unwrap();
    let store = settings.exports.store(&settings.data_dir);
    assert!(
        matches!(store.url, Some(ObjectsUrl::Folder(path)) if path == std::path::Path::new("/srv/faceline/exports"))
    );
    let kms = ["exports.store.encryption=aws:kms", "exports.store.kms_key_id=key"];
    assert!(load("", &[], &[bucket, kms[0], kms[1]]).is_ok());
    for (flags, word) in [
        (&["objects.url=s3://exports/sealed", bucket][..], "their own"),
        (&["objects.url=file:///srv/a", "exports.store.url=file:///srv/a/exports"], "their own"),
        (&[bucket, kms[1]], "kms_key_id"),
        (&["exports.store.encryption=AES256"], "only"),
    ] {
        let said = message(load("", &[], flags));
        assert!(said.contains(word), "{flags:?}: {said}");
    }
    assert!(load("", &[], &["objects.url=s3://sealed/exports", bucket]).is_ok());
}

#[test]
fn callers_are_told_to_wait_for_a_second_at_least() {
    let short = message(load("", &[], &["admission.max_retry_after=900ms"]));
    assert!(short.contains("max_retry_after"), "{short}");
    assert!(message(load("", &[], &["admission.target_wait=0s"])).contains("target_wait"));
    assert!(load("", &[], &["admission.max_retry_after=1s"]).is_ok());
    let short = message(load("", &[], &["admission.max_video_retry_after=900ms"]));
    assert!(short.contains("max_video_retry_after"), "{short}");
}

#[test]
fn hosts_and_networks_of_url_input_are_checked() {
    let toml = "[url_input]\nhosts = ['*.pictures.example', 'localhost:8080']\n\
                private_hosts = ['localhost:8080']\nallowed_networks = ['127.0.0.0/8']";
    assert_eq!(load(toml, &[], &[]).unwrap().url_input.hosts.len(), 2);
    assert!(load("", &[], &[]).unwrap().url_input.hosts.is_empty());
    for (flag, word) in [
        ("url_input.hosts=['*']", "`*`"),
        ("url_input.allowed_networks=['10.0.0.0/40']", "`10.0.0.0/40`"),
        ("url_input.timeout=0s", "url_input.timeout"),
        ("url_input.concurrency=0", "url_input.concurrency"),
    ] {
        let said = message(load("", &[], &[&flag.replace('\'', "\"")]));
        assert!(said.contains(word), "{flag}: {said}");
    }
}

#[test]
fn sessions_live_no_longer_than_they_may() {
    let long = message(load("", &[], &["sessions.default_ttl=2h", "sessions.max_ttl=1h"]));
    assert!(long.contains("sessions.max_ttl"), "{long}");
    assert!(message(load("", &[], &["sessions.default_ttl=999ms"])).contains("default_ttl"));
    assert!(message(load("", &[], &["sessions.max_faces=0"])).contains("max_faces"));
    assert!(load("", &[], &["sessions.default_ttl=1h", "sessions.max_ttl=1h"]).is_ok());
}

#[test]
fn bounds_of_findings_have_ranges() {
    assert!(load("", &[], &[]).is_ok());
    for wrong in ["findings.max_yaw=91", "findings.min_margin=-0.5", "findings.max_white=1.5"] {
        let key = wrong.split('=').next().unwrap();
        let said = message(load("", &[], &[wrong]));
        assert!(said.contains(key), "{wrong}: {said}");
    }
    let ghost = message(load("", &[], &["face.second_portrait_ratio=0"]));
    assert!(ghost.contains("second_portrait_ratio"), "{ghost}");
}

#[test]
fn debug_output_shows_no_password() {
    let redis = "redis://user:s3cret@host";
    let flags = [
        "broker.url=amqp://user:s3cret@host",
        &format!("store.url={redis}"),
        &format!("blobs.url={redis}"),
        "objects.url=s3://bucket",
        "objects.endpoint=https://user:s3cret@host",
        "objects.access_key_id=s3cret-id",
        "objects.secret_access_key=s3cret-key",
    ];
    let shown = format!("{:?}", load("", &[], &flags).unwrap());
    assert!(shown.contains("host") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_missing_file_is_named() {
    let sources = Sources { file: Some("/nowhere/faceline.toml".into()), flags: vec![] };
    assert!(message(Settings::load(&sources)).contains("/nowhere/faceline.toml"));
}

/// Settings of these environment variables.
fn of_variables(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment = variables.iter().fold(Figment::new(), |all, (key, value)| {
        all.merge(NamedValue::new((*key).to_owned(), "environment".to_owned(), value))
    });
    Settings::from_figment(&Sources::default(), environment)
}

#[test]
fn a_text_of_digits_stays_the_text_that_it_is() {
    let secret = "00012345678901234567890";
    let settings = of_variables(&[
        ("objects.url", "s3://bucket"),
        ("objects.access_key_id", "0042"),
        ("objects.secret_access_key", secret),
        ("limits.burst", "7"),
        ("http.docs", "true"),
        ("http.shutdown_delay", "2s"),
        ("face.second_face_ratio", "0.5"),
        ("http.trusted_proxies", r#"["10.0.0.0/8", "fd00::/8"]"#),
        ("data_dir", "7"),
    ])
    .unwrap();
    assert_eq!(&**settings.objects.secret_access_key.as_ref().unwrap(), secret);
    assert_eq!(&**settings.objects.access_key_id.as_ref().unwrap(), "0042");
    assert_eq!((settings.limits.burst, settings.http.docs), (7, Some(true)));
    assert_eq!(settings.http.shutdown_delay(), Duration::from_secs(2));
    assert_eq!(settings.http.trusted_proxies.len(), 2);
    assert_eq!(settings.data_dir, std::path::Path::new("7"));
}

#[test]
fn no_message_repeats_a_secret() {
    const SECRET: &str = "987654321";
    let mut said = Vec::new();
    for key in
        ["objects.secret_access_key", "objects.access_key_id", "objects.endpoint", "store.url", "broker.url"]
    {
        said.push((key, of_variables(&[(key, SECRET)])));
        let (section, name) = key.split_once('.').unwrap();
        for value in [SECRET.to_owned(), format!("[{SECRET}]"), format!("-{SECRET}"), format!("{SECRET}.5")] {
            said.push((key, load(&format!("[{section}]\n{name} = {value}"), &[], &[])));
            said.push((key, of_variables(&[(key, &value)])));
        }
        // Without quotes a text is no TOML, and the parser's message shows the line.
        said.push((key, load(&format!("[{section}]\n{name} = x{SECRET}"), &[], &[])));
    }
    for (key, refused) in said {
        // A key alone is refused as well, since it needs its other half.
        let message = message(refused);
        assert!(!message.contains(SECRET), "{key}: {message}");
        let name = key.rsplit('.').next().unwrap();
        assert!(message.contains(name) || message.contains("TOML"), "{key}: {message}");
    }
}

#[test]
fn without_a_home_the_data_folder_is_asked_for() {
    let mut settings = Settings { data_dir: "".into(), ..Settings::default() };
    let refused = settings.require_data_dir().unwrap_err().to_string();
    assert!(refused.contains("data_dir") && refused.contains("FACELINE_DATA_DIR"), "{refused}");
    settings.models.dir = "".into();
    assert!(settings.validate().unwrap_err().to_string().contains("data_dir"));
    settings.data_dir = "/var/lib/faceline".into();
    let settings = settings.complete();
    assert_eq!(settings.models.dir, std::path::Path::new("/var/lib/faceline/models"));
    assert!(settings.require_data_dir().is_ok() && settings.validate().is_ok());
}

#[test]
fn a_secret_in_the_file_is_found_by_its_setting_and_addresses_without_one_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let secret = |text: &str| {
        let file = folder.path().join("faceline.toml");
        std::fs::write(&file, text).unwrap();
        Sources { file: Some(file), flags: vec![] }.secret_in_file()
    };
    for (text, key) in [
        ("[store]\nurl = 'redis://user:word@host'", Some("store.url")),
        ("[broker]\nurl = ['amqp://host', 'amqp://user:word@host']", Some("broker.url")),
        ("[objects]\nsecret_access_key = 'word'", Some("objects.secret_access_key")),
        ("[store]\nurl = 'redis://host'\n[http]\nlisten = '0.0.0.0:80'", None),
        ("no TOML", None),
    ] {
        assert_eq!(secret(text).as_deref(), key, "{text}");
    }
    assert_eq!(Sources::default().secret_in_file(), None);
}
