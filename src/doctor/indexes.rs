//! Whether the session query uses indexes, according to the query plan.
#![forbid(unsafe_code)]

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::catalog::sql_key;
use super::check::Check;
use super::samples::Sample;
use crate::postgres::{Examiner, StepError, StepResult};
use crate::schema::{Schema, Table, quoted};

pub(super) const ID: &str = "indexes";

/// A node of the plan that reads a table.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Scan {
    /// `Index Scan`, `Seq Scan`, ...
    node: String,
    /// The table, or a partition or shard of it.
    table: String,
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

/// `table` is the table of the parent node: a bitmap index scan doesn't name its table itself.
fn collect(value: &Value, table: Option<&str>, found: &mut Vec<Scan>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, table, found)),
        Value::Object(node) => {
            let table = text(node, "Relation Name").or(table);
            found.extend(table.and_then(|table| scan(node, table)));
            node.values().for_each(|value| collect(value, table, found));
        }
        _ => {}
    }
}

fn scan(node: &Map<String, Value>, table: &str) -> Option<Scan> {
    let kind = text(node, "Node Type").filter(|kind| kind.ends_with(" Scan") && *kind != "Bitmap Heap Scan")?;
    let own = |name| text(node, name).map(str::to_owned);
    Some(Scan {
        node: kind.to_owned(),
        table: table.to_owned(),
        index: own("Index Name"),
        condition: own("Index Cond"),
    })
}

fn text<'a>(node: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    node.get(name)?.as_str()
}

pub(super) fn judge(scans: &StepResult<Vec<Scan>>, schema: &Schema) -> Check {
    let scans = match scans {
        Ok(scans) => scans,
        Err(StepError::Failed(_)) => return Check::skipped(ID, "the session query fails"),
        Err(lost) => return Check::from_step_error(ID, lost),
    };
    let mut whole: Vec<&str> = Vec::new();
    for scan in scans.iter().filter(|scan| scan.index.is_none() && scan.node == "Seq Scan") {
        if !whole.contains(&scan.table.as_str()) {
            whole.push(&scan.table);
        }
    }
    let [_, session_id] = schema.sessions.key;
    let by_tenant_only: Vec<_> = scans
        .iter()
        .filter(|scan| is_of(&schema.sessions, &scan.table))
        .filter(|scan| !scan.condition.as_ref().is_some_and(|condition| condition.contains(session_id)))
        .map(|scan| scan.index.as_ref().unwrap_or(&scan.node).as_str())
        .collect();
    let check = if !whole.is_empty() {
        let create = whole.iter().map(|name| create(name, schema)).collect::<Vec<_>>();
        Check::failed(ID, format!("each request reads the whole table {}", whole.join(" and ")), create.join("\n"))
    } else if !by_tenant_only.is_empty() {
        let message = format!("each request reads all sessions of a tenant, by {}", by_tenant_only.join(", "));
        Check::warning(ID, message, create(schema.sessions.name, schema))
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

/// The names of partitions and shards begin with the name of the table.
fn is_of(table: &Table, name: &str) -> bool {
    name.starts_with(table.name)
}

fn create(name: &str, schema: &Schema) -> String {
    let table = if is_of(&schema.users, name) { &schema.users } else { &schema.sessions };
    format!("CREATE UNIQUE INDEX CONCURRENTLY ON {} {};", quoted(name), sql_key(table))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::check::Status;
    use super::*;

    fn scan(node: &str, table: &str, index: Option<&str>, condition: Option<&str>) -> Scan {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Scan { node: node.to_owned(), table: table.to_owned(), index: owned(index), condition: owned(condition) }
    }

    #[test]
    fn scans_of_each_kind_of_plan() {
        let key = "((tenant = '0'::uuid) AND (session_id = '0'::uuid))";
        let by_index =
            json!({"Node Type": "Index Scan", "Relation Name": "sessions", "Index Name": "k", "Index Cond": key});
        let whole = json!({"Node Type": "Seq Scan", "Relation Name": "users", "Filter": "(tenant = '0'::uuid)"});
        let bitmap = json!({
            "Node Type": "Bitmap Heap Scan", "Relation Name": "sessions",
            "Plans": [{"Node Type": "Bitmap Index Scan", "Index Name": "k", "Index Cond": key}],
        });
        let sharded = json!({
            "Node Type": "Custom Scan", "Custom Plan Provider": "Citus Adaptive",
            "Distributed Query": {"Job": {"Tasks": [{"Node": "n", "Remote Plan": [[{"Plan": by_index}]]}]}},
        });
        let join = json!([{"Plan": {"Node Type": "Nested Loop", "Plans": [by_index, whole]}}]);
        let by_key = |node| scan(node, "sessions", Some("k"), Some(key));
        for (case, plan, expected) in [
            ("a join", join, vec![by_key("Index Scan"), scan("Seq Scan", "users", None, None)]),
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
        let by_key = || scan("Index Scan", "sessions_0", Some("k"), Some("(session_id = '0'::uuid)"));
        let of_tenant = || scan("Index Scan", "sessions", Some("by_tenant"), Some("(tenant = '0'::uuid)"));
        let users = || scan("Index Only Scan", "users", Some("users_pkey"), Some("(tenant = '0'::uuid)"));
        let whole = |table| scan("Seq Scan", table, None, None);
        let create = |rest: &str| Some(format!("CREATE UNIQUE INDEX CONCURRENTLY ON {rest};"));
        for (scans, status, message, advice) in [
            (vec![by_key(), users()], Status::Ok, "sessions_0 by k, users by users_pkey", None),
            (vec![], Status::Ok, "the plan shows no table", None),
            (
                vec![of_tenant(), users()],
                Status::Warning,
                "each request reads all sessions of a tenant, by by_tenant",
                create("\"sessions\" (tenant, session_id)"),
            ),
            (
                vec![by_key(), whole("users_1"), whole("users_1")],
                Status::Failed,
                "each request reads the whole table users_1",
                create("\"users_1\" (tenant, user_id)"),
            ),
        ] {
            let check = judge(&Ok(scans), &Schema::new(None));
            assert_eq!((check.status, check.message.as_str(), check.advice), (status, message, advice));
        }
    }
}
