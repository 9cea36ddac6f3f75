//! Whether row-level security hides rows from the user. A hidden session is treated as signed out.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::catalog::{Catalog, RowSecurity, STEP, Visibility, sql_name};
use super::check::Check;
use super::sessions::Counts;
use crate::postgres::{Examiner, Parameter, StepResult};

pub(super) const ID: &str = "row-security";

pub(super) async fn query(examiner: &Examiner<'_>, oid: u32) -> StepResult<Visibility> {
    const SQL: &str = "\
SELECT pg_catalog.row_security_active(c.oid),
       coalesce(pg_catalog.pg_relation_size(c.oid), 0) > 0 OR c.relkind <> 'r'
FROM pg_catalog.pg_class c WHERE c.oid = $1";
    let (is_active, holds_rows) =
        examiner.row(STEP, SQL, &[Parameter::Oid(oid)], |row| Ok((row.try_get(0)?, row.try_get(1)?))).await?;
    let row_security = if is_active { Some(query_policies(examiner, oid).await?) } else { None };
    Ok(Visibility { row_security, holds_rows })
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

/// A table whose rows may be hidden.
struct Secured {
    name: &'static str,
    sql_name: String,
    hides_all: bool,
}

pub(super) fn judge(catalog: &Catalog, user: &str, sessions: &StepResult<Counts>) -> Check {
    let details: BTreeMap<_, _> =
        catalog.found().map(|(table, found)| (table.name, found.visibility.row_security)).collect();
    let sees_none = matches!(sessions, Ok(Counts::Exact { live: 0, expired: 0, revoked: 0 }));
    let secured: Vec<_> = catalog
        .found()
        .filter_map(|(table, found)| {
            let row_security = found.visibility.row_security.filter(|row_security| !row_security.admits_all)?;
            let is_counted = table.name == catalog.sessions.table.name;
            let hides_all = row_security.policies == 0 || (is_counted && found.visibility.holds_rows && sees_none);
            Some(Secured { name: table.name, sql_name: found.sql_name(table), hides_all })
        })
        .collect();
    check_of(&secured, user).with_details(&details)
}

fn check_of(secured: &[Secured], user: &str) -> Check {
    if secured.is_empty() {
        return Check::ok(ID, format!("hides nothing from {user}"));
    }
    let policy = |Secured { sql_name: table, .. }: &Secured| {
        format!("CREATE POLICY authjs_bridge ON {table} FOR SELECT TO {} USING (true)", sql_name(user))
    };
    let advice = secured.iter().map(policy).collect::<Vec<_>>().join("\n");
    let hidden: Vec<_> = secured.iter().filter(|table| table.hides_all).map(|table| table.name).collect();
    if hidden.is_empty() {
        let names = secured.iter().map(|table| table.name).collect::<Vec<_>>().join(" and ");
        let message = format!("is active on {names} for {user}; a hidden session is treated as signed out");
        return Check::warning(ID, message, advice);
    }
    let message = format!("hides all rows of {} from {user}: everyone is signed out", hidden.join(" and "));
    Check::failed(ID, message, advice)
}

#[cfg(test)]
mod tests {
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
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
            catalog.sessions.found_mut().visibility = Visibility { row_security, holds_rows };
            let check = judge(&catalog, "me", &counts);
            assert_eq!((check.status, check.message.as_str()), (status, message), "{case}");
            let advice = "CREATE POLICY authjs_bridge ON public.sessions FOR SELECT TO me USING (true)";
            assert_eq!(check.advice.as_deref(), (status != Status::Ok).then_some(advice), "{case}");
        }
    }

    #[test]
    fn counts_of_sessions_are_not_used_for_users() {
        let mut catalog = healthy();
        catalog.users.found_mut().visibility.row_security = Some(RowSecurity { policies: 1, admits_all: false });
        let check = judge(&catalog, "me", &Ok(Counts::Exact { live: 0, expired: 0, revoked: 0 }));
        assert_eq!(check.status, Status::Warning);
    }
}
