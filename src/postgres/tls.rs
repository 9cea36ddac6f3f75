//! TLS parameters with the meaning that they have in libpq (PostgreSQL documentation, chapter "libpq", section "SSL
//! Support"), except that without `sslrootcert` the system's certificates are used.
#![forbid(unsafe_code)]

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslFiletype, SslMethod, SslVerifyMode, SslVersion};
use serde::Serialize;
use tokio_postgres::config::SslMode;

use super::authorities::{check_authorities, trust_only, trust_only_file, trust_system};
use super::encryption::{Encryption, offered_protocols};
use super::url::parameter::Parameter;
use crate::config::{Database, Environment};
use crate::error::Error;

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
        ca.map_or(Ok(()), check_authorities)
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
    pub(super) encryption: Encryption,
}

impl Tls {
    pub(super) fn new(
        parameters: TlsParameters,
        database: &Database,
        environment: &impl Environment,
    ) -> Result<Self, Error> {
        let ca = database.ca.as_deref();
        let Policy { modes, verify } = policy(&parameters, ca.is_some())?;
        if parameters.direct && modes != REQUIRE {
            return Err(parameters.mode_error("must be require, verify-ca or verify-full with sslnegotiation=direct"));
        }
        let set_up = |cause: ErrorStack| Error::config("sslmode", format!("can't be set up: {cause}"));
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(set_up)?;
        builder.set_min_proto_version(Some(parameters.least_version()?)).map_err(set_up)?;
        if parameters.direct {
            builder.set_alpn_protos(&offered_protocols()).map_err(set_up)?;
        }
        match (verify, ca, &parameters.root_cert) {
            (Verify::Nothing, _, _) => builder.set_verify(SslVerifyMode::NONE),
            (_, Some(pem), _) => trust_only(pem, &mut builder)?,
            (_, None, Some(root)) if root.value.as_str() != SYSTEM => trust_only_file(root, &mut builder)?,
            (_, None, _) => {
                trust_system(database.extra_ca.as_deref(), || environment.root_certificates(), &mut builder)?;
            }
        }
        set_client_certificate(&parameters, &mut builder)?;
        let encryption = Encryption {
            connector: builder.build(),
            verifies_host_name: verify == Verify::ChainAndHostName,
            requires_protocol: parameters.direct,
        };
        Ok(Self { modes, verify, encryption })
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
    NoVerify,
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
    ("no-verify", Mode::NoVerify),
];

/// The mode that the parameters set, if any. Parameters that contradict each other are refused: to choose from them could drop
/// the one that protects.
fn mode(parameters: &TlsParameters, has_ca: bool) -> Result<Option<Mode>, Error> {
    let root_cert = parameters.root_cert.as_ref();
    let has_authorities = has_ca || root_cert.is_some();
    let is_system = !has_ca && root_cert.is_some_and(|root| root.value.as_str() == SYSTEM);
    let mode = stated_mode(parameters, has_authorities)?;
    if mode == Some(Mode::NoVerify) && root_cert.is_some() {
        return Err(parameters.mode_error("contradicts sslrootcert; remove one of them"));
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
    let has_authorities = has_ca || parameters.root_cert.is_some();
    if mode == Some(Mode::VerifyCa) && !has_authorities {
        // Any certificate of any public authority would be accepted, whatever its host name.
        return Err(parameters
            .mode_error("needs sslrootcert or the option tls.ca; to trust the system's authorities, use verify-full"));
    }
    let policy = |modes, verify| Policy { modes, verify };
    Ok(match mode {
        // If authorities are configured, the certificate is to be verified.
        None if has_authorities => policy(REQUIRE, Verify::ChainAndHostName),
        None | Some(Mode::Prefer) => policy(PREFER, Verify::Nothing),
        Some(Mode::Disable) => policy(DISABLE, Verify::Nothing),
        Some(Mode::Allow) => policy(ALLOW, Verify::Nothing),
        // As in libpq, for compatibility with its older versions.
        Some(Mode::Require) if has_authorities => policy(REQUIRE, Verify::Chain),
        Some(Mode::NoVerify | Mode::Require) => policy(REQUIRE, Verify::Nothing),
        Some(Mode::VerifyCa) => policy(REQUIRE, Verify::Chain),
        Some(Mode::VerifyFull) => policy(REQUIRE, Verify::ChainAndHostName),
    })
}

/// What `sslmode`, `ssl` and `sslaccept` say together.
fn stated_mode(parameters: &TlsParameters, has_authorities: bool) -> Result<Option<Mode>, Error> {
    const ADVICE: &str = "remove one of them";
    let mode = parameters.mode.as_ref().map(|mode| mode.choice(&MODES)).transpose()?;
    let mode = match &parameters.ssl {
        None => mode,
        Some(ssl) => {
            let wanted = match ssl.value.as_str() {
                // node-postgres verifies the certificate in this case.
                "true" | "1" => Mode::VerifyFull,
                "false" | "0" => Mode::Disable,
                _ => ssl.choice(&MODES)?,
            };
            if mode.is_some_and(|mode| mode != wanted) {
                return Err(ssl.error(format!("contradicts sslmode; {ADVICE}")));
            }
            Some(wanted)
        }
    };
    let Some(accept) = &parameters.accept else {
        return Ok(mode);
    };
    let is_strict = accept.choice(&[("strict", true), ("accept_invalid_certs", false)])?;
    match mode {
        // Prisma's own words for its sslmode, which leave the certificate to sslaccept.
        None | Some(Mode::Prefer | Mode::Require | Mode::VerifyFull) if is_strict => Ok(Some(Mode::VerifyFull)),
        _ if is_strict => Err(accept.error(format!("contradicts sslmode; {ADVICE}"))),
        Some(Mode::VerifyCa | Mode::VerifyFull) => Err(accept.error(format!("contradicts sslmode; {ADVICE}"))),
        _ if has_authorities => {
            Err(accept.error(format!("contradicts the authorities that are named (sslrootcert, tls.ca); {ADVICE}")))
        }
        mode => Ok(mode),
    }
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
            ("ssl=true&sslmode=verify-full", false, REQUIRE, ChainAndHostName),
            ("ssl=0&sslmode=disable", false, DISABLE, Nothing),
            ("ssl=require&sslmode=require", false, REQUIRE, Nothing),
            ("sslaccept=strict", false, REQUIRE, ChainAndHostName),
            ("sslmode=prefer&sslaccept=strict", false, REQUIRE, ChainAndHostName),
            ("sslmode=require&sslaccept=strict", false, REQUIRE, ChainAndHostName),
            ("sslmode=require&sslaccept=accept_invalid_certs", false, REQUIRE, Nothing),
            ("sslmode=verify-full&sslaccept=strict", false, REQUIRE, ChainAndHostName),
            ("sslaccept=accept_invalid_certs", false, PREFER, Nothing),
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
            ("sslmode=no-verify", true, "tls.ca: "),
            ("ssl=true&sslmode=disable", false, "DATABASE_URL: ssl contradicts sslmode"),
            ("ssl=true&sslmode=prefer", false, "DATABASE_URL: ssl contradicts sslmode"),
            ("ssl=true&sslmode=require", false, "DATABASE_URL: ssl contradicts sslmode"),
            ("sslmode=no-verify&ssl=1", false, "DATABASE_URL: ssl contradicts sslmode"),
            ("ssl=true&sslmode=verify-ca&sslrootcert=a", false, "DATABASE_URL: ssl contradicts sslmode"),
            ("ssl=false&sslmode=verify-full", false, "DATABASE_URL: ssl contradicts sslmode"),
            ("ssl=require&sslmode=verify-full", false, "DATABASE_URL: ssl contradicts sslmode"),
            ("sslmode=no-verify&sslrootcert=a", false, "DATABASE_URL: sslmode contradicts sslrootcert"),
            ("sslmode=disable&sslaccept=strict", false, "DATABASE_URL: sslaccept contradicts sslmode"),
            ("sslmode=allow&sslaccept=strict", false, "DATABASE_URL: sslaccept contradicts sslmode"),
            ("ssl=no-verify&sslaccept=strict", false, "DATABASE_URL: sslaccept contradicts sslmode"),
            ("sslmode=verify-ca&sslrootcert=a&sslaccept=strict", false, "DATABASE_URL: sslaccept contradicts sslmode"),
            ("ssl=true&sslaccept=accept_invalid_certs", false, "DATABASE_URL: sslaccept contradicts sslmode"),
            (
                "sslmode=verify-ca&sslrootcert=a&sslaccept=accept_invalid_certs",
                false,
                "DATABASE_URL: sslaccept contradicts sslmode",
            ),
            (
                "sslrootcert=a&sslaccept=accept_invalid_certs",
                false,
                "DATABASE_URL: sslaccept contradicts the authorities",
            ),
            ("sslaccept=accept_invalid_certs", true, "DATABASE_URL: sslaccept contradicts the authorities"),
        ] {
            let error = policy_of(query, has_ca).expect_err("is refused").to_string();
            assert!(error.starts_with(name), "{query}: {error}");
        }
    }
}
