//! The function of the option `password`.

use futures_util::future::BoxFuture;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use super::callback::{Callback, Conversion};
use super::settle;
use crate::config::PasswordSource;
use crate::error::Error;
use crate::sensitive::Sensitive;

pub struct PasswordFunction(Callback<()>);

const PASSWORD: Conversion<Sensitive> = Conversion { value: text, failure: failed };

impl PasswordFunction {
    pub fn new(value: Unknown) -> Result<Self, Error> {
        Callback::new(value).map(Self)
    }
}

impl PasswordSource for PasswordFunction {
    fn password(&self) -> BoxFuture<'static, Option<Result<Sensitive, Error>>> {
        self.0.call((), PASSWORD)
    }
}

fn text(env: &Env, value: Unknown) -> Result<Sensitive, Error> {
    let text = settle::text(env, &value, None).map(Sensitive::from);
    text.ok_or_else(|| Error::config("password", "must return a string, or a promise of one"))
}

fn failed(cause: &str) -> Error {
    Error::Connect(format!("the function of the option password failed: {cause}"))
}
