//! The output of `pipeline components`.

use std::fmt;

use crate::components::{EXPORTERS, EXTENSIONS, Factory, PROCESSORS, RECEIVERS};

/// Schemes of locations in `--config`, sorted.
const PROVIDERS: [&str; 3] = ["env", "file", "yaml"];

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
        writeln!(f, "connectors: []")?;
        section(f, "extensions", "extension", EXTENSIONS)?;
        writeln!(f, "providers:")?;
        PROVIDERS.iter().try_for_each(|scheme| writeln!(f, "    - scheme: {scheme}\n      module: pipeline"))
    }
}

fn section<C: ?Sized>(
    f: &mut fmt::Formatter<'_>,
    class: &str,
    signal: &str,
    factories: &[Factory<C>],
) -> fmt::Result {
    if factories.is_empty() {
        return writeln!(f, "{class}: []");
    }
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
