//! Tests that the files in `config/` are complete and sound.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use schemars::SchemaGenerator;
use serde::Deserialize as _;
use serde_yaml_ng::{Value as Yaml, from_str, to_value};

use super::{Config, Location, Service};
use crate::components::{EXPORTERS, EXTENSIONS, Factory, PROCESSORS, RECEIVERS};

const REFERENCE: &str = include_str!("../../../../config/reference.yaml");

/// Keys without a default.
const REQUIRED: [&str; 3] =
    ["exporters::file::path", "exporters::otlp_grpc::endpoint", "exporters::otlp_http::endpoint"];

#[test]
fn the_reference_has_every_key_with_the_default_of_the_code() {
    let mut written = Leaves::default();
    written.add("", from_str(REFERENCE).unwrap());
    written.0.retain(|path, _| !path.starts_with("service::pipelines"));
    let mut real = Leaves::default();
    real.add_class("receivers", RECEIVERS);
    real.add_class("processors", PROCESSORS);
    real.add_class("exporters", EXPORTERS);
    real.add_class("extensions", EXTENSIONS);
    real.add("service", to_value(Service::default()).unwrap());
    real.0.retain(|path, _| !path.starts_with("service::pipelines"));
    for path in REQUIRED {
        assert_eq!(real.0.remove(path), Some(Yaml::from("")), "{path} has no default");
        assert!(written.0.remove(path).is_some(), "{path}");
    }
    assert_eq!(written.0, real.0);
}

#[test]
fn every_configuration_is_sound() {
    for (name, text) in shipped() {
        let config = Config::load(&[Location::Yaml(text)], &|_| None);
        let config = config.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(config.unset, Vec::<String>::new(), "{name}");
        assert_eq!(config.aliases, [], "{name}");
    }
}

/// Manifest, chart and example have one configuration, which is sound, and the privileges of the unit, no more.
#[test]
fn the_manifests_run_the_example_with_the_privileges_of_the_unit() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    let manifest = read("examples/kubernetes/pipeline.yaml");
    let objects =
        serde_yaml_ng::Deserializer::from_str(&manifest).map(|object| Yaml::deserialize(object).unwrap());
    let objects: BTreeMap<_, _> =
        objects.map(|object| (object["kind"].as_str().unwrap().to_owned(), object)).collect();
    let embedded = objects["ConfigMap"]["data"]["agent.yaml"].as_str().unwrap();
    let config = Config::load(&[Location::Yaml(embedded.to_owned())], &|_| None);
    assert_eq!(config.unwrap_or_else(|error| panic!("{error}")).unset, Vec::<String>::new());
    let values: Yaml = from_str(&read("examples/kubernetes/chart/values.yaml")).unwrap();
    let example: Yaml = from_str(&read("examples/daemonset.yaml")).unwrap();
    assert_eq!(from_str::<Yaml>(embedded).unwrap(), example);
    assert_eq!(values["config"], example);

    let pod = &objects["DaemonSet"]["spec"]["template"]["spec"];
    let security = &pod["containers"][0]["securityContext"];
    assert_eq!(&values["securityContext"], security);
    assert_eq!(pod["hostPID"], Yaml::Bool(true));
    assert_eq!(security["privileged"], Yaml::Bool(false));
    assert_eq!(security["readOnlyRootFilesystem"], Yaml::Bool(true));
    assert_eq!(security["capabilities"]["drop"], from_str::<Yaml>("[ALL]").unwrap());
    let unit = read("pipeline.service");
    let set = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    let set: Vec<_> = set.split(' ').map(|name| Yaml::from(name.strip_prefix("CAP_").unwrap())).collect();
    assert_eq!(security["capabilities"]["add"], Yaml::Sequence(set));
    let rules = "[{apiGroups: [''], resources: [pods], verbs: [list, watch]}]";
    assert_eq!(objects["ClusterRole"]["rules"], from_str::<Yaml>(rules).unwrap());
}

/// Name and text of each configuration that a user may start with.
pub(crate) fn shipped() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let examples = fs::read_dir(directory.join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let files = ["agent.yaml", "reference.yaml"].map(|name| directory.join(name)).into_iter().chain(examples);
    let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.map(|file| (file.display().to_string(), fs::read_to_string(&file).unwrap())).collect()
}

/// Fills in the keys and defaults of sections that are absent by default.
fn fill(value: &mut Yaml, schema: &Yaml, definitions: &Yaml) {
    let section_of = |schema| section(schema, definitions).and_then(|found| found["properties"].as_mapping());
    let Some(properties) = section_of(schema) else { return };
    if value.is_null() {
        let defaults = properties.iter().map(|(key, schema)| (key.clone(), schema["default"].clone()));
        *value = Yaml::Mapping(defaults.collect());
    }
    let Some(entries) = value.as_mapping_mut() else { return };
    for (key, schema) in properties {
        if entries.contains_key(key) || section_of(schema).is_some() {
            fill(entries.entry(key.clone()).or_insert(Yaml::Null), schema, definitions);
        }
    }
}

/// The object that a schema describes, itself or by reference, perhaps among other possibilities.
fn section<'a>(schema: &'a Yaml, definitions: &'a Yaml) -> Option<&'a Yaml> {
    if let Some(name) = schema["$ref"].as_str() {
        return section(&definitions[name.strip_prefix("#/$defs/")?], definitions);
    }
    if let Some(any) = schema["anyOf"].as_sequence() {
        return any.iter().find_map(|schema| section(schema, definitions));
    }
    schema["properties"].is_mapping().then_some(schema)
}

/// Values without others in them, by their path.
#[derive(Default)]
struct Leaves(BTreeMap<String, Yaml>);

impl Leaves {
    fn add_class<C: ?Sized>(&mut self, class: &str, factories: &[Factory<C>]) {
        for factory in factories {
            let mut generator = SchemaGenerator::default();
            let schema = (factory.schema)(&mut generator);
            let definitions = to_value(generator.take_definitions(false)).unwrap();
            let mut value = (factory.default)();
            fill(&mut value, &to_value(schema).unwrap(), &definitions);
            self.add(&format!("{class}::{}", factory.name()), value);
        }
    }

    fn add(&mut self, path: &str, value: Yaml) {
        let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}::{key}") };
        match value {
            Yaml::Mapping(entries) if !entries.is_empty() => {
                entries.into_iter().for_each(|(key, value)| self.add(&join(key.as_str().unwrap()), value));
            }
            Yaml::Sequence(items) if !items.is_empty() => {
                items.into_iter().enumerate().for_each(|(at, item)| self.add(&join(&at.to_string()), item));
            }
            // A duration can be written in more ways than one.
            Yaml::String(text) => {
                let parsed = configtypes::duration::parse(&text);
                let text = parsed.map_or(text, |duration| format!("{duration:?}"));
                assert!(self.0.insert(path.to_owned(), Yaml::from(text)).is_none(), "{path} is there twice");
            }
            leaf => assert!(self.0.insert(path.to_owned(), leaf).is_none(), "{path} is there twice"),
        }
    }
}
