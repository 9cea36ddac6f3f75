//! The version of the server, the database and the user, and whether the server is a standby.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::check::Check;
use crate::postgres::{Examiner, StepResult, TargetFacts};

pub(super) const ID: &str = "server";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Server {
    pub(super) version: String,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) is_standby: bool,
}

pub(super) async fn query(examiner: &Examiner<'_>) -> StepResult<Server> {
    const SQL: &str = "\
SELECT pg_catalog.current_setting('server_version'),
       current_user::pg_catalog.text,
       pg_catalog.current_database()::pg_catalog.text,
       pg_catalog.pg_is_in_recovery()";
    examiner
        .row("a query", SQL, &[], |row| {
            Ok(Server {
                version: row.try_get(0)?,
                user: row.try_get(1)?,
                database: row.try_get(2)?,
                is_standby: row.try_get(3)?,
            })
        })
        .await
}

pub(super) fn judge(server: &StepResult<Server>, target: &TargetFacts) -> Check {
    let server = match server {
        Ok(server) => server,
        Err(error) => return Check::from_step_error(ID, error),
    };
    let Server { version, database, user, is_standby, .. } = server;
    let message = format!("PostgreSQL {version}, database {database}, user {user}");
    let check = if *is_standby {
        Check::warning(
            ID,
            format!("{message}; a standby, which may not have received the latest revocations"),
            match target.url() {
                Some(url) => format!("Use the primary: list all hosts in {url}, with target_session_attrs=read-write."),
                None => {
                    "Use the primary: list all hosts in PGHOST, and set PGTARGETSESSIONATTRS=read-write.".to_owned()
                }
            },
        )
    } else {
        Check::ok(ID, message)
    };
    check.with_details(server)
}

/// The name of the database user, for messages.
pub(super) fn user(server: &StepResult<Server>) -> &str {
    server.as_ref().map_or("the user", |server| &server.user)
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::super::tests::{server, target};
    use super::*;

    #[test]
    fn a_standby_is_warned_of() {
        for (is_standby, status) in [(false, Status::Ok), (true, Status::Warning)] {
            let check = judge(&Ok(Server { is_standby, ..server() }), &target());
            assert_eq!(check.status, status);
            assert!(check.message.starts_with("PostgreSQL 18.1, database app, user reader"), "{}", check.message);
        }
        for (variable, advice) in [
            ("AUTH_BRIDGE_DATABASE_URL", "list all hosts in AUTH_BRIDGE_DATABASE_URL, with target_session_attrs="),
            ("PGHOST", "list all hosts in PGHOST, and set PGTARGETSESSIONATTRS="),
        ] {
            let target = TargetFacts { variables: vec![variable], ..target() };
            let check = judge(&Ok(Server { is_standby: true, ..server() }), &target);
            assert!(check.advice.expect("has one").contains(advice), "{variable}");
        }
    }
}
