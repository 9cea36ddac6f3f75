//! The arguments of the calls that start, list and end sessions.

use napi::bindgen_prelude::{Date, FromNapiValue, JsValue, Unknown};
use napi::{Env, ValueType};

use super::claims::json_object;
use super::module::SharedBridge;
use super::options::{self, Reader, boolean, number, string, type_of};
use crate::bridge::{SealedSession, new_session_id};
use crate::config::age;
use crate::error::Error;
use crate::schema::{EXPIRES_AT, Id, IdType, Schema};
use crate::store::{Columns, NewSession, Owner, Reason, Revocation, Scope, SessionKey, SessionLimit, WhenFull};

/// The longest text that describes a session, in characters. It comes from a request.
const MAX_TEXT: usize = 1024;
/// The largest integer that a number of JavaScript holds exactly.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;
/// PostgreSQL cuts longer names, in bytes.
const MAX_COLUMN_NAME: usize = 63;
/// Columns that other options or the package itself set.
const OWN_COLUMNS: [(&str, &str); 11] = [
    ("tenant", "the option tenant sets it"),
    ("user_id", "the option userId sets it"),
    ("login_method", "the option loginMethod sets it"),
    ("ip_address", "the option ipAddress sets it"),
    ("user_agent", "the option userAgent sets it"),
    ("expires_at", "the option maxAge sets it"),
    ("session_id", "it is made for each session"),
    ("created_at", "it is set to the time of the database"),
    ("last_activity_at", "it is set to the time of the database"),
    ("revoked_at", "a session that starts has not ended"),
    ("revoked_reason", "a session that starts has not ended"),
];

/// An id; `None` for a text that no column can hold, so that no row has it.
type MaybeId = Option<Id>;

/// `createSession`. `device` is what `index.js` read from the user agent.
pub fn create_session(env: &Env, bridge: &SharedBridge, value: Unknown, device: Unknown) -> Result<NewSession, Error> {
    argument(|| {
        let schema = bridge.schema();
        let mut reader = arguments(value)?;
        let tenant = tenant(&mut reader, schema)?;
        let user_id = required(&mut reader, "userId", id)?;
        let owner = Owner {
            tenant: tenant.map(|id| existing("tenant", id)).transpose()?,
            user_id: existing("userId", user_id)?,
        };
        let login_method = reader.take("loginMethod", text)?;
        let max_age = reader.take("maxAge", seconds)?.unwrap_or_else(|| bridge.max_age());
        let (ip_address, user_agent) = (reader.take("ipAddress", text)?, reader.take("userAgent", text)?);
        let columns = reader.take("columns", |name, value| columns(env, schema, name, value))?.unwrap_or_default();
        let limit = limit(&mut reader)?;
        reader.finish()?;
        let mut device = arguments(device)?;
        let (device_name, device_type) = (device.take("deviceName", text)?, device.take("deviceType", text)?);
        Ok(NewSession {
            owner,
            session_id: new_session_id(),
            max_age,
            login_method,
            ip_address,
            user_agent,
            device_name,
            device_type,
            columns,
            limit,
            replaced: Vec::new(),
        })
    })
}

/// `listSessions`: whose, and which is the current one. `None` for a user who can't exist.
pub fn list_sessions(bridge: &SharedBridge, value: Unknown) -> Result<(Option<Owner>, Option<Id>), Error> {
    argument(|| {
        let mut reader = arguments(value)?;
        let owner = owner(&mut reader, bridge.schema())?;
        let current = reader.take("current", id)?.flatten();
        reader.finish()?;
        Ok((owner, current))
    })
}

/// `revokeSession`. `None` for a session that can't exist: its id may come from a client.
pub fn revoke_session(bridge: &SharedBridge, value: Unknown) -> Result<Option<Revocation>, Error> {
    argument(|| {
        let mut reader = arguments(value)?;
        let tenant = tenant(&mut reader, bridge.schema())?;
        let session_id = required(&mut reader, "sessionId", id)?;
        let (user_id, any_user) = (reader.take("userId", id)?, reader.take("anyUser", boolean)?);
        let reason = reader.take("reason", text)?.map(Reason::OfApp);
        reader.finish()?;
        let user_id = match (user_id, any_user) {
            (Some(user_id), None) => Some(user_id),
            (None, Some(true)) => None,
            (None, Some(false)) => return Err(Error::config("anyUser", "must be true, or left out")),
            (Some(_), Some(_)) => return Err(Error::config("anyUser", "can't be given with userId")),
            (None, None) => {
                let problem = "is missing: whose session it must be; an administrator gives anyUser: true instead";
                return Err(Error::config("userId", problem));
            }
        };
        let scope = (|| {
            let key = SessionKey { tenant: all(tenant)?, session_id: session_id? };
            Some(Scope::One { key, user_id: all(user_id)? })
        })();
        Ok(scope.map(|scope| Revocation { scope, reason }))
    })
}

/// `revokeSessions`, and with `keeps_one` `revokeOtherSessions`.
pub fn revoke_sessions(bridge: &SharedBridge, value: Unknown, keeps_one: bool) -> Result<Option<Revocation>, Error> {
    argument(|| {
        let mut reader = arguments(value)?;
        let owner = owner(&mut reader, bridge.schema())?;
        let kept = if keeps_one {
            let kept = required(&mut reader, "sessionId", id)?;
            Some(existing("sessionId", kept)?)
        } else {
            None
        };
        let reason = reader.take("reason", text)?.map(Reason::OfApp);
        reader.finish()?;
        Ok(owner.map(|owner| Revocation { scope: Scope::User { owner, kept }, reason }))
    })
}

/// `revokeTenantSessions`.
pub fn revoke_tenant_sessions(bridge: &SharedBridge, value: Unknown) -> Result<Option<Revocation>, Error> {
    argument(|| {
        if !bridge.schema().is_multi_tenant {
            return Err(Error::config("tenant", "there are no tenants, as the option multiTenant is false"));
        }
        let mut reader = arguments(value)?;
        let tenant = required(&mut reader, "tenant", id)?;
        let reason = reader.take("reason", text)?.map(Reason::OfApp);
        reader.finish()?;
        Ok(tenant.map(|tenant| Revocation { scope: Scope::Tenant(tenant), reason }))
    })
}

/// `deleteEndedSessions`: before when, in seconds since 1970, and how many at most.
pub fn delete_ended_sessions(value: Unknown) -> Result<(f64, u64), Error> {
    argument(|| {
        let mut reader = arguments(value)?;
        let before = required(&mut reader, "before", date)?;
        let limit = reader.take("limit", |name, value| whole_number(name, value, MAX_SAFE_INTEGER))?;
        reader.finish()?;
        Ok((before, limit.unwrap_or(u64::MAX)))
    })
}

/// `sealSession`.
pub fn seal_session(
    env: &Env,
    bridge: &SharedBridge,
    claims: Unknown,
    options: Unknown,
    now: u64,
) -> Result<SealedSession, Error> {
    let claims = json_object(env, "claims", "an object of claims", claims)?;
    let (max_age, header) = argument(|| {
        let mut reader = arguments_or_none(options)?;
        let max_age = reader.take("maxAge", seconds)?;
        let header = reader.take("cookieHeader", string)?.unwrap_or_default();
        reader.finish()?;
        Ok((max_age, header))
    })?;
    bridge.seal(&claims, max_age.unwrap_or_else(|| bridge.max_age()), &header, now)
}

/// The id of a session, such as for `adopt_session`.
pub fn session_id(value: Unknown) -> Result<Id, Error> {
    argument(|| existing("sessionId", id("sessionId", value)?))
}

/// The readers are those of options; here it is an argument that is wrong.
fn argument<T>(read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    read().map_err(|error| match error {
        Error::Config { name, problem } => Error::Argument { name, problem },
        error => error,
    })
}

fn arguments(value: Unknown) -> Result<Reader, Error> {
    Reader::new("options", "an object", "", value)
}

fn arguments_or_none(value: Unknown) -> Result<Reader, Error> {
    if type_of(&value) == ValueType::Undefined { Ok(Reader::empty()) } else { arguments(value) }
}

fn required<'env, T>(
    reader: &mut Reader<'env>,
    key: &'static str,
    read: impl FnOnce(&str, Unknown<'env>) -> Result<T, Error>,
) -> Result<T, Error> {
    reader.take(key, read)?.ok_or_else(|| Error::config(key, "is missing"))
}

/// `None` without tenants: then the key is unknown.
fn tenant(reader: &mut Reader, schema: &Schema) -> Result<Option<MaybeId>, Error> {
    schema.is_multi_tenant.then(|| required(reader, "tenant", id)).transpose()
}

fn owner(reader: &mut Reader, schema: &Schema) -> Result<Option<Owner>, Error> {
    let (tenant, user_id) = (tenant(reader, schema)?, required(reader, "userId", id)?);
    Ok(all(tenant).zip(user_id).map(|(tenant, user_id)| Owner { tenant, user_id }))
}

/// `None` if an id is given that can't exist.
fn all(given: Option<MaybeId>) -> Option<Option<Id>> {
    match given {
        None => Some(None),
        Some(id) => id.map(Some),
    }
}

/// An id that a row is to have, or is named by.
fn existing(name: &str, id: MaybeId) -> Result<Id, Error> {
    id.ok_or_else(|| Error::config(name, "must be a text of 1 to 1024 bytes without NUL"))
}

fn id(name: &str, value: Unknown) -> Result<MaybeId, Error> {
    let text = match type_of(&value) {
        ValueType::Number => {
            let number = number(name, value)?;
            let is_whole = number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER;
            is_whole.then_some(number as i64).ok_or_else(|| Error::config(name, "must be a whole number"))?.to_string()
        }
        ValueType::String => string(name, value)?,
        other => return Err(options::wrong_type(name, "an id: a string or a whole number", other)),
    };
    Ok(IdType::Unknown.parse(&text))
}

/// Without what PostgreSQL can't hold.
fn text(name: &str, value: Unknown) -> Result<String, Error> {
    Ok(string(name, value)?.chars().filter(|character| *character != '\0').take(MAX_TEXT).collect())
}

fn seconds(name: &str, value: Unknown) -> Result<u32, Error> {
    age(name, number(name, value)?)
}

fn whole_number(name: &str, value: Unknown, max: f64) -> Result<u64, Error> {
    let number = number(name, value)?;
    let is_whole = number.fract() == 0.0 && (0.0..=max).contains(&number);
    is_whole.then_some(number as u64).ok_or_else(|| Error::config(name, "must be a whole number"))
}

/// In seconds since 1970.
fn date(name: &str, value: Unknown) -> Result<f64, Error> {
    let problem = || Error::config(name, "must be a valid Date");
    if !value.is_date().unwrap_or(false) {
        return Err(problem());
    }
    let milliseconds = Date::from_unknown(value).and_then(|date| date.value_of()).map_err(|_| problem())?;
    if milliseconds.is_nan() { Err(problem()) } else { Ok(milliseconds / 1000.0) }
}

fn columns(env: &Env, schema: &Schema, name: &str, value: Unknown) -> Result<Columns, Error> {
    let json = json_object(env, name, "an object with a value for each column", value)?;
    // With the values, so that half a character in one is refused here.
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&json).map_err(|_| Error::config(name, "can't be read as JSON"))?;
    let names: Vec<_> = object.into_iter().map(|(name, _)| name).collect();
    let is_no_name = |name: &&String| name.is_empty() || name.len() > MAX_COLUMN_NAME || name.contains('\0');
    if let Some(wrong) = names.iter().find(is_no_name) {
        let shown: String = wrong.chars().filter(|character| !character.is_control()).take(MAX_COLUMN_NAME).collect();
        return Err(Error::config(format!("columns.{shown}"), "can't be the name of a column"));
    }
    for (own, why) in OWN_COLUMNS {
        // A table can need an end that nothing else sets.
        let is_free = own == EXPIRES_AT && !schema.has_row_expiry;
        if !is_free && names.iter().any(|name| name == own) {
            return Err(Error::config(format!("columns.{own}"), format!("can't be set here: {why}")));
        }
    }
    Ok(Columns { names, json })
}

fn limit(reader: &mut Reader) -> Result<Option<SessionLimit>, Error> {
    let max = reader.take("maxSessions", |name, value| whole_number(name, value, f64::from(u32::MAX)))?;
    let when_full = reader.take("whenFull", |name, value| match string(name, value)?.as_str() {
        "revoke-oldest" => Ok(WhenFull::RevokeOldest),
        "refuse" => Ok(WhenFull::Refuse),
        _ => Err(Error::config(name, r#"must be "revoke-oldest" or "refuse""#)),
    })?;
    match (max, when_full) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Error::config("whenFull", "needs maxSessions")),
        (Some(0), _) => Err(Error::config("maxSessions", "must be at least 1")),
        (Some(max), when_full) => {
            let max = u32::try_from(max).unwrap_or(u32::MAX);
            Ok(Some(SessionLimit { max, when_full: when_full.unwrap_or(WhenFull::RevokeOldest) }))
        }
    }
}
