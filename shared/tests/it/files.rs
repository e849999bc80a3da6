//! Searches the files that a server has written.

use std::fs;
use std::path::Path;

/// The contents of all files below a folder.
pub(crate) struct Files(Vec<Vec<u8>>);

impl Files {
    pub(crate) fn read(folder: &Path) -> Self {
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            // Errors are ignored: the server may remove a folder or a file meanwhile.
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.extend(fs::read(path));
                }
            }
        }
        Self(files)
    }

    pub(crate) fn contain(&self, text: &str) -> bool {
        self.0.iter().any(|file| memchr::memmem::find(file, text.as_bytes()).is_some())
    }
}
