//! Text that must not be seen: secrets, and what can hold the database's password.
#![forbid(unsafe_code)]

use std::ops::Deref;

use openssl::memcmp;
use zeroize::Zeroizing;

use crate::redacted::redacted;

/// Redacted in `Debug`, compared in constant time, wiped on drop. JavaScript keeps a text of its own,
/// which nobody can wipe.
#[derive(Clone, Default)]
pub struct Sensitive(Zeroizing<String>);

redacted!(Sensitive);

impl Deref for Sensitive {
    type Target = String;

    fn deref(&self) -> &String {
        &self.0
    }
}

impl From<String> for Sensitive {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

/// Only the length is not hidden.
impl PartialEq for Sensitive {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && memcmp::eq(self.as_bytes(), other.as_bytes())
    }
}

impl Eq for Sensitive {}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    fn sensitive(text: &str) -> Sensitive {
        text.to_owned().into()
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", sensitive("hunter2")), "Sensitive(..)");
    }

    #[test]
    fn equal_are_those_of_equal_text() {
        assert_eq!(sensitive("hunter2"), sensitive("hunter2"));
        for other in ["", "hunter", "hunter3", "Hunter2", "hunter22"] {
            assert_ne!(sensitive("hunter2"), sensitive(other), "{other}");
        }
    }

    /// That it does not compile with a text that stays in memory.
    #[test]
    fn the_text_is_wiped_on_drop() {
        fn is_wiped(_: &impl ZeroizeOnDrop) {}
        is_wiped(&sensitive("hunter2").0);
    }
}
