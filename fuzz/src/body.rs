//! Checks a body against the README: a second implementation of the session object's schema.

use std::collections::VecDeque;

use serde_json::Value;

use crate::json::{Fields, without_lone_surrogates};
use crate::setup::{IdColumn, Setup, UserCheck, is_uuid};

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
    Any,
}

use Kind::{Any, Flag, OneOf, OneOfOrNull, Text, TextOrNull, Texts, User, Uuid};

/// Name, whether it is required, and type of a field.
type Field = (&'static str, bool, Kind);

/// After `id`, with tenants and a user type.
const USER: [Field; 18] = [
    ("email", true, Text),
    ("name", true, Text),
    ("username", true, Text),
    ("image", false, Text),
    ("proToken", false, Text),
    ("tenantSlug", false, Text),
    ("plan", false, Text),
    ("tenant", true, Text),
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
pub fn assert_session(body: &str, setup: &Setup) {
    let mut session =
        vec![("session_id", true, id(setup.ids.session_id)), ("login_method", false, Text), ("user", true, User)];
    session.extend(setup.expires.then_some(("expires", true, Text)));
    assert_object(&without_lone_surrogates(body, '\u{fffd}'), &session, setup);
}

fn user(setup: &Setup) -> Vec<Field> {
    let mut fields = vec![("id", true, id(setup.ids.user_id))];
    fields.extend(USER.into_iter().filter_map(|(name, is_required, kind)| match (name, setup.ids.tenant) {
        ("tenant", None) => None,
        ("tenant", Some(column)) => Some((name, true, id(column))),
        ("user_type", _) => Some((name, setup.user_check == UserCheck::Type, kind)),
        _ => Some((name, is_required, kind)),
    }));
    fields.extend(setup.extra_claims().into_iter().map(|name| (name, false, Any)));
    fields
}

fn id(column: IdColumn) -> Kind {
    if column == IdColumn::Uuid { Uuid } else { Text }
}

fn assert_object(json: &str, schema: &[Field], setup: &Setup) {
    let Fields(fields) = Fields::parse(json).unwrap_or_else(|| panic!("not an object: {json}"));
    let mut fields = VecDeque::from(fields);
    for (name, is_required, kind) in schema {
        match fields.pop_front_if(|(found, _)| found == name) {
            Some((_, value)) => assert_kind(name, value.get(), *kind, setup),
            None => assert!(!is_required, "{name} is missing or misplaced: {json}"),
        }
    }
    assert!(fields.is_empty(), "{} is unknown or misplaced: {json}", fields[0].0);
}

fn assert_kind(name: &str, json: &str, kind: Kind, setup: &Setup) {
    let value = || serde_json::from_str::<Value>(json).expect("JSON");
    let is_right = match kind {
        User => return assert_object(json, &user(setup), setup),
        Any => true,
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
