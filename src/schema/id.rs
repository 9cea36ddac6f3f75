//! Ids of sessions, users and tenants, whatever type their columns have.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::sync::Arc;

use uuid::Uuid;

use crate::redacted::redacted;

/// The longest id, in bytes. PostgreSQL can't index longer texts than 2700 bytes.
const MAX_ID_BYTES: usize = 1024;

/// An id as its column holds it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Id {
    Uuid(Uuid),
    Integer(i64),
    Text(Arc<str>),
}

redacted!(Id);

impl Id {
    /// The text that a token or a row has for it.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Uuid(uuid) => Cow::Owned(uuid.to_string()),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }
}

/// What a column of ids can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdType {
    /// Not known yet, since no connection was made so far.
    Unknown,
    Uuid,
    /// `int2`, `int4` or `int8`. They are compared as `int8`, so that no number is out of range.
    Integer,
    Text,
    /// A text that can be the same as another one: `citext`, `char`, or with a collation that is not deterministic.
    LooseText,
    /// A text in a database whose encoding is not UTF-8, which may lack a character of the token.
    AsciiText,
}

impl IdType {
    /// What a column of the PostgreSQL type `name` holds (`typname` of `pg_type`); `None` if ids can't be of this type. PostgreSQL
    /// compares those with each other that hold the same.
    pub fn of_column(name: &str) -> Option<Self> {
        match name {
            "uuid" => Some(Self::Uuid),
            "int2" | "int4" | "int8" => Some(Self::Integer),
            "text" | "varchar" | "bpchar" | "citext" => Some(Self::Text),
            _ => None,
        }
    }

    /// The PostgreSQL type that all such ids can be converted to.
    pub fn sql_type(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Integer => "bigint",
            Self::Unknown | Self::Text | Self::LooseText | Self::AsciiText => "text",
        }
    }

    /// `None` if the column can't hold such an id. So no token can make a query fail.
    pub fn parse(self, text: &str) -> Option<Id> {
        match self {
            Self::Uuid => parse_uuid(text).map(Id::Uuid),
            Self::Integer => parse_integer(text).map(Id::Integer),
            Self::AsciiText if !text.is_ascii() => None,
            Self::Unknown | Self::Text | Self::LooseText | Self::AsciiText => {
                let fits = (1..=MAX_ID_BYTES).contains(&text.len()) && !text.contains('\0');
                fits.then(|| Id::Text(text.into()))
            }
        }
    }

    /// An id that is not used.
    pub fn nil(self) -> Id {
        match self {
            Self::Uuid => Id::Uuid(Uuid::nil()),
            Self::Integer => Id::Integer(0),
            Self::Unknown | Self::Text | Self::LooseText | Self::AsciiText => Id::Text(Uuid::nil().to_string().into()),
        }
    }

    /// The id as this column has it, if it was read as one of another type: before the type was known.
    pub fn fit(self, id: &Id) -> Option<Id> {
        if self.is_of(id) { Some(id.clone()) } else { self.parse(&id.text()) }
    }

    /// Whether the id was read as one of this column.
    pub fn is_of(self, id: &Id) -> bool {
        match id {
            Id::Uuid(_) => self == Self::Uuid,
            Id::Integer(_) => self == Self::Integer,
            Id::Text(_) => matches!(self, Self::Text | Self::LooseText),
        }
    }

    /// Whether two ids that differ are never the same to the database.
    pub fn is_exact(self) -> bool {
        matches!(self, Self::Uuid | Self::Integer | Self::Text)
    }
}

/// The types of the columns that name a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdTypes {
    /// `None` if there are no tenants.
    pub tenant: Option<IdType>,
    pub session_id: IdType,
    pub user_id: IdType,
}

impl IdTypes {
    /// The tenant as its column has it, if there are tenants; `None` if it is missing, or the column can't hold it.
    pub fn fit_tenant(&self, tenant: Option<&Id>) -> Option<Option<Id>> {
        match self.tenant {
            Some(column) => column.fit(tenant?).map(Some),
            None => Some(None),
        }
    }

    /// Whether two keys or users that differ are never the same to the database.
    pub fn are_exact(&self) -> bool {
        self.tenant.is_none_or(IdType::is_exact) && self.session_id.is_exact() && self.user_id.is_exact()
    }

    pub fn are_known(&self) -> bool {
        let is_known = |column: IdType| column != IdType::Unknown;
        self.tenant.is_none_or(is_known) && is_known(self.session_id) && is_known(self.user_id)
    }

    pub fn unknown(is_multi_tenant: bool) -> Self {
        Self {
            tenant: is_multi_tenant.then_some(IdType::Unknown),
            session_id: IdType::Unknown,
            user_id: IdType::Unknown,
        }
    }
}

/// Accepts only the form of RFC 9562 section 4; the crate would also accept braces and `urn:uuid:`.
fn parse_uuid(text: &str) -> Option<Uuid> {
    const HYPHENATED_BYTES: usize = uuid::fmt::Hyphenated::LENGTH;
    (text.len() == HYPHENATED_BYTES).then(|| Uuid::try_parse(text).ok())?
}

/// Accepts only the form that PostgreSQL writes.
fn parse_integer(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "5b0b0b7e-3f0e-4c0e-8d66-111111111111";

    /// The text of the id that is parsed.
    fn parsed(id_type: IdType, text: &str) -> Option<String> {
        id_type.parse(text).map(|id| id.text().into_owned())
    }

    #[test]
    fn a_column_holds_ids_of_its_type_only() {
        use IdType::{AsciiText, Integer, Text, Unknown, Uuid};
        let long = "x".repeat(MAX_ID_BYTES);
        let too_long = "x".repeat(MAX_ID_BYTES + 1);
        for (text, types) in [
            (UUID, &[Uuid, Text, AsciiText, Unknown] as &[_]),
            ("clh3k2jd50000qzrm3v1x9d0f", &[Text, AsciiText, Unknown]),
            ("ünïcode", &[Text, Unknown]),
            ("0", &[Integer, Text, AsciiText, Unknown]),
            ("-7", &[Integer, Text, AsciiText, Unknown]),
            ("9223372036854775807", &[Integer, Text, AsciiText, Unknown]),
            ("9223372036854775808", &[Text, AsciiText, Unknown]),
            ("007", &[Text, AsciiText, Unknown]),
            ("+7", &[Text, AsciiText, Unknown]),
            ("-0", &[Text, AsciiText, Unknown]),
            (" 7", &[Text, AsciiText, Unknown]),
            ("7.0", &[Text, AsciiText, Unknown]),
            ("5b0b0b7e3f0e4c0e8d66111111111111", &[Text, AsciiText, Unknown]),
            ("{5b0b0b7e-3f0e-4c0e-8d66-111111111111}", &[Text, AsciiText, Unknown]),
            ("urn:uuid:5b0b0b7e-3f0e-4c0e-8d66-111111111111", &[Text, AsciiText, Unknown]),
            ("5b0b0b7e-3f0e-4c0e-8d66-11111111111g", &[Text, AsciiText, Unknown]),
            (" 5b0b0b7e-3f0e-4c0e-8d66-11111111111", &[Text, AsciiText, Unknown]),
            ("5b0b0b7e-3f0e-4c0e-8d661-11111111111", &[Text, AsciiText, Unknown]),
            (&long, &[Text, AsciiText, Unknown]),
            (&too_long, &[]),
            ("a\0b", &[]),
            ("", &[]),
        ] {
            for id_type in [Unknown, Uuid, Integer, Text, AsciiText] {
                let expected = types.contains(&id_type).then(|| text.to_owned());
                assert_eq!(parsed(id_type, text), expected, "{text} as {id_type:?}");
            }
        }
        assert_eq!(parsed(Uuid, &UUID.to_uppercase()).as_deref(), Some(UUID));
    }

    #[test]
    fn an_id_that_was_read_before_the_type_was_known_is_read_again() {
        let unknown = |text| IdType::Unknown.parse(text).expect("fits");
        for (id_type, text, expected) in [
            (IdType::Uuid, UUID, true),
            (IdType::Uuid, "7", false),
            (IdType::Integer, "7", true),
            (IdType::Integer, "x", false),
            (IdType::Text, "x", true),
            (IdType::AsciiText, "x", true),
            (IdType::AsciiText, "ü", false),
        ] {
            assert_eq!(id_type.fit(&unknown(text)), id_type.parse(text), "{text}");
            assert_eq!(id_type.fit(&unknown(text)).is_some(), expected, "{text}");
        }
        let integer = IdType::Integer.parse("7").expect("fits");
        assert!(IdType::Text.fit(&integer) == IdType::Text.parse("7"));
        assert!(IdType::Integer.fit(&integer) == Some(integer));
    }
}
