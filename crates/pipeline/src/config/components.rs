//! The sections that configure components.

use std::collections::BTreeMap;
use std::sync::Arc;

use confmap::{Context, Fault, Faults, Section, Value, hint};

use super::counterparts;
use crate::components::{ComponentId, Factory};

/// Components of one class by id; `None` for one that is configured, but cannot be read.
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
            let hint = match counterparts::component(class, id.kind()) {
                Some(advice) => format!(": {advice}"),
                None => hint(id.kind(), names),
            };
            refuse(format!("unknown type: {:?} for id: {:?}{hint}", id.kind(), id.to_string()));
            components.insert(id, None);
            continue;
        };
        let section = Section::new(value, vec![class.to_owned(), key.clone()], context);
        components.insert(id, (factory.read)(&section, faults));
    }
    components
}
