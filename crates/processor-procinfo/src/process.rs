//! The state that is held for a process.

use std::sync::Arc;

use pdata::{ExecCount, KTime, Parent, ProcessKey, Relatives, UnixNanos};

use crate::context_watch::ContextWatch;
use crate::images::Images;
use crate::table::Footprint;
use crate::wall_clock::WallClock;

/// The most requests to `/proc` about one image: an image that cannot be repaired is counted for every sample, not
/// tried for every sample.
const MAX_REPAIRS: u8 = 4;

/// All facts that are known of a process.
#[derive(Debug)]
pub(crate) struct Process {
    /// Start of the process by the wall clock as that was last set.
    pub(crate) created: UnixNanos,
    pub(crate) images: Images,
    /// Parent, session, group and namespaces of the process, from the last record that had them; the parent from the
    /// first.
    pub(crate) relatives: Option<Relatives>,
    /// Parents of the process, once somebody has asked for them.
    pub(crate) parents: Option<Arc<[Parent]>>,
    /// The parents of the process's children, made for the last child, and the image that forked it: its next children
    /// have the same.
    pub(crate) of_children: Option<(ExecCount, Arc<[Parent]>)>,
    /// Variables of the environment of an image.
    environment: Option<(ExecCount, Arc<[u8]>)>,
    /// Arguments of an image, if they are of use.
    arguments: Option<(ExecCount, Arc<[u8]>)>,
    /// The context that the process has published of itself.
    pub(crate) context: ContextWatch,
    /// The image whose environment was asked for last.
    environment_asked: Option<ExecCount>,
    /// True if an environment is still to be asked for, since nobody could read it in time.
    pub(crate) environment_due: bool,
    repair: Repair,
}

/// The state of requests to `/proc` about the process.
#[derive(Debug, Default)]
struct Repair {
    pending: bool,
    /// The image that was last asked about, and the number of requests.
    image: ExecCount,
    tries: u8,
}

impl Footprint for Process {
    fn footprint(&self) -> usize {
        let bytes =
            |of_image: &Option<(ExecCount, Arc<[u8]>)>| of_image.as_ref().map_or(0, |(_, text)| text.len());
        self.images.footprint() + bytes(&self.environment) + bytes(&self.arguments) + self.context.footprint()
    }
}

impl Process {
    pub(crate) fn new(created: UnixNanos) -> Self {
        Self {
            created,
            images: Images::default(),
            relatives: None,
            parents: None,
            of_children: None,
            environment: None,
            arguments: None,
            context: ContextWatch::default(),
            environment_asked: None,
            environment_due: false,
            repair: Repair::default(),
        }
    }

    /// Takes the parent, session, group and namespaces of the process. The parent that was heard of first stays: a
    /// later one has adopted an orphan.
    pub(crate) fn relate(&mut self, relatives: &Relatives) {
        let parent = self.relatives.map_or(relatives.parent, |known| known.parent);
        self.relatives = Some(Relatives { parent, ..*relatives });
    }

    /// The variables of an image's environment; `None` if nobody has read them.
    pub(crate) fn environment(&self, image: ExecCount) -> Option<&Arc<[u8]>> {
        self.environment.as_ref().filter(|(of, _)| *of == image).map(|(_, variables)| variables)
    }

    /// Remembers the variables of an image's environment.
    pub(crate) fn set_environment(&mut self, image: ExecCount, variables: Arc<[u8]>) {
        self.environment = Some((image, variables));
    }

    /// The arguments of an image; `None` if nobody has read them, or they are of no use.
    pub(crate) fn arguments(&self, image: ExecCount) -> Option<&Arc<[u8]>> {
        self.arguments.as_ref().filter(|(of, _)| *of == image).map(|(_, arguments)| arguments)
    }

    /// Remembers the arguments of an image.
    pub(crate) fn set_arguments(&mut self, image: ExecCount, arguments: Arc<[u8]>) {
        self.arguments = Some((image, arguments));
    }

    /// True if the environment of an image is to be asked for: nobody knows it or has asked yet. An environment that
    /// cannot be read once cannot be read later either.
    pub(crate) fn may_ask_environment(&self, image: ExecCount) -> bool {
        self.environment(image).is_none() && self.environment_asked != Some(image)
    }

    /// Notes whether the environment of an image has been asked for, now that it should be.
    pub(crate) fn environment_asked(&mut self, image: ExecCount, asked: bool) {
        self.environment_due = !asked;
        if asked {
            self.environment_asked = Some(image);
        }
    }

    /// Moves the creation times of the process and of its parents to a wall clock that has been set: they were other
    /// times than was thought. The process is that of `key`.
    pub(crate) fn follow(&mut self, clock: &WallClock, key: ProcessKey) {
        self.created = clock.created(key.start_time);
        self.images.created_at(self.created);
        let moved = |parents: &Arc<[Parent]>| -> Arc<[Parent]> {
            let created = |parent: &Parent| clock.created(parent.process.start_time);
            parents.iter().map(|parent| Parent { created: created(parent), ..parent.clone() }).collect()
        };
        self.parents = self.parents.as_ref().map(moved);
        self.of_children = self.of_children.as_ref().map(|(image, parents)| (*image, moved(parents)));
    }

    /// True if `/proc` is to be asked about an image: it has not been asked too often, and is not being asked about
    /// any.
    pub(crate) fn may_repair(&self, image: ExecCount) -> bool {
        !self.repair.pending && (self.repair.image != image || self.repair.tries < MAX_REPAIRS)
    }

    /// Notes that `/proc` is being asked about an image.
    pub(crate) fn repair_asked(&mut self, image: ExecCount) {
        let tries = if self.repair.image == image { self.repair.tries } else { 0 };
        self.repair = Repair { pending: true, image, tries: tries + 1 };
    }

    /// Notes that `/proc` has answered.
    pub(crate) fn repair_answered(&mut self) {
        self.repair.pending = false;
    }

    /// Forgets the images that were replaced at or before `acked`.
    pub(crate) fn forget(&mut self, acked: KTime) {
        self.images.forget(acked);
    }

    /// True if no image is held that has been replaced.
    #[cfg(test)]
    pub(crate) fn is_lean(&self) -> bool {
        self.images.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users choose the length of the texts that are held for them.
    #[test]
    fn environment_and_arguments_count() {
        let mut process = Process::new(UnixNanos::default());
        let bare = process.footprint();
        process.set_environment(ExecCount(1), vec![0; 3000].into());
        assert_eq!(process.footprint() - bare, 3000);
        process.set_arguments(ExecCount(1), vec![0; 2000].into());
        assert_eq!(process.footprint() - bare, 5000);
    }
}
