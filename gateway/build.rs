//! Makes the messages of BWS from their protocol, without a protocol compiler of the system's.

use std::path::PathBuf;
use std::{env, fs, io};

use prost::Message as _;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["bws.proto"], ["proto"]).map_err(io::Error::other)?;
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    fs::write(folder.join("bws.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Requests are read by code of our own, which takes room for them as they come.
        .build_server(false)
        // Pictures stay where they were received.
        .bytes(".")
        .compile_fds(descriptors)
}
