//! The bound on the memory of known names.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pdata::{BootTime, FileIdentity, Function, Line, Lines, ProcessKey, Uid};
use proptest::prelude::*;

use crate::names::{Known, Names};
use crate::request::{Found, Name, Space, Unnamed};

#[derive(Clone, Debug)]
enum Op {
    Ask(u64, u64),
    Answer(u64, (bool, bool, bool), Vec<(u64, bool)>),
    Fail(u64),
    Withdraw(u64, Vec<u64>),
}

fn op() -> impl Strategy<Value = Op> {
    let (space, address) = (0..6u64, 0..40u64);
    prop_oneof![
        4 => (space.clone(), address.clone()).prop_map(|(space, address)| Op::Ask(space, address)),
        3 => (space.clone(), any::<(bool, bool, bool)>(), prop::collection::vec((address.clone(), any::<bool>()), 0..20))
            .prop_map(|(space, kind, names)| Op::Answer(space, kind, names)),
        1 => space.clone().prop_map(Op::Fail),
        1 => (space, prop::collection::vec(address, 0..5)).prop_map(|(space, of)| Op::Withdraw(space, of)),
    ]
}

/// A space by inode, of both kinds: some have addresses that may get names later.
fn space(inode: u64) -> Space {
    if inode % 2 == 1 {
        return Space::Jit(ProcessKey { start_time: BootTime::from_nanos(inode), ..ProcessKey::default() });
    }
    Space::File(FileIdentity { inode, ..FileIdentity::default() })
}

fn lines(address: u64) -> Arc<Lines> {
    let function = Arc::new(Function { name: format!("f{address}").into(), ..Function::default() });
    Arc::new(Lines(Box::new([Line { function, line: 0 }])))
}

/// A list's line `JS:*a /a/long/file` has a short name, and is held whole.
#[test]
fn all_texts_of_a_function_count() {
    let long = || Some("x".repeat(1000).into_boxed_str());
    let function = Function { name: "a".into(), system_name: long(), file: long(), ..Function::default() };
    let lines = Arc::new(Lines(Box::new([Line { function: Arc::new(function), line: 0 }])));
    let mut names = Names::new(100_000);
    let mut add = |addresses: std::ops::Range<u64>| {
        for address in addresses {
            names.ask(space(1), address, None);
            let found = vec![(address, Ok(Arc::clone(&lines)))];
            names.insert(Found::of(space(1), Ok(found)));
        }
        names.bytes()
    };
    assert!(add(0..10) > 20_000);
    assert!(add(10..100) <= 100_000, "the space has made room");
}

/// Code without a list: other samples ask again every so often, whether there is one by now. An answer that somebody
/// has had stays answered.
#[test]
fn having_no_name_is_an_answer_also_while_somebody_asks_again() {
    let mut names = Names::new(100_000);
    let answer = |names: &mut Names, name: Name| {
        names.insert(Found::of(space(1), Ok(vec![(7, name)])));
    };
    let is_none = |known: Known| matches!(known, Known::Answered(Err(Unnamed::NoFile)));
    names.ask(space(1), 7, None);
    assert!(matches!(names.come(space(1), 7, true), Known::Asked));
    answer(&mut names, Err(Unnamed::NoFile));
    let start = Instant::now();
    while is_none(names.get(space(1), 7)) {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(matches!(names.get(space(1), 7), Known::Not), "to be asked for again");
    assert!(is_none(names.come(space(1), 7, true)) && is_none(names.come(space(1), 7, false)));
    names.ask(space(1), 7, None);
    assert!(matches!(names.get(space(1), 7), Known::Asked));
    assert!(matches!(names.come(space(1), 7, false), Known::Asked), "it may still come");
    assert!(is_none(names.come(space(1), 7, true)), "and for those who leave now it has not");
    names.withdraw(space(1), &[7]);
    assert!(is_none(names.come(space(1), 7, false)));
    names.ask(space(1), 7, None);
    answer(&mut names, Ok(lines(7)));
    assert!(matches!(names.come(space(1), 7, false), Known::Answered(Ok(_))));
    assert_eq!(names.bytes(), names.counted());
}

/// A process's last samples come at once, and what its list has gained for one of them may name the others.
#[test]
fn addresses_without_a_name_are_asked_for_again_once_their_list_has_gained_functions() {
    let mut names = Names::new(100_000);
    for address in [7, 8] {
        names.ask(space(1), address, None);
    }
    names.insert(Found::of(space(1), Ok(vec![(7, Err(Unnamed::NoFile)), (8, Err(Unnamed::NoFile))])));
    names.ask(space(1), 9, None);
    names.insert(Found { gained: true, ..Found::of(space(1), Ok(vec![(9, Ok(lines(9)))])) });
    assert!(matches!(names.get(space(1), 7), Known::Not));
    names.ask(space(1), 7, None);
    names.insert(Found::of(space(1), Ok(vec![(7, Ok(lines(7)))])));
    assert!(matches!(names.get(space(1), 7), Known::Answered(Ok(_))));
}

proptest! {
    /// Whatever is asked and answered, an answer is that of its address, and the memory stays within its bound.
    #[test]
    fn an_answer_is_of_its_address_and_room_is_bounded(ops in prop::collection::vec(op(), 0..200)) {
        const ROOM: usize = 8000;
        let mut names = Names::new(ROOM);
        for op in ops {
            match op {
                Op::Ask(of, address) => names.ask(space(of), address, Some(Uid(u32::from(of > 3)))),
                Op::Answer(of, (replaced, gained, has_more), all) => {
                    let all = all.into_iter().map(|(address, named)| {
                        (address, if named { Ok(lines(address)) } else { Err(Unnamed::Stripped) })
                    });
                    names.insert(Found { replaced, gained, has_more, ..Found::of(space(of), Ok(all.collect())) });
                    prop_assert!(names.bytes() <= ROOM);
                }
                Op::Fail(of) => names.insert(Found::of(space(of), Err(Unnamed::Gone))),
                Op::Withdraw(of, asked) => names.withdraw(space(of), &asked),
            }
            prop_assert_eq!(names.bytes(), names.counted());
            for of in 0..6 {
                for address in 0..40 {
                    if let Known::Answered(Ok(found)) = names.get(space(of), address) {
                        prop_assert_eq!(&*found.0[0].function.name, format!("f{address}"));
                    }
                }
            }
        }
    }
}

/// Names that one user's programs bring make room for each other before they take room from another's.
#[test]
fn many_names_of_one_user_do_not_crowd_out_those_of_another() {
    let mut names = Names::new(4000);
    for (of, user) in (0..40).map(|of| (of, u32::from(of > 2))) {
        // Even, so that all are files.
        let space = space(2 * of);
        names.ask(space, 1, Some(Uid(user)));
        names.insert(Found::of(space, Ok(vec![(1, Ok(lines(1)))])));
    }
    assert!((0..3).all(|of| matches!(names.get(space(2 * of), 1), Known::Answered(Ok(_)))));
}
