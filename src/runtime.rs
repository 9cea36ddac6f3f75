//! The one thread that waits for databases. It has little to do: all that costs time is done on the
//! calling thread.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::Error;

/// Starts with the first bridge, serves all of them in all worker threads, and ends with the
/// process.
static RUNTIME: LazyLock<Result<Runtime, String>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("authjs-bridge")
        .enable_all()
        .build()
        .map_err(|cause| cause.to_string())
});

pub fn handle() -> Result<&'static Handle, Error> {
    match &*RUNTIME {
        Ok(runtime) => Ok(runtime.handle()),
        Err(cause) => Err(Error::Internal(format!("no thread could be started: {cause}"))),
    }
}
