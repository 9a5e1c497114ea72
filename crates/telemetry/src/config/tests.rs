use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(value: serde_json::Value) -> Result<Telemetry, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn faults(value: serde_json::Value) -> Vec<String> {
    read(value).unwrap().validate().iter().map(ToString::to_string).collect()
}

#[test]
fn the_defaults_are_sound_and_stay_so_when_written_and_read() {
    let defaults = Telemetry::default();
    assert_eq!(defaults.validate(), [""; 0]);
    assert_eq!(read(json!({})), Ok(defaults.clone()));
    assert_eq!(read(serde_json::to_value(&defaults).unwrap()), Ok(defaults.clone()));
    assert_eq!(defaults.endpoint().unwrap().port, 8888);
    assert_eq!(read(json!({ "metrics": { "level": "none" } })).unwrap().endpoint(), None);
}

#[test]
fn what_the_collector_has_and_the_agent_has_not_is_refused_with_a_reason() {
    let refused = faults(json!({
        "metrics": {
            "views": [],
            "readers": [{
                "periodic": { "exporter": {} },
                "pull": { "exporter": { "prometheus": { "with_resource_constant_labels": {} } } },
            }],
        },
        "logs": { "development": true, "disable_stacktrace": false, "processors": [] },
        "traces": { "processors": [], "propagators": [] },
    }));
    let keys: Vec<_> =
        refused.iter().map(|fault| fault.split_once(": not supported, expected ").unwrap().0).collect();
    assert_eq!(
        keys,
        [
            "metrics::views",
            "metrics::readers::0::periodic",
            "metrics::readers::0::pull::exporter::prometheus::with_resource_constant_labels",
            "logs::development",
            "logs::disable_stacktrace",
            "logs::processors",
            "traces::processors",
            "traces::propagators",
        ]
    );
    assert!(read(json!({ "traces": { "level": "basic" } })).unwrap_err().contains("expected `none`"));
}

#[test]
fn values_out_of_bounds_are_told_with_their_keys() {
    let found = faults(json!({
        "metrics": { "readers": [
            { "pull": { "exporter": { "prometheus": { "host": "" } } } },
            {},
        ] },
        "logs": { "sampling": { "tick": "0s" }, "output_paths": ["stderr", "http://x"], "error_output_paths": [""] },
    }));
    let keys: Vec<_> = found.iter().map(|fault| fault.split_once(": ").unwrap().0).collect();
    assert_eq!(
        keys,
        [
            "metrics::readers",
            "metrics::readers::0::pull::exporter::prometheus::host",
            "logs::sampling::tick",
            "logs::output_paths::1",
            "logs::error_output_paths::0",
        ]
    );
    let none =
        json!({ "metrics": { "readers": [] }, "logs": { "sampling": { "enabled": false, "tick": 0 } } });
    assert_eq!(
        faults(none),
        ["metrics::readers: collector telemetry metrics reader should exist when metric level is not none"]
    );
}

#[test]
fn a_resource_is_read_as_the_collector_has_it_now_and_as_it_had_it_before() {
    let expected = Resource {
        attributes: [("service.name", Some("x")), ("service.version", None), ("shard", Some("3"))]
            .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
            .into(),
    };
    let list = json!({ "resource": { "schema_url": "https://x", "attributes": [
        { "name": "service.name", "value": "x", "type": "string" },
        { "name": "service.version" },
        { "name": "shard", "value": 3 },
    ] } });
    let map = json!({ "resource": { "service.name": "x", "service.version": null, "shard": 3 } });
    assert_eq!(read(list).unwrap().resource, expected);
    assert_eq!(read(map).unwrap().resource, expected);
    assert!(read(json!({ "resource": { "a": [1] } })).unwrap_err().contains("expected text, a number or"));
    assert!(
        read(json!({ "resource": { "attributes": [{ "nam": "a" }] } }))
            .unwrap_err()
            .contains("unknown field")
    );
}

proptest! {
    /// A resource is written so that it is read again.
    #[test]
    fn any_resource_survives(attributes: BTreeMap<String, Option<String>>) {
        let resource = Resource { attributes };
        let written = serde_json::to_value(&resource).unwrap();
        prop_assert_eq!(serde_json::from_value::<Resource>(written).unwrap(), resource);
    }
}
