//! Attributes from the control group: container, pod, unit.

use std::path::Path;
use std::sync::Arc;

use pdata::{Attribute, Cgroup, CgroupId};
use procfs::Residence;
use rustc_hash::FxHashMap;

use super::names;
use super::source::{Source, Subject};

/// The most control groups whose attributes are remembered; past it all are forgotten, and made again as they are met.
const MAX_REMEMBERED: usize = 4096;

/// Attributes of control groups, which all images in one share.
#[derive(Debug)]
pub(super) struct FromResidence {
    container: bool,
    unit: bool,
    path: bool,
    remembered: FxHashMap<CgroupId, Arc<[Attribute]>>,
}

impl FromResidence {
    /// The source of the wanted attributes; `None` if none are wanted.
    pub(super) fn new(container: bool, unit: bool, path: bool) -> Option<Self> {
        (container || unit || path).then(|| Self { container, unit, path, remembered: FxHashMap::default() })
    }

    fn read(&self, cgroup: &Cgroup) -> Arc<[Attribute]> {
        // A path without its beginning may mean anything.
        if cgroup.truncated {
            return Arc::default();
        }
        let found = Residence::of_either(&cgroup.path, cgroup.legacy_path.as_deref());
        let mut attributes = Vec::new();
        let mut add = |wanted: bool, key, text: Option<&str>| {
            attributes.extend(text.filter(|_| wanted).map(|text| Attribute::text(key, text)));
        };
        if let Some(container) = &found.container {
            add(self.container, names::CONTAINER_ID, container.id.as_deref());
            add(self.container, names::CONTAINER_NAME, container.name.as_deref());
            add(self.container, names::CONTAINER_RUNTIME, container.runtime);
        }
        let outer = found.outer.as_ref().and_then(|outer| outer.id.as_deref());
        add(self.container, names::OUTER_CONTAINER_ID, outer);
        add(self.container, names::POD_UID, found.pod_uid.as_deref());
        add(self.unit, names::UNIT, found.unit.as_deref());
        add(self.unit, names::USER_UNIT, found.user_unit.as_deref());
        // Of a process in a unit the path adds little, and takes room in each resource.
        let is_in_unit = found.unit.is_some() || found.user_unit.is_some();
        add(self.unit && !is_in_unit, names::SLICE, found.slice.as_deref());
        add(self.unit, names::SESSION, found.session.as_deref());
        let path = match &cgroup.legacy_path {
            Some(legacy) if &*cgroup.path == Path::new("/") => legacy,
            _ => &cgroup.path,
        };
        add(self.path, names::CGROUP, Some(&path.to_string_lossy()));
        attributes.into()
    }
}

impl Source for FromResidence {
    fn describe(&mut self, subject: &Subject<'_>) -> Arc<[Attribute]> {
        let context = subject.image.context.as_ref();
        let Some(cgroup) = context.and_then(|context| context.cgroup.as_deref()) else {
            return Arc::default();
        };
        if let Some(known) = self.remembered.get(&cgroup.id) {
            return Arc::clone(known);
        }
        if self.remembered.len() >= MAX_REMEMBERED {
            self.remembered.clear();
        }
        let attributes = self.read(cgroup);
        self.remembered.insert(cgroup.id, Arc::clone(&attributes));
        attributes
    }
}
