//! The parents of processes, from the forks that are known.

use std::sync::Arc;

use pdata::{Image, Parent, Pid, ProcessKey};

use super::Tracker;

impl Tracker {
    /// The processes that a process descends from, nearest first.
    ///
    /// The parents are found once for each process, and stay the same for ever, whatever the parents become, and
    /// whether they are still known.
    pub(super) fn parents_of(&mut self, key: ProcessKey) -> Arc<[Parent]> {
        let Some(process) = self.table.get(key) else { return Arc::default() };
        if let Some(parents) = &process.parents {
            return Arc::clone(parents);
        }
        let parents = match process.relatives {
            // The first processes of all descend from the kernel.
            Some(relatives) if relatives.parent.pid != Pid(0) => self.parents_of_children(relatives.parent),
            Some(_) => Arc::default(),
            // A record with the parent may still come.
            None => return Arc::default(),
        };
        if let Some(process) = self.table.get_mut(key) {
            process.parents = Some(Arc::clone(&parents));
        }
        parents
    }

    /// The parents of a process's children: the process itself, then its own.
    fn parents_of_children(&mut self, key: ProcessKey) -> Arc<[Parent]> {
        let newest = self.table.get(key).and_then(|process| process.images.newest());
        let image = newest.map(|image| image.key.exec_count);
        if let Some(image) = image
            && let Some((made_for, parents)) =
                self.table.get(key).and_then(|process| process.of_children.as_ref())
            && *made_for == image
        {
            return Arc::clone(parents);
        }
        let parents: Arc<[Parent]> = self.walk_up(key).into();
        if let Some(image) = image
            && let Some(process) = self.table.get_mut(key)
        {
            process.of_children = Some((image, Arc::clone(&parents)));
        }
        parents
    }

    /// The processes from `from` on upwards, as far as they are known.
    fn walk_up(&self, from: ProcessKey) -> Vec<Parent> {
        let (mut parents, mut next) = (Vec::new(), Some(from));
        while let Some(key) = next
            && key.pid != Pid(0)
            && parents.len() < Image::MAX_PARENTS
        {
            let process = self.table.get(key);
            let kind = process.and_then(|process| process.images.newest()).map(|image| image.kind.clone());
            let created = process.map(|process| process.created);
            let created = created.unwrap_or_else(|| self.clock.created(key.start_time));
            parents.push(Parent { process: key, created, kind });
            if let Some(known) = process.and_then(|process| process.parents.as_ref()) {
                let room = Image::MAX_PARENTS - parents.len();
                parents.extend(known.iter().take(room).cloned());
                break;
            }
            next = process.and_then(|process| process.relatives).map(|relatives| relatives.parent);
        }
        parents
    }
}
