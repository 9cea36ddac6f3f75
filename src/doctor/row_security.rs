//! Whether row-level security hides rows from the user. A hidden session is treated as signed out.
//!
//! The advice is a role for the bridge alone. A policy for the user would open the tables to whatever else connects as this
//! user, such as the app, whose own queries would see the rows of all tenants.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::catalog::{Catalog, RowSecurity, STEP, TableFacts, Visibility};
use super::check::{Check, remark};
use super::samples::Trial;
use super::sessions::Counts;
use crate::postgres::{Examiner, Parameter, StepResult, TargetFacts};
use crate::schema::{Table, quoted, quoted_if_needed};

pub(super) const ID: &str = "row-security";

/// The name of the role that is advised, and of its policies.
pub(super) const ROLE: &str = "authjs_bridge";

pub(super) async fn query(examiner: &Examiner<'_>, oid: u32) -> StepResult<Visibility> {
    const SQL: &str = "\
SELECT pg_catalog.row_security_active(c.oid),
       coalesce(pg_catalog.pg_relation_size(c.oid), 0) OPERATOR(pg_catalog.>) 0
         OR c.relkind::pg_catalog.text OPERATOR(pg_catalog.<>) 'r',
       c.relrowsecurity,
       EXISTS (
         SELECT FROM pg_catalog.pg_policy p
         WHERE p.polrelid OPERATOR(pg_catalog.=) c.oid AND NOT p.polpermissive
           AND p.polcmd::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{r,*}'::pg_catalog.text[])
           AND 0::pg_catalog.oid OPERATOR(pg_catalog.=) ANY (p.polroles)
       ),
       EXISTS (
         SELECT FROM pg_catalog.pg_policy p
         WHERE p.polrelid OPERATOR(pg_catalog.=) c.oid AND p.polname::pg_catalog.text OPERATOR(pg_catalog.=) $2
       ),
       EXISTS (
         SELECT FROM pg_catalog.pg_roles r WHERE r.rolname::pg_catalog.text OPERATOR(pg_catalog.=) $2
       )
FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1";
    let parameters = [Parameter::Oid(oid), Parameter::Text(Some(ROLE))];
    let visibility = examiner.row(STEP, SQL, &parameters, |row| {
        let visibility = Visibility {
            row_security: None,
            holds_rows: row.try_get(1)?,
            is_secured: row.try_get(2)?,
            restricts_everyone: row.try_get(3)?,
            has_bridge_policy: row.try_get(4)?,
            has_bridge_role: row.try_get(5)?,
        };
        Ok((row.try_get(0)?, visibility))
    });
    let (is_active, visibility) = visibility.await?;
    let row_security = if is_active { Some(query_policies(examiner, oid).await?) } else { None };
    Ok(Visibility { row_security, ..visibility })
}

async fn query_policies(examiner: &Examiner<'_>, oid: u32) -> StepResult<RowSecurity> {
    const SQL: &str = "\
SELECT pg_catalog.count(*) FILTER (WHERE p.polpermissive),
       coalesce(
         pg_catalog.bool_or(
           p.polpermissive AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) OPERATOR(pg_catalog.=) 'true'
         ) AND pg_catalog.bool_and(p.polpermissive),
         false
       )
FROM pg_catalog.pg_policy p
WHERE p.polrelid OPERATOR(pg_catalog.=) $1
  AND p.polcmd::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{r,*}'::pg_catalog.text[])
  AND EXISTS (
    SELECT FROM pg_catalog.unnest(p.polroles) AS role
    WHERE role OPERATOR(pg_catalog.=) 0::pg_catalog.oid OR pg_catalog.pg_has_role(role, 'USAGE')
  )";
    examiner
        .row(STEP, SQL, &[Parameter::Oid(oid)], |row| {
            Ok(RowSecurity { policies: row.try_get(0)?, admits_all: row.try_get(1)? })
        })
        .await
}

/// `trial` tells whether the users are hidden.
pub(super) fn judge(
    catalog: &Catalog,
    target: &TargetFacts,
    user: &str,
    sessions: &StepResult<Counts>,
    trial: &Option<StepResult<Trial>>,
) -> Check {
    let is_sessions = |table: &Table| std::ptr::eq(table, &catalog.sessions.table);
    let key = |table: &Table| if is_sessions(table) { "sessions" } else { "users" };
    let details: BTreeMap<_, _> =
        catalog.found().map(|(table, found)| (key(table), found.visibility.row_security)).collect();
    let sees_no_session = matches!(sessions, Ok(Counts::Exact { live: 0, expired: 0, revoked: 0 }));
    let sees_no_user = matches!(trial, Some(Ok(trial)) if trial.finds_no_user());
    let (mut secured, mut hidden) = (Vec::new(), Vec::new());
    for (table, found) in catalog.found() {
        let Some(row_security) = found.visibility.row_security.filter(|row_security| !row_security.admits_all) else {
            continue;
        };
        let sees_none = if is_sessions(table) { sees_no_session } else { sees_no_user };
        secured.push(&*table.name);
        if row_security.policies == 0 || (found.visibility.holds_rows && sees_none) {
            hidden.push(&*table.name);
        }
    }
    let check = if secured.is_empty() {
        Check::ok(ID, format!("hides nothing from {user}"))
    } else if hidden.is_empty() {
        let message =
            format!("is active on {} for {user}; a hidden session is treated as signed out", secured.join(" and "));
        Check::warning(ID, message, advice(catalog, target, user))
    } else {
        let message = format!("hides all rows of {} from {user}: everyone is signed out", hidden.join(" and "));
        Check::failed(ID, message, advice(catalog, target, user))
    };
    check.with_details(&details)
}

fn advice(catalog: &Catalog, target: &TargetFacts, user: &str) -> String {
    let tables: Vec<_> = catalog.found().collect();
    let mut lines = if user == ROLE { Vec::new() } else { role(&tables, target, user) };
    let secured = || tables.iter().filter(|(_, found)| found.visibility.is_secured);
    if secured().any(|(_, found)| found.visibility.restricts_everyone) {
        lines.push("-- There is a restrictive policy for everyone: only this lets the role read past it.".to_owned());
        lines.push(format!("ALTER ROLE {ROLE} BYPASSRLS;"));
    } else {
        let without = secured().filter(|(_, found)| !found.visibility.has_bridge_policy);
        lines.extend(without.map(|(table, found)| {
            format!("CREATE POLICY {ROLE} ON {} FOR SELECT TO {ROLE} USING (true);", found.sql_name(table))
        }));
    }
    if user != ROLE {
        let url = match target.own_url() {
            Some(url) => format!("in {url}"),
            None => "by a URL of its own in AUTH_BRIDGE_DATABASE_URL".to_owned(),
        };
        lines.push(format!(
            "-- Set its password (in psql: \\password {ROLE}), and connect the bridge alone as {ROLE}, {url}."
        ));
    }
    lines.join("\n")
}

/// A role that can read the columns of the session query, and no more.
fn role(tables: &[(&Table, &TableFacts)], target: &TargetFacts, user: &str) -> Vec<String> {
    let [rows, columns] = match target.configured.is_multi_tenant {
        true => ["the rows of all tenants", "these columns, of all tenants"],
        false => ["all rows", "these columns, of all rows"],
    };
    let mut lines = vec![
        remark(&format!("A policy for {user} would show {rows} to all that connects as {user}. So give the bridge")),
        remark(&format!("a role of its own. It may read {columns}; nobody else may read more than before.")),
    ];
    if !tables.iter().any(|(_, found)| found.visibility.has_bridge_role) {
        lines.push(format!("CREATE ROLE {ROLE} LOGIN;"));
    }
    let mut schemas: Vec<_> = tables.iter().map(|(_, found)| quoted(&found.schema)).collect();
    schemas.dedup();
    let is_by_search_path =
        target.schema.is_none() && target.configured.tables().any(|table| table.namespace.is_none());
    if is_by_search_path && schemas != ["\"public\""] {
        lines.push(format!("ALTER ROLE {ROLE} SET search_path = {};", schemas.join(", ")));
    }
    lines.extend(schemas.iter().map(|schema| format!("GRANT USAGE ON SCHEMA {schema} TO {ROLE};")));
    lines.extend(tables.iter().map(|(table, found)| {
        let present =
            found.columns.iter().filter(|column| column.actual.is_some()).map(|column| quoted_if_needed(&column.name));
        let columns = present.collect::<Vec<_>>().join(", ");
        format!("GRANT SELECT ({columns}) ON {} TO {ROLE};", found.sql_name(table))
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::super::samples::Refusal;
    use super::super::tests::target;
    use super::*;
    use crate::postgres::StepError;
    use crate::schema::{Differences, Schema, TableName};

    #[test]
    fn policies_that_hide_rows() {
        let secured = |policies, admits_all| Some(RowSecurity { policies, admits_all });
        let none = || Ok(Counts::Exact { live: 0, expired: 0, revoked: 0 });
        let some = || Ok(Counts::Exact { live: 1, expired: 0, revoked: 0 });
        let unknown = || Err(StepError::ConnectionLost);
        let active = "is active on sessions for me; a hidden session is treated as signed out";
        let hides_all = "hides all rows of sessions from me: everyone is signed out";
        for (case, row_security, holds_rows, counts, status, message) in [
            ("none", None, true, none(), Status::Ok, "hides nothing from me"),
            ("one that admits all", secured(1, true), true, none(), Status::Ok, "hides nothing from me"),
            ("no policy", secured(0, false), false, unknown(), Status::Failed, hides_all),
            ("a policy that admits some", secured(1, false), true, some(), Status::Warning, active),
            ("one that admits none", secured(1, false), true, none(), Status::Failed, hides_all),
            ("nothing to hide", secured(1, false), false, none(), Status::Warning, active),
            ("not counted", secured(1, false), true, unknown(), Status::Warning, active),
        ] {
            let mut catalog = healthy();
            let found = catalog.sessions.found_mut();
            found.visibility.row_security = row_security;
            found.visibility.holds_rows = holds_rows;
            let check = judge(&catalog, &target(), "me", &counts, &None);
            assert_eq!((check.status, check.message.as_str()), (status, message), "{case}");
            assert_eq!(check.advice.is_some(), status != Status::Ok, "{case}");
        }
    }

    #[test]
    fn users_are_hidden_if_no_session_that_was_tried_has_one() {
        let mut catalog = healthy();
        catalog.users.found_mut().visibility.row_security = Some(RowSecurity { policies: 1, admits_all: false });
        for (sessions, users_unknown, status) in
            [(0, None, Status::Warning), (2, Some(1), Status::Warning), (2, Some(2), Status::Failed)]
        {
            let counts = Ok(Counts::Exact { live: sessions, expired: 0, revoked: 0 });
            let refused = users_unknown.map(|count| (Refusal::UserUnknown, count)).into_iter().collect();
            let trial = Trial { tried: 2, refused, error: None };
            let check = judge(&catalog, &target(), "me", &counts, &Some(Ok(trial)));
            assert_eq!(check.status, status, "{users_unknown:?}");
        }
    }

    /// `__test__/row-security.spec.ts` runs it.
    #[test]
    fn the_advice_gives_rights_to_the_role_of_the_bridge_alone() {
        for (case, user, exists, restricts) in
            [("new", "app", false, false), ("there", "app", true, false), ("its own", ROLE, true, true)]
        {
            let mut catalog = healthy();
            for entry in [&mut catalog.sessions, &mut catalog.users] {
                let visibility = &mut entry.found_mut().visibility;
                visibility.is_secured = true;
                (visibility.has_bridge_role, visibility.restricts_everyone) = (exists, restricts);
            }
            let advice = advice(&catalog, &target(), user);
            let statements: Vec<_> = advice.lines().filter(|line| !line.starts_with("--")).collect();
            assert!(statements.iter().all(|line| line.contains(ROLE) && !line.contains("app")), "{case}: {advice}");
            assert_eq!(advice.contains("CREATE ROLE"), !exists, "{case}");
            assert_eq!(advice.contains("GRANT"), user != ROLE, "{case}");
            assert_eq!(advice.contains("BYPASSRLS"), restricts, "{case}");
            assert_eq!(advice.matches("CREATE POLICY").count(), if restricts { 0 } else { 2 }, "{case}");
        }
    }

    #[test]
    fn the_advice_names_the_url_and_the_search_path_only_where_they_count() {
        let of_its_own = "by a URL of its own in AUTH_BRIDGE_DATABASE_URL";
        let named = |name: &str| Some(TableName { namespace: Some("app".to_owned()), name: name.to_owned() });
        let by_option = Schema::with(Differences {
            sessions: named("sessions"),
            users: named("users"),
            is_multi_tenant: false,
            ..Differences::default()
        });
        for (variable, configured, schema, url, rows, sets_path) in [
            ("DATABASE_URL", Schema::new(None), None, of_its_own, "the rows of all tenants", true),
            ("PGHOST", Schema::new(None), Some("app"), of_its_own, "the rows of all tenants", false),
            ("AUTH_BRIDGE_DATABASE_URL", by_option, None, "in AUTH_BRIDGE_DATABASE_URL", "all rows", false),
        ] {
            let variables = vec![variable];
            let target = TargetFacts { variables, configured, schema: schema.map(str::to_owned), ..target() };
            let mut catalog = healthy();
            for entry in [&mut catalog.sessions, &mut catalog.users] {
                entry.found_mut().schema = "app".to_owned();
            }
            let advice = advice(&catalog, &target, "me");
            let last = format!("and connect the bridge alone as {ROLE}, {url}.");
            assert!(advice.ends_with(&last), "{advice}");
            assert!(advice.starts_with(&format!("-- A policy for me would show {rows} to all that")), "{advice}");
            assert_eq!(advice.contains("SET search_path"), sets_path, "{variable}");
        }
    }
}
