//! Sessions of the table that the session query is tried with, as for requests with their tokens. Only counts and reasons are
//! shown, no row.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::error::Error;
use crate::postgres::{Examiner, StepError, StepResult};
use crate::schema::{IdTypes, Schema, Table};
use crate::store::{Lookup, SessionKey, SessionRecord, UserRow, UserType};

/// The time limit for a query over the whole table. If the table is too large for that, its rows are not counted but estimated.
pub(super) const LIMIT: Duration = Duration::from_secs(2);

/// As in the session query.
pub(super) const EXPIRED: &str = "coalesce(extract(epoch FROM s.expires_at) OPERATOR(pg_catalog.<=) \
                                  extract(epoch FROM pg_catalog.now()), false)";

/// How many sessions are tried.
const TRIED: usize = 50;

pub(super) struct Sample {
    pub(super) lookup: Lookup,
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
    let Schema { sessions, is_multi_tenant, .. } = schema;
    let types = examiner.id_types().await?;
    // As in the session query, whose operators are those of the types of the columns.
    let users = examiner.users_join().await?;
    let tenant = if *is_multi_tenant { "s.tenant" } else { "NULL AS tenant" };
    let has_user = if schema.reads_users() { "u.user_id IS NOT NULL" } else { "true" };
    let sql = format!(
        "SELECT s.tenant, s.session_id, s.user_id, s.is_live, s.is_live AND {has_user}\n\
         FROM (\n\
         (SELECT {tenant}, s.session_id, s.user_id, true AS is_live\n \
         FROM {sessions} s WHERE s.revoked_at IS NULL AND NOT {EXPIRED} LIMIT {TRIED})\n\
         UNION ALL\n\
         (SELECT {tenant}, s.session_id, s.user_id, false FROM {sessions} s LIMIT 1)\n\
         ) s{users}"
    );
    let setting = format!("statement_timeout = {}", LIMIT.as_millis());
    match examiner.rows_with_settings("reading some sessions", &[&setting], &sql).await {
        Ok(rows) => Ok(rows.iter().filter_map(|row| Sample::of(row, &types)).collect()),
        Err(StepError::Failed(Error::Cancelled(_))) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl Sample {
    /// `None` if no token can have such ids.
    fn of(row: &[String], types: &IdTypes) -> Option<Self> {
        let [tenant, session_id, user_id, is_live, has_user] = row else {
            return None;
        };
        let tenant = match types.tenant {
            Some(column) => Some(column.parse(tenant)?),
            None => None,
        };
        // A session without a user is told of, too.
        let user_id = types.user_id.parse(user_id).unwrap_or_else(|| types.user_id.nil());
        let lookup = Lookup { key: SessionKey { tenant, session_id: types.session_id.parse(session_id)? }, user_id };
        Some(Self { lookup, is_live: is_live == "t", has_user: has_user == "t" })
    }
}

/// Runs the session query for one sample, then for all together.
pub(super) async fn try_all(examiner: &Examiner<'_>, samples: &[Sample]) -> StepResult<Trial> {
    let live: Vec<_> = samples.iter().filter(|sample| sample.is_live).collect();
    let lookups: Vec<_> = live.iter().map(|sample| sample.lookup.clone()).collect();
    if let [first, _, ..] = &lookups[..] {
        examiner.find_sessions(std::slice::from_ref(first)).await?;
    }
    let mut trial = Trial::default();
    for (sample, found) in live.iter().zip(examiner.find_sessions(&lookups).await?) {
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
        match &record.user {
            // The user id that was looked up is that of the row, if it has one.
            _ if !record.is_of_user => Some(Self::NoUserId),
            UserRow::Present => None,
            UserRow::OfType(name) if is_known(name) => None,
            UserRow::OfType(name) if is_known(&name.to_lowercase()) => Some(Self::UpperCaseUserType),
            UserRow::OfType(_) => Some(Self::OtherUserType),
            UserRow::Missing if has_user => Some(Self::NoUserType),
            UserRow::Missing => Some(Self::UserUnknown),
        }
    }

    /// What is wrong, and what to do about it.
    pub(super) fn describe(self, sessions: &Table, users: &Table) -> (String, String) {
        let (sessions, key, users) = (&sessions.name, users.key.join(" and "), &users.name);
        let values = || {
            format!(
                "{users}.user_type must be client or internal, as in the token's claim. Correct the values, make {users} a \
                 view that shows them so, or set the option userCheck: 'exists'."
            )
        };
        let (wrong, advice) = match self {
            Self::Unreadable => ("can't be read", "Correct these rows, or the types of their columns.".to_owned()),
            Self::NotFound => ("are not found by their key", super::check::SEE_LOG.to_owned()),
            Self::NoUserId => ("have no user_id", format!("Set {sessions}.user_id at sign-in.")),
            Self::UserUnknown => {
                let wrong = format!("have a user who is not in {users}, or hidden there");
                let needs = format!("Each session needs a row in {users} with its {key}");
                return (wrong, format!("{needs}, which the database user may see."));
            }
            Self::NoUserType => ("have a user without user_type", values()),
            Self::UpperCaseUserType => ("have a user whose user_type is not in lower case", values()),
            Self::OtherUserType => ("have a user whose user_type is neither client nor internal", values()),
        };
        (wrong.to_owned(), advice)
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
        let of_type = |name: &'static str| with(&move |row| row.user = UserRow::OfType(name.to_owned()));
        let without = || with(&|row| row.user = UserRow::Missing);
        for (found, has_user, expected) in [
            (Ok(Some(live_record())), true, None),
            (Ok(None), true, Some(Refusal::NotFound)),
            (Err(Error::Query("no".to_owned())), true, Some(Refusal::Unreadable)),
            (with(&|row| row.user = UserRow::Present), true, None),
            (without(), false, Some(Refusal::UserUnknown)),
            (without(), true, Some(Refusal::NoUserType)),
            (of_type("INTERNAL"), true, Some(Refusal::UpperCaseUserType)),
            (of_type("admin"), true, Some(Refusal::OtherUserType)),
            (with(&|row| (row.is_of_user, row.user) = (false, UserRow::Missing)), false, Some(Refusal::NoUserId)),
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
        use crate::schema::IdType;
        const UUID: &str = "00000000-0000-0000-0000-000000000001";
        let types = IdTypes { tenant: Some(IdType::Uuid), session_id: IdType::Integer, user_id: IdType::Uuid };
        let row = |tenant: &str, user_id: &str| [tenant, "7", user_id, "t", "f"].map(str::to_owned);
        for (tenant, user_id, user) in [(UUID, UUID, UUID), (UUID, "", "00000000-0000-0000-0000-000000000000")] {
            let sample = Sample::of(&row(tenant, user_id), &types).expect("has such ids");
            assert_eq!((&*sample.lookup.user_id.text(), sample.is_live, sample.has_user), (user, true, false));
        }
        assert!(Sample::of(&row("7", UUID), &types).is_none());
        assert!(Sample::of(&[], &types).is_none());
        let single = IdTypes { tenant: None, ..types };
        assert!(Sample::of(&row("", UUID), &single).is_some_and(|sample| sample.lookup.key.tenant.is_none()));
    }
}
