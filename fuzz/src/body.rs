//! Checks a body against the README: a second implementation of the session object's schema.

use std::collections::VecDeque;

use serde_json::Value;

use crate::json::{Fields, without_lone_surrogates};

/// The type of a field's value.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    TextOrNull,
    Uuid,
    Flag,
    Texts,
    OneOf(&'static [&'static str]),
    OneOfOrNull(&'static [&'static str]),
    User,
}

use Kind::{Flag, OneOf, OneOfOrNull, Text, TextOrNull, Texts, User, Uuid};

/// Name, whether it is required, and type of each field, in order.
type Schema = &'static [(&'static str, bool, Kind)];

const SESSION: Schema = &[("session_id", true, Uuid), ("login_method", false, Text), ("user", true, User)];

const USER: Schema = &[
    ("id", true, Uuid),
    ("email", true, Text),
    ("name", true, Text),
    ("username", true, Text),
    ("image", false, Text),
    ("proToken", false, Text),
    ("tenantSlug", false, Text),
    ("plan", false, Text),
    ("tenant", true, Uuid),
    ("user_type", true, OneOf(&["client", "internal"])),
    ("clientId", false, Uuid),
    ("contactId", false, Uuid),
    ("addons", true, Texts),
    ("trial_end", true, TextOrNull),
    ("solo_pro_trial_end", true, TextOrNull),
    ("premium_trial_end", true, TextOrNull),
    ("premium_trial_effective_date", true, TextOrNull),
    ("premium_trial_confirmed", true, Flag),
    ("subscription_status", true, OneOfOrNull(&["active", "trialing", "past_due", "unpaid"])),
];

/// Panics unless `body` is a session object.
pub fn assert_session(body: &str) {
    assert_object(&without_lone_surrogates(body), SESSION);
}

fn assert_object(json: &str, schema: Schema) {
    let Fields(fields) = Fields::parse(json).unwrap_or_else(|| panic!("not an object: {json}"));
    let mut fields = VecDeque::from(fields);
    for (name, is_required, kind) in schema {
        match fields.pop_front_if(|(found, _)| found == name) {
            Some((_, value)) => assert_kind(name, value.get(), *kind),
            None => assert!(!is_required, "{name} is missing or misplaced: {json}"),
        }
    }
    assert!(fields.is_empty(), "{} is unknown or misplaced: {json}", fields[0].0);
}

fn assert_kind(name: &str, json: &str, kind: Kind) {
    let value = || serde_json::from_str::<Value>(json).expect("JSON");
    let is_right = match kind {
        User => return assert_object(json, USER),
        Text => value().is_string(),
        TextOrNull => value().is_string() || value().is_null(),
        Uuid => value().as_str().is_some_and(is_uuid),
        Flag => value().is_boolean(),
        Texts => value().as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        OneOf(choices) => is_one_of(&value(), choices),
        OneOfOrNull(choices) => is_one_of(&value(), choices) || value().is_null(),
    };
    assert!(is_right, "{name} can't be {json}");
}

fn is_one_of(value: &Value, choices: &[&str]) -> bool {
    value.as_str().is_some_and(|text| choices.contains(&text))
}

/// RFC 9562 section 4: hexadecimal digits in groups of 8, 4, 4, 4 and 12.
pub fn is_uuid(text: &str) -> bool {
    let groups = text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    groups && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
