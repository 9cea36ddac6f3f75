//! JavaScript values -> [`Options`] and the cookie header, with errors that name what is wrong.

use napi::bindgen_prelude::{FromNapiValue, JsObjectValue, JsValue, Object, Unknown};
use napi::{Env, ValueType};

use super::settle;
use crate::config::{CookieOption, Options};
use crate::error::Error;
use crate::sensitive::Sensitive;

/// The options that `new AuthBridge(options)` was called with.
pub fn parse(value: Unknown) -> Result<Options, Error> {
    let mut options = Options::default();
    match type_of(&value) {
        ValueType::Undefined => return Ok(options),
        ValueType::Object => {}
        other => return Err(wrong_type("options", "an object", other)),
    }
    for (name, value) in properties("options", value)? {
        match name.as_str() {
            "secret" => options.secret = Some(list("secret", value, sensitive)?),
            "cookieName" => options.cookie_name = Some(list("cookieName", value, cookie)?),
            "secureCookie" => options.secure_cookie = Some(boolean("secureCookie", value)?),
            "databaseUrl" => options.database_url = Some(sensitive("databaseUrl", value)?),
            "tls" => options.tls_ca = tls(value)?,
            "preparedStatements" => options.prepared_statements = Some(boolean("preparedStatements", value)?),
            "sharded" => options.sharded = Some(boolean("sharded", value)?),
            "ignoreExpiresAt" => options.ignore_expires_at = Some(boolean("ignoreExpiresAt", value)?),
            "connectTimeout" => options.limits.connect_timeout = Some(number("connectTimeout", value)?),
            "queryTimeout" => options.limits.query_timeout = Some(number("queryTimeout", value)?),
            "callTimeout" => options.limits.call_timeout = Some(number("callTimeout", value)?),
            "maxConnections" => options.limits.max_connections = Some(number("maxConnections", value)?),
            "maxWaiting" => options.limits.max_waiting = Some(number("maxWaiting", value)?),
            _ => {
                return Err(Error::config(
                    name,
                    "is not an option; the options are secret, cookieName, secureCookie, databaseUrl, tls, \
                     preparedStatements, sharded, ignoreExpiresAt, connectTimeout, queryTimeout, callTimeout, \
                     maxConnections and maxWaiting",
                ));
            }
        }
    }
    Ok(options)
}

/// The argument of `getSession`; the empty header stands for none. One of more than `most` bytes may be
/// cut to fewer, but not to as few as that.
pub fn cookie_header(env: &Env, value: Unknown, most: Option<usize>) -> Result<String, Error> {
    if let Some(header) = settle::text(env, &value, most) {
        return Ok(header);
    }
    match type_of(&value) {
        ValueType::Undefined | ValueType::Null => Ok(String::new()),
        ValueType::String => Err(unreadable("cookieHeader")),
        other => Err(wrong_type("cookieHeader", "the value of the Cookie header: a string, null or undefined", other)),
    }
}

/// One item stands for a list of one.
fn list<T>(name: &str, value: Unknown, item: fn(&str, Unknown) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    if !value.is_array().unwrap_or(false) {
        return Ok(vec![item(name, value)?]);
    }
    convert::<Vec<Unknown>>(name, value)?.into_iter().map(|value| item(name, value)).collect()
}

/// A name, or an object of a name and its issuer.
fn cookie(name: &str, value: Unknown) -> Result<CookieOption, Error> {
    if type_of(&value) != ValueType::Object {
        return Ok(CookieOption { name: string(name, value)?, issuer: None });
    }
    let mut cookie = CookieOption { name: String::new(), issuer: None };
    for (key, value) in properties(name, value)? {
        match key.as_str() {
            "name" => cookie.name = string("cookieName.name", value)?,
            "issuer" => cookie.issuer = Some(string("cookieName.issuer", value)?),
            _ => return Err(Error::config(format!("cookieName.{key}"), "is neither name nor issuer")),
        }
    }
    Ok(cookie)
}

/// The certificates of `tls.ca`.
fn tls(value: Unknown) -> Result<Option<Vec<String>>, Error> {
    match type_of(&value) {
        ValueType::Object => {}
        other => return Err(wrong_type("tls", "an object with the key ca", other)),
    }
    let mut ca = None;
    for (key, value) in properties("tls", value)? {
        match key.as_str() {
            "ca" => ca = Some(list("tls.ca", value, string)?),
            _ => {
                return Err(Error::config(
                    format!("tls.{key}"),
                    "is not an option; tls has the key ca, and the parameters of the URL say the rest",
                ));
            }
        }
    }
    Ok(ca)
}

/// What an object holds itself, but for `undefined`.
fn properties<'env>(name: &str, value: Unknown<'env>) -> Result<Vec<(String, Unknown<'env>)>, Error> {
    let object = convert::<Object>(name, value)?;
    let mut properties = Vec::new();
    for key in Object::keys(&object).map_err(|_| unreadable(name))? {
        if !object.has_own_property(&key).map_err(|_| unreadable(&key))? {
            continue;
        }
        let value: Unknown = object.get_named_property(&key).map_err(|_| unreadable(&key))?;
        if type_of(&value) != ValueType::Undefined {
            properties.push((key, value));
        }
    }
    Ok(properties)
}

fn string(name: &str, value: Unknown) -> Result<String, Error> {
    match type_of(&value) {
        ValueType::String => convert(name, value),
        other => Err(wrong_type(name, "a string", other)),
    }
}

fn sensitive(name: &str, value: Unknown) -> Result<Sensitive, Error> {
    string(name, value).map(Sensitive::from)
}

fn number(name: &str, value: Unknown) -> Result<f64, Error> {
    match type_of(&value) {
        ValueType::Number => convert(name, value),
        other => Err(wrong_type(name, "a number", other)),
    }
}

fn boolean(name: &str, value: Unknown) -> Result<bool, Error> {
    match type_of(&value) {
        ValueType::Boolean => convert(name, value),
        other => Err(wrong_type(name, "true or false", other)),
    }
}

fn type_of(value: &Unknown) -> ValueType {
    value.get_type().unwrap_or(ValueType::Unknown)
}

fn convert<'env, T: FromNapiValue>(name: &str, value: Unknown<'env>) -> Result<T, Error> {
    T::from_unknown(value).map_err(|_| unreadable(name))
}

fn unreadable(name: &str) -> Error {
    Error::config(name, "can't be read")
}

fn wrong_type(name: &str, expected: &str, actual: ValueType) -> Error {
    let actual = format!("{actual:?}").to_lowercase();
    Error::config(name, format!("must be {expected}, not {actual}"))
}
