//! What `pipeline components` prints.

use std::fmt;

use crate::config::{EXPORTERS, Kind, PROCESSORS, RECEIVERS};

/// The components that can be configured, displayed as YAML in the Collector's shape.
#[derive(Clone, Copy, Debug)]
pub struct Inventory;

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "buildinfo:")?;
        writeln!(f, "    command: pipeline")?;
        writeln!(f, "    description: eBPF profiling agent")?;
        writeln!(f, "    version: {}", env!("CARGO_PKG_VERSION"))?;
        section(f, "receivers", RECEIVERS)?;
        section(f, "processors", PROCESSORS)?;
        section(f, "exporters", EXPORTERS)
    }
}

fn section<C>(f: &mut fmt::Formatter<'_>, class: &str, kinds: &[Kind<C>]) -> fmt::Result {
    writeln!(f, "{class}:")?;
    for kind in kinds {
        for name in kind.names {
            writeln!(f, "    - name: {name}")?;
            writeln!(f, "      module: {}", kind.module)?;
            writeln!(f, "      stability:")?;
            writeln!(f, "          profiles: {}", kind.stability.as_str())?;
        }
    }
    Ok(())
}
