//! Packages of public registries, and the files in them.

use serde::{Deserialize, Serialize};

/// The place where a package is published. The registry's ordinary client fetches it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Registry {
    /// `npm pack NAME@VERSION`
    Npm,
    /// `pip download --no-deps NAME==VERSION`
    Pypi,
    /// No registry: single files of a public repository, by `curl` from the package's addresses.
    Https,
}

/// One archive of a registry, or files of a repository.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// The registry that publishes it.
    pub registry: Registry,
    /// The package's name in the registry.
    pub name: String,
    /// Its exact version; of a repository, the commit.
    pub version: String,
    /// Fetch the source archive instead of a wheel (PyPI only).
    #[serde(default)]
    pub source_archive: bool,
    /// The wheel to fetch (PyPI only). Without it, pip takes the wheel for the Python version that pip runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheel: Option<Wheel>,
    /// Addresses of the files (`https` only), each with `{path}` in place of a file's path. Provisioning tries them in
    /// this order until one returns the file with the right checksum. Each should name a commit, so the file cannot
    /// change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The licence that the package declares (SPDX).
    pub license: String,
    /// The publisher, as far as the package names one.
    pub origin: String,
}

/// Names one of a release's wheels, in pip's terms.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// Python's version, as in `3.11`.
    pub python: String,
    /// Interface of the interpreter, as in `cp311`.
    pub abi: String,
    /// Operating system and processor, as in `manylinux_2_28_x86_64`.
    pub platform: String,
}

/// One file inside a package.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Key of [`Manifest::packages`].
    pub package: String,
    /// The file's path inside the archive.
    pub path: String,
    /// SHA-256 of the file as published, lower-case hex.
    pub sha256: String,
}
