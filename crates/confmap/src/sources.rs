//! The file and line of each merged value.

use figment::value::{Dict, Tag, Value};
use figment::{Figment, Profile, Provider as _, Source};

use crate::provider::Places;

/// Index of the places where values are written: figment marks each value with its provider, and the provider's
/// [`Places`] have the value's place by its path. A provider shows its number in `places` by a [`Source::Custom`].
#[derive(Debug, Default)]
pub(crate) struct Sources {
    figments: Vec<Figment>,
    places: Vec<Places>,
}

impl Sources {
    /// Adds the places of one more provider's values; returns the provider's number.
    pub(crate) fn add(&mut self, places: Places) -> usize {
        self.places.push(places);
        self.places.len() - 1
    }

    /// The values of `figment`, whose marks are known from then on.
    pub(crate) fn values(&mut self, figment: Figment) -> Result<Dict, Box<figment::Error>> {
        let values = figment.data().map_err(Box::new)?.remove(&Profile::Default).unwrap_or_default();
        self.figments.push(figment);
        Ok(values)
    }

    /// The place of the value at `path` of `root`; for a value that is not there, the place of the section that would
    /// hold it.
    pub(crate) fn place(&self, root: &Dict, path: &[String]) -> Option<String> {
        let (first, rest) = path.split_first()?;
        let (mut value, mut depth) = (root.get(first)?, 1);
        for key in rest {
            let inner = match value {
                Value::Dict(_, dict) => dict.get(key),
                Value::Array(_, items) => key.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => None,
            };
            let Some(inner) = inner else { break };
            (value, depth) = (inner, depth + 1);
        }
        let places = self.places_of(value.tag())?;
        (1..=depth).rev().find_map(|depth| places.get(path.get(..depth)?).cloned())
    }

    /// The places of the provider that `tag` marks.
    fn places_of(&self, tag: Tag) -> Option<&Places> {
        let metadata = self.figments.iter().find_map(|figment| figment.get_metadata(tag))?;
        match &metadata.source {
            Some(Source::Custom(index)) => self.places.get(index.parse::<usize>().ok()?),
            _ => None,
        }
    }
}
