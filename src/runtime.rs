//! The thread that waits for databases. One is enough: everything that takes CPU time is done on the calling
//! thread.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use tokio::runtime::{Builder, Handle};

use crate::error::Error;

/// Starts with the first bridge, serves all bridges of the process, also those of worker threads, and runs until
/// the process ends.
static RUNTIME: LazyLock<Result<Handle, String>> = LazyLock::new(|| start().map_err(|cause| cause.to_string()));

fn start() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let run = move || runtime.block_on(std::future::pending::<()>());
    std::thread::Builder::new().name("authjs-bridge".to_owned()).spawn(run)?;
    Ok(handle)
}

pub fn handle() -> Result<&'static Handle, Error> {
    RUNTIME.as_ref().map_err(|cause| Error::Internal(format!("no thread could be started: {cause}")))
}
