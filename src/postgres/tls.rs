//! `sslmode` and `sslrootcert` with libpq's meaning (PostgreSQL documentation, section "SSL
//! Support" of libpq), except that verification without a root certificate uses the system's.
#![forbid(unsafe_code)]

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVerifyMode, SslVersion};
use postgres_openssl::MakeTlsConnector;
use tokio_postgres::config::SslMode;

use crate::error::Error;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tls {
    mode: SslMode,
    verify: Verify,
    /// A PEM file; `None` stands for the system's certificates.
    root_cert: Option<String>,
}

/// What of the server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verify {
    Nothing,
    Chain,
    ChainAndHostName,
}

impl Tls {
    pub(super) const PARAMETERS: [&str; 2] = ["sslmode", "sslrootcert"];

    /// # Errors
    /// The parameter's name, and what is wrong with its value.
    pub(super) fn new(mode: Option<&str>, root_cert: Option<String>) -> Result<Self, (&'static str, &'static str)> {
        let has_root_cert = root_cert.is_some();
        let system = root_cert.as_deref() == Some("system");
        let (mode, verify) = match mode {
            None if system => (SslMode::Require, Verify::ChainAndHostName),
            Some("disable") => (SslMode::Disable, Verify::Nothing),
            None | Some("prefer") => (SslMode::Prefer, Verify::Nothing),
            Some("require") if has_root_cert => (SslMode::Require, Verify::Chain),
            Some("require") => (SslMode::Require, Verify::Nothing),
            Some("verify-ca") => (SslMode::Require, Verify::Chain),
            Some("verify-full") => (SslMode::Require, Verify::ChainAndHostName),
            Some(_) => {
                return Err(("sslmode", "must be disable, prefer, require, verify-ca or verify-full"));
            }
        };
        if system && verify != Verify::ChainAndHostName {
            return Err(("sslmode", "must be verify-full when sslrootcert is system"));
        }
        Ok(Self { mode, verify, root_cert: root_cert.filter(|_| !system) })
    }

    pub(super) fn mode(&self) -> SslMode {
        self.mode
    }

    pub(super) fn connector(&self) -> Result<MakeTlsConnector, Error> {
        let internal = |cause: ErrorStack| Error::Internal(format!("TLS set-up: {cause}"));
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(internal)?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(internal)?;
        if self.verify == Verify::Nothing {
            builder.set_verify(SslVerifyMode::NONE);
        } else {
            self.trust(&mut builder)?;
        }
        let mut connector = MakeTlsConnector::new(builder.build());
        let verify_host_name = self.verify == Verify::ChainAndHostName;
        connector.set_callback(move |connection, _host| {
            connection.set_verify_hostname(verify_host_name);
            Ok(())
        });
        Ok(connector)
    }

    fn trust(&self, builder: &mut SslConnectorBuilder) -> Result<(), Error> {
        match &self.root_cert {
            Some(path) => builder.set_ca_file(path).map_err(|_| {
                Error::config("sslrootcert", format!("{path} can't be read, or holds no PEM certificate"))
            }),
            // The OpenSSL that is linked in doesn't know where this system keeps them.
            None => {
                let system = openssl_probe::probe();
                builder
                    .load_verify_locations(
                        system.cert_file.as_deref(),
                        system.cert_dir.first().map(std::path::PathBuf::as_path),
                    )
                    .map_err(|_| Error::config("sslrootcert", "this system's certificates were not found"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let root = || Some("ca.pem".to_owned());
        let system = || Some("system".to_owned());
        for (mode, root_cert, expected) in [
            (None, None, (SslMode::Prefer, Verify::Nothing)),
            (Some("disable"), None, (SslMode::Disable, Verify::Nothing)),
            (Some("prefer"), root(), (SslMode::Prefer, Verify::Nothing)),
            (Some("require"), None, (SslMode::Require, Verify::Nothing)),
            (Some("require"), root(), (SslMode::Require, Verify::Chain)),
            (Some("verify-ca"), root(), (SslMode::Require, Verify::Chain)),
            (Some("verify-full"), root(), (SslMode::Require, Verify::ChainAndHostName)),
            (Some("verify-full"), None, (SslMode::Require, Verify::ChainAndHostName)),
            (Some("verify-full"), system(), (SslMode::Require, Verify::ChainAndHostName)),
            (None, system(), (SslMode::Require, Verify::ChainAndHostName)),
        ] {
            let tls = Tls::new(mode, root_cert.clone()).expect("is known");
            assert_eq!((tls.mode, tls.verify), expected, "{mode:?} {root_cert:?}");
        }
        for (mode, root_cert) in [("allow", None), ("", None), ("verify-ca", system())] {
            let (parameter, _) = Tls::new(Some(mode), root_cert).expect_err("is refused");
            assert_eq!(parameter, "sslmode", "{mode}");
        }
    }

    #[test]
    fn a_root_certificate_that_is_not_there() {
        let tls = Tls::new(Some("verify-full"), Some("/nowhere/ca.pem".to_owned())).expect("is known");
        let error = tls.connector().err().expect("is refused");
        assert_eq!(error.code(), "ERR_AUTH_BRIDGE_CONFIG");
        assert!(error.to_string().contains("/nowhere/ca.pem"));
    }
}
