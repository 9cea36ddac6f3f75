//! Text that must not be logged: secrets, and anything that can hold the database's password.
#![forbid(unsafe_code)]

use std::ops::Deref;

use openssl::memcmp;
use zeroize::Zeroizing;

use crate::redacted::redacted;

/// Redacted in `Debug`, compared in constant time, wiped on drop. JavaScript keeps its own copy, which can't be wiped.
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

/// Takes the same time for texts of the same length; only the length can be told from the time.
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
    fn values_are_equal_if_their_texts_are() {
        assert_eq!(sensitive("hunter2"), sensitive("hunter2"));
        for other in ["", "hunter", "hunter3", "Hunter2", "hunter22"] {
            assert_ne!(sensitive("hunter2"), sensitive(other), "{other}");
        }
    }

    /// Doesn't compile if the text is not wiped.
    #[test]
    fn the_text_is_wiped_on_drop() {
        fn is_wiped(_: &impl ZeroizeOnDrop) {}
        is_wiped(&sensitive("hunter2").0);
    }
}
