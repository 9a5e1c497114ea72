//! The sections that configure components.

use std::collections::BTreeMap;
use std::sync::Arc;

use figment::value::Value;

use super::decode::{Context, find};
use super::fault::{Fault, Faults, hint};
use super::id::ComponentId;
use crate::components::Factory;

/// Components of one class by id. Holds `None` for one that is configured, but cannot be read.
pub(super) type Components<C> = BTreeMap<ComponentId, Option<Arc<C>>>;

/// Reads `receivers`, `processors`, `exporters` or `extensions`.
pub(super) fn components<C: ?Sized>(
    class: &str,
    section: Option<&Value>,
    factories: &[Factory<C>],
    context: &Context<'_>,
    faults: &mut Faults,
) -> Components<C> {
    let mut components = Components::new();
    let entries = match section {
        Some(Value::Dict(_, entries)) => entries,
        None | Some(Value::Empty(..)) => return components,
        Some(_) => {
            faults.add(&[class], "expected a map of component ids to their configurations");
            return components;
        }
    };
    for (key, value) in entries {
        let mut refuse = |message| {
            let source = context.place(&[class.to_owned(), key.clone()]);
            faults.push(Fault { path: vec![class.to_owned()], message, source });
        };
        let id = match ComponentId::parse(key) {
            Ok(id) => id,
            Err(message) => {
                refuse(message);
                continue;
            }
        };
        if components.contains_key(&id) {
            refuse(format!("duplicate name {:?} after unmarshaling", id.to_string()));
            continue;
        }
        let Some(factory) = Factory::find(factories, id.kind()) else {
            let names = factories.iter().flat_map(|factory| factory.names.iter().copied());
            let hint = hint(id.kind(), names);
            refuse(format!("unknown type: {:?} for id: {:?}{hint}", id.kind(), id.to_string()));
            components.insert(id, None);
            continue;
        };
        let section = Section { value, path: vec![class.to_owned(), key.clone()], context };
        components.insert(id, (factory.read)(&section, faults));
    }
    components
}

/// One component's part of the configuration.
pub(crate) struct Section<'a> {
    pub(super) value: &'a Value,
    pub(super) path: Vec<String>,
    pub(super) context: &'a Context<'a>,
}

impl Section<'_> {
    /// The section as a `T`, as far as it can be read; what is wrong with it is added to `faults`.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(
        &self,
        faults: &mut Faults,
        validate: impl Fn(&T) -> Vec<String>,
    ) -> Option<T> {
        let before = faults.as_slice().len();
        let config = self.context.decode(self.value, &self.path, faults)?;
        let all_read = faults.as_slice().len() == before;
        for fault in validate(&config) {
            let (keys, message) = split(&fault);
            let found = find(self.value, &keys);
            let path: Vec<_> = self.path.iter().cloned().chain(keys).collect();
            // What was taken out as unreadable, or is missing since its key is misspelt, has been reported.
            if all_read || (found.is_some() && !faults.touches(&path)) {
                faults.push(Fault { path, message: message.to_owned(), source: None });
            }
        }
        Some(config)
    }
}

/// Splits `key.key: message`; there are no keys if what is before the colon is none.
fn split(fault: &str) -> (Vec<String>, &str) {
    match fault.split_once(": ") {
        Some((key, message)) if !key.contains(' ') => {
            (key.replace('.', "::").split("::").map(str::to_owned).collect(), message)
        }
        _ => (Vec::new(), fault),
    }
}
