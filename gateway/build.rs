//! Generates the gRPC messages of BWS from `proto/`. The compiler is a crate, so the build needs no `protoc`.

use std::path::PathBuf;
use std::{env, fs, io};

use prost::Message as _;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["bws.proto"], ["proto"]).map_err(io::Error::other)?;
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    fs::write(folder.join("bws.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // The gateway reads requests itself: it admits their bytes while they arrive.
        .build_server(false)
        // `Bytes` fields share the receive buffer instead of copying pictures.
        .bytes(".")
        .compile_fds(descriptors)
}
