//! A plan of the server -> how each table is reached.
#![forbid(unsafe_code)]

use serde::Serialize;
use serde_json::{Map, Value};

/// A node of the plan that reads a table.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Scan {
    /// `Index Scan`, `Seq Scan`, ...
    node: String,
    table: String,
    index: Option<String>,
    /// What is looked up in the index.
    condition: Option<String>,
}

/// Of a plan as JSON. Distributed databases put the plans of their shards deep into it.
pub(super) fn scans(plan: &str) -> Vec<Scan> {
    let mut found = Vec::new();
    if let Ok(plan) = serde_json::from_str(plan) {
        collect(&plan, None, &mut found);
    }
    found
}

/// `table` is that of the node above, which names it for the index that is read below.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(plan: &Value) -> Vec<(String, String, Option<String>)> {
        scans(&plan.to_string()).into_iter().map(|scan| (scan.node, scan.table, scan.condition)).collect()
    }

    fn scan(node: &str, table: &str, condition: Option<&str>) -> (String, String, Option<String>) {
        (node.to_owned(), table.to_owned(), condition.map(str::to_owned))
    }

    #[test]
    fn every_way_to_reach_a_table() {
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
        let by_key = || scan("Index Scan", "sessions", Some(key));
        for (case, plan, expected) in [
            ("a join", join, vec![by_key(), scan("Seq Scan", "users", None)]),
            ("a bitmap", bitmap, vec![scan("Bitmap Index Scan", "sessions", Some(key))]),
            ("shards", sharded, vec![by_key()]),
            ("nothing to read", json!([{"Plan": {"Node Type": "Result"}}]), vec![]),
        ] {
            assert_eq!(of(&plan), expected, "{case}");
        }
        assert_eq!(scans("no JSON"), []);
    }
}
