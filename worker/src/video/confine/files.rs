//! Files that the child may open (landlock): its program, its loader and its libraries, to read.
//!
//! Landlock does not concern what is open already, nor files without a path: pipes and the memory file of the video.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};

use super::error::ConfinementError;
use super::interpreter::interpreter;

/// Folders of libraries, and the loader's index of them. Missing ones are ignored.
const LIBRARIES: [&str; 9] = [
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/nix/store",
    "/etc/ld.so.cache",
];

/// Files that may be opened.
pub(super) struct Readable {
    /// Files that are executed: the program, and its loader if it has one.
    executable: Vec<PathBuf>,
    libraries: Vec<PathBuf>,
}

impl Readable {
    /// The files that `program` needs.
    pub(super) fn of(program: &Path) -> Result<Self, ConfinementError> {
        let program = program.canonicalize().map_err(ConfinementError::Program)?;
        let loader = interpreter(&program).map_err(ConfinementError::Program)?;
        let mut libraries: Vec<PathBuf> = LIBRARIES.map(PathBuf::from).into();
        // A program in a folder of its own, as /opt/ffmpeg/bin, has its libraries beside it.
        libraries.extend(program.parent().and_then(Path::parent).map(|prefix| prefix.join("lib")));
        Ok(Self { executable: [Some(program), loader].into_iter().flatten().collect(), libraries })
    }

    /// Restricts this process to them for good.
    ///
    /// Every version of landlock restricts files. Later versions also restrict TCP (4), device commands (5), abstract
    /// sockets and signals to other processes (6).
    pub(super) fn restrict(&self) -> Result<(), ConfinementError> {
        let error = |error: &dyn std::fmt::Display| ConfinementError::Files(error.to_string());
        let execute = AccessFs::Execute | AccessFs::ReadFile;
        let status = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V1))
            .map_err(|e| error(&e))?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V6))
            .map_err(|e| error(&e))?
            .handle_access(AccessNet::from_all(ABI::V6))
            .map_err(|e| error(&e))?
            .scope(Scope::from_all(ABI::V6))
            .map_err(|e| error(&e))?
            .create()
            .map_err(|e| error(&e))?
            .add_rules(path_beneath_rules(&self.executable, execute))
            .map_err(|e| error(&e))?
            .add_rules(path_beneath_rules(&self.libraries, AccessFs::ReadFile))
            .map_err(|e| error(&e))?
            .restrict_self()
            .map_err(|e| error(&e))?;
        if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
            return Err(ConfinementError::Files("the kernel does not enforce it".to_owned()));
        }
        Ok(())
    }
}
