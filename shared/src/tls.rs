//! The cryptographic provider for TLS.

/// Makes AWS-LC the default provider of rustls, unless the process has one already. Without a default, rustls panics if
/// dependencies have enabled more than one provider.
pub fn install_provider() {
    // An error means that the process has a default already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
