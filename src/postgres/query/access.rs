//! Which columns of the sessions each kind of statement reads and sets, beyond what the session query reads: for the rights
//! that the database user needs.
#![forbid(unsafe_code)]

use super::list::TIMES;
use super::locate::Located;
use super::slide::slid_columns;
use super::times::is_time;
use crate::schema::{
    ACTIVITY_COLUMNS, CREATED_AT, DESCRIPTION_COLUMNS, EXPIRES_AT, LAST_ACTIVITY_AT, REVOKED_AT, REVOKED_REASON,
};

/// What is done with sessions, beside finding one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    List,
    Slide,
    Create,
    Revoke,
    Delete,
}

impl Located {
    /// The columns that it reads and the session query doesn't.
    pub fn read_by(&self, access: Access) -> Vec<&'static str> {
        match access {
            Access::List => {
                let times = TIMES.iter().map(|(_, column)| *column);
                self.description_columns()
                    .chain(times.filter(|column| *column != EXPIRES_AT && is_time(self, column)))
                    .collect()
            }
            Access::Slide if self.schema.has_row_expiry && is_time(self, LAST_ACTIVITY_AT) => vec![LAST_ACTIVITY_AT],
            Access::Slide | Access::Create | Access::Revoke | Access::Delete => Vec::new(),
        }
    }

    /// The columns that it sets.
    pub fn set_by(&self, access: Access) -> Vec<&'static str> {
        match access {
            Access::List | Access::Delete => Vec::new(),
            Access::Slide => slid_columns(self),
            Access::Create => {
                let key = self.schema.sessions.key.iter().copied().chain(["user_id"]);
                let times = [CREATED_AT].into_iter().chain(ACTIVITY_COLUMNS).filter(|column| is_time(self, column));
                let end = self.schema.has_row_expiry.then_some(EXPIRES_AT);
                key.chain(times).chain(end).chain(self.description_columns()).collect()
            }
            Access::Revoke => {
                let reason = self.text_of(REVOKED_REASON).map(|_| REVOKED_REASON);
                let time = is_time(self, "updated_at").then_some("updated_at");
                [REVOKED_AT].into_iter().chain(reason).chain(time).collect()
            }
        }
    }

    fn description_columns(&self) -> impl Iterator<Item = &'static str> {
        DESCRIPTION_COLUMNS.into_iter().filter(|column| self.text_of(column).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::super::locate::ColumnType;
    use super::*;
    use crate::schema::{Differences, Schema};

    /// `__test__/doctor-writes.spec.ts` grants rights to them, and then all of it works.
    #[test]
    fn columns_by_what_the_table_has() {
        let only = |names: &'static [&str], has_row_expiry| {
            let schema = Schema::with(Differences { has_row_expiry, is_multi_tenant: false, ..Differences::default() });
            Located::of_types(&schema, |name| {
                let time = if name.ends_with("_at") { "timestamptz" } else { "text" };
                names.contains(&name).then(|| ColumnType::built_in(time))
            })
        };
        let (all, few) = (&["expires_at", "last_activity_at", "updated_at", "device_name", "revoked_reason"], &[]);
        for (access, has_all, read, set) in [
            (Access::List, true, &["device_name", "last_activity_at"] as &[_], &[] as &[_]),
            (Access::List, false, &[], &[]),
            (Access::Slide, true, &["last_activity_at"], &["expires_at", "last_activity_at", "updated_at"]),
            // Without a column to set, the row is written as it is.
            (Access::Slide, false, &[], &["user_id"]),
            (
                Access::Create,
                true,
                &[],
                &["session_id", "user_id", "last_activity_at", "updated_at", "expires_at", "device_name"],
            ),
            (Access::Create, false, &[], &["session_id", "user_id"]),
            (Access::Revoke, true, &[], &["revoked_at", "revoked_reason", "updated_at"]),
            (Access::Revoke, false, &[], &["revoked_at"]),
            (Access::Delete, true, &[], &[]),
        ] {
            let located = if has_all { only(all, true) } else { only(few, false) };
            assert_eq!(located.read_by(access), read, "{access:?}");
            assert_eq!(located.set_by(access), set, "{access:?}");
        }
    }
}
