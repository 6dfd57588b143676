//! A function of the user's that is told of renewed credentials.

use std::sync::Arc;

use futures::FutureExt;
use napi::Status;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::ThreadsafeFunction;

use super::runtime::lifetime;
use crate::credentials::Listener;

/// Weak: it must not keep the process alive. The renewal does, until the function was called.
type Told = ThreadsafeFunction<String, (), String, Status, false, true>;

/// Makes a listener of a function that does not throw.
pub fn listener(function: Option<&Function<'_, String, ()>>) -> napi::Result<Option<Listener>> {
    let Some(function) = function else {
        return Ok(None);
    };
    let told: Arc<Told> = Arc::new(
        function
            .build_threadsafe_function::<String>()
            .callee_handled::<false>()
            .weak::<true>()
            .build_callback(|call| Ok(call.value))?,
    );
    let lifetime = lifetime();
    Ok(Some(Arc::new(move |text| {
        let (told, lifetime) = (told.clone(), lifetime.clone());
        async move {
            tokio::select! {
                biased;
                () = lifetime.cancelled() => {}
                // It fails when the environment is going: then nobody is there to be told.
                _ = told.call_async(text) => {}
            }
        }
        .boxed()
    })))
}
