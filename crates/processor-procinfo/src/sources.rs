//! Sources of an image's attributes beside those of its executable: a small file for each source.
//!
//! A source is asked once for each image in each context, when the first sample of it is attributed, and again when
//! more has been learnt. A source reads nothing: facts that must be read while a process lives come with the events.

mod context;
mod environment;
pub(crate) mod names;
mod owner;
mod parents;
mod pods;
mod program;
mod residence;
mod source;
mod standing;

use k8s::{PodChange, Pods};
use pdata::{Attributes, CgroupId, KTime};
use rustc_hash::FxHashSet;

use self::context::FromContext;
use self::environment::FromEnvironment;
use self::owner::Owner;
use self::parents::Parents;
use self::pods::{FromPod, FromWorkload, PodsOfGroups};
use self::program::FromProgram;
use self::residence::FromResidence;
use self::source::Source;
use self::standing::Standing;
use crate::config::{Config, Metadata};

pub(crate) use self::owner::Users;
pub(crate) use self::source::Subject;

/// The sources that a configuration asks for, in the order of precedence.
#[derive(Debug)]
pub(crate) struct Sources {
    all: Vec<Box<dyn Source>>,
    /// Asked once for several of them.
    pods: Option<PodsOfGroups>,
}

impl Sources {
    /// Makes the sources. Of a key that two sources have, the first one's value holds.
    pub(crate) fn new(config: &Config, users: Users) -> Self {
        let wants = |what| config.metadata.contains(&what);
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        let residence =
            FromResidence::new(wants(Metadata::Container), wants(Metadata::Unit), wants(Metadata::Cgroup));
        sources.extend(residence.map(|source| Box::new(source) as Box<_>));
        let pods = config.k8s.as_ref().map(|k8s| Pods::new(k8s.max_pods, config.max_exited_age));
        // Before what the program says of itself: it does not say which pod it is in where that is known.
        if pods.is_some() {
            sources.push(Box::new(FromPod));
        }
        // Before the environment: the program has read that itself, and knows more by now.
        if wants(Metadata::Service) {
            sources.push(Box::new(FromContext));
        }
        let environment =
            FromEnvironment::new(wants(Metadata::Service), config.environment_variables.clone());
        sources.extend(environment.map(|source| Box::new(source) as Box<_>));
        // After the environment, which is of one container, as what it publishes is of one program.
        if pods.is_some() && wants(Metadata::Service) {
            sources.push(Box::new(FromWorkload));
        }
        // After all sources of what those who run the service call it.
        let program = FromProgram::new(wants(Metadata::Service), wants(Metadata::CommandArgs));
        sources.extend(program.map(|source| Box::new(source) as Box<_>));
        let parents =
            Parents::new(wants(Metadata::Parent), wants(Metadata::Ancestors).then_some(config.ancestors));
        sources.extend(parents.map(|source| Box::new(source) as Box<_>));
        if wants(Metadata::Owner) {
            sources.push(Box::new(Owner::new(users)));
        }
        let standing =
            Standing::new(wants(Metadata::Session), wants(Metadata::Namespaces), wants(Metadata::Group));
        sources.extend(standing.map(|source| Box::new(source) as Box<_>));
        Self { all: sources, pods: pods.map(PodsOfGroups::new) }
    }

    /// Takes in what has become of a pod, heard of at `now`.
    pub(crate) fn apply(&mut self, change: PodChange, now: KTime) {
        if let Some(pods) = &mut self.pods {
            pods.apply(change, now);
        }
    }

    /// True, once, if pods that did not fit may fit now: all are to be listed again.
    pub(crate) fn take_room(&mut self) -> bool {
        self.pods.as_mut().is_some_and(PodsOfGroups::take_room)
    }

    /// The control groups of which more, or something else, is known than when this was last called.
    pub(crate) fn take_changed(&mut self, now: KTime) -> FxHashSet<CgroupId> {
        self.pods.as_mut().map(|pods| pods.take_changed(now)).unwrap_or_default()
    }

    /// Forgets what nobody asks about any more at `now`.
    pub(crate) fn expire(&mut self, now: KTime) {
        if let Some(pods) = &mut self.pods {
            pods.expire(now);
        }
    }

    /// The attributes that all sources have of an image which is met at `now`.
    pub(crate) fn describe(&mut self, subject: &Subject<'_>, now: KTime) -> Attributes {
        let cgroup = subject.image.context.as_ref().and_then(|context| context.cgroup.as_deref());
        let pod = self.pods.as_mut().and_then(|pods| pods.find(cgroup?, now));
        let subject = Subject { pod, ..*subject };
        let mut attributes = Attributes::default();
        for source in &mut self.all {
            attributes.add(source.describe(&subject));
        }
        attributes
    }
}

#[cfg(test)]
mod tests;
