//! From the processes that an image descends from.

use std::sync::Arc;

use pdata::{Attribute, AttributeValue, Parent};

use super::names;
use super::source::{Source, Subject};

/// What the name of a parent is that nothing is known of.
const UNKNOWN: &str = "?";

/// The parent, and the names of those above it.
#[derive(Debug)]
pub(super) struct Parents {
    parent: bool,
    /// How many are named.
    ancestors: Option<usize>,
}

impl Parents {
    /// The source, with what is wanted of it; `None` if that is nothing.
    pub(super) fn new(parent: bool, ancestors: Option<usize>) -> Option<Self> {
        (parent || ancestors.is_some()).then_some(Self { parent, ancestors })
    }
}

impl Source for Parents {
    fn describe(&mut self, subject: &Subject<'_>) -> Arc<[Attribute]> {
        let parents = &subject.image.parents;
        let Some(nearest) = parents.first() else { return Arc::default() };
        let parent = Attribute::int(names::PARENT_PID, nearest.process.pid.0.into());
        let named = self.ancestors.map(|most| Attribute {
            key: names::ANCESTORS.into(),
            value: AttributeValue::Texts(parents.iter().take(most).map(name).collect()),
        });
        self.parent.then_some(parent).into_iter().chain(named).collect()
    }
}

fn name(parent: &Parent) -> Arc<str> {
    parent.kind.as_ref().map_or(UNKNOWN.into(), |kind| kind.name().into())
}
