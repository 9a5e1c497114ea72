//! The interface of a source of attributes.

use std::fmt;
use std::sync::Arc;

use pdata::{Attribute, Image, Relatives};

/// The image that a source is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The image, with its context and parents.
    pub(crate) image: &'a Image,
    /// Parent, session, group and namespaces of the process, if they are known.
    pub(crate) relatives: Option<&'a Relatives>,
    /// Variables of the process's environment, as `KEY=VALUE` each ended by NUL.
    pub(crate) environment: &'a [u8],
    /// Attributes that the process has published of itself, if it has any.
    pub(crate) published: Option<&'a Arc<[Attribute]>>,
    /// Facts that the API server has of the process's pod and container, if they are known.
    pub(crate) pod: Option<&'a k8s::PodFacts>,
    /// Arguments of the process, each ended by NUL, the last possibly cut short.
    pub(crate) arguments: &'a [u8],
}

/// A source of attributes of images.
pub(super) trait Source: fmt::Debug + Send {
    /// The attributes that the source has of an image.
    fn describe(&mut self, subject: &Subject<'_>) -> Arc<[Attribute]>;
}
