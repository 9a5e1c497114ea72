//! The components that can be configured: the one list of their types.

use std::collections::BTreeMap;

use figment::value::Value;

use super::decode::{Context, find};
use super::fault::{Fault, Faults, hint};
use super::id::ComponentId;

/// Configuration of an exporter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExporterConfig {
    /// To a person: standard output.
    Debug(exporter_debug::Config),
    /// To a file.
    File(exporter_file::Config),
    /// To a Collector or back end, by gRPC.
    Otlp(exporter_otlp::Config),
}

/// How mature a component is, in the Collector's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// Works, and may still change in any way.
    Development,
}

impl Stability {
    /// As `pipeline components` prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "Development",
        }
    }
}

/// A type of component.
#[derive(Debug)]
pub struct Kind<C> {
    /// The type, first the one to be used and then its other names.
    pub names: &'static [&'static str],
    /// Crate that implements it.
    pub module: &'static str,
    /// How mature it is.
    pub stability: Stability,
    read: fn(&Section<'_>, &mut Faults) -> Option<C>,
}

/// Receivers.
pub const RECEIVERS: &[Kind<receiver_ebpf::Config>] = &[Kind {
    names: &["ebpf"],
    module: "receiver-ebpf",
    stability: Stability::Development,
    read: |section, faults| section.read(faults, receiver_ebpf::Config::validate),
}];

/// Processors.
pub const PROCESSORS: &[Kind<processor_procinfo::Config>] = &[Kind {
    names: &["procinfo"],
    module: "processor-procinfo",
    stability: Stability::Development,
    read: |section, faults| section.read(faults, processor_procinfo::Config::validate),
}];

/// Exporters.
pub const EXPORTERS: &[Kind<ExporterConfig>] = &[
    Kind {
        names: &["debug"],
        module: "exporter-debug",
        stability: Stability::Development,
        read: |section, faults| {
            section.read(faults, exporter_debug::Config::validate).map(ExporterConfig::Debug)
        },
    },
    Kind {
        names: &["file"],
        module: "exporter-file",
        stability: Stability::Development,
        read: |section, faults| {
            section.read(faults, exporter_file::Config::validate).map(ExporterConfig::File)
        },
    },
    Kind {
        // As in the Collector, where `otlp` is the older name.
        names: &["otlp", "otlp_grpc"],
        module: "exporter-otlp",
        stability: Stability::Development,
        read: |section, faults| {
            section.read(faults, exporter_otlp::Config::validate).map(ExporterConfig::Otlp)
        },
    },
];

/// Components of one class by id. Holds `None` for one that is configured, but cannot be read.
pub(super) type Components<C> = BTreeMap<ComponentId, Option<C>>;

/// Reads `receivers`, `processors` or `exporters`.
pub(super) fn components<C>(
    class: &str,
    section: Option<&Value>,
    kinds: &[Kind<C>],
    context: &Context<'_>,
    faults: &mut Faults,
) -> Components<C> {
    let mut components = Components::new();
    let entries = match section {
        Some(Value::Dict(_, entries)) => entries,
        None | Some(Value::Empty(..)) => return components,
        Some(_) => {
            faults.add(&[class], "expected a map of component ids to their configurations");
            return components;
        }
    };
    for (key, value) in entries {
        let mut refuse = |message| {
            let path = vec![class.to_owned()];
            faults.push(Fault { path, message, source: context.source(value) });
        };
        let id = match ComponentId::parse(key) {
            Ok(id) => id,
            Err(message) => {
                refuse(message);
                continue;
            }
        };
        if components.contains_key(&id) {
            refuse(format!("duplicate name {:?} after unmarshaling", id.to_string()));
            continue;
        }
        let Some(kind) = kinds.iter().find(|kind| kind.names.contains(&id.kind())) else {
            let names = kinds.iter().flat_map(|kind| kind.names.iter().copied());
            let hint = hint(id.kind(), names);
            refuse(format!("unknown type: {:?} for id: {:?}{hint}", id.kind(), id.to_string()));
            components.insert(id, None);
            continue;
        };
        let section = Section { value, path: vec![class.to_owned(), key.clone()], context };
        components.insert(id, (kind.read)(&section, faults));
    }
    components
}

/// One component's part of the configuration.
pub(super) struct Section<'a> {
    pub(super) value: &'a Value,
    pub(super) path: Vec<String>,
    pub(super) context: &'a Context<'a>,
}

impl Section<'_> {
    /// The section as a `T`, as far as it can be read; what is wrong with it is added to `faults`.
    pub(super) fn read<T: serde::de::DeserializeOwned>(
        &self,
        faults: &mut Faults,
        validate: impl Fn(&T) -> Vec<String>,
    ) -> Option<T> {
        let before = faults.as_slice().len();
        let config = self.context.decode(self.value, &self.path, faults)?;
        let all_read = faults.as_slice().len() == before;
        for fault in validate(&config) {
            let (keys, message) = split(&fault);
            let found = find(self.value, &keys);
            let path: Vec<_> = self.path.iter().cloned().chain(keys).collect();
            // What was taken out as unreadable, or is missing since its key is misspelt, has been reported.
            if all_read || (found.is_some() && !faults.touches(&path)) {
                let source = self.context.source(found.unwrap_or(self.value));
                faults.push(Fault { path, message: message.to_owned(), source });
            }
        }
        Some(config)
    }
}

/// Splits `key.key: message`; there are no keys if what is before the colon is none.
fn split(fault: &str) -> (Vec<String>, &str) {
    match fault.split_once(": ") {
        Some((key, message)) if !key.contains(' ') => {
            (key.replace('.', "::").split("::").map(str::to_owned).collect(), message)
        }
        _ => (Vec::new(), fault),
    }
}
