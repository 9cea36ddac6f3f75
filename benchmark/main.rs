//! The benchmarks that are written in Rust. One program, since to link each takes half a minute.
//!
//!   cargo run --release -p authjs-bridge-benchmark -- read|timing [option ...]

mod read;
mod timing;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("read") => read::main(),
        Some("timing") => timing::main(),
        _ => panic!("name a benchmark: read or timing"),
    }
}

/// The value of the option `name`.
fn argument(name: &str) -> Option<String> {
    std::env::args().find_map(|argument| Some(argument.strip_prefix(&format!("--{name}="))?.to_owned()))
}
