//! Whether row-level security hides rows from the user. A hidden session is treated as signed out.
//!
//! The advice is a role for the bridge alone. A policy for the user would open the tables to whatever else connects as this
//! user, such as the app, whose own queries would see the rows of all tenants.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::catalog::{Catalog, RowSecurity, STEP, TableFacts, Visibility};
use super::check::Check;
use super::samples::Trial;
use super::sessions::Counts;
use crate::postgres::{Examiner, Parameter, StepResult};
use crate::schema::{Table, quoted};

pub(super) const ID: &str = "row-security";

/// The name of the role that is advised, and of its policies.
const ROLE: &str = "authjs_bridge";

pub(super) async fn query(examiner: &Examiner<'_>, oid: u32) -> StepResult<Visibility> {
    const SQL: &str = "\
SELECT pg_catalog.row_security_active(c.oid),
       coalesce(pg_catalog.pg_relation_size(c.oid), 0) > 0 OR c.relkind <> 'r',
       c.relrowsecurity,
       EXISTS (
         SELECT FROM pg_catalog.pg_policy p
         WHERE p.polrelid = c.oid AND NOT p.polpermissive AND p.polcmd IN ('r', '*') AND 0 = ANY (p.polroles)
       ),
       EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polname = $2),
       EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = $2)
FROM pg_catalog.pg_class c WHERE c.oid = $1";
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
SELECT count(*) FILTER (WHERE p.polpermissive),
       coalesce(
         bool_or(p.polpermissive AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) = 'true')
           AND bool_and(p.polpermissive),
         false
       )
FROM pg_catalog.pg_policy p
WHERE p.polrelid = $1 AND p.polcmd IN ('r', '*')
  AND EXISTS (
    SELECT FROM unnest(p.polroles) AS role
    WHERE role = 0 OR pg_catalog.pg_has_role(role, 'USAGE')
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
    user: &str,
    sessions: &StepResult<Counts>,
    trial: &Option<StepResult<Trial>>,
) -> Check {
    let details: BTreeMap<_, _> =
        catalog.found().map(|(table, found)| (table.name, found.visibility.row_security)).collect();
    let sees_no_session = matches!(sessions, Ok(Counts::Exact { live: 0, expired: 0, revoked: 0 }));
    let sees_no_user = matches!(trial, Some(Ok(trial)) if trial.finds_no_user());
    let (mut secured, mut hidden) = (Vec::new(), Vec::new());
    for (table, found) in catalog.found() {
        let Some(row_security) = found.visibility.row_security.filter(|row_security| !row_security.admits_all) else {
            continue;
        };
        let sees_none = if table.name == catalog.sessions.table.name { sees_no_session } else { sees_no_user };
        secured.push(table.name);
        if row_security.policies == 0 || (found.visibility.holds_rows && sees_none) {
            hidden.push(table.name);
        }
    }
    let check = if secured.is_empty() {
        Check::ok(ID, format!("hides nothing from {user}"))
    } else if hidden.is_empty() {
        let message =
            format!("is active on {} for {user}; a hidden session is treated as signed out", secured.join(" and "));
        Check::warning(ID, message, advice(catalog, user))
    } else {
        let message = format!("hides all rows of {} from {user}: everyone is signed out", hidden.join(" and "));
        Check::failed(ID, message, advice(catalog, user))
    };
    check.with_details(&details)
}

fn advice(catalog: &Catalog, user: &str) -> String {
    let tables: Vec<_> = catalog.found().collect();
    let mut lines = if user == ROLE { Vec::new() } else { role(&tables, user) };
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
        lines
            .push(format!("-- Set its password (in psql: \\password {ROLE}), and connect the bridge alone as {ROLE}."));
    }
    lines.join("\n")
}

/// A role that can read the columns of the session query, and no more.
fn role(tables: &[(&Table, &TableFacts)], user: &str) -> Vec<String> {
    let mut lines = vec![
        format!(
            "-- A policy for {user} would show the rows of all tenants to all that connects as {user}. So give the bridge"
        ),
        "-- a role of its own. It may read these columns, of all tenants; nobody else may read more than before."
            .to_owned(),
    ];
    if !tables.iter().any(|(_, found)| found.visibility.has_bridge_role) {
        lines.push(format!("CREATE ROLE {ROLE} LOGIN;"));
    }
    let mut schemas: Vec<_> = tables.iter().map(|(_, found)| quoted(&found.schema)).collect();
    schemas.dedup();
    if schemas != ["\"public\""] {
        lines.push(format!("ALTER ROLE {ROLE} SET search_path = {};", schemas.join(", ")));
    }
    lines.extend(schemas.iter().map(|schema| format!("GRANT USAGE ON SCHEMA {schema} TO {ROLE};")));
    lines.extend(tables.iter().map(|(table, found)| {
        let present = found.columns.iter().filter(|column| column.actual.is_some()).map(|column| column.name);
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
    use super::*;
    use crate::postgres::StepError;

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
            let check = judge(&catalog, "me", &counts, &None);
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
            let check = judge(&catalog, "me", &counts, &Some(Ok(trial)));
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
            let advice = advice(&catalog, user);
            let statements: Vec<_> = advice.lines().filter(|line| !line.starts_with("--")).collect();
            assert!(statements.iter().all(|line| line.contains(ROLE) && !line.contains("app")), "{case}: {advice}");
            assert_eq!(advice.contains("CREATE ROLE"), !exists, "{case}");
            assert_eq!(advice.contains("GRANT"), user != ROLE, "{case}");
            assert_eq!(advice.contains("BYPASSRLS"), restricts, "{case}");
            assert_eq!(advice.matches("CREATE POLICY").count(), if restricts { 0 } else { 2 }, "{case}");
        }
    }
}
