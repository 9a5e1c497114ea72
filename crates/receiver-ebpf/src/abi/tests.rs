//! `ebpf/include/abi.h`, read as C, against its mirror.

use std::collections::BTreeMap;
use std::mem::offset_of;

use unwind::Rule;

use super::*;

const HEADER: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../ebpf/include/abi.h"));

/// Constants of the header that only the kernel side needs.
const KERNEL_ONLY: &[&str] = &[
    "PATH_BYTES",
    "FILENAME_BYTES",
    "INTERPRETER_BYTES",
    "ENVIRONMENT_BYTES",
    "ARGUMENTS_BYTES",
    "STACK_FRAMES",
    "COMM_BYTES",
    "SAMPLE_MAPPINGS",
    "BUILD_ID_BYTES",
    "FIRST_FILE",
    "FLAG_SOFTIRQ",
    "IDENTIFY_UNKNOWN",
    "IDENTIFY_ADDRESS",
    "IDENTIFY_INODE",
    "IDENTIFY_MTIME",
    "IDENTIFY_EXTRA",
    "IDENTIFY_DEVICE",
    "IDENTIFY_GENERATION",
    "FILE_IDENTITY_BYTES",
    "PAGE_UNBUILT",
];

/// Every constant of the mirror has its value in the header, and the header has no constant that this list leaves out.
#[test]
fn constants_are_those_of_the_header() {
    macro_rules! constants {
        ($($name:ident),* $(,)?) => { [$((stringify!($name), u64::from($name))),*] };
    }
    macro_rules! counters {
        ($($name:ident = $counter:ident),* $(,)?) => { [$((stringify!($name), Counter::$counter as u64)),*] };
    }
    let constants = constants![
        RECORD_SAMPLE,
        RECORD_SEEN,
        RECORD_EXEC,
        RECORD_FORK,
        RECORD_EXIT,
        RECORD_FREED,
        RECORD_RENAME,
        RECORD_FILE,
        RECORD_CGROUP,
        LEGACY_PIDS,
        LEGACY_MEMORY,
        LEGACY_CPU,
        FLAG_KERNEL_THREAD,
        FLAG_IN_EXECVE,
        FLAG_PATH_TRUNCATED,
        FLAG_NO_PARENT_DIRECTORY,
        FLAG_NAME_GONE,
        FLAG_ENVIRONMENT_READ,
        FRAME_ADDRESS_BITS,
        MAPPED_UNANNOUNCED,
        MAPPED_ANONYMOUS,
        MAPPED_VDSO,
        IDENTIFY_SAME,
        IDENTIFY_OTHER,
        FRAME_INTERRUPTED_BIT,
        MAX_USER_FRAMES,
        ROW_PAGE_SHIFT,
        CHUNK_ROWS,
        MAX_ROW_PAGES,
        ROW_TIME_SHIFT,
        VDSO_GENERATION,
        PAGE_ASKED,
        PAGE_BUILT,
        END_ROOT,
        END_DEPTH_LIMIT,
        END_FILE_PENDING,
        END_PAGE_PENDING,
        END_NO_UNWIND_INFO,
        END_UNSUPPORTED,
        END_BAD_FRAME,
        END_NOT_MAPPED,
        END_UNREADABLE,
        END_MAPPING_LIMIT,
        FLAG_RAW_STACK,
        RAW_INTERRUPTED,
        RAW_KEPT_KNOWN,
        RAW_GUESSED,
        RAW_LIST_CUT,
        RAW_STACK_BYTES,
        LISTED_MAPPINGS,
    ];
    let sizes = [
        ("WANTED_VARIABLES", WANTED_VARIABLES),
        ("SYMBOL_TEXT", SYMBOL_TEXT),
        ("MAX_CHUNKS", MAX_CHUNKS),
        ("MAX_ROW_FILES", MAX_ROW_FILES),
        ("MAX_RULES", MAX_RULES),
        ("WALK_REGISTERS", unwind::REGISTERS),
        ("STACK_ENDS", STACK_ENDS.len()),
        ("COUNTER_STACKS", COUNTER_STACKS),
        ("COUNTERS", COUNTERS),
    ];
    let ends = [
        "not_reported",
        "root",
        "depth_limit",
        "file_pending",
        "page_pending",
        "no_unwind_info",
        "unsupported",
    ];
    let ends = [&ends[..], &["bad_frame", "not_mapped", "unreadable", "mapping_limit"]].concat();
    let ends: Vec<_> = ends.iter().map(|end| format!("END_{}", end.to_uppercase())).collect();
    let counters = counters![
        COUNTER_TICKS_IDLE = TicksIdle,
        COUNTER_TICKS_BUSY = TicksBusy,
        COUNTER_SAMPLE_RING_FULL = SampleRingFull,
        COUNTER_SAMPLE_NO_SCRATCH = SampleNoScratch,
        COUNTER_LIFECYCLE_RING_FULL = LifecycleRingFull,
        COUNTER_LIFECYCLE_NO_SCRATCH = LifecycleNoScratch,
        COUNTER_FILE_OVER_BUDGET = FileOverBudget,
        COUNTER_TICKS_MISSED = TicksMissed,
        COUNTER_FRAMES_UNMAPPED = FramesUnmapped,
        COUNTER_FRAMES_NOT_EXECUTABLE = FramesNotExecutable,
        COUNTER_FRAMES_OVER_MAPPINGS = FramesOverMappings,
        COUNTER_ROW_ASK_RING_FULL = RowAskRingFull,
        COUNTER_CGROUP_OVER_BUDGET = CgroupOverBudget,
        COUNTER_RAW_OVER_BUDGET = RawOverBudget,
        COUNTER_TICKS_OUTSIDE = TicksOutside,
    ];
    let mut ours: BTreeMap<&str, u64> = constants.into_iter().chain(counters).chain(RULES).collect();
    ours.extend(sizes.map(|(name, size)| (name, size as u64)));
    ours.extend(ends.iter().zip(0..).map(|(name, value)| (&**name, value)));
    let mut theirs = Header::read().constants;
    for name in KERNEL_ONLY {
        assert!(theirs.remove(*name).is_some(), "abi.h has no {name}: take it out of KERNEL_ONLY");
    }
    let theirs: BTreeMap<&str, u64> = theirs.iter().map(|(name, &value)| (&**name, value)).collect();
    assert_eq!(ours, theirs, "abi.rs, abi.h: what is new goes in both and in this test, or in KERNEL_ONLY");
}

/// Kinds of rules, as `crates/unwind` numbers them.
const RULES: [(&str, u64); 19] = {
    use unwind::{Cfa, ReturnAddress, SavedFp};
    [
        ("CFA_GAP", Cfa::Gap as u64),
        ("CFA_UNSUPPORTED", Cfa::Unsupported as u64),
        ("CFA_ROOT", Cfa::Root as u64),
        ("CFA_SIGNAL", Cfa::Signal as u64),
        ("CFA_SP", Cfa::Sp as u64),
        ("CFA_FP", Cfa::Fp as u64),
        ("CFA_REGISTER", Cfa::Register as u64),
        ("CFA_PLT", Cfa::Plt as u64),
        ("CFA_AT_SP", Cfa::AtSp as u64),
        ("CFA_AT_FP", Cfa::AtFp as u64),
        ("CFA_OTHER_STACK", Cfa::OtherStack as u64),
        ("FP_SAME", SavedFp::Same as u64),
        ("FP_AT_CFA", SavedFp::AtCfa as u64),
        ("FP_AT_FP", SavedFp::AtFp as u64),
        ("FP_LOST", SavedFp::Lost as u64),
        ("RA_AT_CFA", ReturnAddress::AtCfa as u64),
        ("RA_LINK_REGISTER", ReturnAddress::LinkRegister as u64),
        ("RA_REGISTER", ReturnAddress::Register as u64),
        ("RA_AT_CFA_UNLESS_CHILD", ReturnAddress::AtCfaUnlessChild as u64),
    ]
};

/// Every field of every record has its name, size and place, and no record has one field more.
#[test]
fn fields_are_where_the_header_has_them() {
    fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
        size_of::<F>()
    }
    macro_rules! fields {
        ($base:expr, $type:ident { $($field:ident),* $(,)? }) => {
            vec![$(Field {
                name: stringify!($field).to_owned(),
                offset: $base + offset_of!($type, $field),
                size: size_of_field(|record: &$type| &record.$field),
            }),*]
        };
    }
    let header = Field { name: "header".to_owned(), offset: 0, size: size_of::<RecordHeader>() };
    let after = size_of::<RecordHeader>();
    let mut rule = fields!(0, Rule { cfa, fp, ra, register, cfa_offset, fp_offset, ra_offset, add, kept });
    // This word is one that C keeps for itself.
    rule.iter_mut()
        .filter(|field| field.name == "register")
        .for_each(|field| field.name = "number".to_owned());
    let whole = |body: Vec<Field>| [vec![header.clone()], body].concat();
    let ours: BTreeMap<_, _> = [
        (
            "record_header",
            fields!(
                0,
                RecordHeader { kind, cpu, ktime_ns, pid, tid, start_boottime_ns, exec_count, flags, comm }
            ),
        ),
        (
            "sample_record",
            whole(fields!(
                after,
                SampleBody { cgroup, user, period_ns, kernel_frames, user_frames, mappings, user_stack_end }
            )),
        ),
        (
            "image_record",
            whole(fields!(
                after,
                ImageBody {
                    inode,
                    device,
                    link_count,
                    mount_namespace,
                    path_bytes,
                    own_path_bytes,
                    filename_bytes,
                    interpreter_bytes,
                    environment_bytes,
                    arguments_bytes,
                    relatives,
                }
            )),
        ),
        (
            "fork_record",
            whole(fields!(
                after,
                ForkBody { parent_start_boottime_ns, parent_pid, parent_exec_count, relatives }
            )),
        ),
        ("raw_stack", fields!(0, RawStackBody { pc, sp, fp, start, bytes, flags, registers })),
        ("sample_mapping", fields!(0, SampleMapping { start, end, file_offset, file })),
        (
            "file_key",
            fields!(0, FileKey { inode, mtime_ns, extra, device, generation, dentry, mount, name, root }),
        ),
        (
            "file_record",
            whole(fields!(
                after,
                FileBody { id, key, size, link_count, path_bytes, own_path_bytes, build_id, build_id_bytes }
            )),
        ),
        ("cgroup_key", fields!(0, CgroupKey { unified, legacy, controller })),
        ("cgroup_record", whole(fields!(after, CgroupBody { key, number, unified_bytes, legacy_bytes }))),
        (
            "relatives",
            fields!(
                0,
                RelativesRecord {
                    parent_start_boottime_ns,
                    parent_pid,
                    session,
                    process_group,
                    own_pid,
                    pid_namespace,
                    network_namespace,
                    group_id,
                    has_terminal,
                }
            ),
        ),
        ("census_record", fields!(0, CensusRecord { pid, exited, start_boottime_ns })),
        ("wanted_environment", fields!(0, WantedEnvironment { count, argument_bytes, heads, masks })),
        ("row_file", fields!(0, RowFile { first_page, pages, used, reserved })),
        ("row_page", fields!(0, RowPage { place, used, reserved })),
        ("cpu_counters", fields!(0, CpuCounters { count })),
        ("unwind_rule", rule),
    ]
    .into_iter()
    .collect();
    let theirs = Header::read().records;
    let theirs: BTreeMap<_, _> = theirs.iter().map(|(name, fields)| (&**name, fields.clone())).collect();
    assert_eq!(ours, theirs, "abi.rs, abi.h: what is new goes in both and in this test");
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: String,
    offset: usize,
    size: usize,
}

/// The constants and records that the header declares.
#[derive(Debug, Default)]
struct Header {
    constants: BTreeMap<String, u64>,
    records: BTreeMap<String, Vec<Field>>,
    /// Size and alignment of each record.
    layouts: BTreeMap<String, (usize, usize)>,
}

impl Header {
    /// Reads the little of C that the header needs, and panics at any other C.
    fn read() -> Self {
        let text = without_comments(HEADER);
        let mut header = Self::default();
        let (defines, rest): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('#'));
        for define in defines.iter().filter_map(|line| line.strip_prefix("#define ")) {
            // An include guard has no value.
            if let Some((name, value)) = define.trim().split_once(' ') {
                header.define(name, value);
            }
        }
        let rest = rest.join(" ");
        for (head, body) in rest.split('}').filter_map(|declaration| declaration.split_once('{')) {
            let mut words = head.rsplit([';', ' ']).filter(|word| !word.is_empty());
            match (words.next(), words.next()) {
                (Some(_), Some("enum")) => {
                    for (name, value) in body.split(',').filter_map(|item| item.split_once('=')) {
                        header.define(name, value);
                    }
                }
                (Some(name), Some("struct")) => header.record(name, body),
                other => panic!("neither enum nor struct: {other:?}"),
            }
        }
        header
    }

    fn define(&mut self, name: &str, value: &str) {
        let value = match value.split_once("<<") {
            Some((one, by)) => self.number(one) << self.number(by),
            None => self.number(value),
        };
        assert_eq!(self.constants.insert(name.trim().to_owned(), value), None, "{name} twice");
    }

    fn number(&self, text: &str) -> u64 {
        let text = text.trim();
        text.parse()
            .unwrap_or_else(|_| *self.constants.get(text).unwrap_or_else(|| panic!("what is {text}?")))
    }

    /// Lays a struct out as C does: each field at its natural alignment.
    fn record(&mut self, name: &str, body: &str) {
        let (mut fields, mut end, mut alignment) = (Vec::new(), 0_usize, 1);
        for declaration in body.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            let (of, field) = declaration.rsplit_once(' ').unwrap();
            let (field, count) = match field.split_once('[') {
                Some((field, count)) => (field, self.number(count.trim_end_matches(']'))),
                None => (field, 1),
            };
            let (size, align) = match of.trim() {
                "char" | "__u8" => (1, 1),
                "__u16" | "__s16" => (2, 2),
                "__u32" | "__s32" => (4, 4),
                "__u64" => (8, 8),
                other => self.layouts[other.strip_prefix("struct ").unwrap().trim()],
            };
            let (offset, size) = (end.next_multiple_of(align), size * usize::try_from(count).unwrap());
            assert_eq!(offset, end, "padding before {field} is to be spelled out");
            fields.push(Field { name: field.to_owned(), offset, size });
            (end, alignment) = (offset + size, alignment.max(align));
        }
        assert_eq!(end, end.next_multiple_of(alignment), "padding at the end of {name} is to be spelled out");
        self.layouts.insert(name.to_owned(), (end, alignment));
        self.records.insert(name.to_owned(), fields);
    }
}

fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let code = parts.next().unwrap().to_owned();
    code + &parts.map(|part| part.split_once("*/").unwrap().1).collect::<String>()
}
