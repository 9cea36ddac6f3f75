//! Times as the columns of the sessions hold them: UTC where a column has no time zone, as Prisma and Drizzle write it.
#![forbid(unsafe_code)]

use super::locate::Located;

pub(super) const NOW: &str = "pg_catalog.now()";

/// Whether there is such a column, and its type is one of a time.
pub(super) fn is_time(located: &Located, column: &str) -> bool {
    matches!(type_of(located, column), Some("timestamptz" | "timestamp"))
}

/// The SQL of a `timestamptz` as the column holds it.
pub(super) fn stored(located: &Located, column: &str, time: &str) -> String {
    if matches!(type_of(located, column), Some("timestamp" | "date")) {
        return format!("pg_catalog.timezone('UTC', {time})");
    }
    time.to_owned()
}

/// The SQL of a number of seconds from now on.
pub(super) fn from_now(seconds: &str) -> String {
    format!("{NOW} OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => {seconds})")
}

/// The SQL of a time in seconds since 1970, cut to whole ms as `Date` of JavaScript has it.
pub(super) fn epoch(time: &str) -> String {
    format!("extract(epoch FROM pg_catalog.date_trunc('milliseconds', {time}))::pg_catalog.float8")
}

fn type_of<'l>(located: &'l Located, column: &str) -> Option<&'l str> {
    located.column_type(false, column).map(|found| found.name.as_str())
}
