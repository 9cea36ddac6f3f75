//! The option `password`: a text, or a function of the app that gives one for each new connection, such as a token that
//! expires.
#![forbid(unsafe_code)]

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::Error;
use crate::redacted::redacted;
use crate::sensitive::Sensitive;

#[derive(Clone)]
pub enum Password {
    Text(Sensitive),
    Function(Arc<dyn PasswordSource>),
}

redacted!(Password);

pub trait PasswordSource: Send + Sync {
    /// The password of a new connection. `None` if the thread that the source belongs to has ended.
    fn password(&self) -> BoxFuture<'static, Option<Result<Sensitive, Error>>>;
}

/// All functions are equal: each load of a module makes a new one, and bridges with the same options share connections.
impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(text), Self::Text(other)) => text == other,
            (Self::Function(_), Self::Function(_)) => true,
            _ => false,
        }
    }
}

impl Eq for Password {}
