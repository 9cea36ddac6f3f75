//! Every way that a call can end, and its name: the vocabulary that statistics, explanations, error codes, types and
//! docs share.
#![forbid(unsafe_code)]

use serde::{Serialize, Serializer};

/// What the caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The session.
    Authenticated,
    /// `{}`.
    Unauthenticated,
    /// An error: it is not known whether there is a session.
    Unavailable,
}

macro_rules! outcomes {
    ($($outcome:ident $name:literal $status:ident $counted:literal),+ $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Outcome { $($outcome),+ }

        impl Outcome {
            /// In the order of the variants.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$outcome),+];

            /// The `reason` of `explainSession`, or the `code` of an error.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$outcome => $name),+ }
            }

            pub const fn status(self) -> Status {
                match self { $(Self::$outcome => Status::$status),+ }
            }

            /// Whether `stats` counts it. The others are found by `explainSession` only, or before there is a bridge.
            pub const fn is_counted(self) -> bool {
                match self { $(Self::$outcome => $counted),+ }
            }
        }
    };
}

outcomes! {
    Live                "live"                     Authenticated   true,
    HeaderTooLarge      "header-too-large"         Unauthenticated true,
    NoCookie            "no-cookie"                Unauthenticated true,
    EmptyCookie         "empty-cookie"             Unauthenticated true,
    ChunkGap            "chunk-gap"                Unauthenticated false,
    StaleChunks         "stale-chunks"             Unauthenticated false,
    TokenTooLarge       "token-too-large"          Unauthenticated true,
    MalformedToken      "malformed-token"          Unauthenticated true,
    DatabaseToken       "database-token"           Unauthenticated false,
    SignedToken         "signed-token"             Unauthenticated false,
    UnsupportedHeader   "unsupported-header"       Unauthenticated true,
    NoMatchingSecret    "no-matching-secret"       Unauthenticated true,
    Undecryptable       "undecryptable"            Unauthenticated true,
    MalformedClaims     "malformed-claims"         Unauthenticated true,
    MissingClaims       "missing-claims"           Unauthenticated true,
    TokenExpired        "token-expired"            Unauthenticated true,
    TokenNotYetValid    "token-not-yet-valid"      Unauthenticated true,
    SessionUnknown      "session-unknown"          Unauthenticated true,
    SessionRevoked      "session-revoked"          Unauthenticated true,
    SessionExpired      "session-expired"          Unauthenticated true,
    SessionTooOld       "session-too-old"          Unauthenticated true,
    UserMismatch        "user-mismatch"            Unauthenticated true,
    UserGone            "user-gone"                Unauthenticated true,
    UserTypeChanged     "user-type-changed"        Unauthenticated true,
    DatabaseUnavailable "database-unavailable"     Unavailable     false,
    Config              "ERR_AUTH_BRIDGE_CONFIG"   Unavailable     false,
    Argument            "ERR_AUTH_BRIDGE_ARGUMENT" Unavailable     false,
    Database            "ERR_AUTH_BRIDGE_DATABASE" Unavailable     true,
    Timeout             "ERR_AUTH_BRIDGE_TIMEOUT"  Unavailable     true,
    ReadOnly            "ERR_AUTH_BRIDGE_READ_ONLY" Unavailable    true,
    OutcomeUnknown      "ERR_AUTH_BRIDGE_OUTCOME_UNKNOWN" Unavailable true,
    TooManySessions     "ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS" Unavailable true,
    Closed              "ERR_AUTH_BRIDGE_CLOSED"   Unavailable     true,
    Internal            "ERR_AUTH_BRIDGE_INTERNAL" Unavailable     true,
}

/// Serialises to its name.
impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The vocabulary as JSON, for the tests that compare types, advice and docs with it.
pub fn vocabulary() -> String {
    let row = |outcome: Outcome| (outcome, outcome.status(), outcome.is_counted());
    serde_json::to_string(&Outcome::ALL.map(row)[..]).expect("names are strings")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_the_order_of_the_variants() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place, "{outcome:?}");
            assert_eq!(Outcome::ALL.iter().filter(|other| other.name() == outcome.name()).count(), 1, "{outcome:?}");
        }
    }

    #[test]
    fn only_unavailable_outcomes_are_named_by_an_error_code() {
        for outcome in Outcome::ALL {
            let is_code = outcome.name().starts_with("ERR_AUTH_BRIDGE_");
            let expected = outcome.status() == Status::Unavailable && outcome != Outcome::DatabaseUnavailable;
            assert_eq!(is_code, expected, "{outcome:?}");
        }
    }
}
