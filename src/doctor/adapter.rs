//! Tables that hold the database sessions of an adapter of Auth.js, such as `@auth/pg-adapter`, or those of Prisma and Drizzle.
#![forbid(unsafe_code)]

use super::catalog::STEP;
use crate::postgres::{Examiner, StepResult};

/// They are found by the column of the session token, as adapters name it, or Prisma's `@map`.
pub(super) async fn query(examiner: &Examiner<'_>) -> StepResult<Vec<String>> {
    const SQL: &str = "\
SELECT n.nspname::text, c.relname::text
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE a.attname IN ('sessionToken', 'session_token', 'sessiontoken') AND NOT a.attisdropped
ORDER BY 1, 2 LIMIT 10";
    examiner
        .rows(STEP, SQL, &[], |row| {
            let [schema, name]: [&str; 2] = [row.try_get(0)?, row.try_get(1)?];
            Ok(format!("{schema}.{name}"))
        })
        .await
}

pub(super) fn message(tables: &str) -> String {
    format!("{tables} holds database sessions of an Auth.js adapter, which are not read")
}

/// `variables` hold the database URL.
pub(super) fn advice(variables: &str) -> String {
    format!(
        "In Auth.js set session: {{ strategy: 'jwt' }}. Create the tables of schema.sql beside those of the adapter, and set \
         schema=authjs_bridge in {variables}:\n\
         psql \"$DATABASE_URL\" --command 'CREATE SCHEMA authjs_bridge' --command 'SET search_path = authjs_bridge' \
         --file node_modules/authjs-bridge/schema.sql"
    )
}
