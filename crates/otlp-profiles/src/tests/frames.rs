//! The encoding of addresses, files and special code.

use std::sync::Arc;

use pdata::*;

use super::make::{batch, file, kernel_image, lines, mapped, mapping, no_file, sample, segment, special};
use super::read::{captures, check_tables, only_request};

/// The frames of one sample with this stack.
fn frames(stack: Vec<Frame>) -> Vec<String> {
    let sample = sample(1, None, stack);
    let request = only_request(&[batch(vec![Event::Sample(sample)], Watermark::END)]);
    check_tables(&request);
    captures(&request).remove(0).frames
}

const NATIVE: &str = r#"["profile.frame.type=native"]"#;
/// Attributes of a location like [`NATIVE`]'s, of the functions that start at line 3.
const PYTHON: &str = r#"["profile.frame.type=cpython"]"#;
const KERNEL: &str = r#"["profile.frame.type=kernel"]"#;

#[test]
fn a_caller_is_told_by_the_byte_before_its_return_address() {
    let caller = |pc| Frame::caller(Pc(pc), Code::Unknown);
    assert_eq!(
        frames(vec![Frame::exact(Pc(0x100), Code::Unknown), caller(0x200), caller(0x300)]),
        [
            format!("100 [unknown] {NATIVE}"),
            format!("1ff [unknown] {NATIVE}"),
            format!("2ff [unknown] {NATIVE}"),
        ]
    );
}

#[test]
fn an_address_is_told_as_it_is_if_it_was_read_from_registers_wherever_it_stands() {
    let (exact, caller) = (Frame::exact, Frame::caller);
    let (kernel, user) = (|| Code::Kernel, || Code::Unknown);
    let stack = vec![
        exact(Pc(0x10), kernel()),
        caller(Pc(0x20), kernel()),
        exact(Pc(0x30), user()),
        caller(Pc(0x40), user()),
        exact(Pc(0x50), user()),
        caller(Pc(0x50), user()),
    ];
    assert_eq!(
        frames(stack),
        [
            format!("10 [kernel] {KERNEL}"),
            format!("1f [kernel] {KERNEL}"),
            format!("30 [unknown] {NATIVE}"),
            format!("3f [unknown] {NATIVE}"),
            format!("50 [unknown] {NATIVE}"),
            format!("4f [unknown] {NATIVE}"),
        ]
    );
}

#[test]
fn two_stacks_that_differ_in_the_kind_of_an_address_are_two() {
    let at = |at, frame| Event::Sample(sample(at, None, vec![frame]));
    let (one, two) = (Frame::exact(Pc(9), Code::Unknown), Frame::caller(Pc(9), Code::Unknown));
    let request = only_request(&[batch(vec![at(1, one), at(2, two)], Watermark::END)]);
    let frames: Vec<_> = captures(&request).into_iter().map(|captures| captures.frames).collect();
    assert_eq!(frames, [[format!("8 [unknown] {NATIVE}")], [format!("9 [unknown] {NATIVE}")]]);
}

#[test]
fn an_interpreted_function_is_told_by_its_name_file_and_line() {
    let frame = |line| Frame::exact(Pc(0x1234), Code::Interpreted(super::make::function(3), line));
    let sample = sample(1, None, vec![frame(7), frame(8)]);
    let request = only_request(&[batch(vec![Event::Sample(sample)], Watermark::END)]);
    check_tables(&request);
    let expected = [7, 8].map(|line| format!("0 main.run:{line} {PYTHON}"));
    assert_eq!(captures(&request)[0].frames, expected);
    let tables = request.dictionary.as_ref().unwrap();
    let function = &tables.function_table[1];
    assert_eq!(tables.string_table[usize::try_from(function.filename_strindex).unwrap()], "app/main.py");
    assert_eq!(function.start_line, 3);
}

#[test]
fn a_sample_without_frames_has_one_that_says_so() {
    assert_eq!(frames(vec![]), [format!("0 [unknown] {NATIVE}")]);
}

#[test]
fn a_file_that_was_read_is_told_in_elf_addresses_with_its_build_ids() {
    let file = file("/bin/a", Some(vec![segment(0, 0x800, 0x40_0000), segment(0x1000, 0x500, 0x40_3000)]));
    let mapping = mapping(&file, 0x7000, 0x8000, 0x1000);
    let ids = r#"["process.executable.build_id.gnu=0102", "process.executable.build_id.htlhash=abababababababababababababababab", "process.executable.build_id.go=go/id"]"#;
    assert_eq!(
        frames(vec![mapped(0x7010, &mapping)]),
        [format!("403010 /bin/a{{403000-404000@1000 {ids}}} {NATIVE}")]
    );
}

#[test]
fn a_file_that_was_not_read_is_told_in_file_offsets_with_the_build_id_the_kernel_gave() {
    let file =
        MappedFile { build_id: BuildId::new(&[0xfe]), ..Arc::into_inner(file("/bin/a", None)).unwrap() };
    let mapping = mapping(&Arc::new(file), 0x7000, 0x8000, 0x1000);
    assert_eq!(
        frames(vec![mapped(0x7010, &mapping)]),
        [format!(r#"1010 /bin/a{{1000-2000@1000 ["process.executable.build_id.gnu=fe"]}} {NATIVE}"#)]
    );
}

#[test]
fn an_address_of_the_kernel_or_a_module_counts_from_the_start_of_its_text() {
    let (kernel, module) =
        (kernel_image(pdata::KERNEL, BuildId::new(&[0xfe])), kernel_image("[ext4]", BuildId::new(&[0xed])));
    let caller = Frame::caller(Pc(0xffff_ffff_8000_2000), Code::Mapped(Arc::clone(&module)));
    assert_eq!(
        frames(vec![mapped(0xffff_ffff_8000_1000, &kernel), caller]),
        [
            format!(r#"1000 [kernel]{{0-10000000@0 ["process.executable.build_id.gnu=fe"]}} {KERNEL}"#),
            format!(r#"1fff [ext4]{{0-10000000@0 ["process.executable.build_id.gnu=ed"]}} {KERNEL}"#),
        ]
    );
    let unidentified = kernel_image("[ext4]", None);
    assert_eq!(
        frames(vec![mapped(0xffff_ffff_8000_1000, &unidentified)]),
        [format!("1000 [ext4] {KERNEL}")],
        "a mapping must have a build ID"
    );
}

#[test]
fn processes_share_the_mappings_and_locations_of_a_file() {
    let file = file("/lib/c.so", Some(vec![segment(0x1000, 0x1000, 0x2000)]));
    let here = mapping(&file, 0x5_1000, 0x5_2000, 0x1000);
    let there = mapping(&file, 0x9_1000, 0x9_2000, 0x1000);
    let one = sample(1, None, vec![mapped(0x5_1234, &here)]);
    let two = sample(2, None, vec![mapped(0x9_1234, &there)]);
    let request = only_request(&[batch(vec![Event::Sample(one), Event::Sample(two)], Watermark::END)]);
    check_tables(&request);
    let tables = request.dictionary.as_ref().unwrap();
    assert_eq!(
        (tables.mapping_table.len(), tables.location_table.len(), tables.stack_table.len()),
        (2, 2, 2)
    );
    assert_eq!(tables.location_table[1].address, 0x2234);
}

#[test]
fn a_file_read_while_a_window_is_open_is_told_by_its_facts_in_all_of_it() {
    let file = file("/bin/a", None);
    let mapping = mapping(&file, 0x7000, 0x8000, 0x1000);
    let at = |at, pc| Event::Sample(sample(at, None, vec![mapped(pc, &mapping)]));
    let mut windows = crate::Windows::new(std::time::Duration::from_nanos(100), usize::MAX);
    assert!(windows.push(&batch(vec![at(1, 0x7010)], super::make::before(50))).requests.is_empty());
    file.facts
        .set(FileFacts { segments: [segment(0x1000, 0x1000, 0x9000)].into(), ..FileFacts::default() })
        .unwrap();
    let events = vec![at(50, 0x7020), at(101, 0x7030)];
    let requests = windows.push(&batch(events, Watermark::END)).requests;
    let address = |request: &crate::ProfilesRequest| {
        let message = request.message().unwrap();
        let tables = message.dictionary.as_ref().unwrap();
        tables.location_table.iter().skip(1).map(|location| location.address).collect::<Vec<_>>()
    };
    assert_eq!(requests.iter().map(address).collect::<Vec<_>>(), [vec![0x9010, 0x9020], vec![0x9030]]);
    requests.iter().for_each(|request| check_tables(&request.message().unwrap()));
}

#[test]
fn a_file_of_which_nothing_is_known_is_told_by_name() {
    let mapping = mapping(&file("/bin/a", None), 0x7000, 0x8000, 0x1000);
    assert_eq!(frames(vec![mapped(0x7010, &mapping)]), [format!("1010 /bin/a {NATIVE}")]);
}

#[test]
fn what_turns_out_to_be_one_file_is_told_once() {
    let late = file("/bin/a", None);
    let known = file("/bin/a", Some(vec![segment(0, 0x800, 0x40_0000), segment(0x1000, 0x800, 0x80_0000)]));
    let at = |at, file, pc| {
        let mapping = mapping(file, 0x7000, 0x9000, 0);
        Event::Sample(sample(at, None, vec![mapped(pc, &mapping)]))
    };
    let events = vec![at(1, &late, 0x7010), at(2, &known, 0x7010), at(3, &late, 0x8010)];
    let mut windows = crate::Windows::new(std::time::Duration::from_secs(5), usize::MAX);
    assert!(windows.push(&batch(events, super::make::before(9))).requests.is_empty());
    late.facts.set(known.facts.get().unwrap().clone()).unwrap();
    let request = windows.push(&batch(vec![], Watermark::END)).requests.remove(0).message().unwrap();
    check_tables(&request);
    let samples = &request.resource_profiles[0].scope_profiles[0].profiles[0].samples;
    assert_eq!(samples.len(), 2, "two places, the first met twice");
    assert_eq!(samples[0].timestamps_unix_nano.len(), 2);
    let tables = request.dictionary.as_ref().unwrap();
    let addresses: Vec<_> = tables.location_table.iter().map(|location| location.address).collect();
    assert_eq!(addresses, [0, 0x40_0010, 0x80_0010]);
    assert_eq!(tables.mapping_table.len(), 3, "one for each segment");
}

#[test]
fn code_of_no_file_is_told_by_name() {
    let vdso = special("[vdso]", 0x7f_0000, 0x7f_1000);
    let anon = no_file(Backing::Anonymous(ProcessKey::default()), 0x1000, 0x2000);
    assert_eq!(
        frames(vec![mapped(0x7f_0010, &vdso), Frame::caller(Pc(0x1001), Code::Mapped(anon))]),
        [format!("10 [vdso] {NATIVE}"), format!("1000 //anon {NATIVE}")],
        "the vdso by its ELF address, other code by the process's"
    );
}

#[test]
fn a_return_address_at_the_start_of_a_mapping_stays_in_it() {
    let mapping = mapping(&file("/bin/a", Some(vec![])), 0x7000, 0x8000, 0);
    let stack = vec![Frame::exact(Pc(1), Code::Unknown), Frame::caller(Pc(0x7000), Code::Mapped(mapping))];
    assert!(frames(stack)[1].starts_with("0 /bin/a{0-1000@0"));
}

#[test]
fn a_range_that_cannot_be_has_no_bounds() {
    let file = file("/a", Some(vec![]));
    for mapping in [mapping(&file, 0x8000, 0x7000, 0), mapping(&file, 0x7000, 0x8000, u64::MAX)] {
        let sample = sample(1, None, vec![mapped(0x7000, &mapping)]);
        let request = only_request(&[batch(vec![Event::Sample(sample)], Watermark::END)]);
        let tables = request.dictionary.unwrap();
        assert_eq!((tables.mapping_table[1].memory_start, tables.mapping_table[1].memory_limit), (0, 0));
    }
}

#[test]
fn names_are_told_innermost_first_beside_the_address_and_the_file() {
    let mapping = mapping(&file("/bin/a", Some(vec![])), 0x7000, 0x8000, 0);
    let named = |lines| Frame { lines: Some(lines), ..mapped(0x7010, &mapping) };
    let anon = no_file(Backing::Anonymous(ProcessKey::default()), 0x1000, 0x2000);
    let jit = Frame { lines: Some(lines(&[(5, 6)])), ..mapped(0x1010, &anon) };
    let captures =
        frames(vec![named(lines(&[(3, 7), (4, 0)])), named(lines(&[(4, 9)])), mapped(0x7010, &mapping), jit]);
    assert!(captures[0].starts_with("10 main.run:7 main.run /bin/a{0-1000@0"), "{captures:?}");
    assert!(captures[1].starts_with("10 main.run:9 /bin/a{"), "another name, another location: {captures:?}");
    assert!(captures[2].starts_with("10 /bin/a{"), "{captures:?}");
    assert_eq!(
        captures[3],
        format!("1010 main.run:6 {NATIVE}"),
        "its own name instead of that of its memory"
    );
}

#[test]
fn a_name_outlives_a_file_of_which_nothing_is_known() {
    let mapping = mapping(&file("/bin/a", None), 0x7000, 0x8000, 0x1000);
    let frame = Frame { lines: Some(lines(&[(3, 7)])), ..mapped(0x7010, &mapping) };
    assert_eq!(frames(vec![frame]), [format!("1010 main.run:7 {PYTHON}")]);
}
