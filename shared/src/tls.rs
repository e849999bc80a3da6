//! One provider of cryptography for all TLS of a process.

/// Makes AWS-LC the provider of rustls, unless the process has chosen one before. Without it rustls panics where the
/// features of crates nobody here knows leave it a choice.
pub fn install_provider() {
    // An error means that there is one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
