//! Tests of all checks together, and helpers for the tests of single checks.
#![forbid(unsafe_code)]

use std::path::Path;

use super::catalog::Finding;
use super::catalog::tests::healthy;
use super::server::Server;
use super::*;
use crate::config::FakeEnvironment;
use crate::postgres::{StepError, Verify};
use crate::schema::Schema;

/// A database on another machine, without TLS.
pub(super) fn target() -> TargetFacts {
    TargetFacts {
        variables: vec!["DATABASE_URL"],
        unknown_parameters: Vec::new(),
        hosts: "db.example:5432".to_owned(),
        user: None,
        database: None,
        is_local: false,
        verify: Verify::Nothing,
        prepared_statements: true,
        schema: None,
        configured: Schema::new(None),
    }
}

pub(super) fn server() -> Server {
    Server { version: "18.1".to_owned(), user: "reader".to_owned(), database: "app".to_owned(), is_standby: false }
}

pub(super) fn located() -> Located {
    Located::in_public()
}

fn lost<T>() -> StepResult<T> {
    Err(StepError::ConnectionLost)
}

fn refused<T>() -> StepResult<T> {
    Err(StepError::Failed(Error::Query("no".to_owned())))
}

fn facts(catalog: StepResult<Catalog>) -> Facts {
    let connected = Connected { address: "db.example:5432".to_owned(), milliseconds: 1.5 };
    Facts {
        connected,
        tls: Ok(None),
        server: lost(),
        pooler: None,
        clock: lost(),
        located: Ok(located()),
        catalog,
        writes: Ok(Some(writes::tests::all())),
        lookups: refused(),
        scans: Ok(Vec::new()),
        sessions: refused(),
        trial: None,
        notifications: None,
    }
}

#[test]
fn without_a_database_the_checks_are_ready_at_once() {
    let checks = examine(&Options::default(), &FakeEnvironment(&[])).now_or_never().expect("is ready");
    let failed: Vec<_> = checks.iter().filter(|check| check.status == Status::Failed).map(|check| check.id).collect();
    assert_eq!(failed, [secrets::ID, database_url::ID]);
    let skipped: Vec<_> = checks.iter().filter(|check| check.status == Status::Skipped).map(|check| check.id).collect();
    assert_eq!(skipped, [connection::ID].into_iter().chain(after_connection()).collect::<Vec<_>>());
}

#[test]
fn each_check_has_a_file_with_its_name() {
    let checks = examine(&Options::default(), &FakeEnvironment(&[])).now_or_never().expect("is ready");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/doctor");
    for Check { id, .. } in checks {
        assert!(folder.join(format!("{}.rs", id.replace('-', "_"))).is_file(), "{id}");
    }
}

#[test]
fn checks_that_need_the_tables_are_skipped_without_them() {
    let missing = || {
        let mut catalog = healthy();
        catalog.users.finding = Finding::Missing { elsewhere: Vec::new() };
        Ok(catalog)
    };
    let [ok, failed, skipped] = [Status::Ok, Status::Failed, Status::Skipped];
    for (case, catalog, tables, of_tables, of_queries) in [
        ("present", Ok(healthy()), ok, ok, [failed, ok, skipped]),
        ("missing", missing(), failed, skipped, [skipped; 3]),
        ("not known", refused(), failed, skipped, [failed, skipped, skipped]),
        ("lost", lost(), skipped, skipped, [failed, skipped, skipped]),
    ] {
        let checks = judge(&facts(catalog), &target(), false);
        let ids: Vec<_> = checks.iter().map(|check| check.id).collect();
        assert_eq!(ids, [connection::ID].into_iter().chain(after_connection()).collect::<Vec<_>>(), "{case}");
        let statuses: Vec<_> = checks.iter().skip(5).map(|check| check.status).collect();
        let expected: Vec<_> = [tables].into_iter().chain([of_tables; 5]).chain(of_queries).collect();
        assert_eq!(statuses, expected, "{case}");
        let catalog = if case == "present" { Ok(healthy()) } else { missing() };
        let listening = Facts { notifications: Some(notifications::tests::unwatched()), ..facts(catalog) };
        let last = judge(&listening, &target(), false).pop().expect("is there");
        let expected = if case == "present" { Status::Warning } else { skipped };
        assert_eq!((last.id, last.status), (notifications::ID, expected), "{case}");
    }
}

#[test]
fn a_failed_lookup_refers_to_the_first_failed_check() {
    let mut catalog = healthy();
    catalog.sessions.found_mut().rights.schema_is_usable = false;
    for (case, catalog, advice) in [
        ("rights", Ok(catalog), "Fix rights first."),
        ("nothing", Ok(healthy()), check::SEE_LOG),
        ("the catalog", refused(), "Fix tables first."),
    ] {
        let checks = judge(&facts(catalog), &target(), false);
        let lookups = checks.into_iter().find(|check| check.id == lookups::ID).expect("is there");
        assert_eq!(lookups.advice.as_deref(), Some(advice), "{case}");
    }
}
