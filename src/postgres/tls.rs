//! `sslmode` and `sslrootcert` with libpq's meaning (PostgreSQL documentation, section "SSL
//! Support" of libpq), except that verification without a root certificate uses the system's.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVerifyMode, SslVersion};
use postgres_openssl::MakeTlsConnector;
use tokio_postgres::config::SslMode;

pub(super) const PARAMETERS: [&str; 2] = ["sslmode", "sslrootcert"];

/// What is wrong with a parameter.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) parameter: &'static str,
    pub(super) problem: String,
}

/// Whether to use TLS, and how. A `root_cert` is a PEM file, or `system`.
pub(super) fn connector(mode: Option<&str>, root_cert: Option<String>) -> Result<(SslMode, MakeTlsConnector), Mistake> {
    let set_up = |cause: ErrorStack| mistake("sslmode", format!("can't be set up: {cause}"));
    let (mode, verify) = policy(mode, root_cert.as_deref())?;
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(set_up)?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(set_up)?;
    if verify == Verify::Nothing {
        builder.set_verify(SslVerifyMode::NONE);
    } else {
        trust(root_cert.filter(|path| path != SYSTEM), &mut builder)?;
    }
    let mut connector = MakeTlsConnector::new(builder.build());
    connector.set_callback(move |connection, _host| {
        connection.set_verify_hostname(verify == Verify::ChainAndHostName);
        Ok(())
    });
    Ok((mode, connector))
}

/// The value of `sslrootcert` that stands for the system's certificates.
const SYSTEM: &str = "system";

/// What of the server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verify {
    Nothing,
    Chain,
    ChainAndHostName,
}

fn policy(mode: Option<&str>, root_cert: Option<&str>) -> Result<(SslMode, Verify), Mistake> {
    let policy = match mode {
        None if root_cert == Some(SYSTEM) => (SslMode::Require, Verify::ChainAndHostName),
        Some("disable") => (SslMode::Disable, Verify::Nothing),
        None | Some("prefer") => (SslMode::Prefer, Verify::Nothing),
        Some("require") if root_cert.is_some() => (SslMode::Require, Verify::Chain),
        Some("require") => (SslMode::Require, Verify::Nothing),
        Some("verify-ca") => (SslMode::Require, Verify::Chain),
        Some("verify-full") => (SslMode::Require, Verify::ChainAndHostName),
        Some(_) => return Err(mistake("sslmode", "must be disable, prefer, require, verify-ca or verify-full")),
    };
    if root_cert == Some(SYSTEM) && policy.1 != Verify::ChainAndHostName {
        return Err(mistake("sslmode", "must be verify-full when sslrootcert is system"));
    }
    Ok(policy)
}

fn trust(root_cert: Option<String>, builder: &mut SslConnectorBuilder) -> Result<(), Mistake> {
    if let Some(path) = root_cert {
        return builder
            .set_ca_file(&path)
            .map_err(|_| mistake("sslrootcert", format!("{path} can't be read, or holds no PEM certificate")));
    }
    // The OpenSSL that is linked in doesn't know where this system keeps them.
    let system = openssl_probe::probe();
    let directory = system.cert_dir.first().map(PathBuf::as_path);
    builder
        .load_verify_locations(system.cert_file.as_deref(), directory)
        .map_err(|_| mistake("sslrootcert", "is needed: this system's certificates were not found"))
}

fn mistake(parameter: &'static str, problem: impl Into<String>) -> Mistake {
    Mistake { parameter, problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for (mode, root_cert, expected) in [
            (None, None, (SslMode::Prefer, Verify::Nothing)),
            (Some("disable"), None, (SslMode::Disable, Verify::Nothing)),
            (Some("prefer"), Some("ca.pem"), (SslMode::Prefer, Verify::Nothing)),
            (Some("require"), None, (SslMode::Require, Verify::Nothing)),
            (Some("require"), Some("ca.pem"), (SslMode::Require, Verify::Chain)),
            (Some("verify-ca"), Some("ca.pem"), (SslMode::Require, Verify::Chain)),
            (Some("verify-full"), Some("ca.pem"), (SslMode::Require, Verify::ChainAndHostName)),
            (Some("verify-full"), None, (SslMode::Require, Verify::ChainAndHostName)),
            (Some("verify-full"), Some("system"), (SslMode::Require, Verify::ChainAndHostName)),
            (None, Some("system"), (SslMode::Require, Verify::ChainAndHostName)),
        ] {
            assert_eq!(policy(mode, root_cert).expect("is known"), expected, "{mode:?} {root_cert:?}");
        }
        for (mode, root_cert) in [("allow", None), ("", None), ("verify-ca", Some("system"))] {
            let mistake = policy(Some(mode), root_cert).expect_err("is refused");
            assert_eq!(mistake.parameter, "sslmode", "{mode}");
        }
    }

    #[test]
    fn a_root_certificate_that_is_not_there() {
        let mistake = connector(Some("verify-full"), Some("/nowhere/ca.pem".to_owned())).err().expect("is refused");
        assert_eq!(mistake.parameter, "sslrootcert");
        assert!(mistake.problem.contains("/nowhere/ca.pem"));
    }
}
