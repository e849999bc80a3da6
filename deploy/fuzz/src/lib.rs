//! Fuzz targets: everything in Faceline that parses a stranger's bytes.
//!
//! Each target is a function from bytes to nothing that panics where a property does not hold. Two runners call them:
//!
//! - the smoke run in `tests/smoke.rs`, a part of `make test`: the seeds, the committed corpus, and mutations of both ([`mutation`]);
//! - libFuzzer with coverage guidance, by `make fuzz`: the package in `cargo-fuzz/`.
//!
//! | target | parses | properties besides "does not panic" |
//! | --- | --- | --- |
//! | [`envelope`] | messages of the broker | what decodes re-encodes to the same; what opens was sealed, in its place |
//! | [`template`] | templates of callers | what opens was sealed; sealed content of any form is decoded or refused |
//! | [`picture`] | picture files | what decodes becomes a JPEG that decodes to the same size |
//! | [`multipart`] | bodies of requests | parts lie in the body; the cutting into chunks does not matter |
//! | [`jwt`] | tokens of BWS clients | what is accepted is signed, and says so in JSON that another reader reads the same way |
//! | [`jwe`] | metadata of uploads | what opens was sealed; what is sealed opens; metadata comes back |
//! | [`media`] | videos of uploads | what opens was sealed; the cutting into pieces does not matter |
//! | [`manifest`] | manifests of operators | what is accepted can be written and read again, and names no path outside its folders |
//! | [`container`] | video containers, and the stream of the decoder's child process | still pictures and playlists are no video; blocks lie in the stream |

pub mod mutation;

mod container;
mod envelope;
mod jwe;
mod jwt;
mod manifest;
mod media;
mod multipart;
mod picture;
mod ring;
mod template;

pub use self::container::container;
pub use self::envelope::envelope;
pub use self::jwe::jwe;
pub use self::jwt::jwt;
pub use self::manifest::manifest;
pub use self::media::media;
pub use self::multipart::multipart;
pub use self::picture::picture;
pub use self::template::template;

/// A target with what its runners need.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The function's name, which is also that of the corpus' folder and of cargo-fuzz's target.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
    /// Valid inputs, made by the project's own encoders.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words of the format, which mutations insert.
    pub words: &'static [&'static [u8]],
    /// Whether inputs are parts in base64url between dots, so mutations also change what the parts hold.
    pub is_dotted_base64: bool,
    /// Bytes that one run may allocate, all allocations added up, whatever its input says of lengths.
    pub max_allocated_bytes: u64,
}

/// All targets.
pub const TARGETS: [Target; 9] = [
    container::TARGET,
    envelope::TARGET,
    jwe::TARGET,
    jwt::TARGET,
    manifest::TARGET,
    media::TARGET,
    multipart::TARGET,
    picture::TARGET,
    template::TARGET,
];

/// Kibibytes, in bytes.
const KIB: u64 = 1 << 10;
/// Mebibytes, in bytes.
const MIB: u64 = 1 << 20;
