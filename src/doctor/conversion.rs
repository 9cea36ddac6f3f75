//! The SQL that gives a table a column of the usual type, or what stands in the way of it.
#![forbid(unsafe_code)]

use super::catalog::{ActualColumn, ColumnFacts, Fit, TableFacts};
use super::check::remark;
use crate::schema::{Role, Table};

/// The actions of `ALTER TABLE` for a column whose type has this `typname` and `typcategory`. A boolean says that something
/// has ended, but not when; its default and `NOT NULL` say nothing of a time.
pub(super) fn conversion(role: Role, column: &str, name: &str, category: &str) -> Option<String> {
    let to = format!("ALTER COLUMN {column} TYPE {}", role.usual_type());
    let optional = format!("ALTER COLUMN {column} DROP NOT NULL");
    Some(match (role, name, category) {
        (Role::Id, _, "S") => format!("{to} USING {column}::uuid"),
        (Role::Time, "timestamp" | "date", _) => format!("{to} USING {column}::timestamp AT TIME ZONE 'UTC'"),
        (Role::Time, "bool", _) => {
            format!("ALTER COLUMN {column} DROP DEFAULT, {optional}, {to} USING CASE WHEN {column} THEN now() END")
        }
        // Seconds or milliseconds since 1970; 0 is no time.
        (Role::Time, "int4" | "int8" | "numeric" | "float8", _) => format!(
            "{optional}, {to} USING to_timestamp(nullif({column}, 0) / CASE WHEN {column} > 100000000000 THEN 1000.0 ELSE 1 END)"
        ),
        _ => return None,
    })
}

/// For a column of another type.
pub(super) fn change(table: &Table, found: &TableFacts, column: &ColumnFacts, actual: &ActualColumn) -> String {
    let ColumnFacts { name, usual_type, .. } = column;
    let ActualColumn { type_name, fit, used_by, conversion, .. } = actual;
    // A default can be computed as another time; that of a boolean is dropped.
    let is_default =
        |user: &&String| user.starts_with("default value ") && (*fit == Fit::Zoneless || type_name == "boolean");
    let used_by: Vec<_> = used_by.iter().filter(|user| !is_default(user)).map(String::as_str).collect();
    match conversion {
        _ if !found.kind.is_table() => in_view(table, found, column),
        Some(conversion) if used_by.is_empty() => {
            let alter = format!("ALTER TABLE {} {conversion};", found.sql_name(table));
            if *fit == Fit::Zoneless { with_question(&alter) } else { alter }
        }
        _ if used_by.is_empty() => {
            remark(&format!("{}.{name} must be {usual_type}, to which {type_name} can't be converted.", table.name))
        }
        _ => remark(&format!(
            "{}.{name} must be {usual_type}. Change it together with {}.",
            table.name,
            used_by.join(", ")
        )),
    }
}

/// For a missing column. It can be added if it may be empty.
pub(super) fn add(table: &Table, found: &TableFacts, column: &ColumnFacts) -> String {
    let ColumnFacts { name, usual_type, .. } = column;
    let may_be_empty = *usual_type == Role::Time.usual_type() || column.is_optional;
    if !found.kind.is_table() {
        return in_view(table, found, column);
    }
    if may_be_empty {
        return format!("ALTER TABLE {} ADD COLUMN {name} {usual_type};", found.sql_name(table));
    }
    remark(&format!(
        "{0} needs a column {name} of type {usual_type}, with a value in each row. If yours has another name, make {0} a view: see \
         docs/moving-from-authjs.md.",
        table.name
    ))
}

fn in_view(table: &Table, found: &TableFacts, column: &ColumnFacts) -> String {
    let ColumnFacts { name, usual_type, .. } = column;
    let behind = if found.behind.is_empty() { String::new() } else { format!(" of {}", found.names_behind()) };
    remark(&format!("{} is a {}{behind}: have it show {name} as {usual_type}.", table.name, found.kind.name()))
}

fn with_question(alter: &str) -> String {
    format!(
        "-- Which time zone are the values in? Prisma and Drizzle write UTC. For another one, replace 'UTC'.\n{alter}\n\
         -- In Prisma's schema it is then @db.Timestamptz, in Drizzle's withTimezone: true."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_are_known_for_what_apps_store() {
        for (role, name, category, expected) in [
            (Role::Id, "text", "S", Some("USING c::uuid")),
            (Role::Id, "int8", "N", None),
            (Role::Time, "timestamp", "D", Some("USING c::timestamp AT TIME ZONE 'UTC'")),
            (Role::Time, "bool", "B", Some("USING CASE WHEN c THEN now() END")),
            (Role::Time, "int8", "N", Some("USING to_timestamp(")),
            (Role::Time, "interval", "T", None),
            (Role::Text, "int4", "N", None),
        ] {
            let actions = conversion(role, "c", name, category);
            assert_eq!(actions.is_some(), expected.is_some(), "{name}");
            assert!(actions.unwrap_or_default().contains(expected.unwrap_or_default()), "{name}");
        }
    }
}
