//! Files with keys, accounts and certificates.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use faceline_gateway::file_check::{CheckedFile, FileState, check_files};
use faceline_gateway::http::certificate_chain;
use faceline_shared::certificate::not_after;
use faceline_shared::keys::{KeyFile, Keys, KeysError};
use faceline_shared::seal::KeyRing;
use faceline_shared::secret_file;
use faceline_shared::settings::ClientTls;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::finding::Finding;
use super::subject::Subject;

/// A certificate that expires within this time should be renewed.
const RENEWAL: Duration = Duration::from_hours(21 * 24);

pub(super) fn check(subject: &Subject) -> Vec<Finding> {
    let settings = &subject.settings;
    let mut findings = vec![keys(subject)];
    if subject.has_gateway() {
        let ring = Keys::find(settings).map(|keys| keys.data).or_else(|_| KeyRing::generate());
        findings.extend(ring.iter().flat_map(|ring| check_files(settings, ring)).map(of_file));
        if let Some(files) = &settings.http.tls {
            findings.extend(match certificate_chain(files) {
                Ok(chain) => of_chain("http.tls", &files.certificate, &chain),
                Err(error) => vec![Finding::error(
                    "http.tls",
                    &error,
                    "give http.tls.certificate and http.tls.key a certificate and its key as PEM files",
                )],
            });
            if secret_file::is_readable_by_others(&files.key).unwrap_or(false) {
                let found = format!("{} can be read by others", files.key.display());
                findings.push(Finding::warning("http.tls", found, "chmod 600 it"));
            }
        }
    }
    for (section, tls) in [
        ("broker.tls", &settings.broker.tls),
        ("store.tls", &settings.store.tls),
        ("blobs.tls", &settings.blobs.tls),
    ] {
        findings.extend(of_client(section, tls));
    }
    findings
}

fn keys(subject: &Subject) -> Finding {
    let settings = &subject.settings;
    let path = KeyFile::of(settings).path().display().to_string();
    match Keys::find(settings) {
        Ok(keys) => {
            Finding::ok("keys", format!("{path} has the active data key {}", keys.data.fingerprint()))
        }
        Err(KeysError::File(error)) if error.is_missing() && settings.keys.file.is_none() => {
            Finding::ok("keys", format!("{path} does not exist yet; the first start makes it"))
        }
        Err(error) => Finding::error(
            "keys",
            &error,
            "copy the key file of the other gateways and workers here and name it by keys.file; a new one opens nothing of what they sealed",
        ),
    }
}

fn of_file(CheckedFile { setting, path, state }: CheckedFile) -> Finding {
    let path = path.map_or_else(|| "the demo account".into(), |path| path.display().to_string());
    match state {
        FileState::Usable => Finding::ok(setting, format!("{path} can be used")),
        FileState::MadeAtStart => Finding::ok(setting, format!("{path} is made when the gateway starts")),
        FileState::Unusable(error) => {
            Finding::error(setting, &error, &format!("correct the file, or set {setting} to another one"))
        }
    }
}

fn of_client(section: &'static str, tls: &ClientTls) -> Vec<Finding> {
    let files = [&tls.ca, &tls.certificate].into_iter().flatten();
    let mut findings: Vec<_> = files
        .flat_map(|path| match chain(path) {
            Ok(chain) => of_chain(section, path, &chain),
            Err(error) => vec![Finding::problem(
                section,
                format!("{}: {error}", path.display()),
                format!("name a PEM file with certificates in {section}"),
            )],
        })
        .collect();
    if let Some(key) = &tls.key {
        match fs::metadata(key) {
            Err(error) => findings.push(Finding::problem(
                section,
                format!("{}: {error}", key.display()),
                format!("name the key of the certificate in {section}.key, and let this user read it"),
            )),
            Ok(_) if secret_file::is_readable_by_others(key).unwrap_or(false) => {
                let found = format!("{} can be read by others", key.display());
                findings.push(Finding::warning(section, found, "chmod 600 it"));
            }
            Ok(_) => (),
        }
    }
    findings
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| error.to_string())?;
    if chain.is_empty() { Err("it holds no certificate".into()) } else { Ok(chain) }
}

/// Judges a chain by the certificate that expires first.
fn of_chain(check: &'static str, path: &Path, chain: &[CertificateDer<'_>]) -> Vec<Finding> {
    let Some(end) = chain.iter().filter_map(|certificate| not_after(certificate)).min() else {
        let found = format!("{}: the end of its certificates cannot be read", path.display());
        return vec![Finding::warning(check, found, "give it a certificate as in RFC 5280")];
    };
    let path = path.display();
    let days = |time: Duration| time.as_secs() / 86_400;
    let renew =
        "renew the certificate and replace the file; running programs take the new one within seconds";
    vec![match end.duration_since(SystemTime::now()) {
        Err(past) => Finding::problem(
            check,
            format!("{path}: a certificate has expired {} days ago", days(past.duration())),
            renew,
        ),
        Ok(left) if left < RENEWAL => {
            Finding::warning(check, format!("{path}: a certificate expires in {} days", days(left)), renew)
        }
        Ok(left) => Finding::ok(check, format!("{path}: valid for another {} days", days(left))),
    }]
}
