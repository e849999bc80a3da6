//! Manifests of models, which operators may edit.

use faceline_models::manifest::{DEFAULT_MANIFEST, Manifest, Registry};

use crate::{MIB, Target};

pub(crate) const TARGET: Target = Target {
    name: "manifest",
    run: manifest,
    seeds,
    words: &[
        b"[[models]]",
        b"[packages.x]",
        b"[runtime]",
        b"role = \"detector\"",
        b"kind = \"whole\"",
        b"sha256 = ",
        b"../",
        b"/",
        b"nan",
        b"inf",
        b"-0.0",
        b"9223372036854775807",
        b"{path}",
        b"http://127.0.0.1:1/{path}",
        b"https://a@b/{path}",
        b"registry = \"https\"",
        b"\"\"\"",
        b"\\u0000",
        b"[",
        b"]",
        b"=",
        b"\n",
    ],
    is_dotted_base64: false,
    max_allocated_bytes: 64 * MIB,
};

/// Reads a manifest.
///
/// # Panics
/// An accepted manifest does not survive a round trip (write, read), names files outside of their folders, or names
/// addresses of other machines without TLS.
pub fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(manifest) = Manifest::parse(text) else { return };
    let written = toml::to_string(&manifest).expect("a manifest that was read can be written");
    let again = Manifest::parse(&written).expect("a manifest that was written can be read");
    assert_eq!(toml::to_string(&again).expect("it can be written again"), written);

    for name in manifest.models.iter().map(|model| &model.name).chain(manifest.pictures.keys()) {
        assert!(!name.starts_with('.') && !name.contains(['/', '\\', '\0']), "{name:?} leaves its folder");
    }
    for package in manifest.packages.values() {
        for address in &package.addresses {
            let is_local =
                address.starts_with("http://127.0.0.1:") || address.starts_with("http://localhost:");
            assert!(address.starts_with("https://") || is_local, "{address:?}");
        }
        assert_eq!(package.registry == Registry::Https, !package.addresses.is_empty());
    }
    // An accepted manifest may lack a table or a model. The worker reports this when it loads them.
    let _ = manifest.calibration();
}

fn seeds() -> Vec<Vec<u8>> {
    let whole = DEFAULT_MANIFEST.as_bytes().to_vec();
    // In a small manifest, mutations reach every part.
    let small = r#"
format = 2
models = []
[packages.a]
registry = "https"
name = "a"
version = "1"
addresses = ["https://example.org/{path}"]
license = "MIT"
origin = "a"
[runtime]
version = "1.27.0"
package = "a"
path = "lib.so"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
"#;
    vec![whole, small.into()]
}
