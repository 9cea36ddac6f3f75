//! The columns that are read, and which types they may have.
#![forbid(unsafe_code)]

use serde::Serialize;

/// A column of a table, and what is done with it.
pub(super) struct Needed {
    pub(super) name: &'static str,
    pub(super) need: Need,
}

#[derive(Clone, Copy)]
pub(super) enum Need {
    /// Is compared with a UUID, or read as one.
    Uuid,
    /// Is compared with the server's clock.
    Time,
    /// Is read as text.
    Text,
    /// Is told by `explainSession`, and not needed else.
    Remark,
}

const fn needed(name: &'static str, need: Need) -> Needed {
    Needed { name, need }
}

/// As the README lists them.
pub(super) const OF_SESSIONS: [Needed; 6] = [
    needed("tenant", Need::Uuid),
    needed("session_id", Need::Uuid),
    needed("user_id", Need::Uuid),
    needed("revoked_at", Need::Time),
    needed("expires_at", Need::Time),
    needed("revoked_reason", Need::Remark),
];
pub(super) const OF_USERS: [Needed; 3] =
    [needed("tenant", Need::Uuid), needed("user_id", Need::Uuid), needed("user_type", Need::Text)];

impl Need {
    /// The type that schema.sql gives it.
    pub(super) fn usual_type(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Time => "timestamptz",
            Self::Text | Self::Remark => "text",
        }
    }

    pub(super) fn is_optional(self) -> bool {
        matches!(self, Self::Remark)
    }

    /// `name` and `category` are those of `pg_type`; of a domain, those of what it is over.
    pub(super) fn fit(self, name: &str, category: &str) -> Fit {
        match (self, name, category) {
            (Self::Uuid, "uuid", _) | (Self::Time, "timestamptz", _) | (Self::Remark, ..) => Fit::Good,
            // Strings and enums.
            (Self::Text, _, "S" | "E") => Fit::Good,
            (Self::Time, "timestamp" | "date", _) => Fit::Doubtful,
            (Self::Uuid | Self::Time | Self::Text, ..) => Fit::Wrong,
        }
    }
}

/// Whether a column's type serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fit {
    Good,
    /// What it means depends on the connection's time zone.
    Doubtful,
    Wrong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_serve() {
        for (need, name, category, expected) in [
            (Need::Uuid, "uuid", "U", Fit::Good),
            (Need::Uuid, "text", "S", Fit::Wrong),
            (Need::Uuid, "int8", "N", Fit::Wrong),
            (Need::Time, "timestamptz", "D", Fit::Good),
            (Need::Time, "timestamp", "D", Fit::Doubtful),
            (Need::Time, "date", "D", Fit::Doubtful),
            (Need::Time, "time", "D", Fit::Wrong),
            (Need::Time, "bool", "B", Fit::Wrong),
            (Need::Time, "int8", "N", Fit::Wrong),
            (Need::Text, "text", "S", Fit::Good),
            (Need::Text, "varchar", "S", Fit::Good),
            (Need::Text, "user_type", "E", Fit::Good),
            (Need::Text, "int4", "N", Fit::Wrong),
            (Need::Remark, "jsonb", "U", Fit::Good),
        ] {
            assert_eq!(need.fit(name, category), expected, "{name}");
        }
    }
}
