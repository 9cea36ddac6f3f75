//! JavaScript values -> [`Options`] and the cookie header, with errors that name the wrong option.

use std::sync::Arc;

use napi::bindgen_prelude::{FromNapiValue, JsObjectValue, JsValue, Object, Unknown};
use napi::{Env, ValueType};

use super::password::PasswordFunction;
use super::settle;
use crate::config::{CookieAttributes, CookieOption, LimitOptions, Options, Password, TableOptions};
use crate::error::Error;
use crate::postgres::SharedPostgres;
use crate::sensitive::Sensitive;

/// Parses the argument of `new AuthBridge(options)`, and checks it without the environment that may complete it.
pub fn parse(value: Unknown) -> Result<Options, Error> {
    if type_of(&value) == ValueType::Undefined {
        return Ok(Options::default());
    }
    let mut reader = Reader::new("options", "an object", "", value)?;
    let options = Options {
        are_in_variable: false,
        secret: reader.take("secret", |name, value| list(name, value, sensitive))?,
        cookie_name: reader.take("cookieName", |name, value| list(name, value, cookie))?,
        secure_cookie: reader.take("secureCookie", boolean)?,
        database_url: reader.take("databaseUrl", sensitive)?,
        password: reader.take("password", password)?,
        tls_ca: reader.take("tls", tls)?,
        prepared_statements: reader.take("preparedStatements", boolean)?,
        sharded: reader.take("sharded", boolean)?,
        ignore_expires_at: reader.take("ignoreExpiresAt", boolean)?,
        tables: reader.take("tables", tables)?,
        multi_tenant: reader.take("multiTenant", boolean)?,
        user_check: reader.take("userCheck", string)?,
        extra_claims: reader.take("extraClaims", strings)?,
        fresh_claims: reader.take("freshClaims", strings)?,
        expires: reader.take("expires", boolean)?,
        max_age: reader.take("maxAge", number)?,
        absolute_max_age: reader.take("absoluteMaxAge", number)?,
        update_age: reader.take("updateAge", number)?,
        cookie: reader.take("cookie", cookie_attributes)?,
        migrate_cookies: reader.take("migrateCookies", boolean)?,
        limits: LimitOptions {
            connect_timeout: reader.take("connectTimeout", number)?,
            query_timeout: reader.take("queryTimeout", number)?,
            call_timeout: reader.take("callTimeout", number)?,
            max_connections: reader.take("maxConnections", number)?,
            max_lifetime: reader.take("maxLifetime", number)?,
            idle_timeout: reader.take("idleTimeout", number)?,
            max_waiting: reader.take("maxWaiting", number)?,
            max_staleness: reader.take("maxStaleness", number)?,
            max_cached: reader.take("maxCached", number)?,
        },
        listen: reader.take("listen", boolean)?,
        listen_url: reader.take("listenUrl", sensitive)?,
    };
    reader.finish()?;
    SharedPostgres::check(&options.check()?)?;
    Ok(options)
}

/// Parses the argument of `getSession`; null and undefined become the empty string. A header of more than `max` bytes
/// may be truncated, but still has more than `max` bytes then.
pub fn cookie_header(env: &Env, value: Unknown, max: Option<usize>) -> Result<String, Error> {
    if let Some(header) = settle::text(env, &value, max) {
        return Ok(header);
    }
    match type_of(&value) {
        ValueType::Undefined | ValueType::Null => Ok(String::new()),
        ValueType::String => Err(Error::argument("cookieHeader", "can't be read")),
        other => {
            let expected = "the value of the Cookie header: a string, null or undefined";
            Err(wrong_argument("cookieHeader", expected, other))
        }
    }
}

/// A single item is read as a list of one.
fn list<T>(name: &str, value: Unknown, item: fn(&str, Unknown) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    if !value.is_array().unwrap_or(false) {
        return Ok(vec![item(name, value)?]);
    }
    convert::<Vec<Unknown>>(name, value)?.into_iter().map(|value| item(name, value)).collect()
}

/// A name, or an object with a name and its issuer.
fn cookie(name: &str, value: Unknown) -> Result<CookieOption, Error> {
    if type_of(&value) != ValueType::Object {
        return Ok(CookieOption { name: string(name, value)?, issuer: None });
    }
    let mut reader = Reader::new(name, "an object", "cookieName.", value)?;
    let cookie =
        CookieOption { name: reader.take("name", string)?.unwrap_or_default(), issuer: reader.take("issuer", string)? };
    reader.finish()?;
    Ok(cookie)
}

/// The attributes of the cookies that are set.
fn cookie_attributes(name: &str, value: Unknown) -> Result<CookieAttributes, Error> {
    let expected = "an object with the keys domain, path, sameSite, secure and partitioned";
    let mut reader = Reader::new(name, expected, "cookie.", value)?;
    let attributes = CookieAttributes {
        domain: reader.take("domain", string)?,
        path: reader.take("path", string)?,
        same_site: reader.take("sameSite", string)?,
        secure: reader.take("secure", boolean)?,
        partitioned: reader.take("partitioned", boolean)?,
    };
    reader.finish()?;
    if attributes == CookieAttributes::default() {
        return Err(Error::config(name, "is empty; give it a key, or leave it out"));
    }
    Ok(attributes)
}

/// A text, or a function that gives it.
fn password(name: &str, value: Unknown) -> Result<Password, Error> {
    match type_of(&value) {
        ValueType::String => sensitive(name, value).map(Password::Text),
        ValueType::Function => Ok(Password::Function(Arc::new(PasswordFunction::new(value)?))),
        other => Err(wrong_type(name, "a string, or a function that returns one", other)),
    }
}

/// The certificates of `tls.ca`.
fn tls(name: &str, value: Unknown) -> Result<Vec<String>, Error> {
    let mut reader = Reader::new(name, "an object with the key ca", "tls.", value)?;
    let ca = reader.take("ca", |name, value| list(name, value, string))?;
    reader.finish()?;
    ca.ok_or_else(|| Error::config(name, "is empty; give it the key ca, or leave it out"))
}

/// The names of the tables.
fn tables(name: &str, value: Unknown) -> Result<TableOptions, Error> {
    let mut reader = Reader::new(name, "an object with the keys sessions and users", "tables.", value)?;
    let tables = TableOptions { sessions: reader.take("sessions", string)?, users: reader.take("users", string)? };
    reader.finish()?;
    if tables.sessions.is_none() && tables.users.is_none() {
        return Err(Error::config(name, "is empty; give it the key sessions or users, or leave it out"));
    }
    Ok(tables)
}

/// A list of names.
fn strings(name: &str, value: Unknown) -> Result<Vec<String>, Error> {
    if !value.is_array().unwrap_or(false) {
        return Err(wrong_type(name, "a list of names", type_of(&value)));
    }
    list(name, value, string)
}

/// Reads an object of options key by key, and reports unknown keys.
pub(super) struct Reader<'env> {
    /// Precedes a key in messages: `tls.` for `tls.ca`.
    prefix: &'static str,
    /// The own properties of the object that are not read yet.
    left: Vec<(String, Unknown<'env>)>,
    /// The keys that were asked for.
    known: Vec<&'static str>,
}

impl<'env> Reader<'env> {
    pub(super) fn new(name: &str, expected: &str, prefix: &'static str, value: Unknown<'env>) -> Result<Self, Error> {
        match type_of(&value) {
            ValueType::Object if !value.is_array().unwrap_or(false) => {}
            ValueType::Object => return Err(Error::config(name, format!("must be {expected}, not an array"))),
            other => return Err(wrong_type(name, expected, other)),
        }
        let object = convert::<Object>(name, value)?;
        let mut left = Vec::new();
        for key in Object::keys(&object).map_err(|_| unreadable(name))? {
            if !object.has_own_property(&key).map_err(|_| unreadable(&key))? {
                continue;
            }
            let value: Unknown = object.get_named_property(&key).map_err(|_| unreadable(&key))?;
            left.push((key, value));
        }
        Ok(Self { prefix, left, known: Vec::new() })
    }

    /// Of no object: no key is there.
    pub(super) fn empty() -> Self {
        Self { prefix: "", left: Vec::new(), known: Vec::new() }
    }

    /// Reads and removes `key`; `None` if it is absent. `read` gets the key with its prefix, for its messages.
    ///
    /// # Errors
    /// If `key` is there without a value. Most likely a variable is not set that the developer relies on, such as in
    /// `tls: { ca: process.env.DATABASE_CA }`; the default would be used in its place, silently.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str, Unknown<'env>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.known.push(key);
        let Some(place) = self.left.iter().position(|(known, _)| known == key) else {
            return Ok(None);
        };
        let (key, value) = self.left.remove(place);
        let name = format!("{}{key}", self.prefix);
        match type_of(&value) {
            ValueType::Undefined => Err(empty(name, "undefined")),
            ValueType::Null => Err(empty(name, "null")),
            _ => read(&name, value).map(Some),
        }
    }

    /// # Errors
    /// If a key is left: names it, and the known keys.
    pub(super) fn finish(self) -> Result<(), Error> {
        let Some((key, _)) = self.left.first() else {
            return Ok(());
        };
        let known = match &self.known[..] {
            [others @ .., last] if !others.is_empty() => format!("s are {} and {last}", others.join(", ")),
            known => format!(" is {}", known.join("")),
        };
        Err(Error::config(format!("{}{key}", self.prefix), format!("is not an option; the option{known}")))
    }
}

pub(super) fn string(name: &str, value: Unknown) -> Result<String, Error> {
    match type_of(&value) {
        ValueType::String => convert(name, value),
        other => Err(wrong_type(name, "a string", other)),
    }
}

fn sensitive(name: &str, value: Unknown) -> Result<Sensitive, Error> {
    string(name, value).map(Sensitive::from)
}

pub(super) fn number(name: &str, value: Unknown) -> Result<f64, Error> {
    match type_of(&value) {
        ValueType::Number => convert(name, value),
        other => Err(wrong_type(name, "a number", other)),
    }
}

pub(super) fn boolean(name: &str, value: Unknown) -> Result<bool, Error> {
    match type_of(&value) {
        ValueType::Boolean => convert(name, value),
        other => Err(wrong_type(name, "true or false", other)),
    }
}

pub(super) fn type_of(value: &Unknown) -> ValueType {
    value.get_type().unwrap_or(ValueType::Unknown)
}

fn convert<'env, T: FromNapiValue>(name: &str, value: Unknown<'env>) -> Result<T, Error> {
    T::from_unknown(value).map_err(|_| unreadable(name))
}

fn empty(name: String, value: &str) -> Error {
    Error::config(name, format!("is {value}; give it a value, or leave it out"))
}

fn unreadable(name: &str) -> Error {
    Error::config(name, "can't be read")
}

pub(super) fn wrong_argument(name: &str, expected: &str, actual: ValueType) -> Error {
    let actual = format!("{actual:?}").to_lowercase();
    Error::argument(name, format!("must be {expected}, not {actual}"))
}

pub(super) fn wrong_type(name: &str, expected: &str, actual: ValueType) -> Error {
    let actual = format!("{actual:?}").to_lowercase();
    Error::config(name, format!("must be {expected}, not {actual}"))
}
