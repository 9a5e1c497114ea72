//! Profiles for tests.

use pdata::UnixNanos;
use proptest::collection::vec;
use proptest::prelude::*;
use smallvec::SmallVec;

use crate::model::*;
use crate::table::Id;

pub(crate) const START: u64 = 1_700_000_000_000_000_000;

/// A profile without samples: a library without names, a program with them, and the kernel.
pub(crate) struct Fixture {
    pub(crate) profile: Profile,
    /// The stacks by number: none; `main`; then `inlined;odd` in `outer` in `main`; a place in the library in `main`;
    /// `[kernel]`.
    stacks: [Option<Id<Stack>>; 4],
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let mut tables = Tables::default();
        let mut text = |text: &str| tables.texts.intern(text);
        let (main_c, app, app_id) = (text("main.c"), text("/opt/app"), text("abcd"));
        let (library, library_id) = (text("/opt/libx.so"), text("1234"));
        let functions = ["main", "outer", "inlined;odd", "[kernel]"].map(&mut text);
        let mut mapping = |name, id| {
            let mapping = Mapping {
                start: 0x1000,
                limit: 0x5000,
                file_offset: 0x1000,
                name,
                build_id: Some(id),
                is_file: true,
            };
            tables.mappings.intern(mapping)
        };
        let (library, app) = (mapping(library, library_id), mapping(app, app_id));
        let files = [Some(main_c), Some(main_c), Some(main_c), None];
        let mut functions = functions.into_iter().zip(files).map(|(name, file)| {
            tables.functions.intern(Function { name, system_name: None, file, start_line: 0 })
        });
        let functions: [Id<Function>; 4] = std::array::from_fn(|_| functions.next().unwrap());
        let mut location = |mapping, address, lines: &[usize]| {
            let line = |&number: &usize| Line { function: functions[number], line: 7, column: 0 };
            let list: Lines = lines.iter().map(line).collect();
            let lines = (!list.is_empty()).then(|| tables.lines.intern(list));
            tables.locations.intern(Location { mapping, address, lines, kind: FrameKind::User })
        };
        let main = location(Some(app), 0x2000, &[0]);
        let inlined = location(Some(app), 0x3000, &[2, 1]);
        let unnamed = location(Some(library), 0x1234, &[]);
        let kernel = location(None, 0xffff_ffff_8000_0000, &[3]);
        let mut stack = |caller, location| Some(tables.stacks.intern(Stack { caller, location }));
        let root = stack(None, main);
        let stacks = [None, stack(root, inlined), stack(root, unnamed), stack(None, kernel)];
        let (start, end) = (UnixNanos::from_nanos(START), UnixNanos::from_nanos(START + 5_000_000_000));
        Self { profile: Profile { start, end, tables, ..Profile::default() }, stacks }
    }

    pub(crate) fn value_type(&mut self, kind: &str, unit: &str, period: i64) -> Id<ValueType> {
        let texts = &mut self.profile.tables.texts;
        let (kind, unit) = (texts.intern(kind), texts.intern(unit));
        let period_type = Some((texts.intern("cpu"), texts.intern("nanoseconds")));
        self.profile.tables.value_types.intern(ValueType { kind, unit, period_type, period })
    }

    pub(crate) fn thread(&mut self, pid: u32, path: &str, tid: Option<u32>, name: &str) -> Id<Thread> {
        let tables = &mut self.profile.tables;
        let reference = ProcessRef { pid, start: Start::Unknown };
        let identity = ProcessIdentity {
            process: Some(reference),
            exec_count: 0,
            resolved: true,
            facts: Box::default(),
        };
        let texts = &mut tables.texts;
        let process = Process {
            process: Some(reference),
            path: Some(texts.intern(path)),
            name: Some(texts.intern(path.rsplit('/').next().unwrap())),
            ..Process::default()
        };
        let name = (!name.is_empty()).then(|| texts.intern(name));
        let process = Some(tables.processes.intern(identity, || process));
        tables.threads.intern(Thread { process, tid, name })
    }

    pub(crate) fn sample(&mut self, stack: usize, thread: Id<Thread>, at: &[u64]) {
        let value_type = self.value_type("samples", "count", 50_000_000);
        let thread = Some(thread);
        let key = SampleKey {
            stack: self.stacks[stack],
            cut: None,
            thread,
            cpu: None,
            value_type,
            attributes: None,
        };
        for &at in at {
            let sample = self.profile.samples.add(key, Amount { value: 1, count: 1 });
            self.profile.captures.push(Capture { at: UnixNanos::from_nanos(at), sample, value: 1 });
        }
    }
}

/// Six samples of two processes, one stack of them in the kernel.
pub(crate) fn profile() -> Profile {
    let mut fixture = Fixture::new();
    let app = fixture.thread(1, "/usr/bin/less", Some(77), "app");
    let worker = fixture.thread(1, "/usr/bin/less", None, "worker 1");
    fixture.sample(1, app, &[START, START + 1]);
    fixture.sample(3, worker, &[START + 2]);
    let app = fixture.thread(2, "/opt/app", None, "app");
    let nameless = fixture.thread(2, "/opt/app", None, "");
    fixture.sample(1, app, &[START + 3]);
    fixture.sample(2, nameless, &[START + 4, START + 5]);
    fixture.profile
}

/// Names that do harm unless a format escapes them.
pub(crate) const HOSTILE: [&str; 12] = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "a\"b'c&d<e>",
    "\u{1b}[31mred\u{7}",
    "main;[kernel] 9",
    "two\nlines 7",
    "=cmd|' /C calc'!A0",
    "\u{202e}gnp.exe\u{2066}",
    "nul\0\u{1}\u{7f}\u{85}\u{2028}",
    "]]>--><!-- ${x} `y` \\ \\u003c \\x3b",
    "\u{ffff}\u{fffe}\u{fdd0}\u{10ffff}",
    " ",
];

/// A profile in which every name, path and key is one of [`HOSTILE`].
pub(crate) fn hostile() -> Profile {
    let mut profile = Profile { end: UnixNanos::from_nanos(9), ..Profile::default() };
    for (number, name) in (0..).zip(HOSTILE) {
        let mut one = self::profile();
        let renamed = |text: &str| match text {
            "samples" | "count" | "cpu" | "nanoseconds" | "" => text.to_owned(),
            _ => format!("{name}{}", text.len()),
        };
        let mut texts = Texts::default();
        for (_, text) in one.tables.texts.iter() {
            texts.intern(&format!("{}{}", renamed(text), if renamed(text) == text { "" } else { text }));
        }
        assert_eq!(texts.len(), one.tables.texts.len());
        one.tables.texts = texts;
        one.add_loss(name, Loss { count: number, samples: true });
        let process = one.tables.processes.iter().next().map(|(id, _)| id);
        let reason = one.tables.texts.intern(name);
        let since = UnixNanos::from_nanos(START);
        let at = UnixNanos::from_nanos(START + 7);
        for kind in [
            MarkerKind::Exec,
            MarkerKind::Fork { parent: ProcessRef { pid: 1, start: Start::Unknown } },
            MarkerKind::Exit,
            MarkerKind::Loss { reason, count: 3, since },
        ] {
            one.markers.push(Marker { at, process, kind });
        }
        profile.merge(&one, &Bounds::default());
    }
    profile
}

fn any_id<T>() -> impl Strategy<Value = Id<T>> {
    prop_oneof![8 => 0..6_usize, 1 => any::<usize>()].prop_map(Id::of_index)
}

/// A profile whose numbers point anywhere.
pub(crate) fn any_profile() -> impl Strategy<Value = Profile> {
    let sample = (
        prop::option::of(any_id()),
        prop::option::of(prop_oneof![0..24_usize, 0..24_usize].prop_map(Id::of_index)),
        prop::option::of(any_id()),
        any_id(),
        any::<i64>(),
        0..100_u64,
    );
    let location = (prop::option::of(any_id()), any::<u64>(), prop::option::of(any_id()));
    let stack = (prop::option::of(any_id()), any_id());
    let value_type = (0..25_usize, 0..25_usize, any::<i64>());
    let tables = (vec(location, 0..5), vec(stack, 0..5), vec(any_id(), 0..5), vec(value_type, 0..3));
    (vec(sample, 0..12), tables, any::<(u64, u64)>()).prop_map(|(samples, tables, (start, end))| {
        let (locations, stacks, functions, value_types) = tables;
        let mut profile = profile();
        (profile.start, profile.end) = (UnixNanos::from_nanos(start), UnixNanos::from_nanos(end));
        for (mapping, address, lines) in locations {
            let location = Location { mapping, address, lines, kind: FrameKind::Kernel };
            profile.tables.locations.intern(location);
        }
        for (caller, location) in stacks {
            profile.tables.stacks.intern(Stack { caller, location });
        }
        for function in functions {
            profile.tables.lines.intern(SmallVec::from([Line { function, line: 1, column: 2 }]));
        }
        for (kind, unit, period) in value_types {
            let (kind, unit) = (Id::of_index(kind), Id::of_index(unit));
            let period_type = Some((unit, kind));
            profile.tables.value_types.intern(ValueType { kind, unit, period_type, period });
        }
        for (stack, cut, thread, value_type, value, count) in samples {
            let key = SampleKey { stack, cut, thread, cpu: None, value_type, attributes: None };
            profile.samples.add(key, Amount { value, count });
        }
        profile
    })
}
