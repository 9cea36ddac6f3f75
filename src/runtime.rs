//! The thread that waits for databases. One is enough: nearly everything that takes CPU time is done on the calling thread. Only
//! tokens that are issued anew are made here, after the verdict.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use tokio::runtime::{Builder, Handle};

use crate::error::Error;

/// Starts with the first bridge, serves all bridges of the process, also those of worker threads, and runs until
/// the process ends.
static RUNTIME: LazyLock<Result<Handle, String>> = LazyLock::new(|| start().map_err(|cause| cause.to_string()));

/// In bytes. tokio-postgres asks a server about types from within one another, so that a hostile one decides how deep the stack
/// grows. `postgres::query::bounded` has the limit; this leaves room for it in a build with AddressSanitizer, too.
const STACK: usize = 8 * 1024 * 1024;

fn start() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let run = move || runtime.block_on(std::future::pending::<()>());
    std::thread::Builder::new().name("authjs-bridge".to_owned()).stack_size(STACK).spawn(run)?;
    Ok(handle)
}

pub fn handle() -> Result<&'static Handle, Error> {
    RUNTIME.as_ref().map_err(|cause| Error::Internal(format!("no thread could be started: {cause}")))
}
