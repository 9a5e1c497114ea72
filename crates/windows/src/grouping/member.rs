//! Members: the images that a grouping puts together.

use pdata::{Image, ImageKey};

/// An image that has samples in a window.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The image's identity.
    pub key: ImageKey,
    /// The image's description; `None` if nothing is known of it.
    pub image: Option<&'a Image>,
    /// The name of one of the image's threads, as [`Sample::thread_name`](pdata::Sample::thread_name) has it: the
    /// member's name if nothing is known of the image.
    pub thread_name: &'a str,
}
