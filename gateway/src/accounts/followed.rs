//! A file that is looked at again and again.

use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

/// What was found at a look: the digest of the text, or why it cannot be read.
type Found = Result<Vec<u8>, String>;

/// A file of text and what was last found of it.
///
/// What counts is the text, so that it does not matter how it was changed: in place, by a new file of the name, or by a
/// link that leads elsewhere, as Kubernetes does it.
pub(super) struct Followed {
    path: PathBuf,
    known: Found,
    /// What was found at the last look, where that is something else.
    next: Option<Found>,
}

impl Followed {
    /// The file at `path` and its text.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn open(path: &Path) -> io::Result<(Self, String)> {
        let text = std::fs::read_to_string(path)?;
        Ok((Self { path: path.to_owned(), known: Ok(digest_of(&text)), next: None }, text))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the file: the new text, or why there is none, once after each change.
    ///
    /// A change is told at the second look that finds it, since the first may have found half a file: not everybody
    /// writes in one step.
    pub(super) fn look(&mut self) -> Option<io::Result<String>> {
        let read = std::fs::read_to_string(&self.path);
        let found = read.as_ref().map(|text| digest_of(text)).map_err(ToString::to_string);
        if found == self.known {
            self.next = None;
            return None;
        }
        if self.next.as_ref() != Some(&found) {
            self.next = Some(found);
            return None;
        }
        self.next = None;
        self.known = found;
        Some(read)
    }
}

fn digest_of(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn look(followed: &mut Followed) -> Option<Result<String, io::ErrorKind>> {
        followed.look().map(|read| read.map_err(|error| error.kind()))
    }

    #[test]
    fn a_change_is_told_once_when_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let (mut followed, text) = Followed::open(&path).unwrap();
        assert_eq!((text.as_str(), look(&mut followed)), ("one", None));

        fs::write(&path, "").unwrap();
        assert_eq!(look(&mut followed), None, "it may be half a file");
        fs::write(&path, "two").unwrap();
        assert_eq!(look(&mut followed), None);
        assert_eq!(look(&mut followed), Some(Ok("two".into())));
        assert_eq!(look(&mut followed), None);

        fs::remove_file(&path).unwrap();
        assert_eq!(look(&mut followed), None);
        assert_eq!(look(&mut followed), Some(Err(io::ErrorKind::NotFound)));
        assert_eq!(look(&mut followed), None, "it was told already");
        fs::write(&path, "two").unwrap();
        assert_eq!([look(&mut followed), look(&mut followed)], [None, Some(Ok("two".into()))]);
    }

    #[test]
    fn a_change_that_is_taken_back_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let (mut followed, _) = Followed::open(&path).unwrap();
        for text in ["two", "one", "two", "one"] {
            fs::write(&path, text).unwrap();
            assert_eq!(look(&mut followed), None);
        }
    }

    /// `file -> ..data/file`, `..data -> one`, as a mounted ConfigMap or Secret has it; an update swaps `..data`.
    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["one", "two"] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("file"), name).unwrap();
        }
        symlink("one", at("..data")).unwrap();
        symlink("..data/file", at("file")).unwrap();
        let (mut followed, text) = Followed::open(&at("file")).unwrap();
        assert_eq!(text, "one");
        symlink("two", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_eq!([look(&mut followed), look(&mut followed)], [None, Some(Ok("two".into()))]);
    }
}
