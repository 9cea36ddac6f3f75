//! The methods of `AuthBridge` that start, list and end sessions. Those of the module itself are made of them in `index.js`.

use std::future::{self, Future};

use futures_util::FutureExt;
use futures_util::future::Either;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;
use serde::Serialize;

use super::module::SharedBridge;
use super::settle::{self, Value};
use super::{AuthBridge, arguments, json_of, promise_json, unix_time};
use crate::error::Error;
use crate::panics::catch_panic;
use crate::store::Revocation;

#[napi]
impl AuthBridge {
    /// Starts a session: inserts its row. It needs a primary, and the right to INSERT into the table of the sessions.
    ///
    /// @param options Whose session it is, how long it lives, and what describes it.
    /// @returns The id of the session, for the claim `session_id` of its token, and when it ends.
    /// @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong or a value doesn't fit its column, `ERR_AUTH_BRIDGE_TOO_MANY_SESSIONS` when the user has `maxSessions` with `whenFull: 'refuse'`, `ERR_AUTH_BRIDGE_READ_ONLY` on a standby, `ERR_AUTH_BRIDGE_OUTCOME_UNKNOWN` when the database's answer was lost, and as `getSession` does.
    #[napi(ts_args_type = "options: NewSession", ts_return_type = "Promise<CreatedSession>")]
    pub fn create_session<'env>(
        &self,
        env: &'env Env,
        options: Unknown<'env>,
        device: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        self.managed(env, |bridge| {
            let new = arguments::create_session(env, bridge, options, device)?;
            Ok(bridge.create_session(new))
        })
    }

    /// Lists the live sessions of a user, the latest activity first, at most 1000. It doesn't ask whether the user still exists.
    ///
    /// @param options Whose sessions, and which one asks.
    /// @returns The sessions, with what the table has columns for.
    /// @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong, and as `getSession` does.
    #[napi(ts_args_type = "options: SessionsOfUser & { current?: Id }", ts_return_type = "Promise<ListedSession[]>")]
    pub fn list_sessions<'env>(&self, env: &'env Env, options: Unknown<'env>) -> napi::Result<Unknown<'env>> {
        self.managed(env, |bridge| {
            let (owner, current) = arguments::list_sessions(bridge, options)?;
            Ok(match owner {
                Some(owner) => Either::Left(bridge.list_sessions(owner, current)),
                None => Either::Right(future::ready(Ok(Vec::new()))),
            })
        })
    }

    /// Ends one session, if it is live and this user's.
    ///
    /// @param options Which session, whose it must be, and why it ends. The id may come from a client.
    /// @returns Whether it ended a session. False for one that had ended, that doesn't exist, or that is somebody else's. If the connection broke and it tried again, it had perhaps ended it at the first attempt.
    /// @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong, and as `createSession` does.
    #[napi(ts_args_type = "options: SessionToRevoke", ts_return_type = "Promise<boolean>")]
    pub fn revoke_session<'env>(&self, env: &'env Env, options: Unknown<'env>) -> napi::Result<Unknown<'env>> {
        self.managed(env, |bridge| {
            let ended = revoked(bridge, arguments::revoke_session(bridge, options)?);
            Ok(async { Ok(ended.await? > 0) })
        })
    }

    /// Ends all sessions of a user but one.
    ///
    /// @param options Whose sessions, the one that stays, and why the others end.
    /// @returns How many sessions it ended. If the connection broke and it tried again, those that the first attempt ended don't count.
    /// @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong, and as `createSession` does.
    #[napi(
        ts_args_type = "options: SessionsOfUser & { sessionId: Id, reason?: string }",
        ts_return_type = "Promise<number>"
    )]
    pub fn revoke_other_sessions<'env>(&self, env: &'env Env, options: Unknown<'env>) -> napi::Result<Unknown<'env>> {
        self.managed(env, |bridge| Ok(revoked(bridge, arguments::revoke_sessions(bridge, options, true)?)))
    }

    /// Ends all sessions of a user.
    ///
    /// @param options Whose sessions, and why they end.
    /// @returns How many sessions it ended. If the connection broke and it tried again, those that the first attempt ended don't count.
    /// @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong, and as `createSession` does.
    #[napi(ts_args_type = "options: SessionsOfUser & { reason?: string }", ts_return_type = "Promise<number>")]
    pub fn revoke_sessions<'env>(&self, env: &'env Env, options: Unknown<'env>) -> napi::Result<Unknown<'env>> {
        self.managed(env, |bridge| Ok(revoked(bridge, arguments::revoke_sessions(bridge, options, false)?)))
    }

    /// Ends all sessions of a tenant, 1000 in a transaction. If it rejects, some may have ended; call it again.
    ///
    /// @param options Which tenant, and why they end.
    /// @returns How many sessions it ended. If the connection broke and it tried again, those that the first attempt ended don't count.
    /// @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong or there are no tenants, and as `createSession` does.
    #[napi(ts_args_type = "options: { tenant: Id, reason?: string }", ts_return_type = "Promise<number>")]
    pub fn revoke_tenant_sessions<'env>(&self, env: &'env Env, options: Unknown<'env>) -> napi::Result<Unknown<'env>> {
        self.managed(env, |bridge| Ok(revoked(bridge, arguments::revoke_tenant_sessions(bridge, options)?)))
    }

    /// Deletes the rows of sessions that ended before a time: in one pass over the table, by its primary key, with transactions of at
    /// most 1000 rows. `callTimeout` bounds each transaction, not the pass. If it rejects, some may be deleted; call it again.
    ///
    /// @param options Before when, and how many rows at most.
    /// @returns How many rows it deleted.
    /// @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when an option is wrong, and as `createSession` does.
    #[napi(ts_args_type = "options: { before: Date, limit?: number }", ts_return_type = "Promise<number>")]
    pub fn delete_ended_sessions<'env>(&self, env: &'env Env, options: Unknown<'env>) -> napi::Result<Unknown<'env>> {
        self.managed(env, |bridge| {
            let (before, limit) = arguments::delete_ended_sessions(options)?;
            Ok(bridge.delete_ended_sessions(before, limit))
        })
    }

    /// Seals a token for a session that the app started itself, and gives the cookies that hold it: for a hand-over between
    /// domains, for impersonation, for tests. Needs no database.
    ///
    /// @param claims All claims of the token, but for `exp`, `iat`, `nbf`, `jti` and `rolled_at`, which it gets.
    /// @param options How long the token is valid, and the `Cookie` header of the request, whose other session cookies are deleted.
    /// @returns The `Set-Cookie` values to append to the response, and the `Cookie` header as it is with them. Whatever response carries the values needs `Cache-Control: private, no-cache, no-store, max-age=0`.
    /// @throws {AuthBridgeError} Rejects with `ERR_AUTH_BRIDGE_ARGUMENT` when no session could have these claims, and with `ERR_AUTH_BRIDGE_CONFIG`.
    #[napi(
        ts_args_type = "claims: Record<string, unknown>, options?: SealOptions",
        ts_return_type = "Promise<SealedSession>"
    )]
    pub fn seal_session<'env>(
        &self,
        env: &'env Env,
        claims: Unknown<'env>,
        options: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        let sealed = catch_panic(|| {
            let bridge = self.bridge.get(env)?;
            arguments::seal_session(env, &bridge, claims, options, unix_time())
        });
        settle::settled(env, sealed.map(|sealed| Value::Json(json_of(&sealed))))
    }

    /// The promise of what `call` returns.
    pub(super) fn managed<'env, T: Serialize, F: Future<Output = Result<T, Error>> + Send + 'static>(
        &self,
        env: &'env Env,
        call: impl FnOnce(&SharedBridge) -> Result<F, Error>,
    ) -> napi::Result<Unknown<'env>> {
        promise_json(env, || {
            let bridge = self.bridge.get(env)?;
            let work = call(&bridge)?;
            Ok((bridge, async { Ok(json_of(&work.await?)) }.boxed()))
        })
    }
}

/// How many sessions end; none without a revocation.
fn revoked(
    bridge: &SharedBridge,
    revocation: Option<Revocation>,
) -> impl Future<Output = Result<u64, Error>> + Send + use<> {
    match revocation {
        Some(revocation) => Either::Left(bridge.revoke(revocation)),
        None => Either::Right(future::ready(Ok(0))),
    }
}
