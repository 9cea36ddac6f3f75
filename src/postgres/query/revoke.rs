//! The statement that ends sessions.
#![forbid(unsafe_code)]

use super::live::{end, is_live};
use super::{DatabaseSession, Parameter, Query, Statement, Statements};
use crate::postgres::fault::Fault;
use crate::schema::{Id, IdTypes, REVOKED_REASON};
use crate::store::{Reason, Revocation, Scope};
use tokio_postgres::types::Type;

/// The most sessions of a tenant that one statement ends, so that none takes long.
pub const MAX_REVOKED: u64 = 1000;

/// Ends sessions: how many. Those that have ended before keep their reason.
pub(in crate::postgres) struct Revoke<'r> {
    pub(in crate::postgres) revocation: &'r Revocation,
}

impl Query for Revoke<'_> {
    type Answer = u64;

    async fn run(&self, session: &DatabaseSession<'_>, statements: &Statements) -> Result<u64, Fault> {
        let Statements { located, keys, id_types, .. } = statements;
        let Revocation { scope, reason } = self.revocation;
        let is_own = matches!(reason, Some(Reason::Own(_)));
        if reason.is_some() && !is_own && located.column_type(false, REVOKED_REASON).is_none() {
            let problem = format!("needs the column {REVOKED_REASON} of the sessions, which there isn't");
            return Err(Fault::WrongArgument { name: "reason".to_owned(), problem });
        }
        let Some(ids) = Ids::of(scope, id_types)? else {
            return Ok(0);
        };
        let named = [
            ("s.tenant", keys.tenant.as_ref(), ids.tenant.as_ref(), true),
            ("s.user_id", Some(&keys.user_id), ids.user_id.as_ref(), true),
            ("s.session_id", Some(&keys.session_id), ids.session_id.as_ref(), !ids.spares_session),
        ];
        let (mut conditions, mut types, mut parameters) = (Vec::new(), Vec::new(), Vec::<Parameter>::new());
        for (name, column, id, is_equal) in named {
            if let Some((column, id)) = column.zip(id) {
                types.push(column.parameter());
                parameters.push(id);
                let equal = column.equals(name, &format!("${}", parameters.len()));
                conditions.push(if is_equal { equal } else { format!("NOT {equal}") });
            }
        }
        conditions.push(is_live(located)?);
        let mut rows = conditions.join(" AND ") + "\n  ORDER BY s.session_id";
        if matches!(scope, Scope::Tenant(_)) {
            rows += &format!("\n  LIMIT {MAX_REVOKED}");
        }
        let text = reason.as_ref().map(Reason::text);
        let parameter = format!("${}", parameters.len() + 1);
        let column = match is_own {
            true => located.text_if_held(REVOKED_REASON, &parameter),
            false => located.text_as(REVOKED_REASON, &parameter),
        };
        if column.is_some() {
            types.push(Type::TEXT);
            parameters.push(&text);
        }
        let sql = end(located, keys, &rows, column);
        session.execute(&Statement { sql, types }, &parameters).await
    }
}

/// The ids of a scope, as the columns have them.
#[derive(Default)]
struct Ids {
    tenant: Option<Id>,
    user_id: Option<Id>,
    session_id: Option<Id>,
    /// Whether the session is the one that is kept.
    spares_session: bool,
}

impl Ids {
    /// `None` if a column can't hold its id, so that no session is meant.
    fn of(scope: &Scope, types: &IdTypes) -> Result<Option<Self>, Fault> {
        Ok(match scope {
            Scope::One { key, user_id } => key.fit(types).and_then(|key| {
                let user_id = match user_id {
                    Some(id) => Some(types.user_id.fit(id)?),
                    None => None,
                };
                Some(Self { tenant: key.tenant, user_id, session_id: Some(key.session_id), spares_session: false })
            }),
            Scope::User { owner, kept } => {
                let session_id = kept.as_ref().map(|id| types.session_id.fit(id));
                if session_id == Some(None) {
                    // Without it, the session that is to be kept would end with the others.
                    let problem = "is no id that the column session_id of the sessions can hold".to_owned();
                    return Err(Fault::WrongArgument { name: "sessionId".to_owned(), problem });
                }
                owner.fit(types).map(|owner| Self {
                    tenant: owner.tenant,
                    user_id: Some(owner.user_id),
                    session_id: session_id.flatten(),
                    spares_session: true,
                })
            }
            Scope::Tenant(id) => {
                types.tenant.and_then(|column| column.fit(id)).map(|id| Self { tenant: Some(id), ..Self::default() })
            }
        })
    }
}
