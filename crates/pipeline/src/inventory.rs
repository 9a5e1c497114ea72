//! What `pipeline components` prints.

use std::fmt;

use crate::components::{EXPORTERS, EXTENSIONS, Factory, PROCESSORS, RECEIVERS};

/// The components that can be configured, displayed as YAML in the Collector's shape.
#[derive(Clone, Copy, Debug)]
pub struct Inventory;

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "buildinfo:")?;
        writeln!(f, "    command: pipeline")?;
        writeln!(f, "    description: eBPF profiling agent")?;
        writeln!(f, "    version: {}", env!("CARGO_PKG_VERSION"))?;
        section(f, "receivers", "profiles", RECEIVERS)?;
        section(f, "processors", "profiles", PROCESSORS)?;
        section(f, "exporters", "profiles", EXPORTERS)?;
        section(f, "extensions", "extension", EXTENSIONS)
    }
}

fn section<C: ?Sized>(
    f: &mut fmt::Formatter<'_>,
    class: &str,
    signal: &str,
    factories: &[Factory<C>],
) -> fmt::Result {
    writeln!(f, "{class}:")?;
    for factory in factories {
        for name in factory.names {
            writeln!(f, "    - name: {name}")?;
            writeln!(f, "      module: {}", factory.module)?;
            writeln!(f, "      stability:")?;
            writeln!(f, "          {signal}: {}", factory.stability.as_str())?;
        }
    }
    Ok(())
}
