//! The section `processors::procinfo`.

use std::time::Duration;

use configtypes::Fault;
use pdata::Image;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Default of [`Config::max_exited_processes`].
pub const DEFAULT_MAX_EXITED_PROCESSES: usize = 65_536;
/// The most that [`Config::max_exited_processes`] may be: two gigabytes of held processes.
pub const MOST_EXITED_PROCESSES: usize = 1 << 20;
/// The default of [`Config::max_exited_age`].
pub const DEFAULT_MAX_EXITED_AGE: Duration = Duration::from_secs(60);
/// The least that [`Config::max_exited_age`] may be.
pub const LEAST_EXITED_AGE: Duration = Duration::from_secs(1);
/// The most that [`Config::max_exited_age`] may be.
pub const MOST_EXITED_AGE: Duration = Duration::from_secs(3600);

/// Configuration of the component, key `processors::procinfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The most exited processes that are held for exporters that have not acknowledged them; past it the oldest exit
    /// is forgotten first. The bound holds for replaced images of live processes too. A process that holds more than 2
    /// KiB, as with long paths, counts as several.
    pub max_exited_processes: usize,
    /// The longest time for which an exited process is held, in event time.
    #[serde(with = "configtypes::GoDuration")]
    pub max_exited_age: Duration,
    /// Attributes of a process that resources have beside those of its executable. `docs/metadata.md` lists the
    /// attributes of each.
    pub metadata: Vec<Metadata>,
    /// Variables of the environment that resources have as `process.environment_variable.NAME`: no others are read.
    pub environment_variables: Vec<String>,
    /// Number of parents that are named where `ancestors` is among the metadata.
    pub ancestors: usize,
    /// Attributes of every resource: those of the host, and those that you add.
    pub resource: ResourceConfig,
    /// Pods by name, as the API server of a Kubernetes cluster has them. {} for the cluster that the agent runs in;
    /// nobody is asked if it is absent.
    #[serde(deserialize_with = "configtypes::section", skip_serializing_if = "Option::is_none")]
    pub k8s: Option<k8s::Config>,
}

impl Default for Config {
    fn default() -> Self {
        let metadata =
            vec![Metadata::Container, Metadata::Unit, Metadata::Service, Metadata::Parent, Metadata::Owner];
        Self {
            max_exited_processes: DEFAULT_MAX_EXITED_PROCESSES,
            max_exited_age: DEFAULT_MAX_EXITED_AGE,
            metadata,
            environment_variables: Vec::new(),
            ancestors: Image::MAX_PARENTS,
            resource: ResourceConfig::default(),
            k8s: None,
        }
    }
}

/// Variables by which OpenTelemetry has a service named.
const SERVICE_VARIABLES: [&str; 2] = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];
/// The most variables that users can name: the kernel side compares each with all of them.
const MOST_VARIABLES: usize = 14;
/// The longest name of a variable, in bytes.
const LONGEST_VARIABLE: usize = 128;

/// A group of attributes of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metadata {
    /// Container and pod, by the control group.
    Container,
    /// The systemd unit, slice and session, by the control group.
    Unit,
    /// The path of the control group.
    Cgroup,
    /// The service, by OpenTelemetry's variables in the environment, and by the arguments of an interpreter.
    Service,
    /// The process that forked this one.
    Parent,
    /// Names of the programs that the parents ran.
    Ancestors,
    /// The effective user.
    Owner,
    /// Leaders of the session and of the process group.
    Session,
    /// The process's number in its own pid namespace, and its namespaces.
    Namespaces,
    /// The effective group.
    Group,
    /// The arguments of the program, without those that look like secrets.
    CommandArgs,
}

/// Attributes of every resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceConfig {
    /// Detectors of the host's attributes. Of an attribute that two find, the first one's value holds.
    pub detectors: Vec<Detector>,
    /// Changes to every resource, in order, like those of the Collector's `resource` processor.
    pub attributes: Vec<ResourceChange>,
}

impl Default for ResourceConfig {
    fn default() -> Self {
        Self { detectors: vec![Detector::Env, Detector::System], attributes: Vec::new() }
    }
}

/// A detector of the host's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// `OTEL_RESOURCE_ATTRIBUTES` of the agent, without the attributes of the agent itself.
    Env,
    /// The host's name, ID, architecture and operating system.
    System,
}

/// A change to every resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceChange {
    /// The attribute's name.
    pub key: String,
    /// The attribute's value; none to delete the attribute.
    #[serde(default)]
    pub value: Option<String>,
    /// The change to the attribute.
    pub action: Action,
}

/// A change to an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The attribute is added where there is none.
    Insert,
    /// The attribute is added, or replaces the one that is there.
    Upsert,
    /// The attribute is removed.
    Delete,
}

impl ResourceChange {
    fn fault(&self) -> Option<&'static str> {
        match (self.key.is_empty(), self.action, &self.value) {
            (true, _, _) => Some("has no key"),
            (_, Action::Insert | Action::Upsert, None) => Some("has no value"),
            (_, Action::Delete, Some(_)) => Some("has a value, which is not needed to delete"),
            _ => None,
        }
    }
}

impl Config {
    /// Bytes for which an exited process counts as one: a process that holds more counts as several.
    pub const EXITED_PROCESS_BYTES: usize = 2048;

    /// Names of the variables that are read of environments; none if the configuration wants none.
    #[must_use]
    pub fn variables(&self) -> Vec<String> {
        let service = self.metadata.contains(&Metadata::Service);
        let of_service = SERVICE_VARIABLES.iter().filter(|_| service).map(|name| (*name).to_owned());
        of_service.chain(self.environment_variables.iter().cloned()).collect()
    }

    /// Number of bytes that are read of programs' arguments; 0 if the configuration wants none.
    #[must_use]
    pub fn argument_bytes(&self) -> u32 {
        let wants = |what| self.metadata.contains(&what);
        match (wants(Metadata::CommandArgs), wants(Metadata::Service)) {
            (true, _) => 2048,
            (false, true) => 1024,
            (false, false) => 0,
        }
    }

    /// Every fault, by its key: the problem and the value that is expected; empty if there is none.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let processes = self.max_exited_processes;
        if !(1..=MOST_EXITED_PROCESSES).contains(&processes) {
            faults.push(Fault::at(
                ["max_exited_processes"],
                format!("{processes} is out of range, expected 1 to {MOST_EXITED_PROCESSES}"),
            ));
        }
        let age = self.max_exited_age;
        if !(LEAST_EXITED_AGE..=MOST_EXITED_AGE).contains(&age) {
            faults.push(Fault::at(
                ["max_exited_age"],
                format!("{age:?} is out of range, expected {LEAST_EXITED_AGE:?} to {MOST_EXITED_AGE:?}"),
            ));
        }
        let ancestors = self.ancestors;
        if !(1..=Image::MAX_PARENTS).contains(&ancestors) {
            let most = Image::MAX_PARENTS;
            faults
                .push(Fault::at(["ancestors"], format!("{ancestors} is out of range, expected 1 to {most}")));
        }
        if let Some(fault) = variables_fault(&self.environment_variables) {
            faults.push(Fault::at(["environment_variables"], fault));
        }
        for (place, change) in self.resource.attributes.iter().enumerate() {
            if let Some(fault) = change.fault() {
                faults.push(Fault::at(["resource", "attributes"], format!("number {} {fault}", place + 1)));
            }
        }
        let pods = self.k8s.iter().flat_map(k8s::Config::validate);
        faults.extend(pods.map(|fault| fault.within(["k8s"])));
        faults
    }
}

fn variables_fault(names: &[String]) -> Option<String> {
    if names.len() > MOST_VARIABLES {
        return Some(format!("has {} names, expected at most {MOST_VARIABLES}", names.len()));
    }
    let is_name =
        |name: &String| !name.is_empty() && name.len() <= LONGEST_VARIABLE && !name.contains(['=', '\0']);
    let wrong = names.iter().find(|name| !is_name(name))?;
    Some(format!("{wrong:?} is no variable's name, expected 1 to {LONGEST_VARIABLE} bytes without ="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(Config::default().validate(), [""; 0]);
    }

    #[test]
    fn only_what_is_wanted_is_read_of_environments() {
        let with = |metadata: &[Metadata], names: &[&str]| Config {
            metadata: metadata.into(),
            environment_variables: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Config::default()
        };
        assert_eq!(with(&[Metadata::Parent], &[]).variables(), [""; 0]);
        assert_eq!(with(&[], &["TEAM"]).variables(), ["TEAM"]);
        let both = with(&[Metadata::Service], &["TEAM"]).variables();
        assert_eq!(both, ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "TEAM"]);
        assert!(variables_fault(&vec!["A".to_owned(); 15]).is_some());
    }

    #[test]
    fn every_fault_is_reported_at_once_by_its_key() {
        let change = ResourceChange { key: "a".to_owned(), value: None, action: Action::Insert };
        let resource = ResourceConfig { attributes: vec![change], ..ResourceConfig::default() };
        let config = Config {
            max_exited_processes: 0,
            max_exited_age: Duration::ZERO,
            ancestors: 9,
            environment_variables: vec!["HOME".to_owned(), "A=B".to_owned()],
            resource,
            ..Config::default()
        };
        let faults = config.validate();
        assert_eq!(faults.len(), 5);
        assert!(faults[0].keys == ["max_exited_processes"]);
        assert!(faults[1].keys == ["max_exited_age"]);
        assert!(faults[2].keys == ["ancestors"]);
        assert!(faults[3].keys == ["environment_variables"]);
        assert!(faults[4].keys == ["resource", "attributes"]);
    }
}
