//! Running extensions.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

/// A future of a component.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A running extension.
pub trait Extension: Any + Debug + Send + Sync {
    /// Ends the extension; done when its port or file is free again.
    fn stop(&self) -> BoxFuture<()> {
        Box::pin(async {})
    }
}
