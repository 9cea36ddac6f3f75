//! Fresh claims: columns of the users relation -> JSON.
#![forbid(unsafe_code)]

use serde_json::Number;
use serde_json::value::{RawValue, to_raw_value};
use tokio_postgres::Row;

use super::column;
use super::locate::{ColumnType, Located};
use crate::error::Error;
use crate::iso8601;
use crate::postgres::fault::Fault;
use crate::schema::{ClaimKind, FreshClaim, quoted};
use crate::store::FreshValue;

/// The most that the fresh claims of one session may have, in bytes of JSON: as much as a token.
const MAX_BYTES: usize = 32 * 1024;

/// How a fresh claim is read.
pub(super) struct FreshColumn {
    /// For messages.
    name: String,
    sql: String,
    form: ColumnForm,
}

/// What the type of a column becomes in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnForm {
    Text,
    Flag,
    Number,
    Json,
    Texts,
    /// ISO 8601 in UTC. A time without a zone is UTC.
    Time,
    Date,
}

impl Located {
    /// Whether the column of a fresh claim can give it a value. One that doesn't exist has no unsuitable type.
    pub fn suits_claim(&self, name: &str, kind: ClaimKind) -> bool {
        let form = self.column_type(true, name).map(ColumnForm::of);
        form.is_none_or(|form| form.is_some_and(|form| form.suits(kind)))
    }
}

impl FreshColumn {
    /// The columns of all fresh claims.
    ///
    /// # Errors
    /// If a column can't give its claim a value. One that doesn't exist is left to the query, whose error names it.
    pub(super) fn all(located: &Located) -> Result<Vec<Self>, Fault> {
        let table = &located.schema.users;
        let of = |FreshClaim { name, kind }: &FreshClaim| {
            let form = match located.column_type(true, name) {
                None => ColumnForm::Text,
                Some(column) => ColumnForm::of(column).filter(|form| form.suits(*kind)).ok_or_else(|| {
                    let column = format!("{}.{name} is {}", table.name, column.describe());
                    Fault::UnsuitableColumn(format!("{column}, but the fresh claim must be {}", kind.column_types()))
                })?,
            };
            let sql = form.sql(&format!("u.{}", quoted(name)));
            Ok(Self { name: format!("{}.{name}", table.name), sql, form })
        };
        located.schema.fresh_claims.iter().map(of).collect()
    }

    /// The select list, each with a comma before it.
    pub(super) fn select_list(columns: &[Self]) -> String {
        columns.iter().map(|column| format!(",\n       {}", column.sql)).collect()
    }

    /// The values, of which the first is that of the column `at` of the row. Null is `None`.
    pub(super) fn read_all(columns: &[Self], row: &Row, at: usize) -> Result<Vec<Option<FreshValue>>, Error> {
        let mut bytes = 0;
        let mut read = |(index, fresh): (usize, &Self)| {
            let value = fresh.read(row, index)?;
            bytes += value.as_ref().map_or(0, |value| value.get().len());
            if bytes > MAX_BYTES {
                let problem = format!("{} makes the fresh claims longer than {MAX_BYTES} bytes", fresh.name);
                return Err(Error::Query(problem));
            }
            Ok(value.map(FreshValue))
        };
        (at..).zip(columns).map(&mut read).collect()
    }

    fn read(&self, row: &Row, index: usize) -> Result<Option<Box<RawValue>>, Error> {
        let name = self.name.as_str();
        let json = |value: Option<String>| value.map(|value| to_raw_value(&value)).transpose();
        let value = match self.form {
            ColumnForm::Text => {
                let text: Option<&str> = column(row, index, name)?;
                text.map(to_raw_value).transpose()
            }
            ColumnForm::Flag => column::<Option<bool>>(row, index, name)?.map(|flag| to_raw_value(&flag)).transpose(),
            ColumnForm::Number => {
                let text: Option<&str> = column(row, index, name)?;
                text.and_then(number).transpose()
            }
            ColumnForm::Json | ColumnForm::Texts => {
                let text: Option<String> = column(row, index, name)?;
                text.map(RawValue::from_string).transpose()
            }
            ColumnForm::Time => json(column::<Option<f64>>(row, index, name)?.and_then(iso8601::date_time)),
            ColumnForm::Date => json(column::<Option<f64>>(row, index, name)?.and_then(iso8601::date)),
        };
        // Without the cause, which quotes the value.
        value.map_err(|_| Error::Query(format!("{name} can't be read")))
    }
}

/// `None` for what JSON has no number for, which is null for `JSON.stringify`.
fn number(text: &str) -> Option<serde_json::Result<Box<RawValue>>> {
    let is_infinite = text.parse().is_ok_and(|number: f64| !number.is_finite());
    (!is_infinite).then(|| serde_json::from_str::<Number>(text).and_then(|_| RawValue::from_string(text.to_owned())))
}

impl ColumnForm {
    fn of(column: &ColumnType) -> Option<Self> {
        if column.is_enum || column.name == "citext" {
            return Some(Self::Text);
        }
        if let Some(element) = &column.element {
            return (Self::of(element)? == Self::Text).then_some(Self::Texts);
        }
        if !column.is_built_in() {
            return None;
        }
        Some(match column.name.as_str() {
            "text" | "varchar" | "bpchar" | "name" | "uuid" => Self::Text,
            "bool" => Self::Flag,
            "int2" | "int4" | "int8" | "float4" | "float8" | "numeric" => Self::Number,
            "json" | "jsonb" => Self::Json,
            "timestamptz" | "timestamp" => Self::Time,
            "date" => Self::Date,
            _ => return None,
        })
    }

    fn suits(self, kind: ClaimKind) -> bool {
        match kind {
            ClaimKind::Text => matches!(self, Self::Text | Self::Time | Self::Date),
            ClaimKind::Flag => self == Self::Flag,
            ClaimKind::Texts => matches!(self, Self::Texts | Self::Json),
            ClaimKind::Any => true,
        }
    }

    fn sql(self, column: &str) -> String {
        match self {
            Self::Text | Self::Number | Self::Json => format!("{column}::pg_catalog.text"),
            Self::Flag => format!("{column}::pg_catalog.bool"),
            // As JSON: an array says how many elements it has, and tokio-postgres allocates room for them before it reads one.
            Self::Texts => format!("pg_catalog.array_to_json({column}::pg_catalog.text[])::pg_catalog.text"),
            Self::Time | Self::Date => format!("extract(epoch FROM {column})::pg_catalog.float8"),
        }
    }
}
