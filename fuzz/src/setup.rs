//! The options about tables and claims, as a part of the input.

use arbitrary::Arbitrary;
use authjs_bridge::config::Options;
use authjs_bridge::schema::{IdType, IdTypes, Schema};

const EXTRA_CLAIMS: [&str; 4] = ["role", "limits", "7", "\u{e9} \"\\\n"];
const FRESH_CLAIMS: [&str; 16] = [
    "login_method",
    "email",
    "name",
    "image",
    "plan",
    "clientId",
    "addons",
    "trial_end",
    "premium_trial_confirmed",
    "subscription_status",
    "user_type",
    "role",
    "limits",
    "7",
    "proToken",
    "contactId",
];

#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Setup {
    pub ids: Ids,
    pub user_check: UserCheck,
    /// A bit for each of [`EXTRA_CLAIMS`].
    extra_claims: u8,
    /// A bit for each of [`FRESH_CLAIMS`].
    fresh_claims: u16,
    pub expires: bool,
}

/// The columns that ids are compared with.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Ids {
    /// `None` if there are no tenants.
    pub tenant: Option<IdColumn>,
    pub session_id: IdColumn,
    pub user_id: IdColumn,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdColumn {
    Uuid,
    Integer,
    Text,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserCheck {
    Type,
    Exists,
    None,
}

impl Setup {
    pub fn schema(&self) -> Schema {
        let owned = |names: Vec<&str>| {
            Some(names.into_iter().map(str::to_owned).collect()).filter(|names: &Vec<_>| !names.is_empty())
        };
        let user_check = match self.user_check {
            UserCheck::Type => "type",
            UserCheck::Exists => "exists",
            UserCheck::None => "none",
        };
        let options = Options {
            multi_tenant: Some(self.ids.tenant.is_some()),
            user_check: Some(user_check.to_owned()),
            extra_claims: owned(self.extra_claims()),
            fresh_claims: owned(self.fresh_claims()),
            expires: Some(self.expires),
            ..Options::default()
        };
        options.check().expect("options that fit together").schema
    }

    pub fn extra_claims(&self) -> Vec<&'static str> {
        let is_set = |bit: &(u8, &str)| self.extra_claims >> bit.0 & 1 == 1;
        (0..).zip(EXTRA_CLAIMS).filter(is_set).map(|(_, name)| name).collect()
    }

    /// Without those that can't be fresh beside the other options.
    pub fn fresh_claims(&self) -> Vec<&'static str> {
        let extra = self.extra_claims();
        let may_be = |name: &str| match self.user_check {
            UserCheck::None => false,
            UserCheck::Type if name == "user_type" => false,
            UserCheck::Type | UserCheck::Exists => !EXTRA_CLAIMS.contains(&name) || extra.contains(&name),
        };
        let is_set = |bit: &(u8, &str)| self.fresh_claims >> bit.0 & 1 == 1 && may_be(bit.1);
        (0..).zip(FRESH_CLAIMS).filter(is_set).map(|(_, name)| name).collect()
    }
}

impl Ids {
    /// What is read before the types of the columns are known.
    pub fn unknown(self) -> Self {
        Self { tenant: self.tenant.map(|_| IdColumn::Text), session_id: IdColumn::Text, user_id: IdColumn::Text }
    }

    pub fn types(self) -> IdTypes {
        let of = |column| match column {
            IdColumn::Uuid => IdType::Uuid,
            IdColumn::Integer => IdType::Integer,
            IdColumn::Text => IdType::Text,
        };
        IdTypes { tenant: self.tenant.map(of), session_id: of(self.session_id), user_id: of(self.user_id) }
    }
}

impl IdColumn {
    /// The id as the column has it; `None` if it can't hold it.
    pub fn hold(self, text: &str) -> Option<String> {
        match self {
            Self::Uuid => is_uuid(text).then(|| text.to_ascii_lowercase()),
            Self::Integer => is_integer(text).then(|| text.to_owned()),
            Self::Text => (!text.is_empty() && text.len() <= 1024 && !text.contains('\0')).then(|| text.to_owned()),
        }
    }
}

/// As PostgreSQL writes an `int8`.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits == "0" && text == digits || digits.starts_with(|first: char| matches!(first, '1'..='9'));
    is_plain && digits.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_ok()
}

/// RFC 9562 section 4: hexadecimal digits in groups of 8, 4, 4, 4 and 12.
pub fn is_uuid(text: &str) -> bool {
    let groups = text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    groups && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
