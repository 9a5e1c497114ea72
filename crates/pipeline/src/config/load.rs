//! Locations to one tree: read, parse, merge, expand, fill.

use figment::Figment;
use figment::value::Dict;

use super::ConfigError;
use super::environment::{OtelVariables, fill};
use super::expand::Environment;
use super::fault::{Fault, Faults};
use super::location::Location;
use super::provider::CollectorYaml;
use super::references::{Originals, expand};
use super::sources::Sources;

/// All that was configured, merged and expanded, and where it came from.
pub(super) struct Tree {
    pub(super) root: Dict,
    pub(super) originals: Originals,
    pub(super) sources: Sources,
    /// Environment variables that are referred to without default, and not set.
    pub(super) unset: Vec<String>,
    /// What is wrong already, though the tree can be read.
    pub(super) faults: Faults,
}

impl Tree {
    /// Merges `locations`, the later over the earlier, then expands references; OpenTelemetry's variables
    /// fill in what is left out.
    ///
    /// # Errors
    /// If a location cannot be read, or with the faults of all those that are no YAML.
    pub(super) fn load(locations: &[Location], environment: Environment<'_>) -> Result<Self, ConfigError> {
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
        let mut variables = OtelVariables::read(&root, environment);
        variables.faults.drain(..).for_each(|fault| faults.push(fault));
        // An empty configuration is still told to be one.
        if !root.is_empty() {
            variables.index = sources.add(std::mem::take(&mut variables.places));
            let defaults = sources.values(Figment::from(variables)).map_err(|error| broken(&error))?;
            fill(&mut root, defaults);
        }
        Ok(Self { root, originals: references.originals, sources, unset: references.unset, faults })
    }
}

/// No provider of ours fails; figment cannot know.
fn broken(error: &figment::Error) -> ConfigError {
    let mut faults = Faults::default();
    faults.push(Fault { path: Vec::new(), message: error.to_string(), source: None });
    ConfigError::Invalid(faults)
}
