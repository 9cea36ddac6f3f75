//! The claims that the app gives to `refreshSession` and `updateSession`: an object, or a function that makes one.

use napi::bindgen_prelude::{FromNapiValue, JsObjectValue, JsValue, Object, Unknown};
use napi::{Env, ValueType};

use super::callback::{Callback, Conversion};
use super::options::{type_of, wrong_argument};
use super::settle::{self, Json};
use crate::claims::ClaimChanges;
use crate::error::Error;

/// The claims that a call was given.
pub enum GivenClaims<'env> {
    None,
    Object(ClaimChanges),
    Function(Unknown<'env>),
}

/// Where the changed claims of the next token come from.
pub enum ClaimsSource {
    None,
    Given(ClaimChanges),
    /// Called with the session, when its token is issued anew.
    Function(Callback<Json>),
}

const CLAIMS: Conversion<ClaimChanges> = Conversion { value: object, failure: failed };

impl<'env> GivenClaims<'env> {
    /// The second argument of `refreshSession`.
    pub fn of_options(env: &Env, options: Unknown<'env>) -> Result<Self, Error> {
        let object = match type_of(&options) {
            ValueType::Undefined => return Ok(Self::None),
            ValueType::Object if !options.is_array().unwrap_or(false) => Object::from_unknown(options),
            other => return Err(wrong_argument("options", "an object with the key claims", other)),
        };
        let unreadable = || Error::argument("options", "can't be read");
        let object = object.map_err(|_| unreadable())?;
        let keys = settle::unless_thrown(env, Object::keys(&object)).ok_or_else(unreadable)?;
        if let Some(key) = keys.iter().find(|key| *key != "claims") {
            return Err(Error::argument(key.as_str(), "is not a key of these options; the key is claims"));
        }
        if keys.is_empty() {
            return Ok(Self::None);
        }
        let claims: Unknown = settle::unless_thrown(env, object.get_named_property("claims")).ok_or_else(unreadable)?;
        match type_of(&claims) {
            ValueType::Function => Ok(Self::Function(claims)),
            _ => self::object(env, claims).map(Self::Object),
        }
    }

    /// A function that another thread can call is expensive, so one is made only where a token may be issued.
    pub fn source(self) -> Result<ClaimsSource, Error> {
        match self {
            Self::None => Ok(ClaimsSource::None),
            Self::Object(changes) => Ok(ClaimsSource::Given(changes)),
            Self::Function(function) => Callback::new(function).map(ClaimsSource::Function),
        }
    }
}

impl Callback<Json> {
    /// What the function returns for the session, which is JSON; `None` if its environment has ended.
    pub async fn claims(&self, session: String) -> Option<Result<ClaimChanges, Error>> {
        self.call(Json(session), CLAIMS).await
    }
}

/// An object of claims.
pub fn object(env: &Env, value: Unknown) -> Result<ClaimChanges, Error> {
    ClaimChanges::parse(&json_object(env, "claims", "an object of claims", value)?)
}

/// The JSON of an object, of which nothing gets lost.
pub fn json_object(env: &Env, name: &str, expected: &str, value: Unknown) -> Result<String, Error> {
    match type_of(&value) {
        ValueType::Object if !value.is_array().unwrap_or(false) => {}
        ValueType::Object => return Err(Error::argument(name, format!("must be {expected}, not an array"))),
        other => return Err(wrong_argument(name, expected, other)),
    }
    let unreadable = || Error::argument(name, "can't be read as JSON");
    let object = Object::from_unknown(value).map_err(|_| unreadable())?;
    for key in settle::unless_thrown(env, Object::keys(&object)).ok_or_else(unreadable)? {
        let member: Unknown = settle::unless_thrown(env, object.get_named_property(&key)).ok_or_else(unreadable)?;
        // `JSON.stringify` would leave it out without a word.
        let lost = [ValueType::Undefined, ValueType::Function, ValueType::Symbol];
        if let Some(lost) = lost.into_iter().find(|lost| type_of(&member) == *lost) {
            let lost = format!("{lost:?}").to_lowercase();
            return Err(Error::argument(format!("{name}.{key}"), format!("is {lost}; null removes a claim")));
        }
    }
    settle::stringified(env, value).ok_or_else(unreadable)
}

fn failed(name: &str) -> Error {
    Error::argument("claims", format!("the function failed, and nothing was issued: {name}"))
}
