//! A folder of pictures and clips of living people and of attacks.

use std::path::{Path, PathBuf};

use super::index::{self, INDEX, IndexError, Row};

/// The label of a bona fide presentation.
const LIVE: &str = "live";

/// File name extensions of videos, in lower case.
const VIDEO_ENDS: [&str; 5] = ["mp4", "m4v", "mov", "webm", "mkv"];

/// The form in which a presentation was recorded.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Medium {
    /// One picture.
    Picture,
    /// A video file.
    Video,
    /// A folder with the frames of a video, in the order of their names.
    Frames,
}

impl Medium {
    /// The medium of a file by its name. A folder has frames.
    fn of(path: &Path) -> Self {
        let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
        if path.is_dir() {
            Self::Frames
        } else if end.is_some_and(|end| VIDEO_ENDS.contains(&end.as_str())) {
            Self::Video
        } else {
            Self::Picture
        }
    }

    /// Its name in lists: `picture`, `video` or `frames`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Picture => "picture",
            Self::Video => "video",
            Self::Frames => "frames",
        }
    }

    /// Whether it has several frames.
    #[must_use]
    pub fn is_clip(self) -> bool {
        self != Self::Picture
    }
}

/// A picture or clip of a living person or of an attack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Presentation {
    /// The file, or the folder of frames.
    pub path: PathBuf,
    /// The form of the recording.
    pub medium: Medium,
    /// The species of the attack; `None` for a living person (a bona fide presentation).
    pub attack: Option<String>,
    /// The person, from the column `subject`; the presentation's own path if there is none.
    pub subject: String,
    /// The source of the picture, from the column `source`; the folder's name if there is none.
    pub source: String,
}

/// Lists the pictures, videos and folders of frames that `ROOT/index.csv` names in its column `path`. Its column
/// `label` is `live` or the species of an attack. Columns `subject` and `source` are optional. Without this file, all
/// files in the folder and below it are bona fide presentations.
///
/// # Errors
/// An unreadable folder or file, a list without the columns, or no picture at all.
pub fn presentations(root: &Path) -> Result<Vec<Presentation>, IndexError> {
    let index = root.join(INDEX);
    let mut found = Vec::new();
    if index.is_file() {
        let attack = |label: String| (label != LIVE).then_some(label);
        let presentation = |row: Row| {
            let [subject, source] = row.optional.try_into().unwrap_or_default();
            let path = root.join(&row.path);
            Presentation {
                medium: Medium::of(&path),
                path,
                attack: attack(row.value),
                subject: subject.unwrap_or(row.path),
                source: source.unwrap_or_else(|| name_of(root)),
            }
        };
        let rows = index::read(&index, "label", &["subject", "source"])?;
        found = rows.into_iter().map(presentation).collect();
    } else {
        walk(root, &name_of(root), &mut found)?;
        found.sort_by(|a, b| a.path.cmp(&b.path));
    }
    if found.is_empty() { Err(IndexError::EmptyFolder(root.to_owned())) } else { Ok(found) }
}

/// The name of a folder.
fn name_of(root: &Path) -> String {
    root.file_name().unwrap_or(root.as_os_str()).to_string_lossy().into_owned()
}

fn walk(folder: &Path, source: &str, found: &mut Vec<Presentation>) -> Result<(), IndexError> {
    let unreadable = |error| IndexError::Read { path: folder.to_owned(), source: error };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            walk(&path, source, found)?;
        } else {
            let (subject, source) = (path.display().to_string(), source.to_owned());
            let medium = Medium::of(&path);
            found.push(Presentation { path, medium, attack: None, subject, source });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_attacks_from_people() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(matches!(presentations(root), Err(IndexError::EmptyFolder(_))));
        std::fs::write(root.join(INDEX), "path,label,subject\na.jpg,live,1\n\"b,c.jpg\",print,2\n").unwrap();
        let of = |name: &str, attack: Option<&str>, subject: &str| Presentation {
            path: root.join(name),
            medium: Medium::Picture,
            attack: attack.map(str::to_owned),
            subject: subject.to_owned(),
            source: name_of(root),
        };
        assert_eq!(presentations(root).unwrap(), [of("a.jpg", None, "1"), of("b,c.jpg", Some("print"), "2")]);
        for (text, reason) in
            [("path\n", "no column `label`"), ("path,label\na,live,x\n", "line 2: 3 fields")]
        {
            std::fs::write(root.join(INDEX), text).unwrap();
            let text = presentations(root).unwrap_err().to_string();
            assert!(text.contains(reason), "{text}");
        }
    }

    #[test]
    fn clips_are_videos_and_folders_of_frames() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("frames")).unwrap();
        std::fs::write(root.join(INDEX), "path,label\na.jpg,live\nb.MP4,live\nc.webm,replay\nframes,print\n")
            .unwrap();
        let media: Vec<Medium> = presentations(root).unwrap().iter().map(|one| one.medium).collect();
        assert_eq!(media, [Medium::Picture, Medium::Video, Medium::Video, Medium::Frames]);
    }

    #[test]
    fn a_folder_without_a_list_shows_living_people() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("somebody")).unwrap();
        for name in ["somebody/2.jpg", "somebody/1.jpg"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = presentations(folder.path()).unwrap();
        assert!(found.iter().all(|one| one.attack.is_none()) && found.len() == 2);
        assert!(found[0].path.ends_with("1.jpg") && presentations(&folder.path().join("nowhere")).is_err());
    }
}
