//! Sessions of the table that the session query is tried with, as for requests with their tokens. Only counts and reasons are
//! shown, no row.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use super::sessions::{EXPIRED, LIMIT};
use crate::error::Error;
use crate::postgres::{Examiner, StepError, StepResult};
use crate::schema::Schema;
use crate::store::{SessionKey, SessionRecord, UserType};

/// How many sessions are tried.
const TRIED: usize = 50;

pub(super) struct Sample {
    pub(super) key: SessionKey,
    /// Neither revoked nor expired.
    is_live: bool,
    has_user: bool,
}

/// What became of the samples.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Trial {
    pub(super) tried: usize,
    /// How many, by reason.
    pub(super) refused: BTreeMap<Refusal, usize>,
    /// The first error, if rows can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// Why a token of the session would be refused, whatever its claims are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Refusal {
    Unreadable,
    NotFound,
    NoUserId,
    UserUnknown,
    NoUserType,
    UpperCaseUserType,
    OtherUserType,
}

/// Live sessions, or else any one. If the table is too large to find some in time, there are none.
pub(super) async fn query(examiner: &Examiner<'_>, schema: &Schema) -> StepResult<Vec<Sample>> {
    let Schema { sessions, users, .. } = schema;
    let sql = format!(
        "(SELECT s.tenant, s.session_id, true, EXISTS (\n   \
           SELECT FROM {users} u WHERE u.tenant = s.tenant AND u.user_id = s.user_id\n )\n \
         FROM {sessions} s WHERE s.revoked_at IS NULL AND NOT {EXPIRED} LIMIT {TRIED})\n\
         UNION ALL\n\
         (SELECT s.tenant, s.session_id, false, false FROM {sessions} s LIMIT 1)"
    );
    let setting = format!("statement_timeout = {}", LIMIT.as_millis());
    match examiner.rows_with_setting("reading some sessions", &setting, &sql).await {
        Ok(rows) => Ok(rows.iter().filter_map(|row| Sample::of(row)).collect()),
        Err(StepError::Failed(Error::Cancelled(_))) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl Sample {
    /// `None` if the ids are no UUIDs, of which `columns` tells.
    fn of(row: &[String]) -> Option<Self> {
        let [tenant, session_id, is_live, has_user] = row else {
            return None;
        };
        let key = SessionKey { tenant: Uuid::try_parse(tenant).ok()?, session_id: Uuid::try_parse(session_id).ok()? };
        Some(Self { key, is_live: is_live == "t", has_user: has_user == "t" })
    }
}

/// Runs the session query for one sample, then for all together.
pub(super) async fn try_all(examiner: &Examiner<'_>, samples: &[Sample]) -> StepResult<Trial> {
    let live: Vec<_> = samples.iter().filter(|sample| sample.is_live).collect();
    let keys: Vec<_> = live.iter().map(|sample| sample.key).collect();
    if let [first, _, ..] = keys[..] {
        examiner.find_sessions(&[first]).await?;
    }
    let mut trial = Trial::default();
    for (sample, found) in live.iter().zip(examiner.find_sessions(&keys).await?) {
        trial.add(sample.has_user, found);
    }
    Ok(trial)
}

impl Trial {
    fn add(&mut self, has_user: bool, found: Result<Option<SessionRecord>, Error>) {
        let refusal = match found {
            // It ended in the meantime.
            Ok(Some(record)) if record.revoked || record.expired => return,
            Ok(Some(record)) => Refusal::of(&record, has_user),
            Ok(None) => Some(Refusal::NotFound),
            Err(error) => {
                self.error.get_or_insert_with(|| error.to_string());
                Some(Refusal::Unreadable)
            }
        };
        self.tried += 1;
        if let Some(refusal) = refusal {
            *self.refused.entry(refusal).or_default() += 1;
        }
    }

    pub(super) fn refused(&self) -> usize {
        self.refused.values().sum()
    }

    /// Whether no user of a session was found.
    pub(super) fn finds_no_user(&self) -> bool {
        self.tried > 0 && self.refused.get(&Refusal::UserUnknown) == Some(&self.tried)
    }
}

impl Refusal {
    fn of(record: &SessionRecord, has_user: bool) -> Option<Self> {
        let is_known = |name: &str| UserType::BY_NAME.iter().any(|(known, _)| *known == name);
        match &record.user_type {
            Some(name) if is_known(name) => None,
            Some(name) if is_known(&name.to_lowercase()) => Some(Self::UpperCaseUserType),
            Some(_) => Some(Self::OtherUserType),
            None if record.user_id.is_none() => Some(Self::NoUserId),
            None if has_user => Some(Self::NoUserType),
            None => Some(Self::UserUnknown),
        }
    }

    /// What is wrong, and what to do about it.
    pub(super) fn describe(self) -> (&'static str, &'static str) {
        const VALUES: &str = "users.user_type must be client or internal, as in the token's claim. Correct the values, or \
                              make users a view that shows them so.";
        match self {
            Self::Unreadable => ("can't be read", "Correct these rows, or the types of their columns."),
            Self::NotFound => ("are not found by their key", super::check::SEE_LOG),
            Self::NoUserId => ("have no user_id", "Set sessions.user_id at sign-in."),
            Self::UserUnknown => (
                "have a user who is not in users, or hidden there",
                "Each session needs a row in users with its tenant and user_id, which the database user may see.",
            ),
            Self::NoUserType => ("have a user without user_type", VALUES),
            Self::UpperCaseUserType => ("have a user whose user_type is not in lower case", VALUES),
            Self::OtherUserType => ("have a user whose user_type is neither client nor internal", VALUES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fake::live_record;

    #[test]
    fn why_a_session_of_the_table_is_refused() {
        let with = |change: &dyn Fn(&mut SessionRecord)| {
            let mut record = live_record();
            change(&mut record);
            Ok(Some(record))
        };
        let of_type = |name: Option<&'static str>| with(&move |row| row.user_type = name.map(str::to_owned));
        for (found, has_user, expected) in [
            (Ok(Some(live_record())), true, None),
            (Ok(None), true, Some(Refusal::NotFound)),
            (Err(Error::Query("no".to_owned())), true, Some(Refusal::Unreadable)),
            (of_type(None), false, Some(Refusal::UserUnknown)),
            (of_type(None), true, Some(Refusal::NoUserType)),
            (of_type(Some("INTERNAL")), true, Some(Refusal::UpperCaseUserType)),
            (of_type(Some("admin")), true, Some(Refusal::OtherUserType)),
            (with(&|row| (row.user_id, row.user_type) = (None, None)), false, Some(Refusal::NoUserId)),
        ] {
            let mut trial = Trial::default();
            trial.add(has_user, found);
            assert_eq!((trial.tried, trial.refused.keys().next().copied()), (1, expected));
            assert_eq!(trial.finds_no_user(), expected == Some(Refusal::UserUnknown));
        }
        let mut trial = Trial::default();
        trial.add(true, with(&|row| row.revoked = true));
        assert_eq!(trial, Trial::default());
    }

    #[test]
    fn a_row_with_other_ids_is_no_sample() {
        let row = |id: &str| [id, "00000000-0000-0000-0000-000000000001", "t", "f"].map(str::to_owned);
        let sample = Sample::of(&row("00000000-0000-0000-0000-000000000002")).expect("has UUIDs");
        assert!(sample.is_live && !sample.has_user);
        assert!(Sample::of(&row("7")).is_none());
        assert!(Sample::of(&[]).is_none());
    }
}
