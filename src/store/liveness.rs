//! Decides whether a session is live.
#![forbid(unsafe_code)]

use uuid::Uuid;

use super::Holder;
use crate::outcome::Outcome;
use crate::redacted::redacted;

/// Whether a session is live, and the record that this was decided from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which of the call's candidates it is about, the newest being 0.
    pub place: usize,
    pub liveness: Liveness,
    /// `None` if there is no such session.
    pub record: Option<SessionRecord>,
}

impl Verdict {
    pub fn new(place: usize, record: Option<SessionRecord>, holder: &Holder, expiry: RowExpiry) -> Self {
        Self { place, liveness: Liveness::of(record.as_ref(), holder, expiry), record }
    }

    pub fn is_live(&self) -> bool {
        self.liveness == Liveness::Live
    }
}

/// The record of a session at the time of the query.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// `sessions.user_id`.
    pub user_id: Option<Uuid>,
    /// `sessions.revoked_at` is set.
    pub revoked: bool,
    /// `sessions.expires_at` is set and not after `now()` of the database.
    pub expired: bool,
    /// `users.user_type` of that user in that tenant; `None` without such a user.
    pub user_type: Option<String>,
}

redacted!(SessionRecord);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    Live,
    /// No such session in this tenant.
    Unknown,
    Revoked,
    Expired,
    /// The session belongs to another user.
    OtherUser,
    /// Its user doesn't exist in this tenant.
    UserGone,
    /// Its user is now of another type than the token says.
    UserTypeChanged,
}

impl Liveness {
    /// `record` is the one with the key in the token; `None` if there is none.
    pub fn of(record: Option<&SessionRecord>, holder: &Holder, expiry: RowExpiry) -> Self {
        let Some(record) = record else {
            return Self::Unknown;
        };
        if record.revoked {
            return Self::Revoked;
        }
        if record.expired && expiry == RowExpiry::Checked {
            return Self::Expired;
        }
        if record.user_id != Some(holder.user_id) {
            return Self::OtherUser;
        }
        match &record.user_type {
            None => Self::UserGone,
            Some(name) if holder.user_type.is_named(name) => Self::Live,
            Some(_) => Self::UserTypeChanged,
        }
    }

    pub fn outcome(self) -> Outcome {
        match self {
            Self::Live => Outcome::Live,
            Self::Unknown => Outcome::SessionUnknown,
            Self::Revoked => Outcome::SessionRevoked,
            Self::Expired => Outcome::SessionExpired,
            Self::OtherUser => Outcome::UserMismatch,
            Self::UserGone => Outcome::UserGone,
            Self::UserTypeChanged => Outcome::UserTypeChanged,
        }
    }
}

/// Whether `sessions.expires_at` is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowExpiry {
    Checked,
    Ignored,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::UserType;

    #[test]
    fn every_condition_of_a_live_session() {
        let user_id = Uuid::from_u128(1);
        let holder = Holder { user_id, user_type: UserType::Client };
        let live = SessionRecord {
            user_id: Some(user_id),
            revoked: false,
            expired: false,
            user_type: Some("client".to_owned()),
        };
        let with = |change: &dyn Fn(&mut SessionRecord)| {
            let mut record = live.clone();
            change(&mut record);
            Some(record)
        };
        for (case, record, expected) in [
            ("as the token says", with(&|_| {}), Liveness::Live),
            ("no row", None, Liveness::Unknown),
            ("revoked", with(&|row| row.revoked = true), Liveness::Revoked),
            ("expired", with(&|row| row.expired = true), Liveness::Expired),
            ("other user", with(&|row| row.user_id = Some(Uuid::from_u128(2))), Liveness::OtherUser),
            ("no user", with(&|row| row.user_id = None), Liveness::OtherUser),
            ("user gone", with(&|row| row.user_type = None), Liveness::UserGone),
            ("other type", with(&|row| row.user_type = Some("internal".to_owned())), Liveness::UserTypeChanged),
            ("unknown type", with(&|row| row.user_type = Some("Client".to_owned())), Liveness::UserTypeChanged),
        ] {
            let liveness = Liveness::of(record.as_ref(), &holder, RowExpiry::Checked);
            assert_eq!(liveness, expected, "{case}");
        }

        let ignoring =
            |change: &dyn Fn(&mut SessionRecord)| Liveness::of(with(change).as_ref(), &holder, RowExpiry::Ignored);
        assert_eq!(ignoring(&|row| row.expired = true), Liveness::Live);
        assert_eq!(ignoring(&|row| (row.expired, row.revoked) = (true, true)), Liveness::Revoked);
    }
}
