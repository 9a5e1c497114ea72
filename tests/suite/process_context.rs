//! Facts that a program publishes about itself while it runs, by OpenTelemetry's process context.

use std::time::Duration;

use tests::agent::Setup;
use tests::otlp::OtlpFile;
use tests::program::{self, Burner, Step};
use tests::{validator, wait};

use crate::alone;

const RATE: u32 = 997;
const BUILD_ID: &str = "00000000000000000000000000000000c0e7e870";
const ENOUGH: u64 = 300;

/// Number of samples of the program under the name of a service.
fn events(file: &OtlpFile, service: &str) -> u64 {
    let resources = file.resources().expect("every index is good");
    let own = resources.iter().filter(|of| of.text("process.executable.name") == "publisher");
    own.filter(|of| of.text("service.name") == service).map(|of| of.events()).sum()
}

/// A published service outranks the environment, and a later one outranks the first; facts that the kernel knows better
/// are not taken from it.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_published_service_goes_before_that_of_the_environment_and_may_change() {
    let _alone = alone();
    let setup = Setup::new().samples_per_second(RATE);
    let path = setup.dir().join("publisher");
    program::compile(&path, BUILD_ID);
    let agent = setup.start();
    let steps = [
        Step::Busy,
        Step::Publish("first"),
        Step::Busy,
        Step::Publish("second"),
        Step::Cpu(Duration::from_secs(600)),
    ];
    let environment = [
        ("OTEL_SERVICE_NAME", "by environment"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.version=7,service.instance.id=i-1"),
    ];
    let mut publisher = Burner::start_with(&path, &steps, &environment);
    let wait_for =
        |service| wait::until(service, || events(&agent.file_so_far(), service), |count| *count > ENOUGH);
    wait_for("by environment");
    publisher.go();
    wait_for("first");
    publisher.go();
    wait_for("second");
    let read = agent.metrics().get("otelcol_processor_procinfo_context_looks_total", &[("outcome", "read")]);
    assert!(read.is_some_and(|read| read >= 2.0), "{read:?}");
    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    let resources = outcome.file.resources().expect("every index is good");
    for of in resources.iter().filter(|of| of.text("process.executable.name") == "publisher") {
        let service = of.text("service.name");
        let instance = if service == "by environment" { "i-1" } else { "i-7" };
        assert!(["by environment", "first", "second"].contains(&service), "{service}");
        assert_eq!((of.text("service.instance.id"), of.text("service.version")), (instance, "7"));
        assert_ne!(of.text("container.id"), "not mine");
    }
    drop(publisher);
}
