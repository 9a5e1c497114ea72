//! Types of components, and configurations of any type.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use confmap::{Faults, Section};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_yaml_ng::Value;

/// The maturity of a component, in the Collector's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// A component that works, and may still change in any way.
    Development,
    /// A component that is ready for limited use; its keys may change.
    Alpha,
    /// A component whose keys stay as they are.
    Beta,
    /// A component that is ready for general use.
    Stable,
    /// A component that will be removed.
    Deprecated,
}

impl Stability {
    /// The name that `pipeline components` prints.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "Development",
            Self::Alpha => "Alpha",
            Self::Beta => "Beta",
            Self::Stable => "Stable",
            Self::Deprecated => "Deprecated",
        }
    }
}

/// A component type, of the class that the trait `C` stands for.
#[derive(Debug)]
pub struct Factory<C: ?Sized> {
    /// Names of the type: the first is the one to use, the others are older and still work.
    pub names: &'static [&'static str],
    /// The crate that implements the type.
    pub module: &'static str,
    /// The maturity of the type; of a receiver, processor or exporter, for profiles.
    pub stability: Stability,
    /// Reads and validates a section, as far as it can be read, and adds its faults to `Faults`.
    pub(crate) read: fn(&Section<'_>, &mut Faults) -> Option<Arc<C>>,
    /// The configuration with every key at its default; see [`default`].
    pub default: fn() -> Value,
    /// Schema of the configuration; see [`schema`].
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

impl<C: ?Sized> Factory<C> {
    /// The name to use.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// The type that one of `factories` knows by this name.
    pub fn find<'a>(factories: &'a [Self], name: &str) -> Option<&'a Self> {
        factories.iter().find(|factory| factory.names.contains(&name))
    }
}

/// The defaults of `T`, for [`Factory::default`].
pub(super) fn default<T: Default + Configuration>() -> Value {
    T::default().shown()
}

/// The schema of `T`, for [`Factory::schema`].
pub(super) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The configuration of a component of any type.
pub trait Configuration: Any + Debug + Send + Sync {
    /// True if `other` is of the same type and equal.
    fn same(&self, other: &dyn Configuration) -> bool;

    /// Every key with its value; secrets as `[REDACTED]` unless inside [`configtypes::secret::unredacted`].
    fn shown(&self) -> Value;

    /// The value as `Any`, for a downcast.
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any + Debug + PartialEq + Serialize + Send + Sync> Configuration for T {
    fn same(&self, other: &dyn Configuration) -> bool {
        other.as_any().downcast_ref::<T>() == Some(self)
    }

    fn shown(&self) -> Value {
        // The configuration came from YAML, or is a default, so it can be YAML.
        serde_yaml_ng::to_value(self).unwrap_or_default()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
