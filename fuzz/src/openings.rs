//! Tokens, and keys that may open them.

use arbitrary::Arbitrary;
use authjs_bridge::token;

use crate::allocations::Budget;
use crate::tokens::{Maker, Name, Recipe, Seal, keyring, may_count, seal_unpadded};

/// The ciphertext, decoded, and the plaintext are less than twice the token. A header of 2 KiB can be a
/// list of 750 JSON values, of 32 bytes each, that grows by doubling.
const BUDGET: Budget = Budget { base: 128 * 1024, multiple: 2 };

const BLOCK_BYTES: usize = 16;
const PLAINTEXT: &[u8] = br#"{"exp":1800000060}"#;

#[derive(Arbitrary, Debug)]
pub enum Opening<'a> {
    /// Sealed by nobody.
    Text {
        name: Name,
        token: &'a str,
    },
    Recipe {
        name: Name,
        recipe: Recipe,
        plaintext: &'a [u8],
    },
    /// Sealed, whatever the header says.
    Header {
        seal: Seal,
        header: &'a str,
    },
    /// Sealed with CBC and a right tag, but padded by nobody.
    Padding {
        maker: Maker,
        padded: &'a [u8],
    },
}

impl Opening<'_> {
    pub fn assert(&self) {
        match self {
            Self::Text { name, token } => assert!(open(token, *name).is_none(), "{token}"),
            Self::Recipe { name, recipe, plaintext } => {
                let token = recipe.make(plaintext);
                let expected = token.opens_as(*name).then_some(*plaintext);
                assert_eq!(open(&token.text, *name).as_deref(), expected, "{token:?}");
            }
            Self::Header { seal, header } => {
                let opened = open(&seal.seal(header, PLAINTEXT).to_token(), seal.name);
                assert!(opened.is_none() || may_count(header, *seal), "{header}");
            }
            Self::Padding { maker, padded } => {
                let (blocks, _) = padded.as_chunks::<BLOCK_BYTES>();
                let padded = blocks.as_flattened();
                let token = seal_unpadded(*maker, padded);
                let expected = unpad(padded).filter(|_| *maker != Maker::Stranger);
                assert_eq!(open(&token, Name::Plain).as_deref(), expected, "{token}");
            }
        }
    }
}

fn open(token: &str, name: Name) -> Option<Vec<u8>> {
    BUDGET.assert(token.len(), || token::open(token, keyring(name)).ok())
}

/// PKCS #7 (RFC 5652 section 6.3).
fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let count = *padded.last()?;
    let (plaintext, padding) = padded.split_at_checked(padded.len().checked_sub(count.into())?)?;
    let is_padding = (1..=BLOCK_BYTES).contains(&padding.len()) && padding.iter().all(|byte| *byte == count);
    is_padding.then_some(plaintext)
}
