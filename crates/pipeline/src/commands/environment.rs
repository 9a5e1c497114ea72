//! `pipeline validate --environment`, which checks that this machine lets the configuration run.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;

use receiver_ebpf::preflight::{Finding, Verdict};
use textline::with_causes;

use super::error::CommandError;
use super::{doctor, reach};
use crate::components::{ExporterSettings, Host};
use crate::config::Config;

/// Prefix of addresses that exporters and extensions listen on, in the names of what they hold.
const LISTENS: &str = "tcp:";

/// Checks the machine and all components that the configuration runs, and writes a line for each.
///
/// # Errors
/// [`CommandError::Checks`] if a check has failed.
pub(super) fn check(config: &Config, out: &mut dyn Write) -> Result<(), CommandError> {
    let mut checks = Checks { out, failed: 0, all: 0 };
    for finding in receiver_ebpf::preflight::report() {
        checks.note(&finding)?;
    }
    for (id, exporter) in config.graph.exporters() {
        let name = format!("exporters::{id}");
        let exporter_settings = exporterhelper::DeliverySettings::new(&id.to_string());
        let settings = ExporterSettings { id, exporter: exporter_settings, host: Arc::<Host>::default() };
        checks.result(
            &name,
            "could start",
            exporter.check(&settings).map_err(|error| with_causes(&*error)),
        )?;
        checks.doubt(&name, exporter.exposed())?;
        for endpoint in exporter.connects_to() {
            checks.result(
                &name,
                &format!("{endpoint} answers"),
                reach::connect(&endpoint).map_err(|error| format!("{endpoint} cannot be reached: {error}")),
            )?;
        }
        checks.listening(&name, &exporter.holds())?;
    }
    for (id, extension) in &config.graph.extensions {
        let name = format!("extensions::{id}");
        checks.result(&name, "could start", extension.check().map_err(|error| with_causes(&*error)))?;
        checks.listening(&name, &extension.holds())?;
    }
    for path in config.telemetry.logs.files() {
        checks.doubt("service::telemetry::logs", openfile::doubt(path))?;
    }
    if let Some(endpoint) = config.telemetry.endpoint().filter(|endpoint| endpoint.port != 0) {
        let address = format!("{LISTENS}{}:{}", endpoint.host, endpoint.port);
        checks.listening("service::telemetry::metrics", &[address])?;
    }
    checks.done()
}

/// Writes findings, and counts them.
struct Checks<'a> {
    out: &'a mut dyn Write,
    failed: usize,
    all: usize,
}

impl Checks<'_> {
    fn note(&mut self, finding: &Finding) -> io::Result<()> {
        self.all += 1;
        self.failed += usize::from(finding.verdict == Verdict::Fails);
        doctor::write(finding, self.out)
    }

    fn result(&mut self, name: &str, works: &str, result: Result<(), impl Display>) -> io::Result<()> {
        let (verdict, found) = match result {
            Ok(()) => (Verdict::Works, works.to_owned()),
            Err(error) => (Verdict::Fails, error.to_string()),
        };
        self.note(&Finding { name: name.to_owned(), verdict, found, fix: None })
    }

    /// Notes that others can decide what becomes of a file, if they can: it works all the same.
    fn doubt(&mut self, name: &str, doubt: Option<String>) -> io::Result<()> {
        let finding = |found| Finding { name: name.to_owned(), verdict: Verdict::Limits, found, fix: None };
        doubt.map_or(Ok(()), |found| self.note(&finding(found)))
    }

    fn listening(&mut self, name: &str, held: &[String]) -> io::Result<()> {
        for address in held.iter().filter_map(|held| held.strip_prefix(LISTENS)) {
            let result =
                reach::listen(address).map_err(|error| format!("cannot listen on {address}: {error}"));
            self.result(name, &format!("{address} is free"), result)?;
        }
        Ok(())
    }

    fn done(self) -> Result<(), CommandError> {
        let Self { failed, all, .. } = self;
        if failed > 0 { Err(CommandError::Checks { failed, all }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::Location;

    #[test]
    fn a_file_of_which_others_decide_is_noted_and_is_no_fault() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let text = format!(
            "{{ receivers: {{ ebpf: }}, processors: {{ procinfo: }}, exporters: {{ file: {{ path: '{}' }} }}, service: {{ \
             pipelines: {{ profiles: {{ receivers: [ebpf], processors: [procinfo], exporters: [file] }} }} }} }}",
            path.display()
        );
        let config = Config::load(&[Location::Yaml(text)], &|_| None).unwrap();
        let (_, exporter) = config.graph.exporters().into_iter().next().unwrap();
        let mut out = Vec::new();
        let mut checks = Checks { out: &mut out, failed: 0, all: 0 };
        checks.doubt("exporters::file", exporter.exposed()).unwrap();
        assert_eq!(checks.all, 0);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        checks.doubt("exporters::file", exporter.exposed()).unwrap();
        assert_eq!((checks.failed, checks.all), (0, 1));
        let line = String::from_utf8(out).unwrap();
        assert!(line.contains("limited") && line.contains("others can write to the directory"), "{line}");
    }
}
