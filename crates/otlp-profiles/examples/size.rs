//! Bytes a sample, raw and after gzip, of the host in `benches/host` at 19 Hz: `cargo run --release -p otlp-profiles
//! --example size`; then the growth of those bytes with the number of attributes on each resource.

#![allow(clippy::unwrap_used, reason = "an example of figures, made for people to run")]

#[path = "../benches/host/mod.rs"]
mod host;

use std::io::Write as _;
use std::time::Duration;

use std::collections::HashMap;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use otlp_profiles::{DEFAULT_REQUEST_BYTES, Windows};
use pdata::{Attribute, Batch, Event, Image, Resource};

use host::Host;

fn main() {
    println!(
        "| load | captures | samples | stacks | locations | requests | bytes | B/capture | gzip | gzip B/capture |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    // Samples, stacks and locations are those of all requests: entries that two of them share count twice.
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
    growth();
}

/// A set of attributes to put on resources, beside those that every image has.
#[derive(Clone, Copy)]
struct ResourceShape {
    name: &'static str,
    host: &'static [(&'static str, &'static str)],
    /// Attributes of each process, made from its number.
    process: &'static [fn(u32) -> Vec<Attribute>],
}

const HOST: [(&str, &str); 6] = [
    ("host.name", "web-1.example.com"),
    ("host.id", "0af7651916cd43dd8448eb211c80319c"),
    ("host.arch", "amd64"),
    ("os.type", "linux"),
    ("os.version", "12"),
    ("os.description", "Debian GNU/Linux 12 (bookworm)"),
];

/// A third of the processes is in containers, two in each; the others are in ten units.
fn container(number: u32) -> Vec<Attribute> {
    if !number.is_multiple_of(3) {
        return Vec::new();
    }
    let mix = |salt: u32| u64::from(number / 6 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let id: String = (1..=4).map(|salt| format!("{:016x}", mix(salt))).collect();
    let pod = format!("{:08x}-b29f-11e7-9350-020968147796", number / 6);
    vec![
        Attribute::text("container.id", id),
        Attribute::text("container.runtime.name", "containerd"),
        Attribute::text("k8s.pod.uid", pod),
    ]
}

fn unit(number: u32) -> Vec<Attribute> {
    if number.is_multiple_of(3) {
        return Vec::new();
    }
    vec![Attribute::text("procinfo.systemd.unit", format!("daemon-{}.service", number % 10))]
}

fn slice(_: u32) -> Vec<Attribute> {
    vec![Attribute::text("procinfo.systemd.slice", "system.slice")]
}

fn parent(number: u32) -> Vec<Attribute> {
    vec![Attribute::int("process.parent_pid", (number / 4 + 1).into())]
}

fn owner(number: u32) -> Vec<Attribute> {
    vec![Attribute::text("process.owner", if number.is_multiple_of(4) { "www-data" } else { "root" })]
}

fn user(number: u32) -> Vec<Attribute> {
    vec![Attribute::int("process.user.id", if number.is_multiple_of(4) { 33 } else { 0 })]
}

const SAID: [ResourceShape; 11] = [
    ResourceShape { name: "nothing more", host: &[], process: &[] },
    ResourceShape { name: "host.name", host: HOST.first_chunk::<1>().unwrap(), process: &[] },
    ResourceShape { name: "host.name, host.id", host: HOST.first_chunk::<2>().unwrap(), process: &[] },
    ResourceShape { name: "host, all six", host: &HOST, process: &[] },
    ResourceShape { name: "container", host: &[], process: &[container] },
    ResourceShape { name: "unit", host: &[], process: &[unit] },
    ResourceShape { name: "unit and slice", host: &[], process: &[unit, slice] },
    ResourceShape { name: "parent", host: &[], process: &[parent] },
    ResourceShape { name: "owner, user.id", host: &[], process: &[owner, user] },
    ResourceShape {
        name: "the defaults",
        host: HOST.first_chunk::<5>().unwrap(),
        process: &[container, unit, parent, owner],
    },
    ResourceShape { name: "all of it", host: &HOST, process: &[container, unit, slice, parent, owner, user] },
];

/// Returns the batches with the attributes of a shape on their host and on their images.
fn say(batches: &[Batch], said: ResourceShape) -> Vec<Batch> {
    let mut resource = Resource::default();
    said.host.iter().for_each(|&(key, value)| resource.set(Attribute::text(key, value), false));
    let resource = Arc::new(resource);
    let mut known: HashMap<usize, Arc<Image>> = HashMap::new();
    let mut described = |image: &Arc<Image>| {
        let number = u32::try_from(known.len()).unwrap();
        let describe = || {
            let mut image = (**image).clone();
            said.process.iter().for_each(|of| image.attributes.add(of(number).into()));
            Arc::new(image)
        };
        Arc::clone(known.entry(Arc::as_ptr(image).addr()).or_insert_with(describe))
    };
    let mut event = |event: &Event| {
        let mut event = event.clone();
        if let Event::Sample(sample) = &mut event {
            sample.image = sample.image.as_ref().map(&mut described);
        }
        event
    };
    let mut batch = |batch: &Batch| Batch {
        events: Arc::new(batch.events.iter().map(&mut event).collect()),
        resource: Arc::clone(&resource),
        ..batch.clone()
    };
    batches.iter().map(&mut batch).collect()
}

fn growth() {
    println!(
        "\n| resources say | 8 CPUs, 5 s: bytes | gzip | 8 CPUs, 60 s: bytes | gzip | 64 CPUs, 60 s: bytes | gzip |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let loads = [(8, 5), (8, 60), (64, 60)].map(|(cpus, seconds)| {
        let mut batches = Host::new(cpus).batches(cpus * seconds * 19);
        batches.push(host::end());
        batches
    });
    let mut plain: Vec<[usize; 2]> = Vec::new();
    for said in SAID {
        let sizes = loads.iter().map(|batches| {
            let mut windows = Windows::new(Duration::from_secs(600), DEFAULT_REQUEST_BYTES);
            let requests: Vec<_> =
                say(batches, said).iter().flat_map(|batch| windows.push(batch).requests).collect();
            let raw = requests.iter().map(|request| request.bytes.len()).sum();
            [raw, requests.iter().map(|request| gzip(&request.bytes)).sum()]
        });
        let sizes: Vec<[usize; 2]> = sizes.collect();
        if plain.is_empty() {
            plain.clone_from(&sizes);
        }
        let more = sizes.iter().flatten().zip(plain.iter().flatten());
        let more =
            more.map(|(&size, &plain)| format!("{:+.1} %", 100.0 * (size as f64 / plain as f64 - 1.0)));
        println!("| {} | {} |", said.name, more.collect::<Vec<_>>().join(" | "));
    }
}

fn gzip(bytes: &[u8]) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().len()
}
