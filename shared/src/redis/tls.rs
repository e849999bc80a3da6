//! Certificates for connections to Redis.

use std::path::Path;

use redis::{Client, ClientTlsConfig, ConnectionInfo, TlsCertificates};

use super::error::RedisServerError;
use crate::settings::ClientTls;

/// A client for `info`, with the certificates that `tls` names where `info` asks for TLS. The files are read each time, so a
/// renewed certificate counts from the next connection on.
///
/// # Errors
/// [`RedisServerError::Tls`] if a file cannot be read or used.
pub(super) fn client(info: ConnectionInfo, tls: &ClientTls) -> Result<Client, RedisServerError> {
    let unusable = |error: redis::RedisError| RedisServerError::Tls(error.to_string());
    if !matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
        return Client::open(info).map_err(unusable);
    }
    let client_tls = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => {
            Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
        }
        _ => None,
    };
    let root_cert = tls.ca.as_deref().map(read).transpose()?;
    Client::build_with_tls(info, TlsCertificates { client_tls, root_cert }).map_err(unusable)
}

fn read(file: &Path) -> Result<Vec<u8>, RedisServerError> {
    let bytes = std::fs::read(file)
        .map_err(|error| RedisServerError::Tls(format!("{} cannot be read: {error}", file.display())))?;
    // The library takes a file without any certificate or key for an empty list.
    if has_pem(&bytes) {
        Ok(bytes)
    } else {
        Err(RedisServerError::Tls(format!("{} is not a PEM file", file.display())))
    }
}

fn has_pem(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN ";
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN)
}
