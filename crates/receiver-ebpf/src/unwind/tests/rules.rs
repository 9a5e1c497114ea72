//! The table of rules, which all users share and one may fill.

use pdata::{FileIdentity, Uid};
use unwind::{Cfa, PageRows, Row, Rule, RuleTable};

use super::kernel::FakeKernel;
use super::world::{World, identity};
use crate::unwind::owner::Owner;
use crate::unwind::tables::{CHUNK_BYTES, FIXED_BYTES, FileFacts, Tables};

/// Adds a file of one page, of a user, with rules that no other file has.
fn add_odd(tables: &mut Tables<FakeKernel>, file: FileIdentity, owner: Owner, rules: std::ops::Range<i32>) {
    tables.add_file(file, FileFacts { owner, pages: 1, ..FileFacts::default() }).unwrap();
    let rows: Vec<Row> = (0..)
        .zip(rules)
        .map(|(low, depth)| {
            let rule = Rule { cfa: Cfa::Sp, cfa_offset: depth, ra_offset: -8, ..Rule::GAP };
            Row::new(low, tables.rules().id(rule))
        })
        .collect();
    let number = tables.number(file, 0).unwrap();
    tables.publish(number, &PageRows::from_rows(rows)).unwrap();
}

/// A user, by number, of processes in a mount namespace.
fn owner(user: Option<u32>, mount_namespace: u64) -> Owner {
    let is_root = (user, mount_namespace) == (Some(0), OWN_NAMESPACE);
    Owner { user: user.map(Uid), mount_namespace: Some(mount_namespace), is_root }
}

/// The mount namespace of the agent.
const OWN_NAMESPACE: u64 = 1;

/// A user who fills the table of rules with odd ones loses them, the greediest user first, and no other user any:
/// neither if that user is root of a container, nor if nobody knows which user of it.
#[test]
fn a_user_who_fills_the_table_of_rules_makes_room_for_others() {
    for (of_greedy, of_other) in [
        (owner(Some(1001), OWN_NAMESPACE), owner(Some(1000), OWN_NAMESPACE)),
        (owner(Some(0), 2), owner(Some(1000), OWN_NAMESPACE)),
        (owner(None, 2), owner(None, 3)),
    ] {
        fill_the_table_of_rules(of_greedy, of_other);
    }
}

fn fill_the_table_of_rules(of_greedy: Owner, of_other: Owner) {
    let mut world = World::new(FIXED_BYTES + 64 * CHUNK_BYTES);
    let tables = &mut world.tables;
    add_odd(tables, identity(1), owner(Some(0), OWN_NAMESPACE), 0..700);
    add_odd(tables, identity(2), of_other, 1000..1900);
    let greedy: Vec<FileIdentity> = (0..18).map(|number| identity(100 + number)).collect();
    let mut cut_off = Vec::new();
    for (file, first) in greedy.iter().zip((10_000..).step_by(1000)) {
        cut_off.extend(tables.make_room_for_rules());
        // No file needs as many rules as the other user's.
        add_odd(tables, *file, of_greedy, first..first + 850);
    }
    cut_off.extend(tables.make_room_for_rules());
    assert!(cut_off.len() >= 4 && cut_off.iter().all(|file| greedy.contains(file)), "{cut_off:?}");
    assert!(tables.rules().left() >= RuleTable::CAPACITY / 8 && tables.rules().overflows() == 0);
    let rule = Rule { cfa: Cfa::Sp, cfa_offset: 1899, ra_offset: -8, ..Rule::GAP };
    assert_eq!(world.walk(identity(2), 0xffff), Some(zerocopy::transmute!(rule)));
    assert!(
        world.maps.0.borrow().files.get(&cut_off[0]).is_some_and(|rows| rows.pages == 0),
        "not read again"
    );
}

/// Pages that no walk uses go before any file is cut off.
#[test]
fn rules_of_pages_that_no_walk_uses_make_room_first() {
    let mut world = World::new(FIXED_BYTES + 64 * CHUNK_BYTES);
    for (number, first) in (0..18).zip((0..).step_by(1000)) {
        add_odd(&mut world.tables, identity(number), Owner::default(), first..first + 850);
        world.age(identity(number), 0);
        assert!(world.tables.make_room_for_rules().is_empty());
    }
    let size = world.tables.size();
    assert!(size.evicted > 4 && size.files == 18 && size.rules < 15_000, "{size:?}");
}
