//! Fuzz targets: everything in Faceline that parses untrusted bytes.
//!
//! Each target is a function from bytes to nothing that panics where a property does not hold. Two runners call them:
//!
//! - the smoke run in `tests/smoke.rs`, a part of `make test`: the seeds, the committed corpus, and mutations of both ([`mutation`]);
//! - libFuzzer with coverage guidance, by `make fuzz`: the package in `cargo-fuzz/`.
//!
//! | target | parses | properties besides "does not panic" |
//! | --- | --- | --- |
//! | [`envelope`] | messages of the broker | messages re-encode to the same; only sealed ones open, each in its place |
//! | [`template`] | templates of callers | only sealed ones open; sealed content of any form is decoded or refused |
//! | [`picture`] | picture files | a decoded picture becomes a JPEG that decodes to the same size |
//! | [`multipart`] | bodies of requests | parts are within the body; the lengths of chunks do not matter |
//! | [`jwt`] | tokens of BWS clients | accepted tokens are signed; another JSON reader reads the same claims |
//! | [`jwe`] | metadata of uploads | metadata opens if and only if it was sealed, and survives a round trip |
//! | [`media`] | videos of uploads | videos open if and only if they were sealed; the lengths of pieces do not matter |
//! | [`manifest`] | manifests of operators | accepted manifests survive a round trip, and name no path outside their folders |
//! | [`container`] | video containers, and the stream of the decoder's child process | still pictures and playlists are no videos; blocks are within the stream |

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

/// A target with the data that its runners need.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The function's name, which is also that of the corpus folder and of cargo-fuzz's target.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
    /// Valid inputs, made by the project's own encoders.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words of the format, which mutations insert.
    pub words: &'static [&'static [u8]],
    /// Whether inputs consist of base64url parts between dots. Mutations then also change the content of the parts.
    pub is_dotted_base64: bool,
    /// Maximum sum of all allocations of one run in bytes, regardless of the lengths that its input declares.
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
