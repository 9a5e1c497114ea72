//! Attributes of every resource: those of the host, and those that users have configured.

use pdata::{Attribute, Resource};
use procfs::HostFacts;

use crate::config::{Action, Detector, ResourceConfig};
use crate::resource_attributes;

/// Name of the variable in the agent's own environment.
const VARIABLE: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// First parts of keys in that variable that describe the agent itself, not the processes that it
/// profiles.
const OF_THE_AGENT: [&str; 3] = ["service.", "telemetry.", "process."];

/// Detects the attributes that the configuration asks for.
pub(crate) fn detect(config: &ResourceConfig) -> Resource {
    let mut resource = Resource::default();
    // The first that has a key has the word, as in the Collector with `override: false`.
    for detector in &config.detectors {
        for attribute in detected(*detector) {
            resource.set(attribute, false);
        }
    }
    apply(config, &mut resource);
    resource
}

/// Makes the changes that users have configured.
fn apply(config: &ResourceConfig, resource: &mut Resource) {
    for change in &config.attributes {
        let value = change.value.clone().unwrap_or_default();
        let attribute =
            || Attribute { key: change.key.clone().into(), value: pdata::AttributeValue::Text(value.into()) };
        match change.action {
            Action::Insert => resource.set(attribute(), false),
            Action::Upsert => resource.set(attribute(), true),
            Action::Delete => resource.delete(&change.key),
        }
    }
}

fn detected(detector: Detector) -> Vec<Attribute> {
    match detector {
        Detector::Env => {
            let variable = std::env::var_os(VARIABLE).unwrap_or_default();
            let mut attributes = resource_attributes::parse(variable.as_encoded_bytes());
            attributes
                .retain(|attribute| !OF_THE_AGENT.iter().any(|prefix| attribute.key.starts_with(prefix)));
            attributes
        }
        Detector::System => system(HostFacts::read()),
    }
}

fn system(host: HostFacts) -> Vec<Attribute> {
    let HostFacts { name, id, arch, version, .. } = host;
    let known = [
        ("host.name", name),
        ("host.id", id),
        ("host.arch", Some(arch)),
        ("os.type", Some("linux".to_owned())),
        ("os.version", version),
    ];
    known.into_iter().filter_map(|(key, value)| Some(Attribute::text(key, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ResourceChange;

    fn change(key: &str, value: Option<&str>, action: Action) -> ResourceChange {
        ResourceChange { key: key.to_owned(), value: value.map(str::to_owned), action }
    }

    fn pairs(resource: &Resource) -> Vec<(String, bool)> {
        let pair = |added: &pdata::ResourceAttribute| {
            let pdata::AttributeValue::Text(text) = &added.attribute.value else { panic!("{added:?}") };
            (format!("{}={text}", added.attribute.key), added.replaces)
        };
        resource.attributes.iter().map(pair).collect()
    }

    #[test]
    fn users_have_the_last_word() {
        let host = HostFacts {
            name: Some("web-1".to_owned()),
            id: Some("0af7".to_owned()),
            arch: "amd64".to_owned(),
            version: None,
            description: None,
        };
        let mut resource = Resource::default();
        system(host).into_iter().for_each(|attribute| resource.set(attribute, false));
        let attributes = vec![
            change("host.name", Some("ignored"), Action::Insert),
            change("host.id", Some("other"), Action::Upsert),
            change("os.type", None, Action::Delete),
            change("k8s.cluster.name", Some("prod"), Action::Insert),
        ];
        apply(&ResourceConfig { attributes, ..ResourceConfig::default() }, &mut resource);
        let expected = ["host.name=web-1", "host.id=other", "host.arch=amd64", "k8s.cluster.name=prod"];
        let replaces = [false, true, false, false];
        assert_eq!(
            pairs(&resource),
            expected.map(str::to_owned).into_iter().zip(replaces).collect::<Vec<_>>()
        );
        assert!(!resource.keeps("os.type"));
    }

    #[test]
    fn by_default_the_host_is_named() {
        let resource = detect(&ResourceConfig::default());
        for key in ["host.name", "host.id", "host.arch", "os.type"] {
            assert!(pairs(&resource).iter().any(|(pair, _)| pair.starts_with(key)), "{key}");
        }
    }
}
