//! What a notification says has ended or changed. `schema/notify.sql` sends them, and the app can: docs/caching.md has the format.
#![forbid(unsafe_code)]

use serde::Deserialize;

use crate::schema::{Id, IdType};
use crate::store::{Owner, Scope, SessionKey};

/// The channel of the notifications, an SQL identifier.
pub(super) const CHANNEL: &str = "authjs_bridge";

#[derive(Debug, PartialEq)]
pub(super) enum Change {
    /// These sessions.
    Some(Vec<Scope>),
    /// Whatever session.
    Any,
    /// None: a listener tries whether notifications come through. The text tells which.
    Trial(String),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Payload {
    sessions: Vec<AnyId>,
    users: Vec<AnyId>,
    tenants: Vec<AnyId>,
    trial: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AnyId {
    Text(String),
    Integer(i64),
}

impl Change {
    /// What says nothing, or can't be read, is about any session: it may come from a later version of this package.
    pub(super) fn read(payload: &str) -> Self {
        let Ok(Payload { sessions, users, tenants, trial }) = serde_json::from_str(payload) else {
            return Self::Any;
        };
        if let Some(trial) = trial {
            return Self::Trial(trial);
        }
        if [&sessions, &users, &tenants].into_iter().all(Vec::is_empty) {
            return Self::Any;
        }
        let session = |session_id| Scope::One { key: SessionKey { tenant: None, session_id }, user_id: None };
        let user = |user_id| Scope::User { owner: Owner { tenant: None, user_id }, kept: None };
        let sessions = ids(sessions).map(session);
        Self::Some(sessions.chain(ids(users).map(user)).chain(ids(tenants).map(Scope::Tenant)).collect())
    }

    pub(super) fn trial(text: &str) -> String {
        serde_json::json!({ "trial": text }).to_string()
    }
}

/// Without those that no column can hold.
fn ids(ids: Vec<AnyId>) -> impl Iterator<Item = Id> {
    ids.into_iter().filter_map(|id| match id {
        AnyId::Text(text) => IdType::Unknown.parse(&text),
        AnyId::Integer(number) => Some(Id::Integer(number)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Id {
        Id::Text(text.into())
    }

    #[test]
    fn payloads() {
        let session = |session_id| Scope::One { key: SessionKey { tenant: None, session_id }, user_id: None };
        let user = |user_id| Scope::User { owner: Owner { tenant: None, user_id }, kept: None };
        for (payload, expected) in [
            (r#"{"sessions": ["a", 7]}"#, Change::Some(vec![session(text("a")), session(Id::Integer(7))])),
            (r#"{"users": ["u"]}"#, Change::Some(vec![user(text("u"))])),
            (r#"{"tenants": ["t"], "sessions": []}"#, Change::Some(vec![Scope::Tenant(text("t"))])),
            (r#"{"sessions": ["", "a\u0000b"]}"#, Change::Some(Vec::new())),
            (r#"{"trial": "x"}"#, Change::Trial("x".to_owned())),
            ("{}", Change::Any),
            ("", Change::Any),
            (r#"{"sessions": "a"}"#, Change::Any),
            (r#"{"sessions": [1.5]}"#, Change::Any),
            (r#"{"sessions": ["a"], "devices": ["b"]}"#, Change::Any),
            ("5b0b0b7e-3f0e-4c0e-8d66-111111111111", Change::Any),
        ] {
            assert_eq!(Change::read(payload), expected, "{payload}");
        }
    }

    proptest! {
        #[test]
        fn any_payload_can_be_read(payload in any::<String>()) {
            let _ = Change::read(&payload);
        }

        #[test]
        fn a_trial_is_read_as_it_was_written(text in any::<String>()) {
            prop_assert_eq!(Change::read(&Change::trial(&text)), Change::Trial(text));
        }
    }
}
