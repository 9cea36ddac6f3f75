//! The authorities that TLS trusts: those that the developer names, or else those of the system.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::ssl::SslConnectorBuilder;
use openssl::x509::X509;
use openssl::x509::store::{X509StoreBuilder, X509StoreBuilderRef};
use openssl_probe::ProbeResult;

use super::url::parameter::Parameter;
use crate::error::Error;

const NOT_PEM: &str = "can't be read as PEM certificates";

/// Checks that the option `tls.ca` holds certificates.
pub(super) fn check_authorities(ca: &str) -> Result<(), Error> {
    certificates(ca.as_bytes()).map(drop).map_err(|problem| Error::config("tls.ca", problem))
}

/// Trusts only the authorities of the option `tls.ca`, not those that OpenSSL would load by default.
pub(super) fn trust_only(ca: &str, builder: &mut SslConnectorBuilder) -> Result<(), Error> {
    replace(ca.as_bytes(), builder).map_err(|problem| Error::config("tls.ca", problem))
}

/// The same with those of the file that `sslrootcert` names.
pub(super) fn trust_only_file(root_cert: &Parameter, builder: &mut SslConnectorBuilder) -> Result<(), Error> {
    // The message leaves the path out: the value may be a key, or have a password in it.
    let pem = fs::read(root_cert.value.as_str())
        .map_err(|cause| root_cert.error(format!("names a file that can't be read: {cause}")))?;
    replace(&pem, builder).map_err(|problem| root_cert.error(problem))
}

/// Trusts the system's authorities, or `node_roots` if it has none, and those in the file `extra`, as Node.js does.
pub(super) fn trust_system(
    extra: Option<&str>,
    node_roots: impl FnOnce() -> String,
    builder: &mut SslConnectorBuilder,
) -> Result<(), Error> {
    let extra = extra.map_or(Ok(Vec::new()), read_extra)?;
    // The statically linked OpenSSL doesn't know where this system keeps them.
    let mut authorities = extra;
    if !load(&openssl_probe::probe(), builder) {
        authorities.extend(X509::stack_from_pem(node_roots().as_bytes()).unwrap_or_default());
        if authorities.is_empty() {
            return Err(Error::config(
                "sslrootcert",
                "is required, since neither this system nor Node.js has authorities to verify the server's certificate \
                 by; install the package ca-certificates, or set sslrootcert to a PEM file",
            ));
        }
    }
    add(authorities, builder.cert_store_mut())
        .map_err(|cause| Error::config("sslrootcert", format!("can't be set up: {cause}")))
}

/// Whether this system has certificates where OpenSSL finds them.
fn load(system: &ProbeResult, builder: &mut SslConnectorBuilder) -> bool {
    let file = system.cert_file.as_deref().filter(|file| builder.load_verify_locations(Some(file), None).is_ok());
    let folder = system.cert_dir.first().filter(|folder| has_certificates(folder));
    let folder = folder.filter(|folder| builder.load_verify_locations(None, Some(folder)).is_ok());
    file.is_some() || folder.is_some()
}

/// Whether a folder has a file under a name by which OpenSSL looks it up: the hash of a subject, and a number.
fn has_certificates(folder: &Path) -> bool {
    let is_hashed = |name: &str| {
        name.split_once('.').is_some_and(|(hash, number)| {
            hash.len() == 8
                && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| name.to_str().is_some_and(is_hashed))
}

fn read_extra(file: &str) -> Result<Vec<X509>, Error> {
    let error = |problem: String| Error::config("NODE_EXTRA_CA_CERTS", problem);
    let pem = fs::read(file).map_err(|cause| error(format!("names a file that can't be read: {cause}")))?;
    certificates(&pem).map_err(|problem| error(format!("names a file that {problem}")))
}

fn replace(pem: &[u8], builder: &mut SslConnectorBuilder) -> Result<(), &'static str> {
    let certificates = certificates(pem)?;
    let mut store = X509StoreBuilder::new().map_err(|_| NOT_PEM)?;
    add(certificates, &mut store).map_err(|_| NOT_PEM)?;
    builder.set_cert_store(store.build());
    Ok(())
}

/// At least one.
fn certificates(pem: &[u8]) -> Result<Vec<X509>, &'static str> {
    X509::stack_from_pem(pem).ok().filter(|certificates| !certificates.is_empty()).ok_or(NOT_PEM)
}

fn add(certificates: Vec<X509>, store: &mut X509StoreBuilderRef) -> Result<(), ErrorStack> {
    certificates.into_iter().try_for_each(|certificate| store.add_cert(certificate))
}

#[cfg(test)]
mod tests {
    use openssl::ssl::{SslConnector, SslMethod};

    use super::*;

    fn builder() -> SslConnectorBuilder {
        SslConnector::builder(SslMethod::tls_client()).expect("sets up")
    }

    #[test]
    fn certificates_that_cannot_be_parsed_are_refused() {
        for ca in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = trust_only(ca, &mut builder()).expect_err("is refused");
            assert_eq!(error.to_string(), "tls.ca: can't be read as PEM certificates", "{ca}");
        }
    }

    #[test]
    fn an_extra_file_that_cannot_be_read_is_refused() {
        for (file, problem) in [
            ("/nowhere/ca.pem", "NODE_EXTRA_CA_CERTS: names a file that can't be read: "),
            (file!(), "NODE_EXTRA_CA_CERTS: names a file that can't be read as PEM certificates"),
        ] {
            let error = trust_system(Some(file), String::new, &mut builder()).expect_err("is refused");
            assert!(error.to_string().starts_with(problem), "{error}");
        }
    }
}
