//! Tests of files of a few kilobytes that once took gigabytes of memory, or hours.

use std::time::{Duration, Instant};

use crate::model::{Bounds, Profile};
use crate::read::{ReadError, read};

/// A protobuf field with bytes in it.
fn bytes(number: u64, value: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

/// A protobuf field with a number.
fn number(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
    out
}

fn strings(texts: &[&str]) -> Vec<u8> {
    // The empty stack is included, which samples without a stack refer to.
    let texts: Vec<u8> = texts.iter().flat_map(|text| bytes(5, text.as_bytes())).collect();
    [texts, bytes(7, &[])].concat()
}

/// A request of one resource with these facts (`KeyValue`) and profiles, and a dictionary.
fn request(facts: &[u8], profiles: &[u8], dictionary: &[u8]) -> Vec<u8> {
    let facts = bytes(1, facts);
    [bytes(1, &[facts, bytes(2, profiles)].concat()), bytes(2, dictionary)].concat()
}

fn facts_of_processes(profile: &Profile) -> usize {
    profile.tables.processes.iter().map(|(_, process)| process.attributes.len()).sum()
}

/// A list that repeats a long text a hundred thousand times, in one field and in many.
#[test]
fn a_list_of_one_text_many_times_takes_little() {
    let long = "x".repeat(1 << 20);
    let (one, many) = (bytes(1, &number(8, 1).repeat(100_000)), bytes(1, &number(8, 1)).repeat(100_000));
    for list in [one, many] {
        let fact = bytes(1, &[bytes(1, b"key"), bytes(2, &bytes(5, &list))].concat());
        let read = read(&request(&fact, &[], &strings(&["", &long]))).unwrap();
        assert!(read.tables.texts.bytes() < long.len() + 10_000, "{}", read.tables.texts.bytes());
    }
}

/// Texts that the reader composes: long lists, and numbers that print with three hundred digits.
#[test]
fn texts_have_a_bound_whatever_they_are_made_of() {
    let long = "x".repeat(5_000);
    let tables = strings(&["", &long, "key"]);
    let mut facts = Vec::new();
    let mut samples = Vec::new();
    for at in 0..20_000_u32 {
        let list = [bytes(1, &bytes(1, &at.to_le_bytes())), bytes(1, &number(8, 1))].concat();
        facts.extend(bytes(6, &[number(1, 2), bytes(2, &bytes(5, &list))].concat()));
        samples.extend(bytes(2, &[number(2, at.into()), number(4, 1)].concat()));
    }
    let read = read(&request(&[], &bytes(2, &samples), &[tables, facts].concat())).unwrap();
    let texts = read.tables.texts.bytes();
    assert!(texts <= Bounds::default().text_bytes + 1_000, "{texts}");
    assert_eq!(read.samples.captured(), 20_000);
}

/// A loss reason of a megabyte, repeated in every window.
#[test]
fn a_long_reason_is_there_once() {
    let name = format!("profile.window.samples.lost.{}", "x".repeat(1 << 20));
    let fact = bytes(6, &[number(1, 1), bytes(2, &number(3, 5))].concat());
    let profiles: Vec<u8> =
        (0..10_000).flat_map(|at| bytes(2, &[number(3, at), number(11, 0)].concat())).collect();
    let began = Instant::now();
    let dictionary = [strings(&["", &name]), fact].concat();
    let read = read(&request(&[], &profiles, &dictionary)).unwrap();
    assert!(read.losses.keys().map(|reason| reason.len()).sum::<usize>() < 1_000);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

/// The facts of a resource, which hold for every process of its samples, are bounded.
#[test]
fn facts_of_many_processes_have_a_bound() {
    let keys: Vec<String> = (0..512).map(|key| format!("key.{key}")).collect();
    let fact = |key: &String| bytes(1, &[bytes(1, key.as_bytes()), bytes(2, &number(3, 1))].concat());
    let facts: Vec<u8> = keys.iter().flat_map(fact).collect();
    let (mut attributes, mut samples) = (Vec::new(), Vec::new());
    for pid in 0..5_000_u64 {
        attributes.extend(bytes(6, &[number(1, 1), bytes(2, &number(3, pid))].concat()));
        samples.extend(bytes(2, &[number(2, pid), number(4, 1)].concat()));
    }
    let dictionary = [strings(&["", "process.pid"]), attributes].concat();
    let read_one = read(&request(&facts, &bytes(2, &samples), &dictionary)).unwrap();
    assert!(facts_of_processes(&read_one) <= 1 << 20, "{}", facts_of_processes(&read_one));
    assert_eq!(read_one.samples.captured(), 5_000);
    let fault = read(&request(&facts.repeat(2), &[], &dictionary)).unwrap_err();
    assert!(
        matches!(fault, ReadError::Otlp { fault: "a resource with more than 512 attributes", .. }),
        "{fault}"
    );
}

/// A list of facts that is made of many fields is bounded as one in one field is.
#[test]
fn a_list_in_pieces_has_a_bound() {
    let fact = bytes(6, &[number(1, 1), bytes(2, &number(3, 5))].concat());
    let sample = bytes(2, &[number(2, 0).repeat(5_000), number(4, 1)].concat());
    let fault = read(&request(&[], &bytes(2, &sample), &[strings(&["", "a"]), fact].concat())).unwrap_err();
    assert!(matches!(fault, ReadError::Otlp { fault: "a list of more than 4096 attributes", .. }), "{fault}");
}

/// A stack without frames, whose message has many unknown fields, is read once.
#[test]
fn an_empty_stack_is_read_once() {
    let stack = bytes(7, &number(9, 1).repeat(1 << 20));
    let sample = bytes(2, &[number(1, 0), number(4, 1)].concat());
    let began = Instant::now();
    let dictionary = [bytes(5, b""), stack].concat();
    let read = read(&request(&[], &bytes(2, &sample.repeat(100_000)), &dictionary)).unwrap();
    assert_eq!(read.samples.captured(), 100_000);
    // Read a hundred thousand times, it would take a quarter of an hour.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}
