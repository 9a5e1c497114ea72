//! Attributes from the process's session, process group and namespaces.

use std::sync::Arc;

use pdata::{Attribute, AttributeValue, ImageKind};

use super::names;
use super::source::{Source, Subject};

/// Session, namespaces and group of a process.
#[derive(Debug)]
pub(super) struct Standing {
    session: bool,
    namespaces: bool,
    group: bool,
}

impl Standing {
    /// The source of the wanted attributes; `None` if none are wanted.
    pub(super) fn new(session: bool, namespaces: bool, group: bool) -> Option<Self> {
        (session || namespaces || group).then_some(Self { session, namespaces, group })
    }
}

impl Source for Standing {
    fn describe(&mut self, subject: &Subject<'_>) -> Arc<[Attribute]> {
        let Some(relatives) = subject.relatives else { return Arc::default() };
        let mount = match &subject.image.kind {
            ImageKind::User { executable, .. } => executable.mount_namespace,
            ImageKind::Kernel(_) => 0,
        };
        let all = [
            (self.session, names::SESSION_LEADER, relatives.session.0),
            (self.session, names::GROUP_LEADER, relatives.group.0),
            (self.namespaces, names::OWN_PID, relatives.own_pid.0),
            (self.namespaces, names::PID_NAMESPACE, relatives.pid_namespace),
            (self.namespaces, names::MOUNT_NAMESPACE, mount),
            (self.namespaces, names::NETWORK_NAMESPACE, relatives.network_namespace),
        ];
        let known = all.into_iter().filter(|(wanted, _, number)| *wanted && *number != 0);
        let terminal = relatives.has_terminal.filter(|_| self.session).map(|has_one| Attribute {
            key: names::INTERACTIVE.into(),
            value: AttributeValue::Bool(has_one),
        });
        let group = relatives.group_id.filter(|_| self.group);
        let group = group.map(|number| Attribute::int(names::GROUP_ID, number.into()));
        known
            .map(|(_, key, number)| Attribute::int(key, number.into()))
            .chain(terminal)
            .chain(group)
            .collect()
    }
}
