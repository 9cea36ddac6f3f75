//! The fields of the session object in their order, and where their values come from.
#![forbid(unsafe_code)]

use serde_json::value::RawValue;

use super::form::Form;
use super::read::{Claim, Claims, is_text};
use crate::schema::Schema;

/// A field of the documented object.
pub struct Field {
    pub name: &'static str,
    pub form: Form,
    source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Claim(Claim),
    /// The claim `image`, or else `picture`.
    Image,
    /// Of the identity, which was checked before.
    Tenant,
    /// A claim of the app, by its index.
    Extra(usize),
}

const LOGIN_METHOD: Field = Field::new(Claim::LoginMethod, Form::Text);
/// In their order; `id` stands before them.
const USER_FIELDS: [Field; 18] = [
    Field::new(Claim::Email, Form::TextOrEmpty),
    Field::new(Claim::Name, Form::TextOrEmpty),
    Field::new(Claim::Username, Form::TextOrEmpty),
    Field { source: Source::Image, ..Field::new(Claim::Image, Form::Text) },
    Field::new(Claim::ProToken, Form::Text),
    Field::new(Claim::TenantSlug, Form::Text),
    Field::new(Claim::Plan, Form::Text),
    Field { source: Source::Tenant, ..Field::new(Claim::Tenant, Form::Text) },
    Field::new(Claim::UserType, Form::OneOf(&["client", "internal"])),
    Field::new(Claim::ClientId, Form::Uuid),
    Field::new(Claim::ContactId, Form::Uuid),
    Field::new(Claim::Addons, Form::Texts),
    Field::new(Claim::TrialEnd, Form::TextOrNull),
    Field::new(Claim::SoloProTrialEnd, Form::TextOrNull),
    Field::new(Claim::PremiumTrialEnd, Form::TextOrNull),
    Field::new(Claim::PremiumTrialEffectiveDate, Form::TextOrNull),
    Field::new(Claim::PremiumTrialConfirmed, Form::Flag),
    Field::new(Claim::SubscriptionStatus, Form::OneOfOrNull(&["active", "trialing", "past_due", "unpaid"])),
];

impl Field {
    const fn new(claim: Claim, form: Form) -> Self {
        Self { name: claim.name(), form, source: Source::Claim(claim) }
    }

    /// The documented fields that the database may know better than the token.
    pub fn find(name: &str) -> Option<Self> {
        let fields = [LOGIN_METHOD].into_iter().chain(USER_FIELDS);
        fields.filter(|field| field.source != Source::Tenant).find(|field| field.name == name)
    }

    /// Whether the documented object, or what its fields fall back to, has this name.
    pub fn is_name(name: &str) -> bool {
        ["session_id", "id", "tenant", "user", "picture", "expires"].contains(&name) || Self::find(name).is_some()
    }
}

/// A field as it is written.
pub struct Member {
    /// The comma before it, and its name as JSON with the colon.
    pub key: String,
    pub form: Form,
    pub source: Source,
    /// The index among the fresh claims, if it is one.
    pub fresh: Option<usize>,
}

/// The members of the object of one configuration.
pub struct Shape {
    pub login_method: Member,
    /// Those of `user` after `id`.
    pub user: Vec<Member>,
    pub shows_expiry: bool,
}

impl Shape {
    pub fn new(schema: &Schema) -> Self {
        let member = |name: &str, form, source| Member {
            key: format!(",{}:", serde_json::Value::from(name)),
            form,
            source,
            fresh: schema.fresh_claims.iter().position(|claim| claim.name == name),
        };
        let documented = |field: Field| member(field.name, field.form, field.source);
        let has = |field: &Field| schema.is_multi_tenant || field.source != Source::Tenant;
        let of_app = schema.extra_claims.iter().enumerate();
        let of_app = of_app.map(|(index, name)| member(name, Form::Any, Source::Extra(index)));
        Self {
            login_method: documented(LOGIN_METHOD),
            user: USER_FIELDS.into_iter().filter(has).map(documented).chain(of_app).collect(),
            shows_expiry: schema.shows_expiry,
        }
    }
}

impl Source {
    /// The value in the token.
    pub fn value<'t>(self, claims: &Claims<'t>) -> Option<&'t RawValue> {
        match self {
            Self::Claim(claim) => claims.value(claim),
            // An image of another type is as an absent one.
            Self::Image => claims.value(Claim::Image).filter(|raw| is_text(raw)).or_else(|| Self::picture(claims)),
            Self::Tenant => claims.value(Claim::Tenant),
            Self::Extra(index) => claims.extra(index),
        }
    }

    /// What `image` falls back to.
    pub fn picture<'t>(claims: &Claims<'t>) -> Option<&'t RawValue> {
        claims.value(Claim::Picture)
    }
}
