//! `sslmode` and its like with libpq's meaning (PostgreSQL documentation, section "SSL Support" of
//! libpq), except that verification without a root certificate uses the system's.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslConnector, SslConnectorBuilder, SslFiletype, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use postgres_openssl::MakeTlsConnector;
use serde::Serialize;
use tokio_postgres::config::SslMode;

use super::url::parameter::Parameter;
use crate::error::Error;

/// The value of `sslrootcert` that stands for the system's certificates.
const SYSTEM: &str = "system";

/// The parameters about TLS, those that are there.
#[derive(Default)]
pub(super) struct TlsParameters {
    /// `sslmode`.
    pub(super) mode: Option<Parameter>,
    /// `ssl` of node-postgres and postgres.js.
    pub(super) switch: Option<Parameter>,
    /// `sslaccept` of Prisma.
    pub(super) accept: Option<Parameter>,
    /// `sslrootcert`: a PEM file, or `system`.
    pub(super) root_cert: Option<Parameter>,
    /// `sslcert` and `sslkey`: PEM files.
    pub(super) cert: Option<Parameter>,
    pub(super) key: Option<Parameter>,
    pub(super) min_version: Option<Parameter>,
    /// Whether the handshake comes without asking the server first.
    pub(super) direct: bool,
}

impl TlsParameters {
    /// What is wrong with the mode, whichever parameter said it.
    fn mode_mistake(&self, problem: &str) -> Error {
        let parameter = self.mode.as_ref().or(self.switch.as_ref());
        parameter.map_or_else(|| Error::config("sslmode", problem), |parameter| parameter.mistake(problem))
    }
}

/// Whether to use TLS, and how.
pub(super) struct Tls {
    /// To try in this order.
    pub(super) modes: &'static [SslMode],
    pub(super) verify: Verify,
    connector: SslConnector,
}

impl Tls {
    /// `ca` are PEM certificates to trust instead of all others.
    pub(super) fn new(parameters: TlsParameters, ca: Option<&str>) -> Result<Self, Error> {
        let Policy { modes, verify } = policy(&parameters, ca.is_some())?;
        if parameters.direct && modes != REQUIRE {
            let mistake = "must be require, verify-ca or verify-full beside sslnegotiation=direct";
            return Err(parameters
                .mode
                .map_or_else(|| Error::config("sslmode", mistake), |mode| mode.mistake(mistake)));
        }
        let set_up = |cause: ErrorStack| Error::config("sslmode", format!("can't be set up: {cause}"));
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(set_up)?;
        let least = parameters.min_version.as_ref().map(|version| version.choice(&VERSIONS)).transpose()?;
        builder.set_min_proto_version(Some(least.unwrap_or(SslVersion::TLS1_2))).map_err(set_up)?;
        if parameters.direct {
            postgres_openssl::set_postgresql_alpn(&mut builder).map_err(set_up)?;
        }
        match (verify, ca, &parameters.root_cert) {
            (Verify::Nothing, _, _) => builder.set_verify(SslVerifyMode::NONE),
            (_, Some(pem), _) => {
                trust(pem.as_bytes(), &mut builder).map_err(|problem| Error::config("tls.ca", problem))?;
            }
            (_, None, Some(root)) if root.value.as_str() != SYSTEM => trust_file(root, &mut builder)?,
            (_, None, _) => trust_system(&mut builder)?,
        }
        identify(&parameters, &mut builder)?;
        Ok(Self { modes, verify, connector: builder.build() })
    }

    pub(super) fn connector(&self) -> MakeTlsConnector {
        let mut connector = MakeTlsConnector::new(self.connector.clone());
        let verifies_host_name = self.verifies_host_name();
        connector.set_callback(move |connection, _host| {
            connection.set_verify_hostname(verifies_host_name);
            Ok(())
        });
        connector
    }

    /// The client's end of one handshake with the server of this name.
    pub(super) fn client(&self, name: &str) -> Result<Ssl, ErrorStack> {
        self.connector.configure()?.verify_hostname(self.verifies_host_name()).into_ssl(name)
    }

    fn verifies_host_name(&self) -> bool {
        self.verify == Verify::ChainAndHostName
    }
}

const DISABLE: &[SslMode] = &[SslMode::Disable];
const ALLOW: &[SslMode] = &[SslMode::Disable, SslMode::Require];
const PREFER: &[SslMode] = &[SslMode::Prefer, SslMode::Disable];
const REQUIRE: &[SslMode] = &[SslMode::Require];

const VERSIONS: [(&str, SslVersion); 2] = [("TLSv1.2", SslVersion::TLS1_2), ("TLSv1.3", SslVersion::TLS1_3)];

/// What of the server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    Nothing,
    Chain,
    ChainAndHostName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    modes: &'static [SslMode],
    verify: Verify,
}

/// The `sslmode`s, in the order of their strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

const MODES: [(&str, Mode); 7] = [
    ("disable", Mode::Disable),
    ("allow", Mode::Allow),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
    // Of node-postgres.
    ("no-verify", Mode::Require),
];
pub(super) fn policy(parameters: &TlsParameters, has_ca: bool) -> Result<Policy, Error> {
    let root_cert = parameters.root_cert.as_ref();
    let is_system = !has_ca && root_cert.is_some_and(|root| root.value.as_str() == SYSTEM);
    let mut mode = match (&parameters.mode, &parameters.switch) {
        (Some(mode), _) => Some(mode.choice(&MODES)?),
        (None, Some(switch)) => Some(match switch.value.as_str() {
            // node-postgres verifies then.
            "true" | "1" => Mode::VerifyFull,
            "false" | "0" => Mode::Disable,
            _ => switch.choice(&MODES)?,
        }),
        (None, None) => None,
    };
    if let Some(accept) = &parameters.accept {
        let is_strict = accept.choice(&[("strict", true), ("accept_invalid_certs", false)])?;
        if is_strict && mode != Some(Mode::Disable) {
            mode = Some(Mode::VerifyFull);
        }
    }
    if has_ca && mode.is_some_and(|mode| mode < Mode::Require) {
        return Err(Error::config(
            "tls.ca",
            "verifies nothing beside this sslmode; write sslmode=verify-full, or leave sslmode out",
        ));
    }
    if is_system && mode.is_some_and(|mode| mode != Mode::VerifyFull) {
        return Err(parameters.mode_mistake("must be verify-full when sslrootcert is system"));
    }
    if mode == Some(Mode::VerifyCa) && !has_ca && root_cert.is_none() {
        // Of the system's authorities any would do, for any name.
        return Err(parameters.mode_mistake(
            "needs sslrootcert or the option tls.ca beside it; with the system's authorities use verify-full",
        ));
    }
    let policy = |modes, verify| Policy { modes, verify };
    Ok(match mode {
        // Who names authorities wants them to count.
        None if has_ca || root_cert.is_some() => policy(REQUIRE, Verify::ChainAndHostName),
        None | Some(Mode::Prefer) => policy(PREFER, Verify::Nothing),
        Some(Mode::Disable) => policy(DISABLE, Verify::Nothing),
        Some(Mode::Allow) => policy(ALLOW, Verify::Nothing),
        // For the sake of older versions, says libpq.
        Some(Mode::Require) if has_ca || root_cert.is_some() => policy(REQUIRE, Verify::Chain),
        Some(Mode::Require) => policy(REQUIRE, Verify::Nothing),
        Some(Mode::VerifyCa) => policy(REQUIRE, Verify::Chain),
        Some(Mode::VerifyFull) => policy(REQUIRE, Verify::ChainAndHostName),
    })
}

/// These authorities and no others: not even those that OpenSSL finds by itself.
fn trust(pem: &[u8], builder: &mut SslConnectorBuilder) -> Result<(), &'static str> {
    const PROBLEM: &str = "can't be read as PEM certificates";
    let certificates = X509::stack_from_pem(pem).map_err(|_| PROBLEM)?;
    if certificates.is_empty() {
        return Err(PROBLEM);
    }
    let mut store = X509StoreBuilder::new().map_err(|_| PROBLEM)?;
    for certificate in certificates {
        store.add_cert(certificate).map_err(|_| PROBLEM)?;
    }
    builder.set_cert_store(store.build());
    Ok(())
}

fn trust_file(root_cert: &Parameter, builder: &mut SslConnectorBuilder) -> Result<(), Error> {
    // The path is not repeated: a key may stand in its place, or a password behind it.
    let pem = std::fs::read(root_cert.value.as_str())
        .map_err(|cause| root_cert.mistake(format!("names no file that can be read: {cause}")))?;
    trust(&pem, builder).map_err(|problem| root_cert.mistake(problem))
}

fn trust_system(builder: &mut SslConnectorBuilder) -> Result<(), Error> {
    // The OpenSSL that is linked in doesn't know where this system keeps them.
    let system = openssl_probe::probe();
    let directory = system.cert_dir.first().map(PathBuf::as_path);
    builder.load_verify_locations(system.cert_file.as_deref(), directory).map_err(|_| {
        Error::config("sslrootcert", "is needed: this system's certificates were not found; name a PEM file")
    })
}

/// Our own certificate, for a server that asks for one.
fn identify(parameters: &TlsParameters, builder: &mut SslConnectorBuilder) -> Result<(), Error> {
    match (&parameters.cert, &parameters.key) {
        (None, None) => Ok(()),
        (Some(cert), None) => Err(cert.mistake("needs sslkey beside it")),
        (None, Some(key)) => Err(key.mistake("needs sslcert beside it")),
        (Some(cert), Some(key)) => {
            // The values are not repeated: the key itself may stand where its path should.
            builder
                .set_certificate_chain_file(cert.value.as_str())
                .map_err(|_| cert.mistake("names no file that can be read and holds a PEM certificate"))?;
            builder
                .set_private_key_file(key.value.as_str(), SslFiletype::PEM)
                .map_err(|_| key.mistake("names no file that can be read and holds a PEM key without a passphrase"))?;
            builder.check_private_key().map_err(|_| key.mistake("is not the key of sslcert"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Location;
    use crate::postgres::url::parse::parameters;

    /// The policy of a URL with these parameters.
    fn policy_of(query: &str, has_ca: bool) -> Result<Policy, Error> {
        let location = Location::Url { url: format!("postgres://h/d?{query}").into(), from: "DATABASE_URL" };
        let mut read = TlsParameters::default();
        for parameter in parameters(&location).expect("is a URL") {
            match parameter.name.as_str() {
                "sslmode" => read.mode = Some(parameter),
                "ssl" => read.switch = Some(parameter),
                "sslaccept" => read.accept = Some(parameter),
                "sslrootcert" => read.root_cert = Some(parameter),
                _ => {}
            }
        }
        policy(&read, has_ca)
    }

    #[test]
    fn modes() {
        use Verify::{Chain, ChainAndHostName, Nothing};
        for (query, has_ca, modes, verify) in [
            ("", false, PREFER, Nothing),
            ("sslmode=disable", false, DISABLE, Nothing),
            ("sslmode=allow", false, ALLOW, Nothing),
            ("sslmode=prefer", false, PREFER, Nothing),
            ("sslmode=prefer&sslrootcert=ca.pem", false, PREFER, Nothing),
            ("sslmode=require", false, REQUIRE, Nothing),
            ("sslmode=no-verify", false, REQUIRE, Nothing),
            ("sslmode=require&sslrootcert=ca.pem", false, REQUIRE, Chain),
            ("sslmode=verify-ca&sslrootcert=ca.pem", false, REQUIRE, Chain),
            ("sslmode=verify-full", false, REQUIRE, ChainAndHostName),
            ("sslmode=verify-full&sslrootcert=ca.pem", false, REQUIRE, ChainAndHostName),
            ("sslmode=verify-full&sslrootcert=system", false, REQUIRE, ChainAndHostName),
            ("sslrootcert=system", false, REQUIRE, ChainAndHostName),
            ("sslrootcert=ca.pem", false, REQUIRE, ChainAndHostName),
            ("", true, REQUIRE, ChainAndHostName),
            ("sslmode=require", true, REQUIRE, Chain),
            ("sslmode=verify-ca&sslrootcert=system", true, REQUIRE, Chain),
            ("ssl=true", false, REQUIRE, ChainAndHostName),
            ("ssl=require", false, REQUIRE, Nothing),
            ("ssl=true&sslmode=require", false, REQUIRE, Nothing),
            ("sslaccept=strict", false, REQUIRE, ChainAndHostName),
            ("sslmode=allow&sslaccept=strict", false, REQUIRE, ChainAndHostName),
            ("sslmode=require&sslaccept=strict", false, REQUIRE, ChainAndHostName),
            ("sslmode=require&sslaccept=accept_invalid_certs", false, REQUIRE, Nothing),
            ("sslmode=verify-ca&sslrootcert=a&sslaccept=accept_invalid_certs", false, REQUIRE, Chain),
            ("sslmode=disable&sslaccept=strict", false, DISABLE, Nothing),
        ] {
            let policy = policy_of(query, has_ca).unwrap_or_else(|error| panic!("{query}: {error}"));
            assert_eq!(policy, Policy { modes, verify }, "{query}, ca: {has_ca}");
        }
        for (query, has_ca, name) in [
            ("sslmode=", false, "DATABASE_URL: sslmode"),
            ("sslmode=verify-ca", false, "DATABASE_URL: sslmode needs sslrootcert"),
            ("ssl=verify-ca", false, "DATABASE_URL: ssl needs sslrootcert"),
            ("sslmode=verify-ca&sslrootcert=system", false, "DATABASE_URL: sslmode"),
            ("ssl=prefer&sslrootcert=system", false, "DATABASE_URL: ssl"),
            ("sslmode=disable", true, "tls.ca: "),
            ("sslmode=prefer", true, "tls.ca: "),
            ("ssl=0", true, "tls.ca: "),
        ] {
            let mistake = policy_of(query, has_ca).expect_err("is refused").to_string();
            assert!(mistake.starts_with(name), "{query}: {mistake}");
        }
    }

    #[test]
    fn authorities_that_cannot_be_read() {
        for ca in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = Tls::new(TlsParameters::default(), Some(ca)).err().expect("is refused");
            assert_eq!(error.to_string(), "tls.ca: can't be read as PEM certificates", "{ca}");
        }
    }
}
