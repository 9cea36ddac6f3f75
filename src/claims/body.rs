//! The session object as JSON text, with gaps for what the database knows better than the token.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::read::Claims;
use super::shape::{Member, Shape, Source};
use crate::iso8601;
use crate::redacted::redacted;
use crate::store::FreshValue;

/// The body for a request without a live session.
pub const UNAUTHENTICATED_BODY: &str = "{}";

/// Enough for most bodies, so the text rarely grows.
const USUAL_BYTES: usize = 1024;

/// Not wiped on drop, since JavaScript gets a copy.
pub struct Body {
    /// The object without its fresh claims.
    json: String,
    /// Mostly none.
    gaps: Vec<Gap>,
    shape: Arc<Shape>,
}

redacted!(Body);

/// Where a fresh claim goes.
struct Gap {
    /// The place in the text.
    at: usize,
    /// The index in [`Shape::user`]; `None` for `login_method`.
    member: Option<usize>,
    /// The index of the value.
    fresh: usize,
    /// What is written if the claim is absent, as JSON; `None` for what its form says.
    fallback: Option<String>,
}

impl Body {
    /// The whole object. `fresh` are the values of the fresh claims.
    pub fn render(self, fresh: Option<&[Option<FreshValue>]>) -> String {
        if self.gaps.is_empty() {
            return self.json;
        }
        let mut json = String::with_capacity(USUAL_BYTES.max(self.json.len()));
        let mut done = 0;
        for Gap { at, member, fresh: index, fallback } in &self.gaps {
            json.push_str(&self.json[done..*at]);
            done = *at;
            let member = member.map_or(&self.shape.login_method, |index| &self.shape.user[index]);
            // A claim that is null is as an absent one.
            let value = fresh.and_then(|values| values.get(*index)?.as_ref()).map(|FreshValue(value)| &**value);
            let value = value.filter(|value| value.get() != "null");
            match (member.form.json(value), fallback) {
                (None, Some(fallback)) => push(&mut json, member, fallback),
                (None, None) => {}
                (Some(value), _) => push(&mut json, member, &value),
            }
        }
        json.push_str(&self.json[done..]);
        json
    }
}

/// Writes the claims of a token.
pub(super) struct Writer<'w, 't> {
    pub(super) shape: &'w Arc<Shape>,
    pub(super) claims: &'w Claims<'t>,
    /// As JSON; `None` if there are no tenants.
    pub(super) tenant: Option<&'w str>,
}

impl Writer<'_, '_> {
    /// The ids are JSON.
    pub(super) fn write(&self, session_id: &str, user_id: &str) -> Body {
        let mut json = String::with_capacity(USUAL_BYTES);
        let mut gaps = Vec::new();
        json.push_str(r#"{"session_id":"#);
        json.push_str(session_id);
        self.member(&mut json, &mut gaps, &self.shape.login_method, None);
        json.push_str(r#","user":{"id":"#);
        json.push_str(user_id);
        for (index, member) in self.shape.user.iter().enumerate() {
            self.member(&mut json, &mut gaps, member, Some(index));
        }
        json.push('}');
        if self.shape.shows_expiry {
            let expires = iso8601::date_time(self.claims.exp);
            json.push_str(r#","expires":""#);
            json.push_str(expires.as_deref().unwrap_or(iso8601::LAST));
            json.push('"');
        }
        json.push('}');
        Body { json, gaps, shape: Arc::clone(self.shape) }
    }

    fn member(&self, json: &mut String, gaps: &mut Vec<Gap>, member: &Member, index: Option<usize>) {
        if member.source == Source::Tenant {
            return push(json, member, self.tenant.unwrap_or("null"));
        }
        let value = member.source.value(self.claims);
        let Some(fresh) = member.fresh else {
            if let Some(value) = member.form.json(value) {
                push(json, member, &value);
            }
            return;
        };
        let picture = if member.source == Source::Image { Source::picture(self.claims) } else { None };
        let fallback = picture.and_then(|picture| Some(member.form.json(Some(picture))?.into_owned()));
        gaps.push(Gap { at: json.len(), member: index, fresh, fallback });
    }
}

fn push(json: &mut String, member: &Member, value: &str) {
    json.push_str(&member.key);
    json.push_str(value);
}
