//! Claims that come from the database.
#![forbid(unsafe_code)]

use serde_json::value::RawValue;

use crate::redacted::redacted;

/// The value of a fresh claim as JSON.
#[derive(Clone)]
pub struct FreshValue(pub Box<RawValue>);

redacted!(FreshValue);

impl PartialEq for FreshValue {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for FreshValue {}
