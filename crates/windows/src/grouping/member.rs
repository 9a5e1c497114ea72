//! What is put together.

use pdata::{Image, ImageKey};

/// An image that has samples in a window.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Which image it is.
    pub key: ImageKey,
    /// What is known of it; `None` if nothing is.
    pub image: Option<&'a Image>,
    /// The name of a thread of it, as [`Sample::thread_name`](pdata::Sample::thread_name) has it: what it goes by if
    /// nothing is known of it.
    pub thread_name: &'a str,
}
