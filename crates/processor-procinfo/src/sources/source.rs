//! The interface of a source of facts.

use std::fmt;
use std::sync::Arc;

use pdata::{Attribute, Image, Relatives};

/// The image that a source is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The image, with its context and parents.
    pub(crate) image: &'a Image,
    /// Where its process stands among others, if that is known.
    pub(crate) relatives: Option<&'a Relatives>,
    /// Variables of its environment, as `KEY=VALUE` each ended by NUL.
    pub(crate) environment: &'a [u8],
    /// What it has published of itself, if it has.
    pub(crate) published: Option<&'a Arc<[Attribute]>>,
    /// Its arguments, each ended by NUL, the last possibly cut short.
    pub(crate) arguments: &'a [u8],
}

/// Whoever knows something of images.
pub(super) trait Source: fmt::Debug + Send {
    /// The attributes that it has of one.
    fn describe(&mut self, subject: &Subject<'_>) -> Arc<[Attribute]>;
}
