//! An operator's own embedding: fetched by a manifest, calibrated, and used by the service, as in `docs/own-models.md`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use faceline_models::calibration::Calibration;
use faceline_models::manifest::DEFAULT_MANIFEST;
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Rgb, RgbImage};
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::client::{Caller, bytes, models_dir, picture};
use crate::process::Process;
use crate::programs::program;

/// The name of the test's algorithm, and the length of its vectors.
const ALGORITHM: &str = "OWN_64";
const DIMENSIONS: usize = 64;

/// Cells per side of the grid over which the network averages colours, and pixels per side of a cell.
const CELLS: usize = 14;
const CELL: usize = 8;

/// A checksum that no file has, used until a failed fetch prints the right one.
const NO_SHA256: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A field of a protobuf message: a varint.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A field of a protobuf message: text, bytes or a message.
fn part(field: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// An ONNX tensor of 32-bit numbers (`TensorProto`).
fn constant(name: &str, dims: &[usize], values: &[f32]) -> Vec<u8> {
    let dims = dims.iter().flat_map(|&dim| number(1, dim as u64));
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    dims.chain(number(2, 1)).chain(part(8, name)).chain(part(9, raw)).collect()
}

/// An ONNX input or output of 32-bit numbers (`ValueInfoProto`).
fn value(name: &str, dims: &[usize]) -> Vec<u8> {
    let shape: Vec<u8> = dims.iter().flat_map(|&dim| part(1, number(1, dim as u64))).collect();
    let tensor = [number(1, 1), part(2, shape)].concat();
    [part(1, name), part(2, part(1, tensor))].concat()
}

fn node(op: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|input| part(1, input));
    let attributes = attributes.iter().flat_map(|attribute| part(5, attribute));
    inputs.chain(part(2, output)).chain(part(4, op)).chain(attributes).collect()
}

/// Pseudo-random numbers in [-1, 1) (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// An embedding network: a random projection of two colour differences, averaged over cells, less their mean over the
/// face.
fn network() -> Vec<u8> {
    let area = CELL * CELL;
    let mut kernels = vec![0.0; 2 * 3 * area];
    for (kernel, channel) in [(0, 0), (1, 2)] {
        kernels[(kernel * 3 + channel) * area..][..area].fill(1.0 / area as f32);
        kernels[(kernel * 3 + 1) * area..][..area].fill(-1.0 / area as f32);
    }
    let cells = CELLS * CELLS;
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut projection: Vec<f32> = (0..2 * cells * DIMENSIONS).map(|_| 0.02 * random.next()).collect();
    for column in 0..DIMENSIONS {
        for difference in 0..2 {
            let rows = difference * cells..(difference + 1) * cells;
            let mean =
                rows.clone().map(|row| projection[row * DIMENSIONS + column]).sum::<f32>() / cells as f32;
            rows.for_each(|row| projection[row * DIMENSIONS + column] -= mean);
        }
    }
    let strides =
        [part(1, "strides"), number(8, CELL as u64), number(8, CELL as u64), number(20, 7)].concat();
    let side = CELLS * CELL;
    let graph = [
        part(1, node("Conv", &["input", "kernels"], "differences", &[strides])),
        part(1, node("Flatten", &["differences"], "row", &[])),
        part(1, node("MatMul", &["row", "projection"], "output", &[])),
        part(2, "own"),
        part(5, constant("kernels", &[2, 3, CELL, CELL], &kernels)),
        part(5, constant("projection", &[2 * cells, DIMENSIONS], &projection)),
        part(11, value("input", &[1, 3, side, side])),
        part(12, value("output", &[1, DIMENSIONS])),
    ];
    [number(1, 7), part(7, graph.concat()), part(8, number(2, 13))].concat()
}

/// The manifest that ships, with another embedding, whose table is named `own`.
fn manifest(source_sha256: &str, sha256: &str, calibration: &str) -> String {
    let begin = DEFAULT_MANIFEST.find("[[models]]\nrole = \"embedding\"").unwrap();
    let end = begin + DEFAULT_MANIFEST[begin..].find("[[models]]\nrole = \"liveness\"").unwrap();
    let own = format!(
        r#"
[packages.own-models]
registry = "npm"
name = "own-models"
version = "1.0.0"
license = "Apache-2.0"
origin = "this test"

[[models]]
role = "embedding"
name = "own-embedding"
version = 1
conversions = ["dynamic_batch"]
sha256 = "{sha256}"

[models.source]
package = "own-models"
path = "package/own.onnx"
sha256 = "{source_sha256}"

[models.input]
name = "input"
width = 112
height = 112
channels = "bgr"
mean = [127.0]
scale = [0.0078125]

[models.input.crop]
kind = "five_points"
template = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
]

[models.output]
kind = "embedding"
name = "output"
dimensions = {DIMENSIONS}
algorithm = "{ALGORITHM}"
template_version = 1
calibration = "{calibration}"
length_scale = 100.0

"#
    );
    [&DEFAULT_MANIFEST[..begin], &own, &DEFAULT_MANIFEST[end..]].concat()
}

/// A folder with a copy of the installed models, a manifest, and a registry's client that delivers one package.
struct Installation {
    folder: TempDir,
}

impl Installation {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        copy(&models_dir(), &folder.path().join("models"));
        let package = folder.path().join("package");
        fs::create_dir(&package).unwrap();
        fs::write(package.join("own.onnx"), network()).unwrap();
        let client = folder.path().join("clients/npm");
        fs::create_dir(client.parent().unwrap()).unwrap();
        let script = format!(
            "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" = --pack-destination ] && into=$2; shift; done\n\
             exec tar -czf \"$into/own-models-1.0.0.tgz\" -C '{}' package\n",
            folder.path().display()
        );
        fs::write(&client, script).unwrap();
        fs::set_permissions(&client, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `faceline-models` on this installation.
    async fn tool(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("faceline-models"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("FACELINE_MODELS__DIR", self.path("models"))
            .env("FACELINE_FACE__ALGORITHM", ALGORITHM)
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("clients").display()));
        command.kill_on_drop(true).output().await.unwrap()
    }

    async fn fetch(&self, manifest: &str) -> Output {
        fs::write(self.path("manifest.toml"), manifest).unwrap();
        self.tool(&["fetch", "--manifest", "manifest.toml"]).await
    }

    async fn fetched(&self, manifest: &str) {
        let output = self.fetch(manifest).await;
        assert!(output.status.success(), "{}", error_text(&output));
    }

    /// The right checksum, which a fetch with a wrong one prints.
    async fn printed_sha256(&self, manifest: &str) -> String {
        let output = self.fetch(manifest).await;
        assert!(!output.status.success());
        let text = error_text(&output);
        let sums = text.split(|letter: char| !letter.is_ascii_hexdigit());
        let found: Vec<&str> = sums.filter(|word| word.len() == 64 && *word != NO_SHA256).collect();
        assert_eq!(found.len(), 1, "{text}");
        found[0].to_owned()
    }

    fn settings<'a>(&'a self, models: &'a str, data: &'a str) -> [(&'a str, &'a str); 3] {
        [("data_dir", data), ("models.dir", models), ("face.algorithm", ALGORITHM)]
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn error_text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Pictures of `count` "people": the faces of the free pictures in light of different colours, which this network
/// distinguishes.
fn people(folder: &Path, count: usize) {
    let portraits: Vec<RgbImage> = ["obama.jpg", "obama2.jpg", "biden.jpg"]
        .map(|name| {
            let whole = image::open(picture(name)).unwrap().into_rgb8();
            resize(&whole, 200 * whole.width() / whole.height(), 200, FilterType::Triangle)
        })
        .into();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for person in 0..count {
        let mut portrait = portraits[person % portraits.len()].clone();
        let light = ImageBuffer::from_fn(8, 8, |_, _| Rgb([(); 3].map(|()| 1.0 + 0.4 * random.next())));
        let light = resize(&light, portrait.width(), portrait.height(), FilterType::Triangle);
        for (pixel, factors) in portrait.pixels_mut().zip(light.pixels()) {
            for (level, factor) in pixel.0.iter_mut().zip(factors.0) {
                *level = (f32::from(*level) * factor).clamp(0.0, 255.0) as u8;
            }
        }
        let folder = folder.join(person.to_string());
        fs::create_dir_all(&folder).unwrap();
        portrait.save(folder.join("portrait.png")).unwrap();
    }
}

/// log10 of the false acceptance rate of a score.
fn log10_far(score: f64) -> f64 {
    (1500.0 - score) / 500.0
}

/// The same table with half the decades at all knots but the last.
fn halved(table: &Calibration) -> String {
    let (last, knots) = table.knots().split_last().unwrap();
    let knots = knots.iter().map(|(similarity, rate)| (*similarity, rate / 2.0)).chain([*last]);
    let knots: Vec<String> = knots.map(|(similarity, rate)| format!("[{similarity:?}, {rate:?}]")).collect();
    format!("name = \"own\"\nknots = [{}]\n", knots.join(", "))
}

#[tokio::test]
async fn an_embedding_of_ones_own_is_fetched_calibrated_and_used() {
    let installation = Installation::new();
    let (models, data) = (installation.path("models"), installation.path("data"));
    let (models, data) = (models.to_str().unwrap(), data.to_str().unwrap());

    // A template of the shipped model, for a later comparison.
    let mut faceline = Process::start("faceline", &[("data_dir", data)]).await;
    let (status, old_face) = Caller::new(&faceline.url().await).face(bytes("obama.jpg")).await;
    assert_eq!((status, &old_face["mode"]), (StatusCode::OK, &"FL1_512".into()));
    faceline.terminate().await;

    // Both checksums are those that a failed fetch prints.
    let source = installation.printed_sha256(&manifest(NO_SHA256, NO_SHA256, "own")).await;
    let converted = installation.printed_sha256(&manifest(&source, NO_SHA256, "own")).await;
    let own = manifest(&source, &converted, "own");
    installation.fetched(&own).await;

    // The service does not start without a table, or with the table of another network.
    for (manifest, reason) in [
        (own.clone(), "there is no calibration table named `own`"),
        (manifest(&source, &converted, "face-embedding-1"), "was measured for FL1_512 and not for OWN_64"),
    ] {
        installation.fetched(&manifest).await;
        let mut faceline = Process::spawn("faceline", &installation.settings(models, data));
        let (code, log) = faceline.ended().await;
        assert!(code == Some(1) && log.contains(reason), "{code:?}: {log}");
    }

    people(&installation.path("people"), 470);
    let calibrated = installation.tool(&["calibrate", "--dataset", "people", "--name", "own"]).await;
    assert!(calibrated.status.success(), "{}", error_text(&calibrated));
    let text = fs::read_to_string(installation.path("own.toml")).unwrap();
    let table = Calibration::parse(&text).unwrap();
    installation.fetched(&format!("{own}\n[[calibrations]]\n{text}")).await;
    let verified = installation.tool(&["verify"]).await;
    assert!(verified.status.success(), "{}", error_text(&verified));

    let mut faceline = Process::start("faceline", &installation.settings(models, data)).await;
    let caller = Caller::new(&faceline.url().await);
    let (status, face) = caller.face(bytes("obama.jpg")).await;
    assert_eq!((status, &face["mode"]), (StatusCode::OK, &ALGORITHM.into()), "{face}");
    assert!(face["template"].is_string(), "{face}");
    // The vector is most of a template, and 64 numbers are an eighth of 512.
    let length = |face: &Value| face["template"].as_str().unwrap().len();
    assert!(length(&old_face) > 2 * length(&face), "{} {}", length(&old_face), length(&face));
    assert!(caller.score_of_face(&face, "obama.jpg").await > 10_000.0);
    let score = caller.score_of_face(&face, "biden.jpg").await;

    let (status, refusal) = caller.match_face(&old_face, "obama.jpg").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{refusal}");
    let reason = "the template was made by FL1_512 version 1, and this service uses OWN_64 version 1";
    assert!(refusal.to_string().contains(reason), "{refusal}");
    faceline.terminate().await;

    // A score follows from the manifest's table: with half the decades, the same similarity has half the distance from
    // 1500.
    let half = halved(&table);
    installation.fetched(&format!("{own}\n[[calibrations]]\n{half}")).await;
    let mut faceline = Process::start("faceline", &installation.settings(models, data)).await;
    let caller = Caller::new(&faceline.url().await);
    let halved_score = caller.score_of_face(&face, "biden.jpg").await;
    let similarity = table.similarity(log10_far(score)) as f32;
    let expected = 1500.0 - 500.0 * Calibration::parse(&half).unwrap().log10_far(similarity);
    assert!((halved_score - expected).abs() < 1.0, "{score}: {halved_score}, not {expected}");
    assert!((halved_score - score).abs() > 10.0, "{score} {halved_score}");
}
