//! Which TLS the server agrees on, and what of its certificate is verified.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::check::Check;
use crate::postgres::{Agreement, TargetFacts, Verify};

pub(super) const ID: &str = "tls";

/// What the server agrees on; `None` without TLS. Else why that is not known.
pub(super) type Agreed = Result<Option<Agreement>, String>;

#[derive(Serialize)]
struct Details<'a> {
    #[serde(flatten)]
    agreed: Option<&'a Agreement>,
    verify: Verify,
}

/// `address` is the one that took the connection.
pub(super) fn judge(agreed: &Agreed, address: &str, target: &TargetFacts, is_production: bool) -> Check {
    let agreed = match agreed {
        Ok(agreed) => agreed.as_ref(),
        Err(cause) => {
            let message = format!("which TLS was agreed on is not known: {cause}");
            return Check::warning(ID, message, "Run doctor once more.");
        }
    };
    let details = Details { agreed, verify: target.verify };
    let is_socket = address.starts_with('/');
    if is_socket {
        return Check::ok(ID, "none, through a Unix socket").with_details(&details);
    }
    let message = agreed.map_or_else(|| "none".to_owned(), |agreement| describe(agreement, target.verify));
    let is_safe = agreed.is_some() && target.verify == Verify::ChainAndHostName;
    let check = if is_safe || (target.is_local && !is_production) {
        Check::ok(ID, message)
    } else {
        let advice = format!(
            "Whoever is on the way to the server can answer for it: set sslmode=verify-full in {}.",
            target.variables.join(", ")
        );
        Check::warning(ID, message, advice)
    };
    check.with_details(&details)
}

fn describe(Agreement { version, cipher }: &Agreement, verify: Verify) -> String {
    let cipher = cipher.map(|cipher| format!(", {cipher}")).unwrap_or_default();
    let verified = match verify {
        Verify::Nothing => "the certificate is not verified",
        Verify::Chain => "the certificate is verified, but not for which host it is",
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
    fn what_whoever_is_on_the_way_could_do() {
        use Verify::{Chain, ChainAndHostName, Nothing};
        let tls = || Ok(Some(Agreement { version: "TLSv1.3", cipher: Some("AES") }));
        for (agreed, verify, is_local, is_production, status, message) in [
            (tls(), ChainAndHostName, false, true, Status::Ok, "TLSv1.3, AES; the certificate is verified"),
            (
                tls(),
                Chain,
                false,
                true,
                Status::Warning,
                "TLSv1.3, AES; the certificate is verified, but not for which host it is",
            ),
            (tls(), Nothing, false, false, Status::Warning, "TLSv1.3, AES; the certificate is not verified"),
            (tls(), Nothing, true, false, Status::Ok, "TLSv1.3, AES; the certificate is not verified"),
            (Ok(None), Nothing, true, false, Status::Ok, "none"),
            (Ok(None), Nothing, true, true, Status::Warning, "none"),
            (Ok(None), ChainAndHostName, false, false, Status::Warning, "none"),
            (Err("no".to_owned()), Chain, true, false, Status::Warning, "which TLS was agreed on is not known: no"),
        ] {
            let target = TargetFacts { verify, is_local, ..target() };
            let check = judge(&agreed, "db.example:5432", &target, is_production);
            assert_eq!((check.status, check.message.as_str()), (status, message), "{verify:?} {is_local}");
        }
        let through_socket = judge(&Ok(None), "/run/postgresql/.s.PGSQL.5432", &target(), true);
        assert_eq!((through_socket.status, &*through_socket.message), (Status::Ok, "none, through a Unix socket"));
    }
}
