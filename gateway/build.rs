//! Generates the gRPC messages of BWS from `proto/`, where the compiler is a crate, so the build needs no `protoc`; and the table of
//! the files in `web/` that the gateway serves.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use prost::Message as _;

/// The folders of `web/`, and the files of each that are served; without any, all are.
const WEB: [(&str, &[&str]); 4] =
    [("capture", &[]), ("playground", &[]), ("compatible", &[]), ("sdk", &["faceline.js", "faceline.d.ts"])];

fn main() -> io::Result<()> {
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    list_web_files(&folder.join("web_files.rs"))?;
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["bws.proto"], ["proto"]).map_err(io::Error::other)?;
    fs::write(folder.join("bws.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // The gateway reads requests itself: it admits their bytes while they arrive.
        .build_server(false)
        // `Bytes` fields share the receive buffer instead of copying pictures.
        .bytes(".")
        .compile_fds(descriptors)
}

/// Writes a constant for each folder: the names and the contents of its files.
fn list_web_files(to: &Path) -> io::Result<()> {
    println!("cargo:rerun-if-changed=web");
    let web = env::current_dir()?.join("web");
    let mut text = String::new();
    for (name, served) in WEB {
        let root = web.join(name);
        let mut files = Vec::new();
        find_files(&root, &mut files)?;
        files.sort_unstable();
        text += &format!("const {}_FILES: Files = &[\n", name.to_uppercase());
        for file in files {
            let name = file.strip_prefix(&root).map_err(io::Error::other)?.display().to_string();
            if served.is_empty() || served.contains(&name.as_str()) {
                let file = file.display().to_string();
                text += &format!("    ({name:?}, include_bytes!({file:?})),\n");
            }
        }
        text += "];\n";
    }
    fs::write(to, text)
}

/// Adds the files below a folder.
fn find_files(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_files(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
