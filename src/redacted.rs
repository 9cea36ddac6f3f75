//! `Debug` for types whose values must never be logged: it shows only the name of the type.
#![forbid(unsafe_code)]

macro_rules! redacted {
    ($($type:ident $(<$lifetime:lifetime>)?),+ $(,)?) => {$(
        impl $(<$lifetime>)? std::fmt::Debug for $type $(<$lifetime>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(..)"))
            }
        }
    )+};
}

pub(crate) use redacted;
