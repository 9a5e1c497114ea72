//! A fact that the images of a group have in common: its identity, and its text for people.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use pdata::{Attribute, AttributeValue, FileState, Image, ImageKind, ProcessKey, names, rfc3339};

use super::group_by::GroupBy;
use super::member::Member;

/// The identity of a fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// The path of the executable, as the process itself sees it, and whether it names the file.
    File(Box<Path>, Option<Box<Path>>, FileState),
    /// The name of an image without a file, and whether that is the name of a thread of which nothing is known.
    Name(Box<str>, bool),
    /// A process.
    Process(ProcessKey),
    /// The values of attributes.
    Values(Box<[Option<AttributeValue>]>),
    /// The fact is not known.
    Unknown,
}

impl Part {
    pub(super) fn of(by: &GroupBy, member: &Member<'_>) -> Self {
        match by {
            GroupBy::Executable => executable(member),
            GroupBy::Process => Self::Process(member.key.process),
            GroupBy::Parent => match member.image.and_then(Image::parent) {
                Some(parent) => Self::Process(parent.process),
                None => Self::Unknown,
            },
            GroupBy::Attribute(name) => values(&[name], member),
            // A namespace alone is no deployment.
            GroupBy::Deployment if value(names::K8S_DEPLOYMENT, member).is_none() => Self::Unknown,
            named => values(named.attributes(), member),
        }
    }
}

fn executable(member: &Member<'_>) -> Part {
    match member.image.map(|image| &image.kind) {
        Some(ImageKind::User { executable, .. }) => {
            Part::File(executable.path.clone(), executable.own_path.clone(), executable.state)
        }
        Some(kind @ ImageKind::Kernel(_)) => Part::Name(kind.name().into(), false),
        None => Part::Name(member.thread_name.into(), true),
    }
}

fn values(keys: &[&str], member: &Member<'_>) -> Part {
    let values: Box<[_]> = keys.iter().map(|key| value(key, member)).collect();
    if values.iter().all(Option::is_none) { Part::Unknown } else { Part::Values(values) }
}

fn value(key: &str, member: &Member<'_>) -> Option<AttributeValue> {
    if key == names::SERVICE_NAME {
        return Some(AttributeValue::Text(service(member).into()));
    }
    member.image?.attributes.get(key).cloned()
}

/// The service of a member; without one the name of the program that it runs.
pub(super) fn service<'a>(member: &Member<'a>) -> Cow<'a, str> {
    member.image.map_or(Cow::Borrowed(member.thread_name), Image::service)
}

/// The fact as attributes of a group, by a member of it.
pub(super) fn facts(by: &GroupBy, member: &Member<'_>, facts: &mut Vec<Attribute>) {
    match by {
        GroupBy::Executable => executable_facts(member, facts),
        GroupBy::Process => {
            facts.push(Attribute::int(names::PID, member.key.process.pid.0.into()));
            let created = member.image.map(|image| rfc3339::format(image.created));
            facts.extend(created.map(|created| Attribute::text(names::CREATION_TIME, created)));
        }
        GroupBy::Parent => {
            let Some(parent) = member.image.and_then(Image::parent) else { return };
            facts.push(Attribute::int(names::PARENT_PID, parent.process.pid.0.into()));
            facts.push(Attribute::text(names::PARENT_CREATION_TIME, rfc3339::format(parent.created)));
            let name = parent.kind.as_ref().map(ImageKind::name);
            facts.extend(name.map(|name| Attribute::text(names::PARENT_NAME, &*name)));
        }
        GroupBy::Attribute(name) => {
            let value = value(name, member);
            facts.extend(value.map(|value| Attribute { key: name.clone().into(), value }));
        }
        GroupBy::Deployment if value(names::K8S_DEPLOYMENT, member).is_none() => {}
        named => facts.extend(named.attributes().iter().filter_map(|&key| {
            let value = value(key, member)?;
            Some(Attribute { key: key.into(), value })
        })),
    }
}

/// Adds what follows from the fact and is known of a member. Returns true if there was any.
pub(super) fn details(by: &GroupBy, member: &Member<'_>, facts: &mut Vec<Attribute>) -> bool {
    let before = facts.len();
    for &key in by.details() {
        if !facts.iter().any(|fact| fact.key == key) {
            facts.extend(value(key, member).map(|value| Attribute { key: key.into(), value }));
        }
    }
    facts.len() > before
}

fn executable_facts(member: &Member<'_>, facts: &mut Vec<Attribute>) {
    let text = |key, path: &Path| Attribute::text(key, path.to_string_lossy());
    match member.image.map(|image| &image.kind) {
        Some(kind) => {
            facts.push(Attribute::text(names::EXECUTABLE_NAME, &*kind.name()));
            if let ImageKind::User { executable, .. } = kind {
                facts.push(text(names::EXECUTABLE_PATH, &executable.path));
                let own_path = executable.own_path.as_deref();
                facts.extend(own_path.map(|path| text(names::EXECUTABLE_OWN_PATH, path)));
                let state = executable.state.as_str();
                facts.extend(state.map(|state| Attribute::text(names::EXECUTABLE_STATE, state)));
            }
        }
        None => {
            facts.push(Attribute::text(names::EXECUTABLE_NAME, member.thread_name));
            let unresolved = AttributeValue::Bool(true);
            facts.push(Attribute { key: names::UNRESOLVED.into(), value: unresolved });
        }
    }
}

/// Returns one fact of a member, for people to read; `-` if it is not known.
pub(super) fn label(by: &GroupBy, member: &Member<'_>) -> String {
    let text = |key: &str| value(key, member).map(|value| show(&value));
    let shown = match by {
        GroupBy::Executable => Some(match member.image.map(|image| &image.kind) {
            Some(ImageKind::User { executable, .. }) => match executable.state {
                FileState::Deleted => format!("{} (deleted)", executable.path.display()),
                FileState::Linked | FileState::Memfd => executable.path.display().to_string(),
            },
            Some(kind @ ImageKind::Kernel(_)) => kind.name().into_owned(),
            None => format!("{} (unresolved)", member.thread_name),
        }),
        GroupBy::Process => Some(format!("pid {}", member.key.process.pid)),
        GroupBy::Parent => member.image.and_then(Image::parent).map(|parent| {
            let name = parent.kind.as_ref().map(ImageKind::name).unwrap_or_default();
            format!("pid {} {name}", parent.process.pid).trim_end().to_owned()
        }),
        GroupBy::Session => text(names::SESSION_LEADER).map(|leader| format!("session {leader}")),
        GroupBy::Pod => text(names::K8S_POD).or_else(|| text(names::POD_UID)),
        GroupBy::Deployment => text(names::K8S_DEPLOYMENT),
        GroupBy::Attribute(name) => text(name),
        named => named.attributes().iter().find_map(|key| text(key)),
    };
    shown.unwrap_or_else(|| "-".to_owned())
}

impl GroupBy {
    /// The fact of a member, for people to read; `-` if it is not known.
    #[must_use]
    pub fn label(&self, member: &Member<'_>) -> String {
        label(self, member)
    }
}

/// A name for the fact that does not differ from day to day as numbers do; `None` if it has none.
pub(super) fn name(by: &GroupBy, member: &Member<'_>) -> Option<String> {
    match by {
        GroupBy::Executable | GroupBy::Process => {
            let kind = member.image.map(|image| image.kind.name());
            Some(kind.map_or_else(|| member.thread_name.to_owned(), Cow::into_owned))
        }
        GroupBy::Parent => {
            let parent = member.image.and_then(Image::parent)?;
            parent.kind.as_ref().map(|kind| kind.name().into_owned())
        }
        GroupBy::Session => None,
        GroupBy::Deployment => value(names::K8S_DEPLOYMENT, member).map(|value| show(&value)),
        GroupBy::Pod => {
            let name = value(names::K8S_POD, member).or_else(|| value(names::POD_UID, member));
            name.map(|value| show(&value))
        }
        GroupBy::Attribute(name) => value(name, member).map(|value| show(&value)),
        named => named.attributes().iter().find_map(|key| value(key, member)).map(|value| show(&value)),
    }
}

fn show(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Text(text) => text.to_string(),
        AttributeValue::Int(number) => number.to_string(),
        AttributeValue::Bool(truth) => truth.to_string(),
        AttributeValue::Texts(texts) => texts.iter().map(Arc::as_ref).collect::<Vec<_>>().join(","),
    }
}
