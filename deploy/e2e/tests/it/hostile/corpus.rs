//! Files that have crashed other decoders, from a folder outside the project.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::wire::{face, post};
use super::{AttackedService, Case};

/// Environment variable with the path of another folder.
const VARIABLE: &str = "HOSTILE_FILES";
const MAX_MEMORY_BYTES: usize = 1 << 30;

fn folder() -> PathBuf {
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/hostile");
    std::env::var_os(VARIABLE).unwrap_or_else(|| usual.into()).into()
}

#[tokio::test]
async fn files_that_have_hurt_others_are_refused_or_nobody_is_on_them() {
    let folder = folder();
    if !folder.is_dir() {
        // Written to standard error directly, because the test harness captures the output of macros.
        let _ = writeln!(std::io::stderr(), "skipped: {} is not there", folder.display());
        return;
    }
    let files = files(&folder);
    assert!(!files.is_empty(), "{folder:?} is empty");
    let mut service = AttackedService::start(&[]).await;
    let mut refused = 0;
    for file in &files {
        let name = file.display().to_string();
        let case = Case::new(name, post("", &face(&std::fs::read(file).unwrap())), &[200, 400, 413]);
        refused += usize::from(service.exchange_case(&case).await.status != 200);
    }
    println!("{refused} of {} files are refused", files.len());
    service.assert_unharmed("files", MAX_MEMORY_BYTES).await;
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_none_or(|extension| extension != "csv") {
            found.push(path);
        }
    }
    found
}
