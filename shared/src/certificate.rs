//! The end of a certificate's validity.

use std::time::{Duration, SystemTime};

use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The time after which a certificate, given as DER, is not valid any more (RFC 5280, 4.1.2.5); `None` if that is no certificate.
#[must_use]
pub fn not_after(der: &[u8]) -> Option<SystemTime> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn the_end_is_that_of_the_certificate() {
        let mut params = CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let end = params.not_after.unix_timestamp() as u64;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(not_after(certificate.der()), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(end)));
        assert_eq!(not_after(b"no certificate"), None);
    }
}
