//! A folder of labelled pictures, and the faces that a coder finds in it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::fold::Fold;
use super::labelled::{Labelled, LabelledError};
use super::{Coder, CoderError, Sample};

/// The pictures of a data set, `ROOT/IDENTITY/*`, in the order of names.
#[derive(Clone, Debug)]
pub struct Folder {
    people: Vec<String>,
    /// Each picture with the number of its person.
    pictures: Vec<(u32, PathBuf)>,
}

/// The faces that a coder found in a folder. Every list with faces has one entry per face, in the order of the
/// pictures' names.
#[derive(Clone, Debug)]
pub struct Coded {
    /// The people's names, by their number in `labelled`.
    pub people: Vec<String>,
    /// The embeddings with their people.
    pub labelled: Labelled,
    /// The picture of each face.
    pub pictures: Vec<PathBuf>,
    /// Each face's quality.
    pub quality: Vec<i32>,
    /// Each face's measures of quality, by name.
    pub measures: Vec<Vec<(&'static str, f32)>>,
    /// Pictures in which no face was found.
    pub without_face: Vec<PathBuf>,
}

/// Reasons why a folder could not be coded.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// A folder cannot be listed.
    #[error("cannot list {path}: {source}")]
    List {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The folder has no pictures.
    #[error(
        "there are no pictures in {path}: it must hold a folder for each person, with that person's pictures"
    )]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A picture cannot be coded.
    #[error("cannot code {path}: {source}")]
    Code {
        /// The picture.
        path: PathBuf,
        /// The coder's reason.
        source: CoderError,
    },
    /// An embedding was refused.
    #[error("the embedding of {path}: {source}")]
    Embedding {
        /// The picture.
        path: PathBuf,
        /// The reason.
        source: LabelledError,
    },
}

impl Folder {
    /// Lists the pictures of all people, or of one fold of them. It skips names that begin with a dot.
    ///
    /// # Errors
    /// The folder cannot be read, or has no pictures.
    pub fn list(root: &Path, fold: Option<Fold>) -> Result<Self, EvaluationError> {
        let (mut people, mut pictures) = (Vec::new(), Vec::new());
        for person in sorted(root)?.into_iter().filter(|path| path.is_dir()) {
            let name = name(&person);
            if fold.is_some_and(|fold| !fold.contains(&name)) {
                continue;
            }
            let identity = people.len() as u32;
            let files = sorted(&person)?.into_iter().filter(|path| path.is_file());
            pictures.extend(files.map(|path| (identity, path)));
            people.push(name);
        }
        if pictures.is_empty() {
            return Err(EvaluationError::Empty { path: root.to_owned() });
        }
        Ok(Self { people, pictures })
    }

    /// Number of pictures.
    #[must_use]
    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }

    /// Codes every picture with one thread per coder, and calls `done` after each picture. The result does not depend
    /// on the number of coders.
    ///
    /// # Errors
    /// The coder fails on a picture, or an embedding has another length than the first one.
    pub fn code<C: Coder + Send>(
        &self,
        coders: &mut [C],
        done: &(dyn Fn() + Sync),
    ) -> Result<Coded, EvaluationError> {
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let mut samples = std::thread::scope(|scope| {
            let threads: Vec<_> = coders
                .iter_mut()
                .map(|coder| scope.spawn(|| self.code_some(coder, &next, &failed, done)))
                .collect();
            let joined = threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            joined.flatten().collect::<Vec<_>>()
        });
        samples.sort_unstable_by_key(|(picture, _)| *picture);

        let mut coded = Coded {
            people: self.people.clone(),
            labelled: Labelled::new(),
            pictures: Vec::new(),
            quality: Vec::new(),
            measures: Vec::new(),
            without_face: Vec::new(),
        };
        for (picture, sample) in samples {
            let (identity, path) = self.pictures[picture].clone();
            match sample {
                Ok(Some(sample)) => coded.push(identity, path, sample)?,
                Ok(None) => coded.without_face.push(path),
                Err(source) => return Err(EvaluationError::Code { path, source }),
            }
        }
        Ok(coded)
    }

    /// Takes pictures until none is left or a coder has failed.
    fn code_some(
        &self,
        coder: &mut impl Coder,
        next: &AtomicUsize,
        failed: &AtomicBool,
        done: &(dyn Fn() + Sync),
    ) -> Vec<(usize, Result<Option<Sample>, CoderError>)> {
        let mut samples = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let picture = next.fetch_add(1, Ordering::Relaxed);
            let Some((_, path)) = self.pictures.get(picture) else { break };
            let sample = coder.code(path);
            failed.fetch_or(sample.is_err(), Ordering::Relaxed);
            samples.push((picture, sample));
            done();
        }
        samples
    }
}

impl Coded {
    fn push(&mut self, identity: u32, path: PathBuf, sample: Sample) -> Result<(), EvaluationError> {
        if let Err(source) = self.labelled.push(identity, &sample.embedding) {
            return Err(EvaluationError::Embedding { path, source });
        }
        self.pictures.push(path);
        self.quality.push(sample.quality);
        self.measures.push(sample.measures);
        Ok(())
    }

    /// The number of people with at least one face.
    #[must_use]
    pub fn people_with_a_face(&self) -> usize {
        self.labelled.identities().chunk_by(|one, other| one == other).count()
    }
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn sorted(dir: &Path) -> Result<Vec<PathBuf>, EvaluationError> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        let mut paths: Vec<_> =
            std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        paths.retain(|path| !name(path).starts_with('.'));
        paths.sort();
        Ok(paths)
    };
    list().map_err(|source| EvaluationError::List { path: dir.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A coder for text files: the text is the embedding, and its first value is also the quality.
    #[derive(Clone)]
    struct Text;

    impl Coder for Text {
        fn code(&mut self, image: &Path) -> Result<Option<Sample>, CoderError> {
            let text = std::fs::read_to_string(image)?;
            let embedding = text.split_whitespace().map(str::parse).collect::<Result<Vec<f32>, _>>()?;
            let Some(first) = embedding.first().copied() else { return Ok(None) };
            Ok(Some(Sample { quality: first as i32, measures: vec![("first", first)], embedding }))
        }
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn code(root: &Path) -> Result<Coded, EvaluationError> {
        Folder::list(root, None)?.code(&mut [Text], &|| {})
    }

    #[test]
    fn a_folder_is_coded_in_the_order_of_names() {
        let root = folder(&[
            ("b/2.jpg", "0 1"),
            ("b/1.jpg", "1 0"),
            ("a/1.jpg", "3 4"),
            ("a/.hidden", "no picture"),
            ("c/1.jpg", ""),
            ("d/1.jpg", "1 0"),
            ("index.csv", "not a person"),
        ]);
        let seen = AtomicUsize::new(0);
        let listed = Folder::list(root.path(), None).unwrap();
        let coded = listed
            .code(&mut [Text, Text, Text], &|| {
                seen.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
        assert_eq!((listed.pictures(), seen.into_inner()), (5, 5));
        assert_eq!(coded.people, ["a", "b", "c", "d"]);
        assert_eq!(coded.without_face, [root.path().join("c/1.jpg")]);
        assert_eq!(coded.labelled.identities(), [0, 1, 1, 3]);
        assert_eq!(coded.people_with_a_face(), 3);
        assert_eq!(coded.pictures[1], root.path().join("b/1.jpg"));
        assert_eq!(coded.quality, [3, 1, 0, 1]);
        assert_eq!(coded.measures[0], [("first", 3.0)]);
        let alone = listed.code(&mut [Text], &|| {}).unwrap();
        assert_eq!((alone.labelled, alone.pictures), (coded.labelled, coded.pictures));
    }

    #[test]
    fn the_folds_of_a_folder_share_nobody() {
        let names: Vec<String> = (0..20).map(|person| format!("p{person}/1.jpg")).collect();
        let root = folder(&names.iter().map(|name| (name.as_str(), "1 0")).collect::<Vec<_>>());
        let [one, two] =
            ["1/2", "2/2"].map(|fold| Folder::list(root.path(), Some(fold.parse().unwrap())).unwrap());
        assert!(one.pictures() > 0 && two.pictures() > 0);
        assert_eq!(one.pictures() + two.pictures(), 20);
        assert!(one.people.iter().all(|name| !two.people.contains(name)));
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let root = folder(&[("a/1.jpg", "3 4"), ("a/2.jpg", "1 2 3")]);
        let error = code(root.path()).unwrap_err();
        assert!(matches!(&error, EvaluationError::Embedding { path, .. } if path.ends_with("a/2.jpg")));
        std::fs::write(root.path().join("a/0.jpg"), "x").unwrap();
        let error = code(root.path()).unwrap_err();
        assert!(matches!(&error, EvaluationError::Code { path, .. } if path.ends_with("a/0.jpg")));
        assert!(matches!(code(&root.path().join("z")), Err(EvaluationError::List { .. })));
        assert!(matches!(code(&root.path().join("a")), Err(EvaluationError::Empty { .. })));
    }
}
