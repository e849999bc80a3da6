//! The files that the program contains.
//!
//! `build.rs` writes a table of `include_bytes!`, and triggers a new build when a file is added or removed. Libraries
//! that embed files leave the latter to a build script, too.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use faceline_shared::digest::sha256_hex;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;

/// Compressed text is sent only where it saves at least a tenth.
const MIN_SAVED: usize = 10;

/// The files of one folder, by their paths in it.
pub(super) type Folder = HashMap<&'static str, Asset>;

/// A file as it is served.
pub(super) struct Asset {
    pub(super) media_type: HeaderValue,
    pub(super) plain: Content,
    /// The same, compressed with gzip, where that is shorter.
    pub(super) gzip: Option<Content>,
}

/// The bytes of an answer, and the strong entity tag that identifies exactly these bytes.
pub(super) struct Content {
    pub(super) bytes: Bytes,
    pub(super) tag: HeaderValue,
}

/// The names and the contents of files.
type Files = &'static [(&'static str, &'static [u8])];

// `CAPTURE_FILES`, `PLAYGROUND_FILES`, `COMPATIBLE_FILES` and `SDK_FILES`, which `build.rs` lists.
include!(concat!(env!("OUT_DIR"), "/web_files.rs"));

/// The capture page.
pub(super) static CAPTURE: LazyLock<Folder> = LazyLock::new(|| folder(&[CAPTURE_FILES]));
/// The playground.
pub(super) static PLAYGROUND: LazyLock<Folder> = LazyLock::new(|| folder(&[PLAYGROUND_FILES]));
/// The web SDK.
pub(super) static SDK: LazyLock<Folder> = LazyLock::new(|| folder(&[SDK_FILES]));
/// The scripts for pages of the original service, with the web SDK beside them, which they load by a relative address.
pub(super) static VIDEO_SERVER: LazyLock<Folder> = LazyLock::new(|| folder(&[COMPATIBLE_FILES, SDK_FILES]));

fn folder(files: &[Files]) -> Folder {
    files.iter().copied().flatten().map(|(name, bytes)| (*name, asset(name, bytes))).collect()
}

fn asset(name: &str, bytes: &'static [u8]) -> Asset {
    Asset {
        media_type: media_type(name),
        plain: content(Bytes::from_static(bytes)),
        gzip: compressed(bytes).map(content),
    }
}

fn media_type(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "ts" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        _ => "application/octet-stream",
    })
}

fn content(bytes: Bytes) -> Content {
    // Hexadecimal digits between quotes are always a header.
    let tag = HeaderValue::from_str(&format!("\"{:.32}\"", sha256_hex(&bytes)))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""));
    Content { bytes, tag }
}

/// The bytes in gzip; `None` where that saves little.
fn compressed(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() + bytes.len() / MIN_SAVED < bytes.len()).then(|| packed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_scripts_are_in_the_program_and_nothing_that_no_browser_needs() {
        for (folder, files) in [
            (&CAPTURE, &["index.html"][..]),
            (&PLAYGROUND, &["index.html"]),
            (&SDK, &["faceline.js", "faceline.d.ts"]),
            (
                &VIDEO_SERVER,
                &[
                    "bioserver-environment-api.js",
                    "bioserver-video-api.js",
                    "bioserver-network-check.js",
                    "bioserver-video-ui.js",
                    "faceline.js",
                ],
            ),
        ] {
            for file in files {
                assert!(!folder[*file].plain.bytes.is_empty(), "{file}");
            }
            for (name, asset) in folder.iter() {
                assert!(!name.contains("test") && !name.ends_with(".md"), "{name}");
                assert_ne!(asset.media_type, "application/octet-stream", "{name}");
            }
        }
    }

    #[test]
    fn the_sdk_is_small_on_its_way() {
        let packed = SDK["faceline.js"].gzip.as_ref().map(|content| content.bytes.len());
        assert!(packed.is_some_and(|bytes| bytes < 30_000), "{packed:?}");
    }

    #[test]
    fn the_compressed_text_is_the_same_text_under_another_tag() {
        let text = "all the same ".repeat(100);
        let packed = compressed(text.as_bytes()).unwrap();
        let mut unpacked = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*packed), &mut unpacked).unwrap();
        assert_eq!(unpacked, text);
        assert_ne!(content(packed).tag, content(Bytes::from(text)).tag);
        assert!(compressed(b"short").is_none());
    }
}
