//! SQL for the live sessions of a user or a tenant, and for ending them.
#![forbid(unsafe_code)]

use super::columns::KeyColumns;
use super::find::Facts;
use super::locate::Located;
use super::times::{NOW, is_time, stored};
use crate::postgres::fault::Fault;
use crate::schema::{CREATED_AT, EXPIRES_AT, LAST_ACTIVITY_AT, REVOKED_AT, REVOKED_REASON, Schema};

/// Whether a session `s` has not ended. The user's row is not asked for.
pub(super) fn is_live(located: &Located) -> Result<String, Fault> {
    let Facts { expired, too_old, .. } = Facts::new(located, false)?;
    Ok(format!("s.{REVOKED_AT} IS NULL AND NOT {expired} AND NOT {too_old}"))
}

/// The order of sessions `s`: the latest activity first; without columns for it, what ends last.
pub(super) fn latest_first(located: &Located) -> String {
    let Schema { has_row_expiry, .. } = located.schema;
    let mut columns: Vec<_> =
        [LAST_ACTIVITY_AT, CREATED_AT].into_iter().filter(|column| is_time(located, column)).collect();
    if columns.is_empty() && has_row_expiry {
        columns.push(EXPIRES_AT);
    }
    if columns.is_empty() {
        return "s.session_id".to_owned();
    }
    let times = columns.iter().map(|column| format!("extract(epoch FROM s.{column})::pg_catalog.float8"));
    let times: Vec<_> = times.collect();
    format!("coalesce({}) DESC NULLS LAST, s.session_id", times.join(", "))
}

/// Ends the sessions `s` of `rows`, a condition that may end in an order and a limit. They are locked before they are changed,
/// so that the condition is checked again if another transaction had them; once, since a second look would pass over those that are
/// changed already, and take further ones for the limit. `reason` is the SQL of the column's value. The tenant,
/// if there are tenants, is the first parameter: named twice, so that a distributed database changes one shard.
pub(super) fn end(located: &Located, keys: &KeyColumns, rows: &str, reason: Option<String>) -> String {
    let sessions = &located.schema.sessions;
    let mut set = vec![format!("{REVOKED_AT} = {}", stored(located, REVOKED_AT, NOW))];
    set.extend(reason.map(|reason| format!("{REVOKED_REASON} = {reason}")));
    if is_time(located, "updated_at") {
        set.push(format!("updated_at = {}", stored(located, "updated_at", NOW)));
    }
    let key = keys.key_columns().map(|(name, _)| format!("s.{name}")).collect::<Vec<_>>().join(", ");
    let of_tenant = keys.tenant.as_ref().map(|column| column.equals("s.tenant", "$1"));
    let held: Vec<_> = of_tenant.into_iter().chain([keys.equal_columns_of("held")]).collect();
    format!(
        "WITH held AS MATERIALIZED (\n  SELECT {key} FROM {sessions} s WHERE {rows}\n  FOR NO KEY UPDATE\n)\n\
         UPDATE {sessions} s SET {}\nFROM held\nWHERE {}",
        set.join(", "),
        held.join(" AND "),
    )
}
