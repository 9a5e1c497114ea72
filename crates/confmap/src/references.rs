//! Expands the references in a merged tree.

use std::collections::{BTreeMap, BTreeSet};

use figment::value::{Dict, Empty, Value};

use crate::environment::Environment;
use crate::expand::{ExpandError, Expanded, Expander};
use crate::fault::Fault;
use crate::provider::untracked;
use crate::yaml::{self, MAX_DEPTH, Scalar, Yaml};

/// Texts of values that were references, by their path: a key that wants a string gets the text, so that `${env:TOKEN}`
/// may be `0123` or `true`.
pub(crate) type Originals = BTreeMap<Vec<String>, String>;

/// The most references of which faults are reported: nobody reads more, and a reference can make many.
const MAX_FAULTS: usize = 1000;

/// The results of expanding all references of a tree.
pub(crate) struct References {
    /// Texts behind references.
    pub(crate) originals: Originals,
    /// Environment variables referred to that are not set and have no default; each once.
    pub(crate) unset: Vec<String>,
    /// Environment variables whose values expansion has changed; each once.
    pub(crate) changed: Vec<String>,
    /// Faults of references that cannot be expanded. Null stands in their place.
    pub(crate) faults: Vec<Fault>,
}

/// Expands every reference in `root`.
pub(crate) fn expand(root: &mut Dict, environment: Environment<'_>) -> References {
    let mut walker = Walker {
        expander: Expander::new(environment),
        originals: Originals::new(),
        faults: Vec::new(),
        path: Vec::new(),
        too_large: false,
        referred: false,
    };
    walker.dict(root);
    let Walker { expander: Expander { unset, changed, .. }, originals, faults, .. } = walker;
    References { originals, unset: once(unset), changed: once(changed), faults }
}

/// Returns each name once, in the order in which they came.
fn once(names: Vec<String>) -> Vec<String> {
    let mut known = BTreeSet::new();
    names.into_iter().filter(|name| known.insert(name.clone())).collect()
}

struct Walker<'a> {
    expander: Expander<'a>,
    originals: Originals,
    faults: Vec<Fault>,
    path: Vec<String>,
    too_large: bool,
    /// True inside the value of a reference: nothing there is in the configuration's own words.
    referred: bool,
}

impl Walker<'_> {
    fn dict(&mut self, dict: &mut Dict) {
        for (key, value) in dict {
            self.at(key.clone(), value);
        }
    }

    fn at(&mut self, key: String, value: &mut Value) {
        self.path.push(key);
        match value {
            // A value that came with a reference can be deeper than a file could make it.
            _ if self.path.len() > 2 * MAX_DEPTH => {
                self.refuse(value, format!("nested more than {} deep", 2 * MAX_DEPTH));
            }
            Value::Dict(_, dict) => self.dict(dict),
            Value::Array(_, items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    self.at(at.to_string(), item);
                }
            }
            Value::String(_, text) => {
                let text = std::mem::take(text);
                self.expander.next_value(if self.referred { "" } else { &text });
                match self.string(value, text) {
                    Ok(()) => {}
                    // The budget is that of the whole configuration: one report of it is enough.
                    Err(ExpandError::TooLarge) if self.too_large => clear(value),
                    Err(error) => {
                        self.too_large |= matches!(error, ExpandError::TooLarge);
                        self.refuse(value, error.to_string());
                    }
                }
            }
            _ => {}
        }
        self.path.pop();
    }

    /// Replaces `value` by the value that its text stands for.
    fn string(&mut self, value: &mut Value, mut text: String) -> Result<(), ExpandError> {
        let tag = value.tag();
        loop {
            let original = match self.expander.expand(&text)? {
                Expanded::Text(text) => {
                    *value = Value::String(tag, self.expander.finish(&text));
                    return Ok(());
                }
                Expanded::Reference(original) => original,
            };
            let node = yaml::parse(&original).ok().filter(|document| document.faults.is_empty());
            match node.map(|document| document.root) {
                Some(node) if !matches!(node.value, Yaml::Scalar(Scalar::String(_))) => {
                    // Aliases in the value may stand for more than its text.
                    self.expander.charge(node.size())?;
                    *value = untracked(node, tag);
                    let original = match self.expander.expand(&original) {
                        Ok(Expanded::Text(text)) => self.expander.finish(&text),
                        _ => original,
                    };
                    self.originals.insert(self.path.clone(), original);
                    let referred = std::mem::replace(&mut self.referred, true);
                    match value {
                        Value::Dict(_, dict) => self.dict(dict),
                        Value::Array(_, items) => {
                            for (at, item) in items.iter_mut().enumerate() {
                                self.at(at.to_string(), item);
                            }
                        }
                        _ => {}
                    }
                    self.referred = referred;
                    return Ok(());
                }
                // A string, and text that is no YAML, stays as it is: quotes and blanks are part of it.
                _ => text = original,
            }
        }
    }

    fn refuse(&mut self, value: &mut Value, message: String) {
        clear(value);
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault { path: self.path.clone(), message, source: None });
        }
    }
}

/// Replaces a value by null that has its tag, and so its place.
fn clear(value: &mut Value) {
    *value = Value::Empty(value.tag(), Empty::Unit);
}
