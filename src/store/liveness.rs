//! Decides whether a session is live.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{FreshValue, UserType};
use crate::outcome::Outcome;
use crate::redacted::redacted;

/// Whether a session is live, and the record that this was decided from.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Which of the call's candidates it is about, the newest being 0.
    pub place: usize,
    pub liveness: Liveness,
    /// `None` if there is no such session.
    pub record: Option<SessionRecord>,
    /// What was found of each candidate, if there are several and the newest is not live.
    pub judged: Vec<Option<Liveness>>,
}

impl Verdict {
    /// What was found of the candidate at `place`; `None` if it was not asked for.
    pub fn liveness_of(&self, place: usize) -> Option<Liveness> {
        if place == self.place { Some(self.liveness) } else { self.judged.get(place).copied().flatten() }
    }

    pub fn is_live(&self) -> bool {
        self.liveness == Liveness::Live
    }
}

/// The record of a session at the time of the query.
#[derive(Clone, PartialEq)]
pub struct SessionRecord {
    /// `sessions.user_id` is the user id that was looked up.
    pub is_of_user: bool,
    /// `sessions.revoked_at` is set.
    pub revoked: bool,
    /// `sessions.expires_at` is set and not after `now()` of the database.
    pub expired: bool,
    /// `sessions.created_at` is longer ago than [`crate::schema::Schema::absolute_max_age`] allows.
    pub too_old: bool,
    pub user: UserRow,
    /// The fresh claims, in the order of [`crate::schema::Schema::fresh_claims`].
    pub fresh: Option<Arc<[Option<FreshValue>]>>,
    pub slide: Slide,
    /// In how many seconds the session ends if it is not slid; `None` if never, or if answers are not kept.
    pub ends_in: Option<f64>,
}

/// What became of the slide of a row, if one was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Slide {
    #[default]
    NotAsked,
    /// The session now ends after so many seconds, unless it is slid again.
    Done(f64),
    /// Another transaction holds the row, or the session has ended.
    Held,
    /// The database doesn't slide rows here, and says why.
    Refused(Arc<str>),
}

/// The row of the session's user, as far as it is asked for.
#[derive(Clone, PartialEq, Eq)]
pub enum UserRow {
    Missing,
    /// There is one, or it isn't asked for.
    Present,
    /// With `users.user_type`.
    OfType(String),
}

redacted!(SessionRecord, UserRow);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    Live,
    /// A column can't hold an id of the token, so there is no such session.
    UnfitId,
    /// No such session in this tenant.
    Unknown,
    Revoked,
    Expired,
    /// It has lived for as long as a session may.
    TooOld,
    /// The session belongs to another user.
    OtherUser,
    /// Its user doesn't exist in this tenant.
    UserGone,
    /// Its user is now of another type than the token says.
    UserTypeChanged,
}

impl Liveness {
    /// `record` is that of the session in the token; `None` if there is none. `user_type` is that of the token.
    pub fn of(record: Option<&SessionRecord>, user_type: Option<UserType>) -> Self {
        let Some(record) = record else {
            return Self::Unknown;
        };
        if record.revoked {
            return Self::Revoked;
        }
        if record.expired {
            return Self::Expired;
        }
        if record.too_old {
            return Self::TooOld;
        }
        if !record.is_of_user {
            return Self::OtherUser;
        }
        match &record.user {
            UserRow::Missing => Self::UserGone,
            UserRow::Present => Self::Live,
            UserRow::OfType(name) if user_type.is_some_and(|user_type| user_type.is_named(name)) => Self::Live,
            UserRow::OfType(_) => Self::UserTypeChanged,
        }
    }

    /// Whether the session has ended for good, wherever it is asked for.
    pub fn is_end(self) -> bool {
        match self {
            Self::Revoked | Self::Expired | Self::TooOld => true,
            Self::Live | Self::UnfitId | Self::Unknown | Self::OtherUser | Self::UserGone | Self::UserTypeChanged => {
                false
            }
        }
    }

    pub fn outcome(self) -> Outcome {
        match self {
            Self::Live => Outcome::Live,
            Self::UnfitId => Outcome::MissingClaims,
            Self::Unknown => Outcome::SessionUnknown,
            Self::Revoked => Outcome::SessionRevoked,
            Self::Expired => Outcome::SessionExpired,
            Self::TooOld => Outcome::SessionTooOld,
            Self::OtherUser => Outcome::UserMismatch,
            Self::UserGone => Outcome::UserGone,
            Self::UserTypeChanged => Outcome::UserTypeChanged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_of_a_live_session() {
        let live = SessionRecord {
            is_of_user: true,
            revoked: false,
            expired: false,
            too_old: false,
            user: UserRow::OfType("client".to_owned()),
            fresh: None,
            slide: Slide::NotAsked,
            ends_in: None,
        };
        let with = |change: &dyn Fn(&mut SessionRecord)| {
            let mut record = live.clone();
            change(&mut record);
            Some(record)
        };
        let of_type = |name: &'static str| with(&move |row| row.user = UserRow::OfType(name.to_owned()));
        let client = Some(UserType::Client);
        for (case, record, user_type, expected) in [
            ("as the token says", with(&|_| {}), client, Liveness::Live),
            ("no row", None, client, Liveness::Unknown),
            ("revoked", with(&|row| row.revoked = true), client, Liveness::Revoked),
            ("expired", with(&|row| row.expired = true), client, Liveness::Expired),
            ("too old", with(&|row| row.too_old = true), client, Liveness::TooOld),
            ("too old and revoked", with(&|row| (row.too_old, row.revoked) = (true, true)), client, Liveness::Revoked),
            ("other user, or none", with(&|row| row.is_of_user = false), client, Liveness::OtherUser),
            ("user gone", with(&|row| row.user = UserRow::Missing), client, Liveness::UserGone),
            ("user gone, no type", with(&|row| row.user = UserRow::Missing), None, Liveness::UserGone),
            ("other type", of_type("internal"), client, Liveness::UserTypeChanged),
            ("unknown type", of_type("Client"), client, Liveness::UserTypeChanged),
            ("no type in the token", of_type("client"), None, Liveness::UserTypeChanged),
            ("types are not compared", with(&|row| row.user = UserRow::Present), client, Liveness::Live),
            ("types are not compared, no type", with(&|row| row.user = UserRow::Present), None, Liveness::Live),
        ] {
            let liveness = Liveness::of(record.as_ref(), user_type);
            assert_eq!(liveness, expected, "{case}");
        }
    }
}
