//! Tokens to open, each with the expected result.

use arbitrary::Arbitrary;
use authjs_bridge::token;

use crate::allocations::Budget;
use crate::tokens::{Name, Recipe, Seal, TestSecret, keyring, may_be_accepted, seal_unpadded};

/// The decoded ciphertext and the plaintext together are less than twice the token. A header of 2 KiB can
/// hold a list of 750 JSON values of 32 bytes each, which grows by doubling.
const BUDGET: Budget = Budget { base: 128 * 1024, multiple: 2 };

const BLOCK_BYTES: usize = 16;
const PLAINTEXT: &[u8] = br#"{"exp":1800000060}"#;

#[derive(Arbitrary, Debug)]
pub enum TokenCase<'a> {
    /// Any text. It must not open.
    Text {
        name: Name,
        token: &'a str,
    },
    Recipe {
        name: Name,
        recipe: Recipe,
        plaintext: &'a [u8],
    },
    /// Any header, with a right tag.
    Header {
        seal: Seal,
        header: &'a str,
    },
    /// CBC with any padding, and a right tag.
    Padding {
        secret: TestSecret,
        padded: &'a [u8],
    },
}

impl TokenCase<'_> {
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
                assert!(opened.is_none() || may_be_accepted(header, *seal), "{header}");
            }
            Self::Padding { secret, padded } => {
                let (blocks, _) = padded.as_chunks::<BLOCK_BYTES>();
                let padded = blocks.as_flattened();
                let token = seal_unpadded(*secret, padded);
                let expected = unpad(padded).filter(|_| *secret != TestSecret::Unconfigured);
                assert_eq!(open(&token, Name::Plain).as_deref(), expected, "{token}");
            }
        }
    }
}

fn open(token: &str, name: Name) -> Option<Vec<u8>> {
    BUDGET.assert(token.len(), || token::open(token, keyring(name)).ok()).map(|opened| opened.plaintext)
}

/// PKCS #7 (RFC 5652 section 6.3).
fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let count = *padded.last()?;
    let (plaintext, padding) = padded.split_at_checked(padded.len().checked_sub(count.into())?)?;
    let is_padding = (1..=BLOCK_BYTES).contains(&padding.len()) && padding.iter().all(|byte| *byte == count);
    is_padding.then_some(plaintext)
}
