//! Calls the user's `onCredentials` with renewed credentials.

use std::sync::Arc;

use futures::FutureExt;
use napi::Status;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::ThreadsafeFunction;

use super::runtime::lifetime;
use crate::credentials::Listener;

/// Weak: it must not keep the process alive. The pending renewal does that until the callback has been
/// called.
type Callback = ThreadsafeFunction<String, (), String, Status, false, true>;

/// Turns a JavaScript function, which must not throw, into a listener.
pub fn listener(function: Option<&Function<'_, String, ()>>) -> napi::Result<Option<Listener>> {
    let Some(function) = function else {
        return Ok(None);
    };
    let callback: Arc<Callback> = Arc::new(
        function
            .build_threadsafe_function::<String>()
            .callee_handled::<false>()
            .weak::<true>()
            .build_callback(|call| Ok(call.value))?,
    );
    let lifetime = lifetime();
    Ok(Some(Arc::new(move |text| {
        let (callback, lifetime) = (callback.clone(), lifetime.clone());
        async move {
            tokio::select! {
                biased;
                () = lifetime.cancelled() => {}
                // This fails while the environment shuts down; there's nobody left to notify then.
                _ = callback.call_async(text) => {}
            }
        }
        .boxed()
    })))
}
