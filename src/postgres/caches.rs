//! All caches of the process. What one bridge ends is forgotten by all of them, also by those of other databases: to forget too much
//! is harmless.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::store::SessionCache;

static CACHES: Mutex<Vec<Weak<SessionCache>>> = Mutex::new(Vec::new());

pub(super) fn add_cache(cache: &Arc<SessionCache>) {
    CACHES.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(cache));
}

pub(super) fn each_cache(act: impl Fn(&SessionCache)) {
    let mut caches = CACHES.lock().unwrap_or_else(PoisonError::into_inner);
    caches.retain(|cache| cache.upgrade().inspect(|cache| act(cache)).is_some());
}
