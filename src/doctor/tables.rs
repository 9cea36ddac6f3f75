//! Whether the two tables exist, and which kind of relation they are.
#![forbid(unsafe_code)]

use super::adapter;
use super::catalog::{Behind, Catalog, Entry, Finding, Kind, OtherTable, STEP, TableFacts};
use super::check::Check;
use crate::postgres::{Examiner, Located, Parameter, StepResult, TargetFacts};
use crate::schema::{Schema, Table};

pub(super) const ID: &str = "tables";

/// A table that was found.
pub(super) struct FoundTable {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) kind: Kind,
}

/// `table` is in a PostgreSQL schema, or was not found in the search path.
pub(super) async fn query(examiner: &Examiner<'_>, table: &Table) -> StepResult<Option<FoundTable>> {
    const SQL: &str = "\
SELECT c.oid, n.nspname::pg_catalog.text, c.relkind::pg_catalog.text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relname::pg_catalog.text OPERATOR(pg_catalog.=) $1
  AND c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.text[])
  AND n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) $2";
    let parameters = [Parameter::Text(Some(&table.name)), Parameter::Text(table.namespace.as_deref())];
    let tables = examiner.rows(STEP, SQL, &parameters, |row| {
        Ok(FoundTable { oid: row.try_get(0)?, schema: row.try_get(1)?, kind: Kind::of(row.try_get(2)?) })
    });
    Ok(tables.await?.into_iter().next())
}

/// The tables of this name in all PostgreSQL schemas, in upper or lower case.
pub(super) async fn find_elsewhere(examiner: &Examiner<'_>, table: &Table) -> StepResult<Vec<OtherTable>> {
    const SQL: &str = "\
SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE pg_catalog.lower(c.relname::pg_catalog.text) OPERATOR(pg_catalog.=) pg_catalog.lower($1)
  AND c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.text[])
  AND n.nspname::pg_catalog.text OPERATOR(pg_catalog.!~) '^(pg_|information_schema$)'
ORDER BY 1, 2";
    examiner
        .rows(STEP, SQL, &[Parameter::Text(Some(&table.name))], |row| {
            Ok(OtherTable { schema: row.try_get(0)?, name: row.try_get(1)? })
        })
        .await
}

/// What a view is made of, through all views between.
pub(super) async fn behind(examiner: &Examiner<'_>, oid: u32) -> StepResult<Vec<Behind>> {
    const SQL: &str = "\
WITH RECURSIVE behind (oid) AS (
  SELECT $1
  UNION
  SELECT d.refobjid
  FROM behind b
  JOIN pg_catalog.pg_class v ON v.oid OPERATOR(pg_catalog.=) b.oid
    AND v.relkind::pg_catalog.text OPERATOR(pg_catalog.=) 'v'
  JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) v.oid
  JOIN pg_catalog.pg_depend d ON d.objid OPERATOR(pg_catalog.=) r.oid
    AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
)
SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, c.relkind::pg_catalog.text
FROM behind b
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) b.oid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.oid OPERATOR(pg_catalog.<>) $1
  AND c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.text[])
ORDER BY 1, 2";
    examiner
        .rows(STEP, SQL, &[Parameter::Oid(oid)], |row| {
            let [schema, name]: [&str; 2] = [row.try_get(0)?, row.try_get(1)?];
            Ok(Behind { name: format!("{schema}.{name}"), kind: Kind::of(row.try_get(2)?) })
        })
        .await
}

pub(super) fn judge(catalog: &StepResult<Catalog>, target: &TargetFacts, located: &StepResult<Located>) -> Check {
    let (catalog, located) = match (catalog, located) {
        (Ok(catalog), Ok(located)) => (catalog, located),
        (Err(error), _) | (_, Err(error)) => return Check::from_step_error(ID, error),
    };
    let Schema { sessions, users, .. } = &target.configured;
    let named = [(&catalog.sessions, sessions, "sessions"), (&catalog.users, users, "users")]
        .map(|(entry, configured, key)| Named::new(entry, configured, key, target, located));
    let missing: Vec<_> = named.iter().filter(|table| table.elsewhere().is_some()).collect();
    if missing.is_empty() {
        let message = found(&named);
        return materialized(catalog, &message).unwrap_or_else(|| Check::ok(ID, message));
    }
    let message = not_found(&missing);
    let is_other = |other: &&OtherTable| !catalog.of_adapter.contains(&other.full_name());
    let others = |table: &Named| table.elsewhere().unwrap_or_default().iter().filter(is_other).cloned().collect();
    let others: Vec<Vec<OtherTable>> = missing.iter().map(|table| others(table)).collect();
    if let (Some(adapter), Some([])) = (catalog.of_adapter.first(), others.first().map(Vec::as_slice)) {
        let message = format!("{message}; {}", adapter::message(&catalog.of_adapter.join(", ")));
        return Check::failed(ID, message, adapter::advice(adapter, target)).with_details(catalog);
    }
    let all_are_missing = missing.len() == target.configured.tables().count();
    let advice = missing.iter().zip(&others).map(|(table, others)| table.advice(others, all_are_missing, target));
    let mut advice: Vec<_> = advice.collect();
    advice.dedup();
    Check::failed(ID, message, advice.join("\n")).with_details(catalog)
}

/// A table with where its name comes from.
struct Named<'c> {
    entry: &'c Entry,
    /// Its key in the option `tables`.
    key: &'static str,
    /// Whether the option names it.
    by_option: bool,
    searched: String,
    reason: String,
}

impl<'c> Named<'c> {
    fn new(entry: &'c Entry, configured: &Table, key: &'static str, target: &TargetFacts, located: &Located) -> Self {
        const OPTION: &str = "the option tables in AUTH_BRIDGE_OPTIONS";
        let by_option = configured.namespace.is_some() || configured.name != key;
        let (searched, place) = match (&configured.namespace, &target.schema, &located.search_path) {
            (Some(namespace), ..) => (format!("schema {namespace}"), OPTION.to_owned()),
            (None, Some(schema), _) => {
                (format!("schema {schema}"), format!("schema={schema} in {}", target.variables.join(", ")))
            }
            (None, None, path) => {
                let path = format!("the search path ({})", path.as_deref().unwrap_or_default());
                (path.clone(), path)
            }
        };
        let reason = match by_option && place != OPTION {
            true => format!("by {OPTION} and {place}"),
            false => format!("by {place}"),
        };
        Self { entry, key, by_option, searched, reason }
    }

    /// The other tables, if it was not found.
    fn elsewhere(&self) -> Option<&'c [OtherTable]> {
        match &self.entry.finding {
            Finding::Missing { elsewhere } => Some(elsewhere),
            Finding::Found(_) | Finding::NotRead => None,
        }
    }

    /// `others` are those that may be meant.
    fn advice(&self, others: &[OtherTable], all_are_missing: bool, target: &TargetFacts) -> String {
        let Self { key, by_option, .. } = self;
        let schemas: Vec<_> =
            others.iter().filter(|other| other.name == self.entry.table.name).map(|other| &*other.schema).collect();
        match (&schemas[..], others) {
            ([schema, ..], _) if !by_option && all_are_missing => {
                let setting = match target.url() {
                    Some(url) => format!("schema={schema} in {url}"),
                    None => format!("PGOPTIONS='-c search_path={schema}'"),
                };
                let schemas = schemas.join(", ");
                format!("There is one in schema {schemas}: set {setting}, or the user's search_path.")
            }
            (_, [other, ..]) => {
                let names: Vec<_> = others.iter().map(OtherTable::full_name).collect();
                let (names, name) = (names.join(", "), other.full_name());
                format!("There is {names}: set tables.{key} to {name} in AUTH_BRIDGE_OPTIONS.")
            }
            _ if *by_option => format!("Correct tables.{key} in AUTH_BRIDGE_OPTIONS, or create the table."),
            _ if !target.configured.is_multi_tenant => {
                format!("Create them: npx authjs-bridge schema --single-tenant | {}", target.psql())
            }
            _ => format!("Create them: {} --file node_modules/authjs-bridge/schema.sql", target.psql()),
        }
    }
}

fn found(tables: &[Named]) -> String {
    let found = tables.iter().filter_map(|Named { entry, reason, .. }| match &entry.finding {
        Finding::Found(found) => {
            let of = if found.behind.is_empty() { String::new() } else { format!(" of {}", found.names_behind()) };
            Some((format!("{} {}{of}", found.kind.name(), found.full_name(&entry.table)), reason))
        }
        Finding::Missing { .. } | Finding::NotRead => None,
    });
    let (names, reasons): (Vec<_>, Vec<_>) = found.unzip();
    match &reasons[..] {
        [first, second] if first != second => format!("{} {first}, {} {second}", names[0], names[1]),
        reasons => format!("{}; {}", names.join(", "), reasons.first().map_or("", |reason| reason.as_str())),
    }
}

fn not_found(missing: &[&Named]) -> String {
    let mut places: Vec<(String, Vec<&str>)> = Vec::new();
    for Named { entry, by_option, searched, .. } in missing {
        let named = if *by_option { ", named by the option tables in AUTH_BRIDGE_OPTIONS" } else { "" };
        let place = format!("not found in {searched}{named}");
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, names)) => names.push(&entry.table.name),
            None => places.push((place, vec![&entry.table.name])),
        }
    }
    let places = places.iter().map(|(place, names)| format!("{} {place}", names.join(" and ")));
    places.collect::<Vec<_>>().join("; ")
}

/// `None` if no row is as old as the last refresh of a materialized view.
fn materialized(catalog: &Catalog, message: &str) -> Option<Check> {
    const ADVICE: &str = "Make it a view with the same query, or read the tables themselves.";
    let is_stale = |(_, found): &(&Table, &TableFacts)| found.is_materialized();
    let stale: Vec<_> = catalog.found().filter(is_stale).map(|(table, _)| &*table.name).collect();
    let of_sessions = matches!(&catalog.sessions.finding, Finding::Found(found) if found.is_materialized());
    let message = format!(
        "{message}; but the rows of {} are as old as the last refresh of a materialized view: {}",
        stale.join(" and "),
        if of_sessions { "a revoked session stays live" } else { "a user who is gone stays" }
    );
    let check = if of_sessions { Check::failed } else { Check::warning };
    (!stale.is_empty()).then(|| check(ID, message, ADVICE))
}

#[cfg(test)]
mod tests {
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::super::tests::{located, target};
    use super::*;
    use crate::schema::{Differences, TableName, UserCheck};

    fn other([schema, name]: [&str; 2]) -> OtherTable {
        OtherTable { schema: schema.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn missing_tables_are_reported() {
        let missing = |elsewhere: &[[&str; 2]]| Finding::Missing {
            elsewhere: elsewhere.iter().map(|names| other(*names)).collect(),
        };
        let neither = |of_sessions: &[[&str; 2]], of_users: &[[&str; 2]]| {
            let mut catalog = healthy();
            (catalog.sessions.finding, catalog.users.finding) = (missing(of_sessions), missing(of_users));
            catalog
        };
        let users_missing = |elsewhere: &[[&str; 2]]| {
            let mut catalog = healthy();
            catalog.users.finding = missing(elsewhere);
            catalog
        };
        let partitioned = || {
            let mut catalog = healthy();
            catalog.users.found_mut().kind = Kind::PartitionedTable;
            catalog
        };
        let named = || TargetFacts { schema: Some("app".to_owned()), ..target() };
        let [ok, failed] = [Status::Ok, Status::Failed];
        for (catalog, target, status, message, advice) in [
            (
                healthy(),
                target(),
                ok,
                "table public.sessions, table public.users; by the search path (\"$user\", public)",
                "",
            ),
            (
                partitioned(),
                named(),
                ok,
                "table public.sessions, partitioned table public.users; by schema=app in DATABASE_URL",
                "",
            ),
            (
                neither(&[], &[]),
                target(),
                failed,
                "sessions and users not found in the search path (\"$user\", public)",
                "Create them: psql \"$DATABASE_URL\" --file node_modules/authjs-bridge/schema.sql",
            ),
            (
                neither(&[], &[]),
                TargetFacts { variables: vec!["PGHOST"], ..named() },
                failed,
                "sessions and users not found in schema app",
                "Create them: psql --file node_modules/authjs-bridge/schema.sql",
            ),
            (
                neither(&[["app", "sessions"], ["old", "sessions"]], &[["app", "users"], ["app", "Users"]]),
                target(),
                failed,
                "sessions and users not found in the search path (\"$user\", public)",
                "There is one in schema app, old: set schema=app in DATABASE_URL, or the user's search_path.\n\
                 There is one in schema app: set schema=app in DATABASE_URL, or the user's search_path.",
            ),
            (
                // With schema=app, sessions would not be found.
                users_missing(&[["app", "users"], ["old", "Users"]]),
                target(),
                failed,
                "users not found in the search path (\"$user\", public)",
                "There is app.users, old.Users: set tables.users to app.users in AUTH_BRIDGE_OPTIONS.",
            ),
        ] {
            let check = judge(&Ok(catalog), &target, &Ok(located()));
            assert_eq!((check.status, check.message.as_str()), (status, message));
            assert_eq!(check.advice.unwrap_or_default(), advice, "{message}");
        }
    }

    #[test]
    fn the_message_says_where_a_name_comes_from() {
        let missing =
            |others: &[[&str; 2]]| Finding::Missing { elsewhere: others.iter().copied().map(other).collect() };
        let by_option = "by the option tables in AUTH_BRIDGE_OPTIONS";
        let [path, found, not] = ["the search path (\"$user\", public)", "table public.", "not found in"];
        let named = "named by the option tables in AUTH_BRIDGE_OPTIONS";
        let correct = |key: &str| format!("Correct tables.{key} in AUTH_BRIDGE_OPTIONS, or create the table.");
        for (sessions, users, schema, finding, message, advice) in [
            ("auth.S", "auth.U", None, None, format!("{found}S, {found}U; {by_option}"), None),
            ("auth.S", "auth.U", Some("app"), None, format!("{found}S, {found}U; {by_option}"), None),
            (
                "auth.S",
                "users",
                Some("app"),
                None,
                format!("{found}S {by_option}, {found}users by schema=app in DATABASE_URL"),
                None,
            ),
            ("sessions", "U", None, None, format!("{found}sessions by {path}, {found}U {by_option} and {path}"), None),
            (
                "auth.S",
                "U",
                None,
                Some(missing(&[])),
                format!("S {not} schema auth, {named}; U {not} {path}, {named}"),
                Some(format!("{}\n{}", correct("sessions"), correct("users"))),
            ),
            (
                "auth.s",
                "auth.u",
                None,
                Some(missing(&[["auth", "S"]])),
                format!("s and u {not} schema auth, {named}"),
                Some(
                    "There is auth.S: set tables.sessions to auth.S in AUTH_BRIDGE_OPTIONS.\n\
                     There is auth.S: set tables.users to auth.S in AUTH_BRIDGE_OPTIONS."
                        .to_owned(),
                ),
            ),
        ] {
            let name = |text: &str| {
                let (namespace, name) = text.split_once('.').map_or((None, text), |(first, rest)| (Some(first), rest));
                Some(TableName { namespace: namespace.map(str::to_owned), name: name.to_owned() })
            };
            let differences = Differences { sessions: name(sessions), users: name(users), ..Differences::default() };
            let target =
                TargetFacts { configured: Schema::with(differences), schema: schema.map(str::to_owned), ..target() };
            let mut catalog = healthy();
            (catalog.sessions.table, catalog.users.table) =
                (target.configured.sessions.clone(), target.configured.users.clone());
            if let Some(Finding::Missing { elsewhere }) = finding {
                catalog.users.finding = Finding::Missing { elsewhere: elsewhere.clone() };
                catalog.sessions.finding = Finding::Missing { elsewhere };
            }
            let check = judge(&Ok(catalog), &target, &Ok(located()));
            assert_eq!((check.message, check.advice), (message, advice), "{sessions} {users}");
        }
    }

    #[test]
    fn users_that_are_not_read_are_not_missed() {
        let differences = Differences { is_multi_tenant: false, user_check: UserCheck::None, ..Differences::default() };
        let target = TargetFacts { configured: Schema::with(differences), ..target() };
        let mut catalog = healthy();
        catalog.users.finding = Finding::NotRead;
        let found = judge(&Ok(catalog), &target, &Ok(located()));
        assert_eq!(found.message, "table public.sessions; by the search path (\"$user\", public)");
        let mut catalog = healthy();
        (catalog.sessions.finding, catalog.users.finding) =
            (Finding::Missing { elsewhere: Vec::new() }, Finding::NotRead);
        let missing = judge(&Ok(catalog), &target, &Ok(located()));
        assert_eq!(missing.message, "sessions not found in the search path (\"$user\", public)");
        let expected = "Create them: npx authjs-bridge schema --single-tenant | psql \"$DATABASE_URL\"";
        assert_eq!(missing.advice.as_deref(), Some(expected));
    }

    #[test]
    fn materialized_views_are_refused_for_sessions() {
        let behind = |kind| vec![Behind { name: "public.stored".to_owned(), kind }];
        let name = |kind: Kind| format!("{} public.sessions", kind.name());
        for (of_sessions, of_users, behind, status, part) in [
            (Kind::View, Kind::Table, behind(Kind::Table), Status::Ok, "view public.sessions of public.stored, "),
            (Kind::MaterializedView, Kind::Table, vec![], Status::Failed, "a revoked session stays live"),
            (Kind::View, Kind::Table, behind(Kind::MaterializedView), Status::Failed, "a revoked session stays live"),
            (Kind::Table, Kind::MaterializedView, vec![], Status::Warning, "a user who is gone stays"),
        ] {
            let mut catalog = healthy();
            catalog.users.found_mut().kind = of_users;
            let sessions = catalog.sessions.found_mut();
            (sessions.kind, sessions.behind) = (of_sessions, behind);
            let check = judge(&Ok(catalog), &target(), &Ok(located()));
            assert_eq!(check.status, status, "{}", check.message);
            assert!(check.message.starts_with(&name(of_sessions)) && check.message.contains(part), "{}", check.message);
        }
    }

    #[test]
    fn tables_of_an_adapter_are_recognised() {
        let mut catalog = healthy();
        catalog.sessions.finding = Finding::Missing { elsewhere: vec![other(["next_auth", "sessions"])] };
        catalog.of_adapter = vec!["next_auth.sessions".to_owned()];
        let check = judge(&Ok(catalog), &target(), &Ok(located()));
        assert!(check.message.ends_with(&adapter::message("next_auth.sessions")), "{}", check.message);
        assert!(check.advice.expect("has one").contains("strategy: 'jwt'"));
    }

    #[test]
    fn kinds_by_relkind() {
        for (letter, name) in [
            ("r", "table"),
            ("p", "partitioned table"),
            ("v", "view"),
            ("m", "materialized view"),
            ("f", "foreign table"),
        ] {
            assert_eq!(Kind::of(letter).name(), name);
        }
    }
}
