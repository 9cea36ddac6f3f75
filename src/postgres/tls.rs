//! TLS parameters with the meaning that they have in libpq (PostgreSQL documentation, chapter "libpq", section "SSL
//! Support"), except that without `sslrootcert` the system's certificates are used.
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

const UNREADABLE: &str = "can't be read as PEM certificates";
/// The value of `sslrootcert` for the system's certificates.
const SYSTEM: &str = "system";

/// The parameters about TLS that are set.
#[derive(Default)]
pub(super) struct TlsParameters {
    /// `sslmode`.
    pub(super) mode: Option<Parameter>,
    /// `ssl` of node-postgres and postgres.js.
    pub(super) ssl: Option<Parameter>,
    /// `sslaccept` of Prisma.
    pub(super) accept: Option<Parameter>,
    /// `sslrootcert`: a PEM file, or `system`.
    pub(super) root_cert: Option<Parameter>,
    /// `sslcert` and `sslkey`: PEM files.
    pub(super) cert: Option<Parameter>,
    pub(super) key: Option<Parameter>,
    pub(super) min_version: Option<Parameter>,
    /// `sslnegotiation=direct`: the handshake starts without an SSLRequest message.
    pub(super) direct: bool,
}

impl TlsParameters {
    /// Checks what is set, but not whether it is complete.
    pub(super) fn check(&self, ca: Option<&str>) -> Result<(), Error> {
        mode(self, ca.is_some())?;
        self.least_version()?;
        ca.map_or(Ok(()), |pem| certificates(pem.as_bytes()).map(drop).map_err(ca_error))
    }

    fn least_version(&self) -> Result<SslVersion, Error> {
        let least = self.min_version.as_ref().map(|version| version.choice(&VERSIONS)).transpose()?;
        Ok(least.unwrap_or(SslVersion::TLS1_2))
    }

    /// An error about the mode, with the name of the parameter that set it.
    fn mode_error(&self, problem: &str) -> Error {
        let parameter = self.mode.as_ref().or(self.ssl.as_ref());
        parameter.map_or_else(|| Error::config("sslmode", problem), |parameter| parameter.error(problem))
    }
}

/// Whether to use TLS, and how.
pub(super) struct Tls {
    /// Tried in this order.
    pub(super) modes: &'static [SslMode],
    pub(super) verify: Verify,
    connector: SslConnector,
}

impl Tls {
    /// If `ca` has PEM certificates, no others are trusted.
    pub(super) fn new(parameters: TlsParameters, ca: Option<&str>) -> Result<Self, Error> {
        let Policy { modes, verify } = policy(&parameters, ca.is_some())?;
        if parameters.direct && modes != REQUIRE {
            let problem = "must be require, verify-ca or verify-full with sslnegotiation=direct";
            return Err(parameters.mode.map_or_else(|| Error::config("sslmode", problem), |mode| mode.error(problem)));
        }
        let set_up = |cause: ErrorStack| Error::config("sslmode", format!("can't be set up: {cause}"));
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(set_up)?;
        builder.set_min_proto_version(Some(parameters.least_version()?)).map_err(set_up)?;
        if parameters.direct {
            postgres_openssl::set_postgresql_alpn(&mut builder).map_err(set_up)?;
        }
        match (verify, ca, &parameters.root_cert) {
            (Verify::Nothing, _, _) => builder.set_verify(SslVerifyMode::NONE),
            (_, Some(pem), _) => {
                trust(pem.as_bytes(), &mut builder).map_err(ca_error)?;
            }
            (_, None, Some(root)) if root.value.as_str() != SYSTEM => trust_file(root, &mut builder)?,
            (_, None, _) => trust_system(&mut builder)?,
        }
        set_client_certificate(&parameters, &mut builder)?;
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

    /// The client side of one handshake with the server `name`.
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

/// How the server's certificate is verified.
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

/// The values of `sslmode`, from weak to strong.
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
    // node-postgres only.
    ("no-verify", Mode::Require),
];

/// `None` if no parameter sets it.
fn mode(parameters: &TlsParameters, has_ca: bool) -> Result<Option<Mode>, Error> {
    let root_cert = parameters.root_cert.as_ref();
    let is_system = !has_ca && root_cert.is_some_and(|root| root.value.as_str() == SYSTEM);
    let mut mode = match (&parameters.mode, &parameters.ssl) {
        (Some(mode), _) => Some(mode.choice(&MODES)?),
        (None, Some(ssl)) => Some(match ssl.value.as_str() {
            // node-postgres verifies the certificate in this case.
            "true" | "1" => Mode::VerifyFull,
            "false" | "0" => Mode::Disable,
            _ => ssl.choice(&MODES)?,
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
            "has no effect with this sslmode; set sslmode=verify-full, or remove sslmode",
        ));
    }
    if is_system && mode.is_some_and(|mode| mode != Mode::VerifyFull) {
        return Err(parameters.mode_error("must be verify-full when sslrootcert is system"));
    }
    Ok(mode)
}

pub(super) fn policy(parameters: &TlsParameters, has_ca: bool) -> Result<Policy, Error> {
    let mode = mode(parameters, has_ca)?;
    let root_cert = parameters.root_cert.as_ref();
    if mode == Some(Mode::VerifyCa) && !has_ca && root_cert.is_none() {
        // Any certificate of any public authority would be accepted, whatever its host name.
        return Err(parameters
            .mode_error("needs sslrootcert or the option tls.ca; to trust the system's authorities, use verify-full"));
    }
    let policy = |modes, verify| Policy { modes, verify };
    Ok(match mode {
        // If authorities are configured, the certificate is to be verified.
        None if has_ca || root_cert.is_some() => policy(REQUIRE, Verify::ChainAndHostName),
        None | Some(Mode::Prefer) => policy(PREFER, Verify::Nothing),
        Some(Mode::Disable) => policy(DISABLE, Verify::Nothing),
        Some(Mode::Allow) => policy(ALLOW, Verify::Nothing),
        // As in libpq, for compatibility with its older versions.
        Some(Mode::Require) if has_ca || root_cert.is_some() => policy(REQUIRE, Verify::Chain),
        Some(Mode::Require) => policy(REQUIRE, Verify::Nothing),
        Some(Mode::VerifyCa) => policy(REQUIRE, Verify::Chain),
        Some(Mode::VerifyFull) => policy(REQUIRE, Verify::ChainAndHostName),
    })
}

/// Trusts only these certificates, not those that OpenSSL would load by default.
fn trust(pem: &[u8], builder: &mut SslConnectorBuilder) -> Result<(), &'static str> {
    let mut store = X509StoreBuilder::new().map_err(|_| UNREADABLE)?;
    for certificate in certificates(pem)? {
        store.add_cert(certificate).map_err(|_| UNREADABLE)?;
    }
    builder.set_cert_store(store.build());
    Ok(())
}

/// At least one.
fn certificates(pem: &[u8]) -> Result<Vec<X509>, &'static str> {
    X509::stack_from_pem(pem).ok().filter(|certificates| !certificates.is_empty()).ok_or(UNREADABLE)
}

fn ca_error(problem: &str) -> Error {
    Error::config("tls.ca", problem)
}

fn trust_file(root_cert: &Parameter, builder: &mut SslConnectorBuilder) -> Result<(), Error> {
    // The message leaves the path out: the value may be a key, or have a password in it.
    let pem = std::fs::read(root_cert.value.as_str())
        .map_err(|cause| root_cert.error(format!("names a file that can't be read: {cause}")))?;
    trust(&pem, builder).map_err(|problem| root_cert.error(problem))
}

fn trust_system(builder: &mut SslConnectorBuilder) -> Result<(), Error> {
    // The statically linked OpenSSL doesn't know where this system keeps them.
    let system = openssl_probe::probe();
    let directory = system.cert_dir.first().map(PathBuf::as_path);
    builder.load_verify_locations(system.cert_file.as_deref(), directory).map_err(|_| {
        Error::config(
            "sslrootcert",
            "is required, since this system's certificates were not found; set it to a PEM file",
        )
    })
}

/// Sets the client certificate.
fn set_client_certificate(parameters: &TlsParameters, builder: &mut SslConnectorBuilder) -> Result<(), Error> {
    match (&parameters.cert, &parameters.key) {
        (None, None) => Ok(()),
        (Some(cert), None) => Err(cert.error("needs sslkey as well")),
        (None, Some(key)) => Err(key.error("needs sslcert as well")),
        (Some(cert), Some(key)) => {
            // The messages leave the values out: the value may be the key itself instead of its path.
            builder
                .set_certificate_chain_file(cert.value.as_str())
                .map_err(|_| cert.error("must name a readable file with a PEM certificate"))?;
            builder
                .set_private_key_file(key.value.as_str(), SslFiletype::PEM)
                .map_err(|_| key.error("must name a readable file with a PEM key without a passphrase"))?;
            builder.check_private_key().map_err(|_| key.error("doesn't match sslcert"))
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
        let location = Location::of_url(format!("postgres://h/d?{query}").into(), "DATABASE_URL");
        let mut read = TlsParameters::default();
        for parameter in parameters(&location).expect("is a URL") {
            match parameter.name.as_str() {
                "sslmode" => read.mode = Some(parameter),
                "ssl" => read.ssl = Some(parameter),
                "sslaccept" => read.accept = Some(parameter),
                "sslrootcert" => read.root_cert = Some(parameter),
                _ => {}
            }
        }
        policy(&read, has_ca)
    }

    #[test]
    fn parameters_decide_mode_and_verification() {
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
            let error = policy_of(query, has_ca).expect_err("is refused").to_string();
            assert!(error.starts_with(name), "{query}: {error}");
        }
    }

    #[test]
    fn certificates_that_cannot_be_parsed_are_refused() {
        for ca in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = Tls::new(TlsParameters::default(), Some(ca)).err().expect("is refused");
            assert_eq!(error.to_string(), "tls.ca: can't be read as PEM certificates", "{ca}");
        }
    }
}
