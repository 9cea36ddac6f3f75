//! Whether the session query uses indexes, according to the query plan.
#![forbid(unsafe_code)]

use serde::Serialize;
use serde_json::{Map, Value};

use super::catalog::{Catalog, Entry, Finding, IndexFacts, Kind, STEP, UniqueKey, sql_key};
use super::check::Check;
use super::samples::Sample;
use crate::postgres::{Examiner, Parameter, StepError, StepResult};
use crate::schema::Table;

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
    let query = examiner.session_query(samples.first().map(|sample| &sample.lookup)).await?;
    let explain = format!("EXPLAIN (FORMAT JSON) {query}");
    // A small table is always scanned as a whole, whatever indexes it has, or as the whole of an index. A bitmap is made of
    // what an index finds by a condition, and of nothing else.
    let settings =
        ["enable_seqscan = off", "enable_indexscan = off", "enable_indexonlyscan = off", "enable_bitmapscan = on"];
    let rows = examiner.rows_with_settings("planning the session query", &settings, &explain).await?;
    let plan = rows.first().and_then(|row| row.first()).map_or("", String::as_str);
    Ok(scans(plan))
}

/// The indexes that have to do with the last column of the key: on it, on an expression of it, or with a condition on it.
pub(super) async fn of_table(examiner: &Examiner<'_>, table: &Table, oid: u32) -> StepResult<Vec<IndexFacts>> {
    const SQL: &str = "\
SELECT c.relname::pg_catalog.text,
       pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), '^.* USING ', ''),
       m.amname::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{btree,hash}'::pg_catalog.text[])
         AND i.indisvalid AND i.indpred IS NULL AND EXISTS (
           SELECT
           FROM ROWS FROM (
             pg_catalog.unnest(i.indkey::pg_catalog.int2[]), pg_catalog.unnest(i.indcollation::pg_catalog.oid[])
           ) WITH ORDINALITY AS k (attnum, sorted_by, place)
           WHERE k.attnum OPERATOR(pg_catalog.=) a.attnum AND k.sorted_by OPERATOR(pg_catalog.=) a.attcollation
             AND NOT EXISTS (
               SELECT FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS b (attnum, place)
               LEFT JOIN pg_catalog.pg_attribute before
                 ON before.attrelid OPERATOR(pg_catalog.=) a.attrelid AND before.attnum OPERATOR(pg_catalog.=) b.attnum
               WHERE b.place OPERATOR(pg_catalog.<) k.place
                 AND (before.attname::pg_catalog.text OPERATOR(pg_catalog.=) ANY ($3)) IS NOT TRUE
             )
         )
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid OPERATOR(pg_catalog.=) c.relam
JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid
WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND a.attname::pg_catalog.text OPERATOR(pg_catalog.=) $2
  AND (
    a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey::pg_catalog.int2[])
    OR EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.objid OPERATOR(pg_catalog.=) i.indexrelid
        AND d.refobjid OPERATOR(pg_catalog.=) a.attrelid AND d.refobjsubid OPERATOR(pg_catalog.=) a.attnum
    )
  )
ORDER BY 1";
    let parameters = [Parameter::Oid(oid), Parameter::Text(table.key.last().copied()), Parameter::Texts(table.key)];
    examiner
        .rows(STEP, SQL, &parameters, |row| {
            Ok(IndexFacts { name: row.try_get(0)?, definition: row.try_get(1)?, finds_one: row.try_get(2)? })
        })
        .await
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
    let own = |name| text(node, name).map(without_literals);
    Some(Scan {
        node: kind.to_owned(),
        table: table.to_owned(),
        alias: alias.to_owned(),
        index: own("Index Name"),
        condition: own("Index Cond"),
    })
}

/// The ids are not shown.
fn without_literals(condition: &str) -> String {
    condition.split('\'').step_by(2).collect::<Vec<_>>().join("'...'")
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
    let (sessions, users) = (&catalog.sessions, &catalog.users);
    let of_tenant: Vec<_> = [(sessions, "s", "sessions"), (users, "u", "users")]
        .into_iter()
        .map(|(entry, alias, what)| (entry, what, of_tenant(scans, entry, alias)))
        .filter(|(.., indexes)| !indexes.is_empty())
        .collect();
    let check = if !whole_sessions.is_empty() || !whole_users.is_empty() {
        let entries = [(sessions, &whole_sessions), (users, &whole_users)];
        let whole: Vec<_> = entries.iter().filter(|(_, whole)| !whole.is_empty()).map(|(entry, _)| *entry).collect();
        let useless: Vec<_> = whole.iter().copied().filter_map(useless).collect();
        let useless = if useless.is_empty() { String::new() } else { format!("; it can't use {}", useless.join(", ")) };
        let advice = whole.into_iter().map(create).collect::<Vec<_>>().join("\n");
        let names = [whole_sessions, whole_users].concat();
        Check::failed(ID, format!("each request reads the whole table {}{useless}", names.join(" and ")), advice)
    } else if !of_tenant.is_empty() {
        let read = of_tenant.iter().map(|(_, what, by)| format!("all {what} of a tenant, by {}", by.join(", ")));
        let message = format!("each request reads {}", read.collect::<Vec<_>>().join(", and "));
        let advice = of_tenant.iter().map(|(entry, ..)| create(entry)).collect::<Vec<_>>().join("\n");
        Check::warning(ID, message, advice)
    } else if !whole_behind.is_empty() {
        let message = format!("each request reads the whole table {}, behind a view", whole_behind.join(" and "));
        let tenant = if catalog.sessions.table.key.len() > 1 { "tenant, " } else { "" };
        let advice = format!(
            "Unless it is small, give it an index on the columns that the view shows as {tenant}session_id and user_id. It \
             must show them without a cast, or the index must be on the same expression."
        );
        Check::warning(ID, message, advice)
    } else if scans.is_empty() {
        Check::ok(ID, "the plan shows no table")
    } else {
        let used = scans.iter().map(|scan| {
            let index = scan.index.as_deref().or_else(|| right_index(scan, catalog));
            format!("{} by {}", scan.table, index.unwrap_or(&scan.node))
        });
        Check::ok(ID, used.collect::<Vec<_>>().join(", "))
    };
    check.with_details(scans)
}

/// The tables that are read as a whole: sessions, users and their partitions and shards, and tables behind views.
fn whole<'a>(scans: &'a [Scan], catalog: &Catalog) -> [Vec<&'a str>; 3] {
    let mut whole = [const { Vec::new() }; 3];
    let is_whole =
        |scan: &&Scan| scan.index.is_none() && scan.node == "Seq Scan" && right_index(scan, catalog).is_none();
    for scan in scans.iter().filter(is_whole) {
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

/// Indexes by which all rows of a tenant are read.
fn of_tenant<'a>(scans: &'a [Scan], entry: &Entry, alias: &str) -> Vec<&'a str> {
    let key = entry.table.key;
    let Some(id) = key.last().filter(|_| key.len() > 1 && right_index_of(entry).is_none()) else {
        return Vec::new();
    };
    scans
        .iter()
        .filter(|scan| is_of(entry, alias, scan))
        .filter(|scan| !scan.condition.as_ref().is_some_and(|condition| condition.contains(*id)))
        .map(|scan| scan.index.as_ref().unwrap_or(&scan.node).as_str())
        .collect()
}

/// The index of the scanned table that finds one row, whatever the plan has: for few rows the planner takes anything.
fn right_index<'c>(scan: &Scan, catalog: &'c Catalog) -> Option<&'c str> {
    let entries = [(&catalog.sessions, "s"), (&catalog.users, "u")];
    entries.into_iter().find(|(entry, alias)| is_of(entry, alias, scan)).and_then(|(entry, _)| right_index_of(entry))
}

fn right_index_of(Entry { finding, .. }: &Entry) -> Option<&str> {
    let Finding::Found(found) = finding else {
        return None;
    };
    found.indexes.iter().find(|index| index.finds_one).map(|index| index.name.as_str())
}

/// Partitions and shards have the alias of the table and a number, whatever their names are.
fn is_of(entry: &Entry, alias: &str, scan: &Scan) -> bool {
    let is_view = matches!(&entry.finding, Finding::Found(found) if found.kind == Kind::View);
    !is_view && scan.alias.strip_prefix(alias).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// The indexes of a table that is read as a whole.
fn useless(Entry { finding, .. }: &Entry) -> Option<String> {
    let Finding::Found(found) = finding else {
        return None;
    };
    let indexes = found.indexes.iter().filter(|index| !index.finds_one);
    let indexes: Vec<_> = indexes.map(|IndexFacts { name, definition, .. }| format!("{name}, {definition}")).collect();
    (!indexes.is_empty()).then(|| indexes.join("; "))
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
        let shown = "((tenant = '...'::uuid) AND (session_id = '...'::uuid))";
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
        let by_key = |node| scan(node, "sessions", "s", Some("k"), Some(shown));
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
        let of_user = "((u.tenant = '$1'::uuid) AND (u.user_id = s.user_id))";
        let users = || scan("Index Only Scan", "users", "u", Some("users_pkey"), Some(of_user));
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
                     user_id. It must show them without a cast, or the index must be on the same expression.",
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
            if key != Ensured {
                sessions.indexes.clear();
            }
            (sessions.unique_key, sessions.kind) = (key, kind);
            catalog.users.found_mut().indexes.clear();
            let check = judge(&Ok(scans), &Ok(catalog));
            assert_eq!((check.status, check.message.as_str(), check.advice.as_deref()), (status, message, advice));
        }
    }

    #[test]
    fn a_small_table_with_the_right_index_is_fine() {
        let scans = vec![
            scan("Index Scan", "sessions", "s", Some("by_tenant"), Some("(s.tenant = '...'::uuid)")),
            scan("Seq Scan", "users", "u", None, None),
        ];
        let check = judge(&Ok(scans), &Ok(healthy()));
        assert_eq!((check.status, check.message.as_str()), (Status::Ok, "sessions by by_tenant, users by key"));
    }

    #[test]
    fn indexes_that_the_query_cannot_use_are_named() {
        let mut catalog = healthy();
        let index = |name: &str, definition: &str| IndexFacts {
            name: name.to_owned(),
            definition: definition.to_owned(),
            finds_one: false,
        };
        let users = catalog.users.found_mut();
        users.unique_key = UniqueKey::Missing;
        users.indexes = vec![index("by_name", "btree (lower(user_id))"), index("by_part", "hash (user_id) WHERE x")];
        let catalog = Ok(catalog);
        let whole = scan("Seq Scan", "users", "u", None, None);
        let check = judge(&Ok(vec![whole]), &catalog);
        let unused = "by_name, btree (lower(user_id)); by_part, hash (user_id) WHERE x";
        let expected = format!("each request reads the whole table users; it can't use {unused}");
        assert_eq!((check.status, check.message), (Status::Failed, expected));
        let of_tenant = scan("Index Scan", "users", "u_1", Some("by_name"), Some("(u_1.tenant = '...'::uuid)"));
        let check = judge(&Ok(vec![of_tenant]), &catalog);
        let expected = "each request reads all users of a tenant, by by_name";
        assert_eq!((check.status, check.message.as_str()), (Status::Warning, expected));
        let advice = "-- users: the key that unique-keys advises is the index.";
        assert_eq!(check.advice.as_deref(), Some(advice));
    }
}
