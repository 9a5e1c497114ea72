//! The process that components run in.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use componentstatus::Board;
use stack_quality::QualityBoard;

use super::extension::Extension;
use super::id::ComponentId;
use super::sampling::Sampling;

/// The process that components run in, and its services for them, the Collector's `component.Host`. A process has one,
/// which outlives all that a reload replaces.
#[derive(Debug, Default)]
pub struct Host {
    /// The state of all stages, for extensions that show or judge it.
    pub board: Arc<Board>,
    /// The quality of stacks, pipeline by pipeline; for extensions that show it.
    pub stacks: Arc<QualityBoard>,
    /// The receivers whose rate can be changed.
    pub sampling: Arc<Sampling>,
    extensions: Mutex<BTreeMap<ComponentId, Arc<dyn Extension>>>,
    opened: Mutex<BTreeSet<String>>,
}

impl Host {
    /// The running extension with this id, if it is of type `E`.
    pub fn extension<E: Extension>(&self, id: &ComponentId) -> Option<Arc<E>> {
        let extension: Arc<dyn Any + Send + Sync> = lock(&self.extensions).get(id)?.clone();
        extension.downcast().ok()
    }

    /// Notes that `name` is about to be opened; true if it is for the first time in this process.
    ///
    /// A component that replaces a predecessor must not truncate the file that the predecessor has written.
    pub fn opens_first(&self, name: &str) -> bool {
        lock(&self.opened).insert(name.to_owned())
    }

    /// Ids of the running extensions.
    #[must_use]
    pub fn extensions(&self) -> Vec<String> {
        lock(&self.extensions).keys().map(ToString::to_string).collect()
    }

    /// Adds a running extension.
    pub fn add(&self, id: ComponentId, extension: Arc<dyn Extension>) {
        lock(&self.extensions).insert(id, extension);
    }

    /// Removes an extension, and returns it.
    pub fn remove(&self, id: &ComponentId) -> Option<Arc<dyn Extension>> {
        lock(&self.extensions).remove(id)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Single insertions and removals leave nothing half done.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
