//! Whether the database accepts a connection, and how long connecting takes.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use serde::Serialize;

use super::check::{Check, SEE_LOG};
use super::pooler;
use crate::error::Error;
use crate::postgres::{ExaminedDatabase, Examiner, TargetFacts};
use crate::schema::quoted;

pub(super) const ID: &str = "connection";

#[derive(Serialize)]
pub(super) struct Connected {
    /// The host that accepted the connection, and its port.
    pub(super) address: String,
    pub(super) milliseconds: f64,
}

/// A connection, and how long connecting took, in milliseconds.
pub(super) async fn query(database: &ExaminedDatabase) -> Result<(Examiner<'_>, f64), Error> {
    let start = Instant::now();
    let examiner = database.connect().await?;
    Ok((examiner, in_milliseconds(start.elapsed())))
}

pub(super) fn judge(connected: Result<&Connected, &Error>, target: &TargetFacts) -> Check {
    match connected {
        Ok(connected) => {
            let Connected { address, milliseconds } = connected;
            Check::ok(ID, format!("{address} in {milliseconds} ms")).with_details(connected)
        }
        Err(error) => {
            let (message, advice) =
                pooler::advice_in(error).unwrap_or_else(|| (error.to_string(), advice(error, target)));
            Check::failed(ID, message, advice).with_details(error)
        }
    }
}

/// Rounded to a microsecond.
pub(super) fn in_milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

type Advice = fn(&TargetFacts) -> String;

/// Parts of an error's code and message, in lower case, and the advice for it. The first match is used.
const CAUSES: [(&[&str], Advice); 11] = [
    // All but the first are PgBouncer's, which has no SQLSTATE of its own for them.
    (&["sqlstate 28p01", "password authentication failed", "sasl authentication failed", "no such user"], |target| {
        format!(
            "Correct user and password in {}. In a URL, write special characters percent-encoded: %40 for @.",
            target.variables.join(", ")
        )
    }),
    (&["sqlstate 28"], |_| {
        "The server rejects this user, database, client address or TLS mode: see its pg_hba.conf.".to_owned()
    }),
    (&["sqlstate 3d000"], |target| {
        let name = target.database.as_ref().or(target.user.as_ref()).map_or("", String::as_str);
        format!("Use another database, or create this one: CREATE DATABASE {};", quoted(name))
    }),
    // PgBouncer's.
    (&["no such database"], |target| {
        format!("Correct the database in {}, or add it to [databases] of the pooler.", target.variables.join(", "))
    }),
    (&["max_client_conn"], |_| {
        "All connections of the pooler are in use: raise its max_client_conn, or lower connection_limit.".to_owned()
    }),
    (&["sqlstate 53300"], |_| {
        "All connections of the server are in use: raise max_connections, or lower connection_limit.".to_owned()
    }),
    (&["certificate", "host name mismatch"], |target| {
        format!(
            "Set sslrootcert=/path/to/ca.pem to the authority that signed the server's certificate. With verify-full \
             the certificate must be for {}.",
            target.hosts
        )
    }),
    (&["does not support tls"], |_| {
        "Set ssl = on on the server, with a certificate. Use sslmode=disable only if the server runs on this machine."
            .to_owned()
    }),
    (&["can't be looked up"], |target| format!("Correct the host name in {}.", target.variables.join(", "))),
    (&["err_auth_bridge_timeout"], |_| {
        "The server doesn't respond: it hangs, or something such as a firewall drops the packets.".to_owned()
    }),
    (&["refused", "no such file"], |target| {
        format!("Start the server, or correct host and port in {}.", target.variables.join(", "))
    }),
];

fn advice(error: &Error, target: &TargetFacts) -> String {
    let text = format!("{} {error}", error.code()).to_lowercase();
    let cause = CAUSES.iter().find(|(parts, _)| parts.iter().any(|part| text.contains(part)));
    cause.map_or_else(|| SEE_LOG.to_owned(), |(_, advice)| advice(target))
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::super::tests::target;
    use super::*;
    use crate::postgres::POOLER_ADVICE;

    #[test]
    fn advice_for_each_connection_error() {
        let refused = |cause: &str| Error::Connect(cause.to_owned());
        for (error, advice) in [
            (refused("password authentication failed (SQLSTATE 28P01)"), "Correct user and password in DATABASE_URL."),
            (refused("password authentication failed (SQLSTATE 08P01)"), "Correct user and password in DATABASE_URL."),
            (refused("SASL authentication failed (SQLSTATE 08P01)"), "Correct user and password in DATABASE_URL."),
            (refused("no such database: app (SQLSTATE 08P01)"), "add it to [databases] of the pooler"),
            (refused("no more connections allowed (max_client_conn) (SQLSTATE 08P01)"), "raise its max_client_conn"),
            (refused("no pg_hba.conf entry (SQLSTATE 28000)"), "see its pg_hba.conf"),
            (refused("there is none (SQLSTATE 3D000)"), "CREATE DATABASE \"me\""),
            (refused("too many clients (SQLSTATE 53300)"), "raise max_connections"),
            (
                refused("certificate verify failed (IP address mismatch)"),
                "the certificate must be for db.example:5432.",
            ),
            (refused("Host name mismatch"), "sslrootcert="),
            (refused("server does not support TLS"), "Set ssl = on"),
            (refused("the name can't be looked up: no"), "Correct the host name in DATABASE_URL."),
            (refused("Connection refused (os error 111)"), "Start the server"),
            (refused("/tmp/.s.PGSQL.5432: No such file or directory"), "Start the server"),
            (Error::Timeout { step: "connecting", limit: Duration::from_secs(5) }, "such as a firewall"),
            (refused("odd"), SEE_LOG),
            (refused(&format!("unsupported startup parameter{POOLER_ADVICE}")), "Behind a pooler in transaction mode"),
        ] {
            let target = TargetFacts { user: Some("me".to_owned()), ..target() };
            let check = judge(Err(&error), &target);
            assert_eq!(check.status, Status::Failed, "{error}");
            assert!(check.advice.expect("has one").contains(advice), "{error}");
        }
    }
}
