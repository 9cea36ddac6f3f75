//! Whether the session query uses indexes, according to the query plan.
#![forbid(unsafe_code)]

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::catalog::{Catalog, Entry, Finding, Kind, UniqueKey, sql_key};
use super::check::Check;
use super::samples::Sample;
use crate::postgres::{Examiner, StepError, StepResult};

pub(super) const ID: &str = "indexes";

/// A node of the plan that reads a table.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Scan {
    /// `Index Scan`, `Seq Scan`, ...
    node: String,
    /// The table, or a partition or shard of it, or a table behind a view.
    table: String,
    /// The name that the query gives the table.
    alias: String,
    index: Option<String>,
    /// The index condition.
    condition: Option<String>,
}

/// For a session of the table, if there is one: the plan depends on how many rows its tenant has.
pub(super) async fn query(examiner: &Examiner<'_>, samples: &[Sample]) -> StepResult<Vec<Scan>> {
    let (tenant, session_id) =
        samples.first().map_or((Uuid::nil(), Uuid::nil()), |sample| (sample.key.tenant, sample.key.session_id));
    let query = examiner.session_query().await?;
    let query = query.replace("$1", &format!("'{tenant}'::uuid")).replace("$2", &format!("'{session_id}'::uuid"));
    let explain = format!("EXPLAIN (FORMAT JSON) {query}");
    // A small table is always scanned as a whole, whatever indexes it has.
    let setting = "enable_seqscan = off";
    let rows = examiner.rows_with_setting("planning the session query", setting, &explain).await?;
    let plan = rows.first().and_then(|row| row.first()).map_or("", String::as_str);
    // The ids are not shown.
    Ok(scans(&plan.replace(&tenant.to_string(), "$1").replace(&session_id.to_string(), "$2")))
}

/// The scans in a plan in JSON format. Distributed databases nest the plans of their shards deep inside.
fn scans(plan: &str) -> Vec<Scan> {
    let mut found = Vec::new();
    if let Ok(plan) = serde_json::from_str(plan) {
        collect(&plan, None, &mut found);
    }
    found
}

/// `parent` is the table of the parent node and its alias: a bitmap index scan doesn't name its table itself.
fn collect(value: &Value, parent: Option<[&str; 2]>, found: &mut Vec<Scan>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, parent, found)),
        Value::Object(node) => {
            let table = text(node, "Relation Name").map(|name| [name, text(node, "Alias").unwrap_or(name)]).or(parent);
            found.extend(table.and_then(|table| scan(node, table)));
            node.values().for_each(|value| collect(value, table, found));
        }
        _ => {}
    }
}

fn scan(node: &Map<String, Value>, [table, alias]: [&str; 2]) -> Option<Scan> {
    let kind = text(node, "Node Type").filter(|kind| kind.ends_with(" Scan") && *kind != "Bitmap Heap Scan")?;
    let own = |name| text(node, name).map(str::to_owned);
    Some(Scan {
        node: kind.to_owned(),
        table: table.to_owned(),
        alias: alias.to_owned(),
        index: own("Index Name"),
        condition: own("Index Cond"),
    })
}

fn text<'a>(node: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    node.get(name)?.as_str()
}

pub(super) fn judge(scans: &StepResult<Vec<Scan>>, catalog: &StepResult<Catalog>) -> Check {
    let (scans, catalog) = match (scans, catalog) {
        (Ok(scans), Ok(catalog)) => (scans, catalog),
        (Err(StepError::Failed(_)), _) => return Check::skipped(ID, "the session query fails"),
        (_, Err(StepError::Failed(_))) => return Check::skipped(ID, "needs the tables"),
        (Err(lost), _) | (_, Err(lost)) => return Check::from_step_error(ID, lost),
    };
    let [whole_sessions, whole_users, whole_behind] = whole(scans, catalog);
    let of_tenant = of_tenant(scans, catalog);
    let check = if !whole_sessions.is_empty() || !whole_users.is_empty() {
        let entries = [(&catalog.sessions, &whole_sessions), (&catalog.users, &whole_users)];
        let advice = entries.iter().filter(|(_, whole)| !whole.is_empty()).map(|(entry, _)| create(entry));
        let advice = advice.collect::<Vec<_>>().join("\n");
        let names = [whole_sessions, whole_users].concat();
        Check::failed(ID, format!("each request reads the whole table {}", names.join(" and ")), advice)
    } else if !of_tenant.is_empty() {
        let message = format!("each request reads all sessions of a tenant, by {}", of_tenant.join(", "));
        Check::warning(ID, message, create(&catalog.sessions))
    } else if !whole_behind.is_empty() {
        let message = format!("each request reads the whole table {}, behind a view", whole_behind.join(" and "));
        let advice = "Unless it is small, give it an index on the columns that the view shows as tenant, session_id and user_id.";
        Check::warning(ID, message, advice)
    } else if scans.is_empty() {
        Check::ok(ID, "the plan shows no table")
    } else {
        let used = scans
            .iter()
            .map(|Scan { node, table, index, .. }| format!("{table} by {}", index.as_ref().unwrap_or(node)));
        Check::ok(ID, used.collect::<Vec<_>>().join(", "))
    };
    check.with_details(scans)
}

/// The tables that are read as a whole: sessions, users and their partitions and shards, and tables behind views.
fn whole<'a>(scans: &'a [Scan], catalog: &Catalog) -> [Vec<&'a str>; 3] {
    let mut whole = [const { Vec::new() }; 3];
    for scan in scans.iter().filter(|scan| scan.index.is_none() && scan.node == "Seq Scan") {
        let place = if is_of(&catalog.sessions, "s", scan) {
            0
        } else if is_of(&catalog.users, "u", scan) {
            1
        } else {
            2
        };
        if !whole[place].contains(&scan.table.as_str()) {
            whole[place].push(&scan.table);
        }
    }
    whole
}

/// Indexes by which all sessions of a tenant are read. Where there is a unique key, this tenant has few sessions.
fn of_tenant<'a>(scans: &'a [Scan], catalog: &Catalog) -> Vec<&'a str> {
    let Entry { table, finding } = &catalog.sessions;
    let [_, session_id] = table.key;
    if matches!(finding, Finding::Found(found) if found.unique_key == UniqueKey::Ensured) {
        return Vec::new();
    }
    scans
        .iter()
        .filter(|scan| is_of(&catalog.sessions, "s", scan))
        .filter(|scan| !scan.condition.as_ref().is_some_and(|condition| condition.contains(session_id)))
        .map(|scan| scan.index.as_ref().unwrap_or(&scan.node).as_str())
        .collect()
}

/// Partitions and shards have the alias of the table and a number, whatever their names are.
fn is_of(entry: &Entry, alias: &str, scan: &Scan) -> bool {
    let is_view = matches!(&entry.finding, Finding::Found(found) if found.kind == Kind::View);
    !is_view && scan.alias.strip_prefix(alias).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn create(Entry { table, finding }: &Entry) -> String {
    let Finding::Found(found) = finding else {
        return "Create the tables first.".to_owned();
    };
    let (name, key) = (found.sql_name(table), sql_key(table));
    match (&found.unique_key, found.kind) {
        (UniqueKey::Missing, _) => format!("-- {}: the key that unique-keys advises is the index.", table.name),
        (_, Kind::ForeignTable) => format!("-- {} needs an index on {key} on its own server.", table.name),
        // For a partitioned table PostgreSQL knows no CONCURRENTLY.
        (_, Kind::PartitionedTable) => format!("CREATE INDEX ON {name} {key};"),
        _ => format!("CREATE INDEX CONCURRENTLY ON {name} {key};"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::catalog::tests::healthy;
    use super::super::check::Status;
    use super::*;

    fn scan(node: &str, table: &str, alias: &str, index: Option<&str>, condition: Option<&str>) -> Scan {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (node, table, alias) = (node.to_owned(), table.to_owned(), alias.to_owned());
        Scan { node, table, alias, index: owned(index), condition: owned(condition) }
    }

    #[test]
    fn scans_of_each_kind_of_plan() {
        let key = "((tenant = '0'::uuid) AND (session_id = '0'::uuid))";
        let by_index = json!({"Node Type": "Index Scan", "Relation Name": "sessions", "Alias": "s", "Index Name": "k", "Index Cond": key});
        let whole =
            json!({"Node Type": "Seq Scan", "Relation Name": "users", "Alias": "u", "Filter": "(tenant = '0'::uuid)"});
        let bitmap = json!({
            "Node Type": "Bitmap Heap Scan", "Relation Name": "sessions", "Alias": "s",
            "Plans": [{"Node Type": "Bitmap Index Scan", "Index Name": "k", "Index Cond": key}],
        });
        let sharded = json!({
            "Node Type": "Custom Scan", "Custom Plan Provider": "Citus Adaptive",
            "Distributed Query": {"Job": {"Tasks": [{"Node": "n", "Remote Plan": [[{"Plan": by_index}]]}]}},
        });
        let join = json!([{"Plan": {"Node Type": "Nested Loop", "Plans": [by_index, whole]}}]);
        let by_key = |node| scan(node, "sessions", "s", Some("k"), Some(key));
        for (case, plan, expected) in [
            ("a join", join, vec![by_key("Index Scan"), scan("Seq Scan", "users", "u", None, None)]),
            ("a bitmap", bitmap, vec![by_key("Bitmap Index Scan")]),
            ("shards", sharded, vec![by_key("Index Scan")]),
            ("nothing to read", json!([{"Plan": {"Node Type": "Result"}}]), vec![]),
        ] {
            assert_eq!(scans(&plan.to_string()), expected, "{case}");
        }
        assert_eq!(scans("no JSON"), []);
    }

    #[test]
    fn scans_without_a_suitable_index_are_reported() {
        use UniqueKey::{Ensured, Missing, Unknown};
        let by_key =
            || scan("Index Scan", "sessions_0", "s_1", Some("k"), Some("((s_1.session_id = '$2'::uuid) AND ...)"));
        let of_tenant = || scan("Index Scan", "sessions", "s", Some("by_tenant"), Some("(s.tenant = '$1'::uuid)"));
        let users = || scan("Index Only Scan", "users", "u", Some("users_pkey"), Some("(u.tenant = '$1'::uuid)"));
        let whole = |table, alias| scan("Seq Scan", table, alias, None, None);
        let all_of_tenant = "each request reads all sessions of a tenant, by by_tenant";
        let by_day = || UniqueKey::PartitionedBy(vec!["created_at".to_owned()]);
        let of_unique_keys = Some("-- sessions: the key that unique-keys advises is the index.");
        let partitioned = Kind::PartitionedTable;
        for (scans, key, kind, status, message, advice) in [
            (vec![by_key(), users()], Ensured, Kind::Table, Status::Ok, "sessions_0 by k, users by users_pkey", None),
            (vec![], Ensured, Kind::Table, Status::Ok, "the plan shows no table", None),
            (vec![of_tenant(), users()], Missing, Kind::Table, Status::Warning, all_of_tenant, of_unique_keys),
            (
                vec![of_tenant()],
                by_day(),
                partitioned,
                Status::Warning,
                all_of_tenant,
                Some("CREATE INDEX ON \"public\".\"sessions\" (tenant, session_id);"),
            ),
            (vec![of_tenant()], Ensured, Kind::Table, Status::Ok, "sessions by by_tenant", None),
            (
                vec![by_key(), whole("p_2", "u_1"), whole("p_2", "u_2")],
                Ensured,
                Kind::Table,
                Status::Failed,
                "each request reads the whole table p_2",
                Some("CREATE INDEX CONCURRENTLY ON \"public\".\"users\" (tenant, user_id);"),
            ),
            (
                vec![whole("logins", "s"), users()],
                Unknown,
                Kind::View,
                Status::Warning,
                "each request reads the whole table logins, behind a view",
                Some(
                    "Unless it is small, give it an index on the columns that the view shows as tenant, session_id and \
                     user_id.",
                ),
            ),
            (
                vec![whole("sessions", "s")],
                Unknown,
                Kind::ForeignTable,
                Status::Failed,
                "each request reads the whole table sessions",
                Some("-- sessions needs an index on (tenant, session_id) on its own server."),
            ),
        ] {
            let mut catalog = healthy();
            let sessions = catalog.sessions.found_mut();
            (sessions.unique_key, sessions.kind) = (key, kind);
            let check = judge(&Ok(scans), &Ok(catalog));
            assert_eq!((check.status, check.message.as_str(), check.advice.as_deref()), (status, message, advice));
        }
    }
}
