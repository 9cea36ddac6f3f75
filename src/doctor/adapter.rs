//! Tables that hold the database sessions of an adapter of Auth.js, such as `@auth/pg-adapter`, or those of Prisma and Drizzle.
#![forbid(unsafe_code)]

use super::catalog::{Catalog, Finding, STEP};
use crate::postgres::{Examiner, StepResult, TargetFacts};

/// They are found by the column of the session token, as adapters name it, or Prisma's `@map`.
pub(super) async fn query(examiner: &Examiner<'_>) -> StepResult<Vec<String>> {
    const SQL: &str = "\
SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
  AND c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.text[])
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE a.attname::pg_catalog.text
    OPERATOR(pg_catalog.=) ANY ('{sessionToken,session_token,sessiontoken}'::pg_catalog.text[])
  AND NOT a.attisdropped
ORDER BY 1, 2 LIMIT 10";
    examiner
        .rows(STEP, SQL, &[], |row| {
            let [schema, name]: [&str; 2] = [row.try_get(0)?, row.try_get(1)?];
            Ok(format!("{schema}.{name}"))
        })
        .await
}

/// Tables of adapters by their names, and what `npx authjs-bridge schema --for` calls the adapter.
const RECIPES: [(&str, &str); 3] =
    [("public.Session", "prisma"), ("public.session", "drizzle"), ("public.sessions", "auth-adapter")];

/// The table that is taken for that of the sessions, if it is one of an adapter without the columns that are needed.
pub(super) fn mistaken(catalog: &Catalog) -> Option<String> {
    let Finding::Found(found) = &catalog.sessions.finding else {
        return None;
    };
    let lacks_columns = found.columns.iter().any(|column| column.actual.is_none() && !column.is_optional);
    Some(found.full_name(&catalog.sessions.table)).filter(|name| lacks_columns && catalog.of_adapter.contains(name))
}

pub(super) fn message(tables: &str) -> String {
    format!("{tables} holds database sessions of an Auth.js adapter, which are not read")
}

/// `table` is that of the adapter.
pub(super) fn advice(table: &str, target: &TargetFacts) -> String {
    const SCHEMA: &str = "schema=authjs_bridge";
    let psql = target.psql();
    let recipe = match RECIPES.iter().find(|(name, _)| *name == table) {
        Some((_, adapter)) => format!("npx authjs-bridge schema --for {adapter} | {psql}"),
        None => "npx authjs-bridge schema --for prisma, --for drizzle or --for auth-adapter".to_owned(),
    };
    let url = match (target.own_url(), target.url()) {
        (Some(own), _) => format!("set {SCHEMA} in {own}"),
        (None, Some(url)) => format!("set AUTH_BRIDGE_DATABASE_URL to the value of {url} with {SCHEMA}"),
        (None, None) => format!("set AUTH_BRIDGE_DATABASE_URL to a URL of this database with {SCHEMA}"),
    };
    format!(
        "In Auth.js set session: {{ strategy: 'jwt' }}, and give the bridge tables of its own. This prints the SQL of tables \
         that are beside those of the adapter, and the options for AUTH_BRIDGE_OPTIONS:\n\
         {recipe}\n\
         In an app with tenants create the tables of schema.sql instead, and {url}:\n\
         {psql} --command 'CREATE SCHEMA authjs_bridge' --command 'SET search_path = authjs_bridge' \
         --file node_modules/authjs-bridge/schema.sql"
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::target;
    use super::*;

    #[test]
    fn the_recipe_and_the_url_that_fit() {
        let any = "\nnpx authjs-bridge schema --for prisma, --for drizzle or --for auth-adapter\n";
        let (shared, own) = (vec!["DATABASE_URL", "PGPASSWORD"], vec!["AUTH_BRIDGE_DATABASE_URL"]);
        for (table, variables, recipe, url, psql) in [
            (
                "public.Session",
                shared.clone(),
                "\nnpx authjs-bridge schema --for prisma | psql \"$DATABASE_URL\"\n",
                "set AUTH_BRIDGE_DATABASE_URL to the value of DATABASE_URL with schema=authjs_bridge:",
                "\npsql \"$DATABASE_URL\" --command ",
            ),
            (
                "public.session",
                own.clone(),
                "\nnpx authjs-bridge schema --for drizzle | psql \"$AUTH_BRIDGE_DATABASE_URL\"\n",
                "set schema=authjs_bridge in AUTH_BRIDGE_DATABASE_URL:",
                "\npsql \"$AUTH_BRIDGE_DATABASE_URL\" --command ",
            ),
            (
                "public.sessions",
                vec!["PGHOST", "PGUSER"],
                "\nnpx authjs-bridge schema --for auth-adapter | psql\n",
                "set AUTH_BRIDGE_DATABASE_URL to a URL of this database with schema=authjs_bridge:",
                "\npsql --command ",
            ),
            (
                "next_auth.sessions",
                vec!["databaseUrl in AUTH_BRIDGE_OPTIONS"],
                any,
                "set schema=authjs_bridge in databaseUrl in AUTH_BRIDGE_OPTIONS:",
                "\npsql 'postgres://...' --command ",
            ),
        ] {
            let advice = advice(table, &TargetFacts { variables, ..target() });
            for part in [recipe, url, psql] {
                assert!(advice.contains(part), "{part} in {advice}");
            }
        }
    }
}
