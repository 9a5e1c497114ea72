//! Bytes a sample, raw and after gzip, of the host in `benches/host` at 19 Hz: `cargo run --release -p otlp-profiles
//! --example size`.

#![allow(clippy::unwrap_used, reason = "an example of figures, made for people to run")]

#[path = "../benches/host/mod.rs"]
mod host;

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use otlp_profiles::{DEFAULT_REQUEST_BYTES, Windows};

use host::Host;

fn main() {
    println!(
        "| load | captures | samples | stacks | locations | requests | bytes | B/capture | gzip | gzip B/capture |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    // Samples, stacks and locations are those of all requests: what two of them share counts twice.
    for (cpus, seconds) in [(8, 5), (8, 60), (64, 5), (64, 60)] {
        let captures = cpus * seconds * 19;
        let mut windows = Windows::new(Duration::from_secs(600), DEFAULT_REQUEST_BYTES);
        let mut batches = Host::new(cpus).batches(captures);
        batches.push(host::end());
        let requests: Vec<_> = batches.iter().flat_map(|batch| windows.push(batch).requests).collect();
        assert_eq!(requests.iter().map(|request| request.samples).sum::<u64>(), captures);
        let raw: usize = requests.iter().map(|request| request.bytes.len()).sum();
        let gzip: usize = requests.iter().map(|request| gzip(&request.bytes)).sum();
        let each = |bytes: usize| bytes as f64 / captures as f64;
        let (mut samples, mut stacks, mut locations) = (0, 0, 0);
        for message in requests.iter().map(|request| request.message().unwrap()) {
            let tables = message.dictionary.unwrap();
            // Without their zero values.
            stacks += tables.stack_table.len() - 1;
            locations += tables.location_table.len() - 1;
            let scopes = message.resource_profiles.iter().flat_map(|resource| &resource.scope_profiles);
            let profiles = scopes.flat_map(|scope| &scope.profiles);
            samples += profiles.map(|profile| profile.samples.len()).sum::<usize>();
        }
        println!(
            "| {cpus} CPUs, {seconds} s | {captures} | {samples} | {stacks} | {locations} | {} | {raw} | {:.1} | {gzip} | {:.1} |",
            requests.len(),
            each(raw),
            each(gzip)
        );
    }
}

fn gzip(bytes: &[u8]) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().len()
}
