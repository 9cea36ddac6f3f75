//! The SQL that gives a table a column of a suitable type, or what stands in the way of it.
#![forbid(unsafe_code)]

use super::catalog::{ActualColumn, ColumnFacts, Fit, TableFacts};
use super::check::remark;
use crate::schema::{IdType, Role, Table, quoted_if_needed};

/// The actions of `ALTER TABLE` for a column whose type has this `typname` and `typcategory`. A boolean says that something
/// has ended, but not when; its default and `NOT NULL` say nothing of a time. What holds a claim is the app's own, so none
/// of its columns is changed.
pub(super) fn conversion(role: Role, column: &str, name: &str, category: &str) -> Option<String> {
    let to = format!("ALTER COLUMN {column} TYPE {}", role.usual_type());
    let optional = format!("ALTER COLUMN {column} DROP NOT NULL");
    Some(match (role, name, category) {
        // What ids can't be, text can show.
        (Role::Id, ..) => format!("ALTER COLUMN {column} TYPE text"),
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

/// What a column has to be, for messages.
fn suitable(role: Role) -> &'static str {
    match role {
        Role::Id => "uuid, text or an integer",
        Role::Claim(kind) => kind.column_types(),
        Role::Time | Role::Text | Role::Remark => role.usual_type(),
    }
}

/// For a column of another type.
pub(super) fn change(table: &Table, found: &TableFacts, column: &ColumnFacts, actual: &ActualColumn) -> String {
    let ColumnFacts { name, role, .. } = column;
    let ActualColumn { type_name, fit, used_by, conversion, .. } = actual;
    // A default can be computed as another time; that of a boolean is dropped.
    let is_default =
        |user: &&String| user.starts_with("default value ") && (*fit == Fit::Zoneless || type_name == "boolean");
    let used_by: Vec<_> = used_by.iter().filter(|user| !is_default(user)).map(String::as_str).collect();
    let must_be = format!("{}.{name} must be {}", table.name, suitable(*role));
    match conversion {
        _ if !found.kind.is_table() => in_view(table, found, &format!("{name} as {}", suitable(*role)), ""),
        _ if matches!(role, Role::Claim(_)) => remark(&format!(
            "{must_be}. Change its type, make {} a view that shows it so, or take {name} out of the option freshClaims.",
            table.name
        )),
        Some(conversion) if used_by.is_empty() => {
            let alter = format!("ALTER TABLE {} {conversion};", found.sql_name(table));
            if *fit == Fit::Zoneless { with_question(&alter) } else { alter }
        }
        _ if used_by.is_empty() => remark(&format!("{must_be}, to which {type_name} can't be converted.")),
        _ => remark(&format!("{must_be}. Change it together with {}.", used_by.join(", "))),
    }
}

/// For a column of ids of the first type, which are compared with ids of the second.
pub(super) fn alike(
    table: &Table,
    found: &TableFacts,
    column: &ColumnFacts,
    actual: &ActualColumn,
    [from, to]: [IdType; 2],
) -> String {
    let ColumnFacts { name, .. } = column;
    let [from_type, to_type] = [from, to].map(IdType::sql_type);
    let action = match (from, to) {
        (_, IdType::Text) => format!("ALTER COLUMN {name} TYPE text"),
        (IdType::Text, _) => format!("ALTER COLUMN {name} TYPE {to_type} USING {name}::{to_type}"),
        _ => {
            return remark(&format!(
                "{}.{name} must be {to_type}, to which {from_type} can't be converted.",
                table.name
            ));
        }
    };
    let shown = format!("{name}::{to_type} as {name}");
    if !found.kind.is_table() {
        in_view(table, found, &shown, "")
    } else if actual.used_by.is_empty() {
        format!("ALTER TABLE {} {action};", found.sql_name(table))
    } else {
        let used_by = actual.used_by.join(", ");
        remark(&format!(
            "Change {0}.{name} together with {used_by}, or make {0} a view that shows {shown}.",
            table.name
        ))
    }
}

/// For a missing column. It can be added if it may be empty.
pub(super) fn add(table: &Table, found: &TableFacts, column: &ColumnFacts) -> String {
    let ColumnFacts { name, role, usual_type, is_optional, .. } = column;
    let is_claim = matches!(role, Role::Claim(_));
    let without = match (role, name.as_str()) {
        (Role::Claim(_), _) => format!(" Or take {name} out of the option freshClaims."),
        (_, "tenant") => " An app without tenants sets the option multiTenant: false.".to_owned(),
        (_, "user_type") => " An app without such types sets the option userCheck: 'exists'.".to_owned(),
        _ => String::new(),
    };
    if !found.kind.is_table() {
        return in_view(table, found, &format!("{name} as {}", suitable(*role)), &without);
    }
    if *role == Role::Time || *is_optional || is_claim {
        let name = quoted_if_needed(name);
        let add = format!("ALTER TABLE {} ADD COLUMN {name} {usual_type};", found.sql_name(table));
        let question = format!("The column counts in place of the token's claim: fill it.{without}");
        return if is_claim { format!("{}\n{add}", remark(&question)) } else { add };
    }
    remark(&format!(
        "{0} needs a column {name} of type {1}, with a value in each row. If yours has another name, make {0} a view: see \
         docs/moving-from-authjs.md.{without}",
        table.name,
        suitable(*role)
    ))
}

fn in_view(table: &Table, found: &TableFacts, shown: &str, or_else: &str) -> String {
    let behind = if found.behind.is_empty() { String::new() } else { format!(" of {}", found.names_behind()) };
    remark(&format!("{} is a {}{behind}: have it show {shown}.{or_else}", table.name, found.kind.name()))
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
            (Role::Id, "numeric", "N", Some("TYPE text")),
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
