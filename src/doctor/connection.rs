//! Whether the database takes a connection, and how long that takes.
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
    /// The host that took the connection, and its port.
    pub(super) address: String,
    pub(super) milliseconds: f64,
}

/// A connection, and how many milliseconds it took.
pub(super) async fn ask(database: &ExaminedDatabase) -> Result<(Examiner<'_>, f64), Error> {
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

/// To a microsecond.
pub(super) fn in_milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

type Advice = fn(&TargetFacts) -> String;

/// Parts of an error's code and message, in lower case, and what to do about such an error. The first that fits counts.
const CAUSES: [(&[&str], Advice); 9] = [
    (&["sqlstate 28p01"], |target| {
        format!(
            "Correct user and password in {}. In a URL, write special characters percent-encoded: %40 for @.",
            target.variables.join(", ")
        )
    }),
    (&["sqlstate 28"], |_| {
        "The server takes no such user, database, address or TLS mode: see its pg_hba.conf.".to_owned()
    }),
    (&["sqlstate 3d000"], |target| {
        let name = target.database.as_ref().or(target.user.as_ref()).map_or("", String::as_str);
        format!("Name another database, or make this one: CREATE DATABASE {}", quoted(name))
    }),
    (&["sqlstate 53300"], |_| {
        "All connections of the server are taken: raise max_connections, or lower connection_limit.".to_owned()
    }),
    (&["certificate", "host name mismatch"], |target| {
        format!(
            "Name the authority of the server's certificate: sslrootcert=/path/to/ca.pem. With verify-full it must be \
             for {}.",
            target.hosts
        )
    }),
    (&["does not support tls"], |_| {
        "Set ssl = on at the server, with a certificate; sslmode=disable only on this very machine.".to_owned()
    }),
    (&["can't be looked up"], |target| format!("Correct the name of the host in {}.", target.variables.join(", "))),
    (&["err_auth_bridge_timeout"], |_| {
        "Something between here and the server drops what is sent (a firewall?), or the server hangs.".to_owned()
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
    fn what_to_do_where_there_is_no_connection() {
        let refused = |cause: &str| Error::Connect(cause.to_owned());
        for (error, advice) in [
            (refused("password authentication failed (SQLSTATE 28P01)"), "Correct user and password in DATABASE_URL."),
            (refused("no pg_hba.conf entry (SQLSTATE 28000)"), "see its pg_hba.conf"),
            (refused("there is none (SQLSTATE 3D000)"), "CREATE DATABASE \"me\""),
            (refused("too many clients (SQLSTATE 53300)"), "raise max_connections"),
            (refused("certificate verify failed (IP address mismatch)"), "it must be for db.example:5432."),
            (refused("Host name mismatch"), "sslrootcert="),
            (refused("server does not support TLS"), "Set ssl = on"),
            (refused("the name can't be looked up: no"), "Correct the name of the host in DATABASE_URL."),
            (refused("Connection refused (os error 111)"), "Start the server"),
            (refused("/tmp/.s.PGSQL.5432: No such file or directory"), "Start the server"),
            (Error::Timeout { step: "connecting", limit: Duration::from_secs(5) }, "a firewall?"),
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
