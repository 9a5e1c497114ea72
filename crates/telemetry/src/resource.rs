//! The resource attributes of the agent's own telemetry.

use uuid::Uuid;

use crate::config::Resource;
use crate::metrics::exposition;
use crate::metrics::family::{Family, Kind, Series, Value};

/// Attributes by name: the agent's own, `configured` over them.
pub(crate) fn attributes(configured: &Resource, instance: Uuid) -> Vec<(String, String)> {
    let own = [
        ("service.name", "pipeline".to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", instance.to_string()),
    ];
    let mut attributes = configured.attributes.clone();
    for (name, value) in own {
        attributes.entry(name.to_owned()).or_insert(Some(value));
    }
    attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The attributes in Prometheus' form: labels of `target_info`.
pub(crate) fn target_info(attributes: &[(String, String)]) -> Family {
    let mut labels: Vec<_> =
        attributes.iter().map(|(name, value)| (exposition::name(name), value.clone())).collect();
    // Two attributes may become the same label, of which there can be one.
    labels.sort();
    labels.dedup_by(|(later, _), (first, _)| later == first);
    Family {
        name: "target".to_owned(),
        help: "What the agent is: attributes of its resource.".to_owned(),
        kind: Kind::Info,
        series: vec![Series { labels, value: Value::Integer(1) }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(attributes: &[(&str, Option<&str>)]) -> Resource {
        let attributes =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
        Resource { attributes }
    }

    #[test]
    fn what_is_configured_replaces_and_takes_away() {
        let of = |resource: &Resource| {
            attributes(resource, Uuid::nil())
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect()
        };
        let found: Vec<String> = of(&Resource::default());
        assert_eq!(
            found,
            [
                "service.instance.id=00000000-0000-0000-0000-000000000000".to_owned(),
                "service.name=pipeline".to_owned(),
                format!("service.version={}", env!("CARGO_PKG_VERSION")),
            ]
        );
        let found: Vec<String> = of(&configured(&[
            ("service.name", Some("x")),
            ("service.version", None),
            ("service.instance.id", None),
            ("zone", Some("1")),
        ]));
        assert_eq!(found, ["service.name=x", "zone=1"]);
    }

    #[test]
    fn attributes_become_labels_each_once() {
        let attributes = [("a.b", "1"), ("a_b", "2"), ("c", "\"")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let labels = target_info(&attributes).series.remove(0).labels;
        assert_eq!(
            labels,
            [("a_b", "1"), ("c", "\"")].map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
    }
}
