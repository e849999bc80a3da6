//! `docs/settings.md`, made from the documentation and the defaults of the sections' structs.
//!
//! `UPDATE_DOCS=1 cargo test -p faceline-shared --lib settings::document` writes the file anew.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use humantime_serde::re::humantime;

use super::Settings;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");

const HEAD: &str = "\
# Settings

One set of settings serves all programs: `faceline`, `faceline-gateway`, `faceline-worker` and `faceline-models`. A program reads
them from these sources, and a later source overrides an earlier one:

1. the defaults below,
2. a TOML file, named by `--config FILE`,
3. environment variables: `http.listen` is `FACELINE_HTTP__LISTEN`,
4. flags: `--set http.listen=127.0.0.1:8081`.

Unknown keys, values out of range and contradictions end the program with exit code 64. Times are written as `500ms`, `30s`, `10m`,
`24h` or `400d`.

This file is made from the source code (`shared/src/settings/`); to change it, change the comments there and run
`UPDATE_DOCS=1 cargo test -p faceline-shared --lib settings::document`.
";

/// Files of the structs that the document shows.
const SOURCES: [&str; 28] = [
    include_str!("all.rs"),
    include_str!("accounts.rs"),
    include_str!("admin.rs"),
    include_str!("admission.rs"),
    include_str!("blobs.rs"),
    include_str!("broker.rs"),
    include_str!("callbacks.rs"),
    include_str!("capture.rs"),
    include_str!("client_tls.rs"),
    include_str!("exports.rs"),
    include_str!("face.rs"),
    include_str!("findings.rs"),
    include_str!("http.rs"),
    include_str!("inference.rs"),
    include_str!("jobs.rs"),
    include_str!("keys.rs"),
    include_str!("limits.rs"),
    include_str!("liveness.rs"),
    include_str!("log.rs"),
    include_str!("models.rs"),
    include_str!("objects.rs"),
    include_str!("replay.rs"),
    include_str!("sessions.rs"),
    include_str!("signing.rs"),
    include_str!("store.rs"),
    include_str!("tracing.rs"),
    include_str!("url_input.rs"),
    include_str!("usage.rs"),
];

/// Defaults that depend on the user who runs the program.
const USER_FOLDERS: [(&str, &str); 2] =
    [("data_dir", "~/.local/share/faceline"), ("models.dir", "~/.cache/faceline/models")];

struct Struct {
    doc: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    /// The type, without `Option`.
    kind: String,
    is_duration: bool,
    doc: String,
}

/// The public structs of a source by their names.
fn structs(source: &str) -> HashMap<String, Struct> {
    let mut all = HashMap::new();
    let mut doc = Vec::new();
    let mut open: Option<(String, Struct)> = None;
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push(text.trim());
        } else if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
            open = Some((name.to_owned(), Struct { doc: doc.join(" "), fields: Vec::new() }));
            doc.clear();
        } else if line == "}" {
            all.extend(open.take());
            doc.clear();
        } else if let (Some((_, open)), Some(field)) = (&mut open, line.strip_prefix("pub ")) {
            let (name, kind) = field.trim_end_matches(',').split_once(": ").unwrap();
            let kind = kind.trim_start_matches("Option<").trim_end_matches('>');
            open.fields.push(Field {
                name: name.to_owned(),
                kind: kind.to_owned(),
                is_duration: kind == "Duration",
                doc: doc.join(" "),
            });
            doc.clear();
        } else if !line.starts_with("#[") {
            doc.clear();
        }
    }
    all
}

/// The defaults by their keys, as TOML writes them.
fn defaults() -> HashMap<String, String> {
    let text = toml::to_string(&Settings::default()).unwrap();
    let mut section = String::new();
    let mut all = HashMap::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, value)) = line.split_once(" = ") {
            all.insert(format!("{section}{key}"), value.to_owned());
        }
    }
    for (key, folder) in USER_FOLDERS {
        assert!(all.insert(key.to_owned(), folder.to_owned()).is_some(), "{key} has no default");
    }
    all
}

/// A default as the document shows it.
fn shown(field: &Field, default: Option<&String>) -> String {
    let Some(text) = default else { return "not set".into() };
    let text = text.trim_matches('"');
    match text {
        "" => return "empty".into(),
        "[]" => return "none".into(),
        _ => (),
    }
    if field.is_duration {
        return format!("`{}`", in_one_unit(humantime::parse_duration(text).unwrap()));
    }
    match text.parse::<u64>() {
        Ok(number) if field.doc.contains("bytes") && number.is_multiple_of(1 << 20) && number > 0 => {
            format!("`{number}` ({} MiB)", number >> 20)
        }
        Ok(number) if field.doc.contains("bytes") && number.is_multiple_of(1 << 10) && number > 0 => {
            format!("`{number}` ({} KiB)", number >> 10)
        }
        _ => format!("`{text}`"),
    }
}

fn in_one_unit(time: Duration) -> String {
    let milliseconds = time.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    // The largest unit of which there are at least two, as people write times.
    let (unit, length) = units
        .into_iter()
        .find(|(_, length)| milliseconds.is_multiple_of(*length) && milliseconds >= 2 * length)
        .unwrap_or(("ms", 1));
    format!("{}{unit}", milliseconds / length)
}

fn rows(
    out: &mut String,
    prefix: &str,
    of: &Struct,
    structs: &HashMap<String, Struct>,
    defaults: &HashMap<String, String>,
) {
    for field in &of.fields {
        let key = format!("{prefix}{}", field.name);
        if let Some(inner) = structs.get(&field.kind) {
            rows(out, &format!("{key}."), inner, structs, defaults);
            continue;
        }
        assert!(field.doc.ends_with('.'), "{key} is documented by no sentence");
        writeln!(out, "| `{key}` | {} | {} |", shown(field, defaults.get(&key)), field.doc).unwrap();
    }
}

fn document() -> String {
    let structs: HashMap<String, Struct> = SOURCES.into_iter().flat_map(structs).collect();
    let defaults = defaults();
    let mut out = HEAD.to_owned();
    let all = &structs["Settings"];
    let head = "| key | default | meaning |\n| --- | --- | --- |";
    writeln!(out, "\n{head}").unwrap();
    for field in all.fields.iter().filter(|field| !structs.contains_key(&field.kind)) {
        let default = shown(field, defaults.get(&field.name));
        writeln!(out, "| `{}` | {default} | {} |", field.name, field.doc).unwrap();
    }
    for field in &all.fields {
        let Some(section) = structs.get(&field.kind) else { continue };
        writeln!(out, "\n## {}\n\n{}\n\n{head}", field.name, section.doc).unwrap();
        rows(&mut out, &format!("{}.", field.name), section, &structs, &defaults);
    }
    out
}

#[test]
fn the_document_shows_the_settings_as_they_are() {
    let document = document();
    #[expect(clippy::disallowed_methods, reason = "a switch of this test, not a setting")]
    let is_update = std::env::var("UPDATE_DOCS").is_ok();
    if is_update {
        std::fs::write(FILE, &document).unwrap();
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(kept == document, "docs/settings.md is out of date; write it anew with UPDATE_DOCS=1");
    for (key, _) in defaults() {
        assert!(document.contains(&format!("| `{key}` |")), "{key} is missing");
    }
}
