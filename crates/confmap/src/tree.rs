//! Locations to one tree: read, parse, merge, expand; then defaults from elsewhere below it.

use figment::Figment;
use figment::value::Dict;

use crate::decode::Context;
use crate::defaults::{Defaults, fill};
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::fault::{Fault, Faults};
use crate::location::Location;
use crate::provider::CollectorYaml;
use crate::references::{Originals, expand};
use crate::sources::Sources;

/// The whole configuration, merged and expanded, and the places of its values.
#[derive(Debug)]
pub struct Tree {
    /// Values of the merged configuration.
    pub root: Dict,
    pub(crate) originals: Originals,
    pub(crate) sources: Sources,
    /// Environment variables that are referred to without default, and not set.
    pub unset: Vec<String>,
    /// Environment variables whose values differ from their texts, since they hold references or doubled dollar signs.
    pub changed: Vec<String>,
    /// Faults of a tree that can be read all the same.
    pub faults: Faults,
}

impl Tree {
    /// Merges `locations`, the later over the earlier, then expands references.
    ///
    /// # Errors
    /// If a location cannot be read, or with the faults of all those that are no YAML.
    pub fn load(locations: &[Location], environment: Environment<'_>) -> Result<Self, ConfigError> {
        if !locations.iter().any(|location| !matches!(location, Location::Set(_))) {
            return Err(ConfigError::NoLocation);
        }
        let (mut sources, mut figment) = (Sources::default(), Figment::new());
        let (mut faults, mut unreadable) = (Faults::default(), false);
        for location in locations {
            match CollectorYaml::parse(location, &location.read(environment)?) {
                Ok(mut yaml) => {
                    yaml.faults.drain(..).for_each(|fault| faults.push(fault));
                    yaml.index = sources.add(std::mem::take(&mut yaml.places));
                    figment = figment.merge(yaml);
                }
                Err(fault) => {
                    unreadable = true;
                    faults.push(fault);
                }
            }
        }
        // Much would seem to be missing.
        if unreadable {
            return Err(ConfigError::Invalid(faults));
        }
        let mut root = sources.values(figment).map_err(|error| broken(&error))?;
        let references = expand(&mut root, environment);
        references.faults.into_iter().for_each(|fault| faults.push(fault));
        let (unset, changed) = (references.unset, references.changed);
        Ok(Self { root, originals: references.originals, sources, unset, changed, faults })
    }

    /// Puts `defaults` below the configuration: each where the tree has nothing, or null.
    ///
    /// # Errors
    /// If the defaults cannot be merged, which would be a fault of this crate.
    pub fn fill(&mut self, mut defaults: Defaults) -> Result<(), ConfigError> {
        defaults.faults.drain(..).for_each(|fault| self.faults.push(fault));
        // An empty configuration is still reported as one.
        if !self.root.is_empty() {
            defaults.index = self.sources.add(std::mem::take(&mut defaults.places));
            let extends = defaults.extends;
            let values = self.sources.values(Figment::from(defaults)).map_err(|error| broken(&error))?;
            fill(&mut self.root, values, extends);
        }
        Ok(())
    }

    /// The context for reading parts of the tree.
    #[must_use]
    pub fn context(&self) -> Context<'_> {
        Context { originals: &self.originals, root: &self.root, sources: &self.sources, advise: |_path| None }
    }
}

/// The error of a figment provider. No provider of ours fails; figment cannot know.
fn broken(error: &figment::Error) -> ConfigError {
    let mut faults = Faults::default();
    faults.push(Fault { path: Vec::new(), message: error.to_string(), source: None });
    ConfigError::Invalid(faults)
}
