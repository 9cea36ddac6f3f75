//! Which TLS version and cipher the server negotiates, and how its certificate is verified.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::check::Check;
use crate::postgres::{NegotiatedTls, TargetFacts, Verify};

pub(super) const ID: &str = "tls";

/// `None` without TLS; an error message if it is not known.
pub(super) type Negotiated = Result<Option<NegotiatedTls>, String>;

#[derive(Serialize)]
struct Details<'a> {
    #[serde(flatten)]
    negotiated: Option<&'a NegotiatedTls>,
    verify: Verify,
}

/// `address` is the one that accepted the connection.
pub(super) fn judge(negotiated: &Negotiated, address: &str, target: &TargetFacts, is_production: bool) -> Check {
    let negotiated = match negotiated {
        Ok(negotiated) => negotiated.as_ref(),
        Err(cause) => {
            let message = format!("the negotiated TLS version is not known: {cause}");
            return Check::warning(ID, message, "Run doctor again.");
        }
    };
    let details = Details { negotiated, verify: target.verify };
    let is_socket = address.starts_with('/');
    if is_socket {
        return Check::ok(ID, "none, through a Unix socket").with_details(&details);
    }
    let message = negotiated.map_or_else(|| "none".to_owned(), |tls| describe(tls, target.verify));
    let is_safe = negotiated.is_some() && target.verify == Verify::ChainAndHostName;
    let check = if is_safe || (target.is_local && !is_production) {
        Check::ok(ID, message)
    } else {
        let setting = match target.url() {
            Some(url) => format!("sslmode=verify-full in {url}"),
            None => "PGSSLMODE=verify-full".to_owned(),
        };
        let advice = format!("An attacker on the network can impersonate the server: set {setting}.");
        Check::warning(ID, message, advice)
    };
    check.with_details(&details)
}

fn describe(NegotiatedTls { version, cipher }: &NegotiatedTls, verify: Verify) -> String {
    let cipher = cipher.map(|cipher| format!(", {cipher}")).unwrap_or_default();
    let verified = match verify {
        Verify::Nothing => "the certificate is not verified",
        Verify::Chain => "the certificate is verified, but not its host name",
        Verify::ChainAndHostName => "the certificate is verified",
    };
    format!("{version}{cipher}; {verified}")
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::super::tests::target;
    use super::*;

    #[test]
    fn unverified_servers_are_warned_of_unless_they_are_local() {
        use Verify::{Chain, ChainAndHostName, Nothing};
        let tls = || Ok(Some(NegotiatedTls { version: "TLSv1.3", cipher: Some("AES") }));
        for (negotiated, verify, is_local, is_production, status, message) in [
            (tls(), ChainAndHostName, false, true, Status::Ok, "TLSv1.3, AES; the certificate is verified"),
            (
                tls(),
                Chain,
                false,
                true,
                Status::Warning,
                "TLSv1.3, AES; the certificate is verified, but not its host name",
            ),
            (tls(), Nothing, false, false, Status::Warning, "TLSv1.3, AES; the certificate is not verified"),
            (tls(), Nothing, true, false, Status::Ok, "TLSv1.3, AES; the certificate is not verified"),
            (Ok(None), Nothing, true, false, Status::Ok, "none"),
            (Ok(None), Nothing, true, true, Status::Warning, "none"),
            (Ok(None), ChainAndHostName, false, false, Status::Warning, "none"),
            (Err("no".to_owned()), Chain, true, false, Status::Warning, "the negotiated TLS version is not known: no"),
        ] {
            let target = TargetFacts { verify, is_local, ..target() };
            let check = judge(&negotiated, "db.example:5432", &target, is_production);
            assert_eq!((check.status, check.message.as_str()), (status, message), "{verify:?} {is_local}");
        }
        let through_socket = judge(&Ok(None), "/run/postgresql/.s.PGSQL.5432", &target(), true);
        assert_eq!((through_socket.status, &*through_socket.message), (Status::Ok, "none, through a Unix socket"));
    }
}
