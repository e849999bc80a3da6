//! The loader that a program names in its header (PT_INTERP of ELF, System V ABI), which must be executable for it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Maximum number of segments that are read; the loader's is among the first.
const MAX_SEGMENTS: u16 = 64;

/// Maximum length of a loader's path, as in the kernel.
const MAX_PATH: u64 = 4096;

/// The loader of a 64-bit program, or `None` if it needs none.
///
/// # Errors
/// The file cannot be read, or is no 64-bit little-endian program: a script in place of ffmpeg could not be confined.
pub(super) fn interpreter(program: &Path) -> io::Result<Option<PathBuf>> {
    let file = File::open(program)?;
    let mut header = [0; 64];
    let count = file.read_at(&mut header, 0)?;
    if count < header.len() || !header.starts_with(b"\x7FELF\x02\x01") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a 64-bit ELF program"));
    }
    let table = number(&header[32..40]);
    let size = number(&header[54..56]);
    let count = (number(&header[56..58]) as u16).min(MAX_SEGMENTS);
    for index in 0..u64::from(count) {
        let mut segment = [0; 56];
        file.read_exact_at(&mut segment, table.saturating_add(index * size))?;
        if number(&segment[..4]) == 3 {
            let mut path = vec![0; number(&segment[32..40]).min(MAX_PATH) as usize];
            file.read_exact_at(&mut path, number(&segment[8..16]))?;
            let path = String::from_utf8_lossy(&path);
            return Path::new(path.trim_end_matches('\0')).canonicalize().map(Some);
        }
    }
    Ok(None)
}

/// A little-endian number of up to 8 bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_of_this_test_is_found() {
        let loader = interpreter(&std::env::current_exe().unwrap()).unwrap().unwrap();
        assert!(loader.file_name().unwrap().to_string_lossy().starts_with("ld-"), "{}", loader.display());
    }

    #[test]
    fn a_script_is_no_program() {
        let error = interpreter(Path::new(file!().strip_prefix("worker/").unwrap_or(file!()))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
