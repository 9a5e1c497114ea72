//! Values for keys that no location has.

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider, Source};

use crate::fault::Fault;
use crate::provider::Places;

/// Values that apply where the configuration has none, and the source of each.
#[derive(Debug)]
pub struct Defaults {
    name: &'static str,
    /// Names of lists that are added to rather than filled.
    pub(crate) extends: &'static [&'static str],
    dict: Dict,
    /// Number of these defaults among the providers; see [`Sources`](crate::sources::Sources).
    pub(crate) index: usize,
    /// Source of each value.
    pub(crate) places: Places,
    /// Faults that were found in the sources.
    pub(crate) faults: Vec<Fault>,
}

impl Defaults {
    /// Empty defaults of the provider `name`. Lists whose names are in `extends` are added to where they are
    /// configured.
    #[must_use]
    pub fn new(name: &'static str, extends: &'static [&'static str]) -> Self {
        Self { name, extends, dict: Dict::new(), index: 0, places: Places::new(), faults: Vec::new() }
    }

    /// Sets the key at `path` to `value`, which comes from `source`.
    pub fn set(&mut self, path: &[&str], value: Value, source: &str) {
        let owned: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        for depth in 1..=owned.len() {
            let place = owned.get(..depth).unwrap_or_default();
            self.places.entry(place.to_vec()).or_insert_with(|| source.to_owned());
        }
        insert(&mut self.dict, path, value);
    }

    /// Notes a value that cannot be used.
    pub fn refuse(&mut self, fault: Fault) {
        self.faults.push(fault);
    }
}

impl Provider for Defaults {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name).source(Source::Custom(self.index.to_string()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

fn insert(dict: &mut Dict, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => {
            dict.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let entry = dict.entry((*first).to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

/// Puts `defaults` where `root` has nothing, or null; lists whose names are in `extends` are added to.
pub(crate) fn fill(root: &mut Dict, defaults: Dict, extends: &[&str]) {
    for (key, default) in defaults {
        match (root.get_mut(&key), default) {
            (Some(Value::Dict(_, inner)), Value::Dict(_, defaults)) => fill(inner, defaults, extends),
            (None | Some(Value::Empty(..)), default) => {
                root.insert(key, default);
            }
            (Some(Value::Array(_, items)), Value::Array(_, more)) if extends.contains(&key.as_str()) => {
                items.extend(more)
            }
            _ => {}
        }
    }
}
