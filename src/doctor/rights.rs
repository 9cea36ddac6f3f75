//! Whether the user has the privileges to read the tables. [`super::columns`] queries those on the columns, with their types.
#![forbid(unsafe_code)]

use super::catalog::{Catalog, ColumnFacts, STEP, SchemaRights};
use super::check::Check;
use crate::postgres::{Examiner, Parameter, StepResult};
use crate::schema::{quoted, quoted_if_needed};

pub(super) const ID: &str = "rights";

pub(super) async fn query(examiner: &Examiner<'_>, oid: u32) -> StepResult<SchemaRights> {
    const SQL: &str = "\
SELECT pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1";
    let schema_is_usable = examiner.row(STEP, SQL, &[Parameter::Oid(oid)], |row| row.try_get(0)).await?;
    Ok(SchemaRights { schema_is_usable })
}

pub(super) fn judge(catalog: &Catalog, user: &str) -> Check {
    let mut closed: Vec<_> = catalog
        .found()
        .filter(|(_, found)| !found.rights.schema_is_usable)
        .map(|(_, found)| found.schema.as_str())
        .collect();
    closed.dedup();
    if !closed.is_empty() {
        let grant = |schema: &&str| format!("GRANT USAGE ON SCHEMA {} TO {};", quoted(schema), quoted(user));
        let advice = closed.iter().map(grant).collect::<Vec<_>>().join("\n");
        return Check::failed(ID, format!("{user} may not use the schema {}", closed.join(", ")), advice);
    }
    let (mut names, mut grants, mut is_broken) = (Vec::new(), Vec::new(), false);
    for (table, found) in catalog.found() {
        let unreadable: Vec<_> = found.columns.iter().filter(is_unreadable).collect();
        if unreadable.is_empty() {
            continue;
        }
        names.extend(unreadable.iter().map(|column| format!("{}.{}", table.name, column.name)));
        is_broken |= unreadable.iter().any(|column| !column.is_optional);
        let columns = unreadable.iter().map(|column| quoted_if_needed(&column.name)).collect::<Vec<_>>().join(", ");
        grants.push(format!("GRANT SELECT ({columns}) ON {} TO {};", found.sql_name(table), quoted(user)));
    }
    let message = format!("{user} may not read {}", names.join(", "));
    let advice = grants.join("\n");
    match (names.is_empty(), is_broken) {
        (true, _) => Check::ok(ID, format!("{user} may read all columns that are needed")),
        (false, true) => Check::failed(ID, message, advice),
        (false, false) => Check::warning(ID, format!("{message}, which only explainSession reads"), advice),
    }
}

fn is_unreadable(column: &&ColumnFacts) -> bool {
    column.actual.as_ref().is_some_and(|actual| !actual.is_readable)
}

#[cfg(test)]
mod tests {
    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::*;

    #[test]
    fn columns_that_the_user_may_not_read() {
        for (unreadable, status, message, advice) in [
            (&[] as &[_], Status::Ok, "me may read all columns that are needed", None),
            (
                &["user_id", "revoked_reason"],
                Status::Failed,
                "me may not read sessions.user_id, sessions.revoked_reason, users.user_id",
                Some(
                    "GRANT SELECT (user_id, revoked_reason) ON \"public\".\"sessions\" TO \"me\";\n\
                     GRANT SELECT (user_id) ON \"public\".\"users\" TO \"me\";",
                ),
            ),
            (
                &["revoked_reason"],
                Status::Warning,
                "me may not read sessions.revoked_reason, which only explainSession reads",
                Some("GRANT SELECT (revoked_reason) ON \"public\".\"sessions\" TO \"me\";"),
            ),
        ] {
            let mut catalog = healthy();
            for entry in [&mut catalog.sessions, &mut catalog.users] {
                for column in &mut entry.found_mut().columns {
                    let actual = column.actual.as_mut().expect("is there");
                    actual.is_readable = !unreadable.contains(&column.name.as_str());
                }
            }
            let check = judge(&catalog, "me");
            assert_eq!((check.status, check.message.as_str(), check.advice.as_deref()), (status, message, advice));
        }
    }

    #[test]
    fn a_schema_that_the_user_may_not_use_comes_first() {
        let mut catalog = healthy();
        for entry in [&mut catalog.sessions, &mut catalog.users] {
            entry.found_mut().rights.schema_is_usable = false;
        }
        let check = judge(&catalog, "the user");
        assert_eq!((check.status, check.message.as_str()), (Status::Failed, "the user may not use the schema public"));
        assert_eq!(check.advice.as_deref(), Some("GRANT USAGE ON SCHEMA \"public\" TO \"the user\";"));
    }
}
