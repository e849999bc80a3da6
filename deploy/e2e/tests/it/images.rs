//! Images, compose files and systemd units: they agree with the settings' defaults and with one another, they follow
//! their schemas, and the programs accept their settings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use faceline_models::manifest::Manifest;
use faceline_shared::settings::Settings;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixDatagram;

use crate::client::{models_dir, tool};
use crate::process::Process;
use crate::programs::program;

/// User and group of the images.
const USER: &str = "10001";
const TIMEOUT: Duration = Duration::from_secs(60);

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn text(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn succeeded(command: &mut Command) -> String {
    let output = run(command);
    let shown =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {shown}");
    shown
}

/// A Python that has the packages of check-jsonschema.
fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", tool("check_jsonschema")).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn yaml(path: &str) -> Value {
    let program = "import json, sys; from ruamel.yaml import YAML; json.dump(YAML(typ='safe').load(open(sys.argv[1])), sys.stdout)";
    let shown = succeeded(python().args(["-c", program]).arg(repository().join(path)));
    serde_json::from_str(&shown).unwrap()
}

/// The stages of the Dockerfile by name: the parent of each, and its instructions.
fn stages() -> BTreeMap<String, (String, Vec<(String, String)>)> {
    let file = text("deploy/images/Dockerfile");
    let lines: Vec<&str> = file.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let mut stages = BTreeMap::new();
    let mut current = String::new();
    for line in joined.lines().filter(|line| !line.trim().is_empty()) {
        let (instruction, rest) = line.trim().split_once(' ').unwrap();
        if instruction == "FROM" {
            let (parent, name) = rest.split_once(" AS ").unwrap();
            name.clone_into(&mut current);
            stages.insert(current.clone(), (parent.to_owned(), Vec::new()));
        } else if let Some((_, steps)) = stages.get_mut(&current) {
            steps.push((instruction.to_owned(), rest.trim().to_owned()));
        }
    }
    stages
}

/// The instructions of a stage, after those of its parent stages.
fn image(name: &str) -> Vec<(String, String)> {
    let mut stages = stages();
    let mut instructions = Vec::new();
    let mut next = name.to_owned();
    while let Some((parent, steps)) = stages.remove(&next) {
        instructions.splice(0..0, steps);
        next = parent;
    }
    instructions
}

fn all<'a>(instructions: &'a [(String, String)], wanted: &str) -> Vec<&'a str> {
    let found = instructions.iter().filter(|(instruction, _)| instruction == wanted);
    found.map(|(_, rest)| rest.as_str()).collect()
}

/// The environment of an image.
fn image_environment(name: &str) -> BTreeMap<String, String> {
    let instructions = image(name);
    let words = all(&instructions, "ENV").into_iter().flat_map(str::split_whitespace);
    words
        .map(|word| word.split_once('=').unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Maximum time that each program takes to stop, with default settings, on a listener that other machines reach.
fn max_shutdowns() -> BTreeMap<&'static str, Duration> {
    let mut settings = Settings::default();
    settings.http.listen = "0.0.0.0:8080".parse().unwrap();
    // 5 s beyond the last deadline; 5 s to give jobs back, and 2 s to close connections.
    let deadline = settings.jobs.deadline.max(settings.jobs.video_deadline);
    let gateway = settings.http.shutdown_delay() + deadline + Duration::from_secs(5);
    let worker = settings.jobs.drain + Duration::from_secs(5) + Duration::from_secs(2);
    BTreeMap::from([
        ("faceline-gateway", gateway),
        ("faceline-worker", worker),
        ("faceline", gateway + worker),
    ])
}

/// The `terminationGracePeriodSeconds` of a program in the documentation for operators.
fn documented_grace(program: &str) -> Duration {
    let page = text("docs/kubernetes.md");
    let row = page.lines().find(|line| line.starts_with(&format!("| `{program}` |"))).unwrap();
    Duration::from_secs(row.trim_end_matches(" |").rsplit("| ").next().unwrap().parse().unwrap())
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs(
        text.strip_suffix('s').unwrap_or_else(|| panic!("{text} is not in seconds")).parse().unwrap(),
    )
}

/// A program with only these variables in its environment.
fn program_with(name: &str, environment: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new(program(name));
    command.env_clear().envs(environment);
    command
}

/// Asserts that a program accepts the settings in `environment`, and that its `probe` asks the listener at `admin`.
fn assert_taken(name: &str, environment: &BTreeMap<String, String>, admin: &str) {
    let output = run(program_with(name, environment).arg("probe"));
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    // Another program on this machine may answer at that address.
    let asked = shown.is_empty()
        || !shown.contains("no answer")
        || shown.contains(&format!("no answer from {admin}"));
    assert!(asked && matches!(output.status.code(), Some(0 | 1)), "{name}: {shown}");
}

#[test]
fn images_agree_with_the_settings_and_name_what_exists() {
    let defaults = Settings::default();
    let port = defaults.http.listen.port();
    for (target, name, public) in [
        ("gateway", "faceline-gateway", true),
        ("worker", "faceline-worker", false),
        ("worker-cuda", "faceline-worker", false),
        ("standalone", "faceline", true),
    ] {
        let instructions = image(target);
        let last =
            |wanted| *all(&instructions, wanted).last().unwrap_or_else(|| panic!("{target}: {wanted}"));
        assert_eq!(last("USER"), format!("{USER}:{USER}"), "{target}");
        assert_eq!(last("STOPSIGNAL"), "SIGTERM", "{target}");
        assert_eq!(last("ENTRYPOINT"), format!("[\"{name}\"]"), "{target}: without a shell");
        assert!(last("HEALTHCHECK").ends_with(&format!("CMD [\"{name}\", \"probe\"]")), "{target}");
        assert_eq!(last("VOLUME"), "/var/lib/faceline", "{target}");
        let exposed = all(&instructions, "EXPOSE");
        assert_eq!(exposed.contains(&port.to_string().as_str()), public, "{target}");
        assert!(exposed.contains(&"9090"), "{target}");
        assert!(
            all(&instructions, "COPY").iter().any(|copy| copy.contains("/out/bin/faceline /usr/local/bin/")),
            "{target} has the operators' command"
        );
        let mut environment = image_environment(target);
        assert_eq!(environment["FACELINE_DATA_DIR"], last("VOLUME"), "{target}");
        if public {
            let refused = run(program_with(name, &environment).arg("probe"));
            let shown = String::from_utf8_lossy(&refused.stderr);
            assert!(
                refused.status.code() == Some(64) && shown.contains("accounts file"),
                "{target}: {shown}"
            );
            environment.insert("FACELINE_ACCOUNTS__FILE".into(), "/run/faceline/accounts.toml".into());
        }
        assert_taken(name, &environment, "127.0.0.1:9090");
    }
    let fetch = image("models-fetch");
    assert_eq!(all(&fetch, "USER"), [format!("{USER}:{USER}")]);
    assert_eq!(all(&fetch, "ENTRYPOINT"), ["[\"faceline-models\"]"]);
    let own = repository();
    for (stage, (_, steps)) in stages() {
        for copy in all(&steps, "COPY").iter().filter(|copy| !copy.starts_with("--from=")) {
            let mut paths: Vec<&str> = copy.split_whitespace().collect();
            paths.pop();
            for path in paths {
                assert!(own.join(path).exists(), "{stage}: {path}");
            }
        }
    }
    // All files have the same user number.
    assert!(text("deploy/images/user.sh").contains(&format!("--uid {USER} --gid {USER}")));
    assert!(text("deploy/systemd/faceline.sysusers.conf").contains(&format!("u faceline {USER} ")));
    assert!(text("deploy/compose/secrets.sh").contains(&format!("FACELINE_USER:-{USER}")));
    let toolchain = text("rust-toolchain.toml");
    let rust = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    let file = text("deploy/images/Dockerfile");
    assert!(file.contains(&format!("ARG RUST=rust:{rust}-slim-bookworm\n")), "{rust}");
    assert!(file.contains(&format!("ENV RUSTUP_TOOLCHAIN={rust}\n")), "{rust}");
    // The library for CUDA is of the release that the worker expects.
    let runtime = Manifest::default_manifest().unwrap().runtime.version;
    let packages = text("deploy/images/cuda-packages.txt");
    assert!(packages.lines().any(|line| line == format!("onnxruntime-gpu=={runtime}")), "{runtime}");
}

#[test]
fn bills_of_materials_follow_the_schema_and_name_packages_and_models() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let crate_of = |name: &str| json!({"type": "library", "bom-ref": format!("pkg:cargo/{name}@1.0.0"), "name": name, "version": "1.0.0"});
    for (file, crates) in [("one.json", ["bytes", "tokio"]), ("two.json", ["bytes", "indicatif"])] {
        let document = json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
            "metadata": {"component": {"type": "application", "name": "faceline", "bom-ref": "faceline"}},
            "components": crates.map(crate_of)});
        std::fs::write(path(file), document.to_string()).unwrap();
    }
    let status = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u10\nDescription: C\n more\n\n\
         Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1:2.0\n";
    std::fs::write(path("status"), status).unwrap();
    let sbom = |more: &[&str]| -> Value {
        let mut command = Command::new("python3");
        command.arg(repository().join("deploy/images/sbom.py")).args(["--name", "image"]);
        command.arg("--crates").arg(path("one.json")).arg("--crates").arg(path("two.json"));
        command.arg("--packages").arg(path("status")).arg("--output").arg(path("sbom.json"));
        command.args(more).current_dir(repository());
        succeeded(&mut command);
        serde_json::from_str(&std::fs::read_to_string(path("sbom.json")).unwrap()).unwrap()
    };
    let names = |document: &Value| -> Vec<String> {
        let components = document["components"].as_array().unwrap().iter();
        components.map(|component| component["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&sbom(&[])), ["bytes", "tokio", "indicatif", "libc6"]);

    let manifest = Manifest::default_manifest().unwrap();
    let document = sbom(&["--models", "models/manifest.toml", "--profile", "strong"]);
    let found = names(&document);
    for model in &manifest.models {
        assert!(found.contains(&model.name), "{}: {found:?}", model.name);
    }
    let components = document["components"].as_array().unwrap();
    let runtime = components.iter().find(|component| component["name"] == "onnxruntime").unwrap();
    assert_eq!(runtime["hashes"][0]["content"], manifest.runtime.member.sha256);
    let gpu = sbom(&["--models", "models/manifest.toml", "--runtime", "deploy/images/cuda-packages.txt"]);
    let gpu = names(&gpu);
    assert!(gpu.contains(&"onnxruntime-gpu".into()) && !gpu.contains(&"onnxruntime".into()), "{gpu:?}");

    let schemas = tool("cyclonedx").join("cyclonedx/schema/_res");
    let mut check = python();
    check.args(["-m", "check_jsonschema", "--schemafile"]).arg(schemas.join("bom-1.5.SNAPSHOT.schema.json"));
    check.arg("--base-uri").arg(format!("file://{}/", schemas.display()));
    std::fs::write(path("strong.json"), document.to_string()).unwrap();
    check.arg(path("sbom.json")).arg(path("strong.json"));
    succeeded(&mut check);
}

#[test]
fn compose_files_follow_the_specification_and_agree_with_the_settings() {
    let files = ["deploy/compose/compose.yaml", "deploy/compose/standalone.yaml"];
    let mut check = python();
    check.args(["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]);
    succeeded(check.args(files.map(|file| repository().join(file))));

    let compose = yaml(files[0]);
    let standalone = yaml(files[1]);
    let shutdowns = max_shutdowns();
    let settings = Settings::default();
    for (service, name, target, admin) in [
        (&compose["services"]["faceline-gateway"], "faceline-gateway", "gateway", "127.0.0.1:9090"),
        (&compose["services"]["faceline-worker"], "faceline-worker", "worker", "127.0.0.1:9090"),
        (&standalone["services"]["faceline"], "faceline", "standalone", "127.0.0.1:9090"),
    ] {
        let grace = seconds(service["stop_grace_period"].as_str().unwrap());
        assert_eq!(grace, documented_grace(name), "{name}");
        assert!(grace > shutdowns[name], "{name}");
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(service["build"]["target"], target, "{name}");
        assert_eq!(service["user"], Value::Null, "{name} runs as the user of its image");
        let mut environment = image_environment(target);
        for (key, value) in service["environment"].as_object().unwrap() {
            // For a value that the shell may override, the compose file has the default of the settings.
            let value = value.as_str().unwrap();
            let value = value.split_once(":-").map_or(value, |(_, default)| default.trim_end_matches('}'));
            environment.insert(key.clone(), value.to_owned());
        }
        assert_taken(name, &environment, admin);
        if let Some(files) = service["ulimits"]["nofile"].as_u64() {
            assert!(files >= settings.http.max_connections as u64 + 256, "{name}");
        }
    }
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{name}");
        assert_eq!(service["read_only"], true, "{name}");
        for port in service["ports"].as_array().into_iter().flatten() {
            let port = port.as_str().unwrap();
            assert!(port.contains("127.0.0.1:"), "{name} is published on {port}");
        }
        for volume in
            service["volumes"].as_array().into_iter().flatten().filter(|volume| volume["type"] == "bind")
        {
            let source = volume["source"].as_str().unwrap();
            if !source.starts_with("./secrets") {
                assert!(repository().join("deploy/compose").join(source).exists(), "{name}: {source}");
            }
        }
    }
    // Prometheus resolves the addresses of its targets and of Alertmanager with compose's name server.
    let prometheus = yaml("deploy/prometheus/prometheus.yaml");
    let alertmanagers = prometheus["alerting"]["alertmanagers"].as_array().unwrap();
    for job in prometheus["scrape_configs"].as_array().unwrap().iter().chain(alertmanagers) {
        for target in job["dns_sd_configs"].as_array().into_iter().flatten() {
            let names = target["names"].as_array().unwrap().iter().filter_map(Value::as_str);
            for name in names {
                assert!(compose["services"][name].is_object(), "{job}: no service has the name {name}");
            }
        }
    }
}

#[test]
fn the_script_makes_secrets_that_the_programs_take_and_keeps_them() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("secrets");
    let user = rustix::process::getuid().as_raw().to_string();
    let make = || {
        let mut command = Command::new(repository().join("deploy/compose/secrets.sh"));
        // A user other than root can only make files of its own.
        command.arg(&root).env("FACELINE_PROGRAM", program("faceline-gateway")).env("FACELINE_USER", &user);
        succeeded(&mut command)
    };
    let shown = make();
    assert!(shown.contains("apikey"), "{shown}");
    let files = || -> BTreeMap<PathBuf, Vec<u8>> {
        let folders = [root.clone(), root.join("shared"), root.join("gateway")];
        let entries =
            folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(Result::unwrap);
        let paths = entries.map(|entry| entry.path()).filter(|path| path.is_file());
        paths.map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
    };
    let before = files();
    assert_eq!(make(), "", "nothing is made twice");
    assert_eq!(files(), before);

    let path = |name: &str| root.join(name).display().to_string();
    let environment = BTreeMap::from(
        [
            ("FACELINE_DATA_DIR", folder.path().join("data").display().to_string()),
            ("FACELINE_HTTP__LISTEN", "0.0.0.0:8080".to_owned()),
            ("FACELINE_KEYS__FILE", path("shared/keys.toml")),
            ("FACELINE_SIGNING__FILE", path("gateway/signing.toml")),
            ("FACELINE_REPLAY__KEYS_FILE", path("gateway/replay.toml")),
            ("FACELINE_ACCOUNTS__FILE", path("gateway/accounts.toml")),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    let settings = path("shared/faceline.toml");
    for command in [["sealing", "list"], ["signing", "list"], ["replay-keys", "list"], ["keys", "list"]] {
        succeeded(program_with("faceline-gateway", &environment).args(["--config", &settings]).args(command));
    }
    // The passwords are those of the servers.
    let settings = String::from_utf8(before[&root.join("shared/faceline.toml")].clone()).unwrap();
    let value = |file: &str, key: &str| {
        let text = String::from_utf8(before[&root.join(file)].clone()).unwrap();
        text.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned()
    };
    assert!(
        settings.contains(&format!("amqp://faceline:{}@rabbitmq", value("rabbitmq.conf", "default_pass = ")))
    );
    assert!(settings.contains(&format!("redis://:{}@redis:6379", value("redis.conf", "requirepass "))));
    assert!(settings.contains(&value("objects.env", "GARAGE_DEFAULT_SECRET_KEY=")));
}

/// The settings of a section of a unit, in their order.
fn unit(name: &str) -> Vec<(String, String)> {
    let text = text(&format!("deploy/systemd/{name}"));
    let lines = text.lines().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty());
    lines.map(|line| line.split_once('=').unwrap()).map(|(key, value)| (key.into(), value.into())).collect()
}

#[test]
fn units_verify_are_confined_and_agree_with_the_settings() {
    let root = TempDir::new().unwrap();
    let units = root.path().join("etc/systemd/system");
    let programs = root.path().join("usr/local/bin");
    std::fs::create_dir_all(&units).unwrap();
    std::fs::create_dir_all(&programs).unwrap();
    let shutdowns = max_shutdowns();
    let settings = Settings::default();
    for (file, instance, name, admin) in [
        ("faceline-gateway.service", "faceline-gateway.service", "faceline-gateway", "127.0.0.1:9090"),
        ("faceline-worker@.service", "faceline-worker@1.service", "faceline-worker", "127.0.0.1:9091"),
        ("faceline.service", "faceline.service", "faceline", "127.0.0.1:9090"),
    ] {
        std::fs::copy(repository().join("deploy/systemd").join(file), units.join(file)).unwrap();
        std::os::unix::fs::symlink(program(name), programs.join(name)).unwrap();
        let unit = unit(file);
        let value = |key: &str| {
            let found = unit.iter().find(|(found, _)| found == key);
            found.unwrap_or_else(|| panic!("{file}: {key}")).1.as_str()
        };
        assert_eq!(seconds(value("TimeoutStopSec")), documented_grace(name), "{file}");
        assert!(seconds(value("TimeoutStopSec")) > shutdowns[name], "{file}");
        assert_eq!(value("User"), "faceline", "{file}");
        assert_eq!(value("Type"), "notify", "{file}");
        assert_eq!(
            value("RestartPreventExitStatus"),
            faceline_shared::settings::EXIT_BAD_SETTINGS.to_string()
        );
        assert!(value("ExecStart").starts_with(&format!("/usr/local/bin/{name}")), "{file}");
        if name != "faceline-gateway" {
            // Without these calls the decoder of videos cannot be confined, and the worker accepts no replays.
            let allowed: Vec<&str> = value("SystemCallFilter").split(' ').collect();
            for call in ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"]
            {
                assert!(allowed.contains(&call), "{file}: {call}");
            }
            assert_eq!(
                value("KillMode"),
                "mixed",
                "{file}: the decoder would end before its worker has drained"
            );
        }
        if name != "faceline-worker" {
            assert!(value("LimitNOFILE").parse::<usize>().unwrap() >= settings.http.max_connections + 256);
        }
        let variables = unit.iter().filter(|(key, _)| key == "Environment");
        let environment = variables
            .map(|(_, variable)| variable.replace("%i", "1"))
            .map(|variable| {
                variable.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap()
            })
            .collect();
        assert_taken(name, &environment, admin);
        // The exposure is 0 to 100; a unit without any confinement has 96.
        let mut security = Command::new("systemd-analyze");
        security.arg(format!("--root={}", root.path().display()));
        succeeded(security.args(["security", "--offline=true", "--threshold=20", "--no-pager", file]));
        // The programs are not at the unit's paths on this machine. This is the only error that is allowed.
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--man=no", "--recursive-errors=no"]).arg(units.join(instance));
        let shown = run(&mut verify).stderr;
        let shown = String::from_utf8_lossy(&shown);
        let wrong =
            shown.lines().filter(|line| !line.contains("is not executable: No such file or directory"));
        assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&str>::new(), "{file}");
    }
}

#[tokio::test]
async fn a_service_manager_and_a_health_check_learn_when_a_program_is_ready_and_stops() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let next_notification = async || {
        let mut message = [0; 64];
        let length = tokio::time::timeout(TIMEOUT, socket.recv(&mut message)).await.unwrap().unwrap();
        String::from_utf8_lossy(&message[..length]).trim().to_owned()
    };
    let mut command = tokio::process::Command::new(program("faceline"));
    command.env("NOTIFY_SOCKET", &path);
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    command.env("HOME", &home).env_remove("XDG_CACHE_HOME").env_remove("ORT_DISABLE_TELEMETRY");
    let (data, models) = (folder.path().join("data"), models_dir());
    let settings = [("data_dir", data.to_str().unwrap()), ("models.dir", models.to_str().unwrap())];
    let mut faceline = Process::spawn_with(command, "faceline", &settings);
    let admin: SocketAddr = faceline.admin().await;
    let probe = |alive: &[&str]| {
        let mut command = Command::new(program("faceline"));
        command.env("FACELINE_ADMIN__LISTEN", admin.to_string()).arg("probe").args(alive);
        let output = run(&mut command);
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    assert_eq!(probe(&["--alive"]).0, Some(0));
    assert_eq!(next_notification().await, "READY=1");
    assert_eq!(probe(&[]).0, Some(0));
    // ONNX Runtime must not store telemetry, which it would send to its vendor.
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0, "the program writes into the home folder");
    faceline.signal_termination().await;
    assert_eq!(next_notification().await, "STOPPING=1");
    let (code, log) = faceline.ended().await;
    assert_eq!(code, Some(0), "{log}");
    let (code, shown) = probe(&[]);
    assert_eq!(code, Some(1));
    assert!(shown.contains("no answer"), "{shown}");
}
