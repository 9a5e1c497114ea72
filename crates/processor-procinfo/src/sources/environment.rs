//! Attributes from the environment: the service, by OpenTelemetry's variables, and other variables that users have
//! named.

use std::sync::Arc;

use pdata::{Attribute, AttributeValue};

use super::names;
use super::source::{Source, Subject};
use crate::resource_attributes;

/// Variable of the service's name, which goes before `service.name` in the other; and the variable of all other
/// attributes.
const SERVICE_NAME: &[u8] = b"OTEL_SERVICE_NAME";
const RESOURCE_ATTRIBUTES: &[u8] = b"OTEL_RESOURCE_ATTRIBUTES";
/// The source of attributes from variables: the service's name, and variables that users have named.
#[derive(Debug)]
pub(super) struct FromEnvironment {
    service: bool,
    variables: Vec<String>,
}

impl FromEnvironment {
    /// The source of the wanted attributes; `None` if none are wanted.
    pub(super) fn new(service: bool, variables: Vec<String>) -> Option<Self> {
        (service || !variables.is_empty()).then_some(Self { service, variables })
    }
}

impl Source for FromEnvironment {
    fn describe(&mut self, subject: &Subject<'_>) -> Arc<[Attribute]> {
        if subject.environment.is_empty() {
            return Arc::default();
        }
        let mut attributes = if self.service { service(subject.environment) } else { Vec::new() };
        attributes.extend(self.variables.iter().filter_map(|name| {
            let value = value(subject.environment, name.as_bytes())?;
            let key = format!("{}{name}", names::ENVIRONMENT_VARIABLE).into();
            Some(Attribute { key, value: AttributeValue::Text(String::from_utf8_lossy(value).into()) })
        }));
        attributes.into()
    }
}

/// Attributes in a program's variables for its telemetry, which are those of its service.
fn service(environment: &[u8]) -> Vec<Attribute> {
    let name = value(environment, SERVICE_NAME);
    let name = name.map(|name| String::from_utf8_lossy(name)).filter(|name| !name.is_empty());
    let name = name.map(|name| Attribute::text(names::SERVICE_NAME, &*name));
    let others = value(environment, RESOURCE_ATTRIBUTES);
    let others = others.map(resource_attributes::parse).unwrap_or_default();
    let own = others.into_iter().filter(|attribute| {
        let is_named = name.is_some() && attribute.key == names::SERVICE_NAME;
        !is_named && resource_attributes::is_its_own(&attribute.key)
    });
    name.iter().cloned().chain(own).collect()
}

/// The value of a variable in an environment: the first counts, as with getenv(3).
fn value<'a>(environment: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    environment.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(key)?.strip_prefix(b"="))
}
