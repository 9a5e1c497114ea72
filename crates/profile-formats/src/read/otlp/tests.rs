//! Tests of requests against the gathered profile, and against damage.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::profiles::v1development as otlp;
use otlp_profiles::Windows;
use pdata::*;
use proptest::prelude::*;
use prost::Message as _;

use crate::model::{Loss as ProfileLoss, ProcessRef, Profile, Quantity, Start};
use crate::read::{ReadError, read};
use crate::{GatherSettings, Gatherer};

fn folded(profile: &Profile) -> String {
    let mut out = Vec::new();
    crate::folded::write(profile, Quantity::Captures, &mut out);
    String::from_utf8(out).unwrap()
}

/// A frame of one of five kinds: a function in a file, memory without a file, the kernel, an interpreted function,
/// unknown code.
fn frame(choice: u8, at: u64, file: &Arc<MappedFile>) -> Frame {
    let pc = |base: u64| Pc(base + at);
    let mapping = |start, end, backing| {
        Arc::new(Mapping { start: Pc(start), end: Pc(end), file_offset: FileOffset(0x1000), backing })
    };
    let function = |name: &str| Arc::new(Function { name: name.into(), ..Function::default() });
    let mapped = Code::Mapped(mapping(0x5000, 0x6000, Backing::File(Arc::clone(file))));
    match choice {
        0 => Frame::exact(pc(0x5000), mapped),
        1 => {
            let lines = ["inner", "outer"].map(|name| Line { function: function(name), line: 7 });
            Frame { lines: Some(Arc::new(Lines(lines.into()))), ..Frame::exact(pc(0x5000), mapped) }
        }
        2 => Frame::exact(pc(0xffff_0000), Code::Kernel),
        3 => Frame::exact(pc(0), Code::Unknown),
        4 => Frame::exact(Pc(0), Code::Interpreted(function("app.run"), 3)),
        _ => {
            Frame::exact(pc(0x9000), Code::Mapped(mapping(0x9000, 0xa000, Backing::Special("[heap]".into()))))
        }
    }
}

fn image(pid: u32) -> Arc<Image> {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(9) };
    let executable = Executable {
        path: Path::new("/usr/bin/app").into(),
        own_path: None,
        state: FileState::Deleted,
        device: 1,
        inode: 2,
        mount_namespace: 3,
        truncated: false,
    };
    let kind = ImageKind::User { executable: Arc::new(executable), script: None, loader: None };
    Arc::new(Image::new(
        ImageKey { process, exec_count: ExecCount(1) },
        UnixNanos::from_nanos(1_000_009),
        kind,
    ))
}

type Choice = (u32, Vec<(u8, u64)>, bool, bool);

fn batch(choices: &[Choice]) -> Batch {
    let file = Arc::new(MappedFile::at(Path::new("/usr/bin/app")));
    let mut events = Vec::new();
    for (at, (pid, frames, is_cut, is_off)) in (1..).zip(choices) {
        let frames: Vec<_> = frames.iter().map(|&(choice, at)| frame(choice, at, &file)).collect();
        let image = image(*pid);
        let measure = match is_off {
            false => Measure::OnCpu { period: Duration::from_millis(50) },
            true => Measure::OffCpu { blocked: Duration::from_micros(at), reason: OffCpuReason::Sleep },
        };
        events.push(Event::Sample(Sample {
            at: KTime::from_nanos(at),
            key: image.key,
            measure,
            tid: Tid(*pid),
            cpu: pid % 3,
            comm: Comm(*b"worker\0\0\0\0\0\0\0\0\0\0"),
            stack: pdata::Stack {
                frames: frames.into(),
                end: if *is_cut { StackEnd::DepthLimit } else { StackEnd::Root },
            },
            image: Some(image),
            ..Sample::default()
        }));
    }
    // The loss is in a window with a sample: an empty window reports none.
    let at = KTime::from_nanos(1);
    events.push(Event::Loss(Loss { from: at, until: at, reason: LossReason::SampleRingFull, count: 3 }));
    let clock =
        ClockOffset::from_readings(KTime::ZERO, BootTime::from_nanos(0), UnixNanos::from_nanos(1_000_000));
    Batch { events: Arc::new(events.into()), watermark: Watermark::END, clock, ..Batch::default() }
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let frames = prop::collection::vec((0..6_u8, 0..4_u64), 0..5);
    prop::collection::vec((1..4_u32, frames, any::<bool>(), any::<bool>()), 1..30)
}

fn requests(batch: &Batch, length: u64) -> Vec<ExportProfilesServiceRequest> {
    let mut windows = Windows::new(Duration::from_nanos(length), usize::MAX);
    windows.push(batch).requests.iter().map(|request| request.message().unwrap()).collect()
}

/// The files that exporters write of requests: JSON lines, frames of protobuf, compressed frames.
fn files(requests: &[ExportProfilesServiceRequest]) -> Vec<Vec<u8>> {
    let (mut json, mut framed, mut packed, mut packed_json) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let frame = |message: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        out.extend_from_slice(message);
    };
    for request in requests {
        let from = json.len();
        otlp_profiles::json::write_request(request, &mut json);
        frame(&zstd::bulk::compress(&json[from..], 1).unwrap(), &mut packed_json);
        json.push(b'\n');
        let message = request.encode_to_vec();
        frame(&message, &mut framed);
        frame(&zstd::bulk::compress(&message, 1).unwrap(), &mut packed);
    }
    let whole = zstd::bulk::compress(&json, 1).unwrap();
    let mut files = vec![json, framed, packed, packed_json, whole];
    if let [only] = requests {
        files.push(only.encode_to_vec());
    }
    files
}

proptest! {
    /// A file of OTLP, however it is wrapped, reads as the profile of the samples that it was made of.
    #[test]
    fn a_file_says_what_was_gathered(choices in choices(), length in prop_oneof![Just(10_u64), Just(1_000)]) {
        let batch = batch(&choices);
        let settings = GatherSettings { captures: true, ..GatherSettings::default() };
        let mut gatherer = Gatherer::new(batch.clock, settings);
        gatherer.push(&batch);
        let gathered = gatherer.finish(KTime::ZERO, KTime::from_nanos(100));
        let requests = requests(&batch, length);
        for file in files(&requests) {
            let read = read(&file).unwrap();
            prop_assert_eq!(folded(&read), folded(&gathered));
            prop_assert_eq!(read.summary(), gathered.summary());
            for name in ["samples", "cpu", "off_cpu"] {
                let sum = |profile: &Profile| {
                    let of = profile.quantity(name);
                    of.map(|of| profile.samples.iter().map(|(key, amount)| profile.amount_of(of, key, amount)).sum::<i64>())
                };
                prop_assert_eq!(sum(&read), sum(&gathered), "{}", name);
            }
            let instants = |profile: &Profile| {
                let mut all: Vec<_> = profile.captures.iter().map(|capture| (capture.at, capture.value)).collect();
                all.sort_unstable();
                all
            };
            prop_assert_eq!(instants(&read), instants(&gathered));
            let process = read.tables.processes.iter().next().unwrap().1;
            prop_assert_eq!(read.tables.text_or_empty(process.path), "/usr/bin/app");
            prop_assert_eq!(process.file, FileState::Deleted);
            prop_assert_eq!(process.process.unwrap().start, Start::Unix(UnixNanos::from_nanos(1_000_009)));
            prop_assert_eq!(read.losses.get("sample_ring_full"), Some(&ProfileLoss { count: 3, samples: true }));
        }
    }

    /// A damaged file, with a byte changed or its end cut off, is read or refused.
    #[test]
    fn damaged_files_are_read_or_refused(
        choices in choices(), which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let files = files(&requests(&batch(&choices), 10));
        let mut file = files[which.index(files.len())].clone();
        let at = at.index(file.len());
        if cut { file.truncate(at) } else { file[at] = byte }
        let _read = read(&file);
    }
}

/// A file of another tool: many processes in one resource, attributes that refer to strings, values of every kind.
#[test]
fn other_shapes_are_read() {
    let string_table =
        ["", "samples", "count", "main", "process.pid", "worker", "thread.name", "service.name", "shop"];
    let text = |index| Some(AnyValue { value: Some(any_value::Value::StringValueStrindex(index)) });
    let pid = |pid| Some(AnyValue { value: Some(any_value::Value::IntValue(pid)) });
    let attribute = |key_strindex, value| otlp::KeyValueAndUnit { key_strindex, value, unit_strindex: 0 };
    let dictionary = otlp::ProfilesDictionary {
        string_table: string_table.map(str::to_owned).into(),
        function_table: vec![
            otlp::Function::default(),
            otlp::Function { name_strindex: 3, ..Default::default() },
        ],
        location_table: vec![
            otlp::Location::default(),
            otlp::Location {
                lines: vec![otlp::Line { function_index: 1, line: 4, column: 0 }],
                ..Default::default()
            },
        ],
        stack_table: vec![otlp::Stack::default(), otlp::Stack { location_indices: vec![1] }],
        attribute_table: vec![
            otlp::KeyValueAndUnit::default(),
            attribute(4, pid(7)),
            attribute(4, pid(8)),
            attribute(6, text(5)),
        ],
        ..Default::default()
    };
    let sample = |attribute_indices: &[i32], values: &[i64], times: &[u64]| otlp::Sample {
        stack_index: 1,
        attribute_indices: attribute_indices.into(),
        values: values.into(),
        timestamps_unix_nano: times.into(),
        ..Default::default()
    };
    let profile = otlp::Profile {
        sample_type: Some(otlp::ValueType { type_strindex: 1, unit_strindex: 2 }),
        samples: vec![
            sample(&[1, 3], &[], &[100, 101]),
            sample(&[2, 3], &[5], &[]),
            sample(&[2], &[7], &[102, 103]),
            sample(&[2], &[1, 2], &[104, 105]),
        ],
        time_unix_nano: 100,
        duration_nano: 10,
        ..Default::default()
    };
    let service = KeyValue { key_strindex: 7, value: text(8), ..Default::default() };
    let request = ExportProfilesServiceRequest {
        resource_profiles: vec![otlp::ResourceProfiles {
            resource: Some(opentelemetry_proto::tonic::resource::v1::Resource {
                attributes: vec![service],
                ..Default::default()
            }),
            scope_profiles: vec![otlp::ScopeProfiles { profiles: vec![profile], ..Default::default() }],
            ..Default::default()
        }],
        dictionary: Some(dictionary),
    };
    for file in files(&[request]) {
        let read = read(&file).unwrap();
        let pids: Vec<_> = read.tables.processes.iter().filter_map(|(_, process)| process.process).collect();
        assert!(pids.contains(&ProcessRef { pid: 7, start: Start::Unknown }), "{pids:?}");
        let service =
            read.tables.processes.iter().all(|(_, p)| read.tables.text_or_empty(p.service) == "shop");
        assert!(service, "facts of the resource hold for processes of samples");
        let amounts: Vec<_> = read.samples.iter().map(|(_, amount)| (amount.value, amount.count)).collect();
        assert_eq!(amounts, [(2, 2), (5, 5), (10, 4)]);
        let values: Vec<_> = read.captures.iter().map(|capture| capture.value).collect();
        assert_eq!(values, [1, 1, 4, 3, 1, 2]);
        assert_eq!((read.start.as_nanos(), read.end.as_nanos()), (100, 110));
        assert_eq!(folded(&read), "shop;main 4\nworker;main 7\n");
    }
}

#[test]
fn a_fault_names_the_request_and_what_is_wrong_with_it() {
    let dangling = br#"{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"samples":[{"stackIndex":9,"values":["1"]}]}]}]}],"dictionary":{"stringTable":[""]}}"#;
    let fault = read(dangling).unwrap_err();
    assert!(matches!(fault, ReadError::Otlp { request: 1, fault: "a stack that is not there" }), "{fault}");
    for (text, expected) in [
        ("{\"meta\":{}}", "without profiles of OTLP"),
        ("{\"resourceProfiles\":3}", "as OTLP/JSON"),
        ("{\"resourceProfiles\":[", "as OTLP/JSON"),
        ("{} {\"dictionary\": {\"stringTable\": [3]}}", "as OTLP/JSON"),
    ] {
        let fault = read(text.as_bytes()).unwrap_err().to_string();
        assert!(fault.contains(expected), "{text}: {fault}");
    }
    // Other spellings of names, unknown fields, and nulls are no faults.
    read(br#"{"resource_profiles":[{"resource":null,"schemaUrl":"x","new":[1,{"a":null}]}],"dictionary":{"string_table":[""]}}"#).unwrap();
}

/// Deep nesting uses up neither the stack nor quadratic time.
#[test]
fn deep_values_are_passed_over() {
    let deep = format!("{}{}", "{\"arrayValue\":{\"values\":[".repeat(40), "]}}".repeat(40));
    let text = format!(
        "{{\"resourceProfiles\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"a\",\"value\":{deep}}}]}}}}],\"dictionary\":{{\"stringTable\":[\"\"]}}}}"
    );
    read(text.as_bytes()).unwrap();
    assert!(matches!(read("{\"a\":".repeat(10_000).as_bytes()), Err(ReadError::Json(_))));
}
