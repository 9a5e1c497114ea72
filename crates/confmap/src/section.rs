//! Parts of the configuration that one type reads.

use figment::value::Value;

use crate::decode::{Context, find};
use crate::fault::{Fault, Faults};

/// The part of the configuration that one component reads.
#[derive(Debug)]
pub struct Section<'a> {
    pub(crate) value: &'a Value,
    pub(crate) path: Vec<String>,
    pub(crate) context: &'a Context<'a>,
}

impl<'a> Section<'a> {
    /// The section of `value`, which stands at `path`.
    #[must_use]
    pub fn new(value: &'a Value, path: Vec<String>, context: &'a Context<'a>) -> Self {
        Self { value, path, context }
    }

    /// Reads the section as a `T`, as far as possible, and adds its faults to `faults`.
    pub fn read<T: serde::de::DeserializeOwned>(
        &self,
        faults: &mut Faults,
        validate: impl Fn(&T) -> Vec<configtypes::Fault>,
    ) -> Option<T> {
        let before = faults.as_slice().len();
        let config = self.context.decode(self.value, &self.path, faults)?;
        let all_read = faults.as_slice().len() == before;
        for configtypes::Fault { keys, message } in validate(&config) {
            let found = find(self.value, &keys);
            let path: Vec<_> = self.path.iter().cloned().chain(keys).collect();
            // A value that was taken out as unreadable, or is missing since its key is misspelt, has been reported.
            if all_read || (found.is_some() && !faults.touches(&path)) {
                faults.push(Fault { path, message, source: None });
            }
        }
        Some(config)
    }
}
