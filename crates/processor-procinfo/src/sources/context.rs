//! Attributes from the context that a program publishes of itself while it runs.

use std::sync::Arc;

use pdata::Attribute;

use super::source::{Source, Subject};

/// The source of attributes from contexts that programs publish in their memory.
#[derive(Debug)]
pub(super) struct FromContext;

impl Source for FromContext {
    fn describe(&mut self, subject: &Subject<'_>) -> Arc<[Attribute]> {
        subject.published.cloned().unwrap_or_default()
    }
}
