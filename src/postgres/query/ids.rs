//! How ids are compared in SQL: by the type of their column, so that PostgreSQL can use its index.
#![forbid(unsafe_code)]

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::locate::ColumnType;
use crate::schema::{Id, IdType, quoted};

/// The types that ids can have, for messages.
pub const ID_TYPES: &str = "uuid, text, varchar, char, citext, int2, int4, int8, or a domain over one of them";

/// The type of a column of ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IdColumn {
    Uuid,
    Integer,
    Text,
    Char,
    /// With the PostgreSQL schema of the extension, which has its operators, too.
    Citext {
        namespace: String,
    },
}

impl IdColumn {
    /// `None` if ids can't be of this type.
    pub(super) fn of(column: &ColumnType) -> Option<Self> {
        let id_type = IdType::of_column(&column.name)?;
        match column.name.as_str() {
            "citext" => Some(Self::Citext { namespace: column.namespace.clone() }),
            _ if !column.is_built_in() => None,
            "bpchar" => Some(Self::Char),
            _ => Some(match id_type {
                IdType::Uuid => Self::Uuid,
                IdType::Integer => Self::Integer,
                IdType::Unknown | IdType::Text | IdType::LooseText | IdType::AsciiText => Self::Text,
            }),
        }
    }

    /// `is_deterministic` is that of the collation.
    pub(super) fn id_type(&self, is_utf8: bool, is_deterministic: bool) -> IdType {
        match self {
            Self::Uuid => IdType::Uuid,
            Self::Integer => IdType::Integer,
            _ if !is_utf8 => IdType::AsciiText,
            Self::Text if is_deterministic => IdType::Text,
            Self::Text | Self::Char | Self::Citext { .. } => IdType::LooseText,
        }
    }

    /// The type that a parameter is sent as.
    pub(super) fn parameter(&self) -> Type {
        match self {
            Self::Uuid => Type::UUID,
            Self::Integer => Type::INT8,
            Self::Text | Self::Citext { .. } => Type::TEXT,
            Self::Char => Type::BPCHAR,
        }
    }

    pub(super) fn list_parameter(&self) -> Type {
        match self {
            Self::Uuid => Type::UUID_ARRAY,
            Self::Integer => Type::INT8_ARRAY,
            Self::Text | Self::Citext { .. } => Type::TEXT_ARRAY,
            Self::Char => Type::BPCHAR_ARRAY,
        }
    }

    /// `column = value`, where `value` is of the type [`Self::parameter`].
    pub(super) fn equals(&self, column: &str, value: &str) -> String {
        match self {
            Self::Citext { namespace } => {
                let namespace = quoted(namespace);
                format!("{column} OPERATOR({namespace}.=) {value}::{namespace}.citext")
            }
            _ => format!("{column} OPERATOR(pg_catalog.=) {value}"),
        }
    }

    /// `column = other`, where `other` is a column of the type `other_type`.
    pub(super) fn equals_column(&self, column: &str, other: &str, other_type: &Self) -> String {
        match self {
            Self::Text | Self::Citext { .. } if other_type.is_text() && *other_type != Self::Text => {
                self.equals(column, &format!("{other}::pg_catalog.text"))
            }
            Self::Char if other_type.is_text() && *other_type != Self::Char => {
                self.equals(column, &format!("{other}::pg_catalog.bpchar"))
            }
            _ => self.equals(column, other),
        }
    }

    /// The column where it is compared by order. The operators of `citext` are not PostgreSQL's own.
    pub(super) fn ordered(&self, column: &str) -> String {
        match self {
            Self::Citext { .. } => format!("{column}::pg_catalog.text"),
            _ => column.to_owned(),
        }
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Char | Self::Citext { .. })
    }
}

/// The id is of the type that its column has, since [`crate::store::Lookup::fit`] made it.
impl ToSql for Id {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Uuid(uuid) => uuid.to_sql(ty, out),
            Self::Integer(number) => number.to_sql(ty, out),
            Self::Text(text) => (&**text).to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::UUID, Type::INT8, Type::TEXT, Type::BPCHAR].contains(ty)
    }

    to_sql_checked!();
}
