//! Samples whose processes' records are lost or late.

use std::path::Path;
use std::sync::Arc;

use pdata::{
    Census, CensusEntry, Comm, Context, Event, Image, ImageKind, ProcessTransition, Relatives, Running,
    Sample, Tid, UnixNanos, Watermark,
};
use procfs::ProcError;

use super::scene::{AT, Scene, exec, image, path, process, sample, seen, snapshot, some};
use super::world::executable;
use crate::metrics::{Misses, Tally};
use crate::request::ProcessRequest;

#[test]
fn an_unknown_process_is_looked_up_through_its_thread_and_known_from_then_on() {
    let (mut scene, key) = (Scene::new(), image(5, 1, 3));
    assert_eq!(scene.ask(10, key), None);
    assert_eq!(scene.looked_up(), [ProcessRequest { image: key, tid: Tid(99) }]);
    scene.answer(key, 20, Ok(snapshot("/bin/a")));
    assert_eq!(scene.ask(12, key), None, "events have not caught up with the answer");
    assert_eq!(scene.looked_up(), [], "asked once");
    scene.batch(21, vec![]);
    assert_eq!(scene.ask(22, key), some("/bin/a"));
    let misses = Misses { process: 2, ..Misses::default() };
    assert_eq!(scene.tally(), Tally { hits: 1, misses, ..Tally::default() });
}

#[test]
fn what_proc_shows_after_another_exec_is_not_taken_for_the_image_asked_about() {
    let (mut scene, key) = (Scene::new(), image(5, 1, 3));
    scene.ask(10, key);
    scene.answer(key, 20, Ok(snapshot("/bin/b")));
    scene.batch(21, vec![exec(15, image(5, 1, 4), "/bin/b")]);
    assert_eq!(scene.ask(22, key), None);
    assert_eq!(scene.ask(23, image(5, 1, 4)), some("/bin/b"));
}

#[test]
fn a_lost_exec_leaves_its_samples_without_image_rather_than_with_the_old_one() {
    let mut scene = Scene::new();
    scene.batch(10, vec![seen(5, image(5, 1, 1), "/bin/old")]);
    let lost = image(5, 1, 2);
    assert_eq!(scene.ask(16, lost), None);
    assert_eq!(scene.looked_up().len(), 1);
    scene.answer(lost, 17, Ok(snapshot("/bin/new")));
    scene.batch(18, vec![]);
    assert_eq!(scene.ask(19, lost), some("/bin/new"));
    assert_eq!(scene.tally().misses, Misses { image: 1, ..Misses::default() });
}

#[test]
fn a_process_is_not_looked_up_for_ever() {
    let (mut scene, key) = (Scene::new(), image(5, 1, 1));
    let mut lookups = 0;
    for at in 0..100 {
        scene.ask(10 + 2 * at, key);
        for request in scene.looked_up() {
            lookups += 1;
            scene.answer(request.image, 10 + 2 * at, Err(ProcError::Gone));
        }
    }
    assert!((1..10).contains(&lookups), "{lookups}");
    scene.ask(300, image(5, 1, 2));
    assert_eq!(scene.looked_up().len(), 1, "its next image is another matter");
}

#[test]
fn an_unknown_process_that_proc_does_not_know_either_has_ended() {
    let (mut scene, key) = (Scene::new(), image(5, 1, 1));
    scene.ask(10, key);
    scene.answer(key, 12, Err(ProcError::Ended));
    scene.batch(13, vec![]);
    assert_eq!(scene.tracker.counts(), (1, 1));
    scene.tracker.acknowledge(Watermark::before(AT(12)));
    assert!(scene.tracker.is_empty());
    assert_eq!(scene.tally().lost_exits, 1);
}

#[test]
fn an_unknown_kernel_thread_is_its_name_and_follows_a_rename() {
    let (mut scene, key) = (Scene::new(), image(5, 1, 0));
    let thread = |at, name: &[u8; 4]| {
        let mut comm = Comm::default();
        comm.0[..4].copy_from_slice(name);
        Sample { running: Running::KernelThread, comm, ..sample(at, key) }
    };
    let told = scene.batch(30, [thread(10, b"kwok"), thread(20, b"knew")].map(Event::Sample).to_vec());
    assert_eq!(told.iter().map(path).collect::<Vec<_>>(), [some("[kwok]"), some("[knew]")]);
    let image = told[0].image.as_ref().unwrap();
    let expected = Image::new(key, UnixNanos::from_nanos(1_001), image.kind.clone());
    let expected = Image { context: Some(Context::default()), ..expected };
    assert_eq!(**image, expected);
    assert_eq!((scene.tally().hits, scene.looked_up().len()), (2, 0));
}

#[test]
fn a_rename_of_a_forked_kernel_thread_names_its_image() {
    let (mut scene, parent, child) = (Scene::new(), image(2, 1, 0), image(5, 9, 0));
    let comm = Comm(*b"kthreadd\0\0\0\0\0\0\0\0");
    let seen = ProcessTransition::Seen { executable: None, comm, relatives: Relatives::default() };
    let renamed = ProcessTransition::Rename { tid: Tid(5), comm: Comm(*b"kworker/0:1\0\0\0\0\0") };
    let fork = ProcessTransition::Fork { parent, relatives: Relatives::default() };
    scene.batch(20, vec![process(1, parent, seen), process(10, child, fork), process(11, child, renamed)]);
    assert_eq!(scene.ask(21, child), some("[kworker/0:1]"));
    assert_eq!(scene.ask(22, parent), some("[kthreadd]"));
}

#[test]
fn a_fork_of_an_unknown_parent_is_counted_and_its_exec_finds_it() {
    let (mut scene, child) = (Scene::new(), image(5, 9, 4));
    scene.batch(
        11,
        vec![process(
            10,
            child,
            ProcessTransition::Fork { parent: image(2, 1, 4), relatives: Relatives::default() },
        )],
    );
    assert_eq!(scene.tally().misses, Misses { parent: 1, ..Misses::default() });
    let next = image(5, 9, 5);
    scene.batch(20, vec![exec(14, next, "/bin/a")]);
    assert_eq!(scene.ask(21, next), some("/bin/a"));
    assert_eq!(scene.looked_up(), []);
}

#[test]
fn a_script_is_told_with_its_interpreter_and_inherited_by_forks() {
    let (mut scene, parent, child) = (Scene::new(), image(5, 1, 1), image(6, 9, 1));
    let exec = ProcessTransition::Exec {
        executable: Box::new(executable("/bin/dash")),
        comm: Comm::default(),
        filename: (*b"./run.sh").into(),
        interpreter: Some((*b"/bin/sh").into()),
        environment: None,
        arguments: Box::default(),
        relatives: Relatives::default(),
    };
    scene.batch(
        20,
        vec![
            process(5, parent, exec),
            process(9, child, ProcessTransition::Fork { parent, relatives: Relatives::default() }),
        ],
    );
    let told = scene.batch(30, vec![Event::Sample(sample(21, child))]);
    let image = told[0].image.as_ref().unwrap();
    let ImageKind::User { executable, script: Some(script), .. } = &image.kind else { panic!("{image:?}") };
    assert_eq!(&*executable.path, Path::new("/bin/dash"));
    assert_eq!((&*script.path, &*script.interpreter), (Path::new("./run.sh"), Path::new("/bin/sh")));
    assert_eq!((image.key, image.created), (child, UnixNanos::from_nanos(1_009)));
}

#[test]
fn processes_whose_exit_and_end_were_lost_are_forgotten_once_a_census_lacks_them() {
    let mut scene = Scene::new();
    let (lost, left) = (image(1, 1, 1), image(2, 1, 1));
    scene.batch(20, vec![exec(10, lost, "/lost"), exec(11, left, "/left")]);
    let processes = [CensusEntry { process: left.process, exited: false }].into();
    let census = Census { at: AT(40), began: AT(30), processes, unidentified: Box::default() };
    scene.batch(50, vec![Event::Sample(sample(39, lost)), Event::Census(Arc::new(census))]);
    let tally = scene.tally();
    assert_eq!((tally.hits, tally.reconciled, tally.lost_exits), (1, 1, 0));
    scene.tracker.acknowledge(Watermark::before(AT(50)));
    assert_eq!(scene.tracker.counts(), (1, 0));
}
