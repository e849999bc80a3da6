//! Error rates of verification over a folder of labelled pictures (ISO/IEC 19795-1: FMR and FNMR).

mod comparison;
mod histogram;
mod labelled;

use std::path::{Path, PathBuf};

pub use self::comparison::{Comparison, Genuine};
pub use self::histogram::Histogram;
pub use self::labelled::{Labelled, LabelledError};

/// Whatever made a coder fail.
pub type CoderError = Box<dyn std::error::Error + Send + Sync>;

/// Makes an embedding of a picture's central face. The product's own pipeline is plugged in by the program.
pub trait Coder {
    /// The embedding, or `None` where no face is found.
    ///
    /// # Errors
    /// The picture cannot be read, or the pipeline failed.
    fn code(&mut self, image: &Path) -> Result<Option<Vec<f32>>, CoderError>;
}

/// A folder of pictures, coded.
#[derive(Clone, Debug)]
pub struct Coded {
    /// The embeddings; identities are numbered in the order of their names.
    pub labelled: Labelled,
    /// Pictures in which no face was found.
    pub without_face: Vec<PathBuf>,
}

/// Why a folder could not be coded.
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
    /// A picture cannot be coded.
    #[error("cannot code {path}: {source}")]
    Code {
        /// The picture.
        path: PathBuf,
        /// The coder's reason.
        source: CoderError,
    },
    /// An embedding is not one.
    #[error("the embedding of {path}: {source}")]
    Embedding {
        /// The picture.
        path: PathBuf,
        /// What is wrong with it.
        source: LabelledError,
    },
}

/// Codes every file of `root/IDENTITY/*`, in the order of names, and tells `done` after each.
///
/// # Errors
/// An unreadable folder, a picture that the coder fails on, an embedding of another length.
pub fn code_folder(
    root: &Path,
    coder: &mut dyn Coder,
    mut done: impl FnMut(&Path),
) -> Result<Coded, EvaluationError> {
    let mut coded = Coded { labelled: Labelled::new(), without_face: Vec::new() };
    let people = sorted(root)?.into_iter().filter(|path| path.is_dir());
    for (identity, person) in (0u32..).zip(people) {
        for path in sorted(&person)?.into_iter().filter(|path| path.is_file()) {
            match coder.code(&path) {
                Ok(Some(embedding)) => {
                    if let Err(source) = coded.labelled.push(identity, &embedding) {
                        return Err(EvaluationError::Embedding { path, source });
                    }
                    done(&path);
                }
                Ok(None) => {
                    done(&path);
                    coded.without_face.push(path);
                }
                Err(source) => return Err(EvaluationError::Code { path, source }),
            }
        }
    }
    Ok(coded)
}

fn sorted(dir: &Path) -> Result<Vec<PathBuf>, EvaluationError> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        let mut paths: Vec<_> =
            std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        paths.sort();
        Ok(paths)
    };
    list().map_err(|source| EvaluationError::List { path: dir.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture's text is its embedding.
    struct Text;

    impl Coder for Text {
        fn code(&mut self, image: &Path) -> Result<Option<Vec<f32>>, CoderError> {
            let text = std::fs::read_to_string(image)?;
            let values: Result<Vec<f32>, _> = text.split_whitespace().map(str::parse).collect();
            Ok(Some(values?).filter(|values| !values.is_empty()))
        }
    }

    #[test]
    fn a_folder_is_coded_in_the_order_of_names() {
        let root = tempfile::tempdir().unwrap();
        let files =
            [("b/2.jpg", "0 1"), ("b/1.jpg", "1 0"), ("a/1.jpg", "3 4"), ("c/1.jpg", ""), ("d/1.jpg", "1 0")];
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::fs::write(root.path().join("index.csv"), "not a person").unwrap();
        let mut seen = Vec::new();
        let coded = code_folder(root.path(), &mut Text, |path| seen.push(path.to_owned())).unwrap();
        assert_eq!(coded.without_face, [root.path().join("c/1.jpg")]);
        assert_eq!(seen.len(), 5);
        assert_eq!(coded.labelled.identities(), [0, 1, 1, 3]);
        let comparison = coded.labelled.compare(2);
        assert_eq!((comparison.genuine().len(), comparison.impostors().count()), (1, 5));

        std::fs::write(root.path().join("a/2.jpg"), "1 2 3").unwrap();
        let error = code_folder(root.path(), &mut Text, |_| {}).unwrap_err();
        assert!(matches!(error, EvaluationError::Embedding { .. }), "{error}");
        std::fs::write(root.path().join("a/0.jpg"), "x").unwrap();
        let error = code_folder(root.path(), &mut Text, |_| {}).unwrap_err();
        assert!(matches!(error, EvaluationError::Code { path, .. } if path.ends_with("a/0.jpg")));
        assert!(matches!(
            code_folder(&root.path().join("z"), &mut Text, |_| {}),
            Err(EvaluationError::List { .. })
        ));
    }
}
