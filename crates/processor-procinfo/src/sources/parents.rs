//! Attributes from the processes that an image descends from.

use std::sync::Arc;

use pdata::{Attribute, AttributeValue, Parent};

use super::names;
use super::source::{Source, Subject};

/// Name of a parent of which nothing is known.
const UNKNOWN: &str = "?";

/// The source of the parent's number, and of the names of the parents.
#[derive(Debug)]
pub(super) struct Parents {
    parent: bool,
    /// The most parents that are named; `None` if none are.
    ancestors: Option<usize>,
}

impl Parents {
    /// The source of the wanted attributes; `None` if none are wanted.
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
