//! JavaScript values -> [`Options`] and the cookie header, with errors that name what is wrong.

use napi::ValueType;
use napi::bindgen_prelude::{FromNapiValue, JsObjectValue, JsValue, Object, Unknown};

use crate::config::Options;
use crate::error::Error;

/// The options that `new AuthBridge(options)` was called with.
pub fn parse(value: Unknown) -> Result<Options, Error> {
    let mut options = Options::default();
    match type_of(&value) {
        ValueType::Undefined => return Ok(options),
        ValueType::Object => {}
        other => return Err(wrong_type("options", "an object", other)),
    }
    let object = convert::<Object>("options", value)?;
    for name in Object::keys(&object).map_err(|_| unreadable("options"))? {
        let value: Unknown = object.get_named_property(&name).map_err(|_| unreadable(&name))?;
        if type_of(&value) == ValueType::Undefined {
            continue;
        }
        match name.as_str() {
            "secret" => options.secret = Some(strings("secret", value)?),
            "cookieName" => options.cookie_name = Some(string("cookieName", value)?),
            "secureCookie" => options.secure_cookie = Some(boolean("secureCookie", value)?),
            "databaseUrl" => options.database_url = Some(string("databaseUrl", value)?),
            "ignoreExpiresAt" => {
                options.ignore_expires_at = Some(boolean("ignoreExpiresAt", value)?);
            }
            _ => {
                return Err(Error::config(
                    name,
                    "is not an option; the options are secret, cookieName, secureCookie, \
                     databaseUrl and ignoreExpiresAt",
                ));
            }
        }
    }
    Ok(options)
}

/// The argument of `getSession`; the empty header stands for none.
pub fn cookie_header(value: Unknown) -> Result<String, Error> {
    match type_of(&value) {
        ValueType::Undefined | ValueType::Null => Ok(String::new()),
        ValueType::String => convert("cookieHeader", value),
        other => Err(wrong_type("cookieHeader", "the value of the Cookie header: a string, null or undefined", other)),
    }
}

fn strings(name: &str, value: Unknown) -> Result<Vec<String>, Error> {
    if !value.is_array().unwrap_or(false) {
        return Ok(vec![string(name, value)?]);
    }
    convert::<Vec<Unknown>>(name, value)?.into_iter().map(|element| string(name, element)).collect()
}

fn string(name: &str, value: Unknown) -> Result<String, Error> {
    match type_of(&value) {
        ValueType::String => convert(name, value),
        other => Err(wrong_type(name, "a string", other)),
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
