//! What `next-auth/index.js` asks of a bridge. Not in `index.d.ts`: apps use `withSessions`.

use std::sync::Arc;

use futures_util::FutureExt;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use super::options::{cookie_header, string};
use super::{AuthBridge, arguments, json_of, object, promise_json, unix_time};
use crate::config::warning::Warning;
use crate::cookie::MAX_HEADER_BYTES;
use crate::error::Error;
use crate::sensitive::Sensitive;
use crate::store::NewSession;

#[napi]
impl AuthBridge {
    // How Auth.js is to be configured, with the secrets.
    #[napi(skip_typescript)]
    pub fn issuer_options<'env>(&self, env: &'env Env) -> Result<Unknown<'env>, napi::Error<&'static str>> {
        object(env, || Ok(Sensitive::from(json_of(&self.bridge.get(env)?.issuer_options()?))))
    }

    // `createSession` at a sign-in, in place of the sessions that a `Cookie` header names.
    #[napi(skip_typescript)]
    pub fn start_session<'env>(
        &self,
        env: &'env Env,
        options: Unknown<'env>,
        device: Unknown<'env>,
        cookie_header: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        self.managed(env, |bridge| {
            let header = header(env, cookie_header)?;
            Ok(bridge.start(arguments::create_session(env, bridge, options, device)?, &header, unix_time()))
        })
    }

    // `createSession` with an id. If there is such a session of this user already, it is that one.
    #[napi(skip_typescript)]
    pub fn adopt_session<'env>(
        &self,
        env: &'env Env,
        options: Unknown<'env>,
        device: Unknown<'env>,
        session_id: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        self.managed(env, |bridge| {
            let new = arguments::create_session(env, bridge, options, device)?;
            let session_id = arguments::session_id(session_id)?;
            Ok(bridge.create_session(NewSession { session_id, ..new }))
        })
    }

    // The session that the claims of a token, as JSON, describe; null if they describe none. Doesn't ask the database.
    #[napi(skip_typescript)]
    pub fn describe_session<'env>(
        &self,
        env: &'env Env,
        claims: Unknown<'env>,
    ) -> Result<Unknown<'env>, napi::Error<&'static str>> {
        object(env, || {
            let described = self.bridge.get(env)?.described(&string("claims", claims)?, unix_time());
            Ok(described.unwrap_or_else(|| "null".to_owned()))
        })
    }

    // Checks the session of such claims, and slides its row if it is due.
    #[napi(skip_typescript)]
    pub fn roll_session<'env>(&self, env: &'env Env, claims: Unknown<'env>) -> napi::Result<Unknown<'env>> {
        promise_json(env, || {
            let bridge = self.bridge.get(env)?;
            let rolled = bridge.roll(&string("claims", claims)?, unix_time());
            let settler = Arc::clone(bridge.lookups().responder());
            let roll = async move {
                let rolled = rolled.await?;
                if let Some(why) = rolled.refused() {
                    settler.warn(Warning::NotRolling { why: why.to_owned() });
                }
                Ok(rolled.to_json())
            };
            Ok((bridge, roll.boxed()))
        })
    }

    // Ends the sessions that a `Cookie` header names, but the one that is kept.
    #[napi(skip_typescript)]
    pub fn end_named_sessions<'env>(
        &self,
        env: &'env Env,
        cookie_header: Unknown<'env>,
        kept: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        self.managed(env, |bridge| {
            let header = header(env, cookie_header)?;
            Ok(bridge.end_named(&header, &arguments::session_id(kept)?, unix_time()))
        })
    }

    // The same, with the session of the claims of a token, as JSON. Tries once more if it fails.
    #[napi(skip_typescript)]
    pub fn sign_out<'env>(
        &self,
        env: &'env Env,
        cookie_header: Unknown<'env>,
        claims: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        self.managed(env, |bridge| {
            let header = header(env, cookie_header)?;
            Ok(bridge.sign_out(&header, &string("claims", claims)?, unix_time()))
        })
    }

    // The `Set-Cookie` lines that delete the session cookies of a `Cookie` header, but for that of Auth.js itself.
    #[napi(skip_typescript)]
    pub fn deleted_cookies<'env>(
        &self,
        env: &'env Env,
        cookie_header: Unknown<'env>,
    ) -> Result<Unknown<'env>, napi::Error<&'static str>> {
        object(env, || {
            let header = header(env, cookie_header)?;
            Ok(json_of(&self.bridge.get(env)?.deleted_cookies(&header)?))
        })
    }
}

fn header(env: &Env, value: Unknown) -> Result<String, Error> {
    cookie_header(env, value, Some(MAX_HEADER_BYTES))
}
