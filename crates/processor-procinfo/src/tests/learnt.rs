//! Samples of images of which more is learnt: from environments, arguments, contexts and a clock that is set.

use std::path::Path;
use std::sync::Arc;

use pdata::{
    Backing, Batch, Code, Context, Event, ExecCount, FileIdentity, FileOffset, Frame, ImageKey, MappedFile,
    Mapping, Pc, Pid, ProcessKey, ProcessTransition, Relatives, Running, Sample, Stack, StackEnd, Tid, Uid,
};

use super::scene::{AT, Scene, exec, image, path, process, sample, seen, some};
use crate::reader::{Looked, ProcessAnswer};
use crate::request::{ReadRequest, Refuse};

/// The service that a sample is attributed to.
fn service(sample: &Sample) -> Option<&str> {
    sample.image.as_ref()?.attributes.text("service.name")
}

#[test]
fn an_environment_that_no_exec_has_shown_is_read_once_and_its_image_described_anew() {
    let (mut scene, key) = (Scene::new(), image(5, 9, 1));
    scene.batch(10, vec![seen(1, key, "/bin/a")]);
    let first = scene.batch(20, vec![Event::Sample(sample(11, key))]);
    assert_eq!(service(&first[0]), None);
    let asked = |scene: &mut Scene| {
        let requests = std::mem::take(&mut scene.requests);
        requests.iter().filter(|request| matches!(request, ReadRequest::Environment(_))).count()
    };
    assert_eq!(asked(&mut scene), 1);
    let read = Looked::Environment(Ok((b"OTEL_SERVICE_NAME=cart\0".to_vec(), Vec::new())));
    scene.repairs.push(ProcessAnswer { image: key, before: AT(21), outcome: read });
    scene.batch(30, Vec::new());
    let then = scene.batch(40, vec![Event::Sample(sample(31, key))]);
    assert_eq!((service(&then[0]), asked(&mut scene)), (Some("cart"), 0));
    // A child has its parent's environment; another image has its own.
    let child = image(6, 32, 1);
    let fork = ProcessTransition::Fork { parent: key, relatives: Relatives::default() };
    let of_child = scene.batch(50, vec![process(41, child, fork), Event::Sample(sample(42, child))]);
    assert_eq!((service(&of_child[0]), asked(&mut scene)), (Some("cart"), 0));
    let ProcessTransition::Exec { executable, comm, filename, interpreter, relatives, .. } =
        transition(exec(51, child, "/b"))
    else {
        panic!("no exec")
    };
    let environment = Some(Box::default());
    let exec = ProcessTransition::Exec {
        executable,
        comm,
        filename,
        interpreter,
        environment,
        arguments: Box::default(),
        relatives,
    };
    let next = ImageKey { exec_count: ExecCount(2), ..child };
    let of_next = scene.batch(60, vec![process(51, next, exec), Event::Sample(sample(52, next))]);
    assert_eq!((service(&of_next[0]), asked(&mut scene)), (None, 0), "it is known to have none");
}

/// Too many requests wait, as at the start of the agent, where thousands of processes run.
#[test]
fn an_environment_that_cannot_be_asked_for_now_is_asked_for_later() {
    let (mut scene, key) = (Scene::new(), image(5, 9, 1));
    let events = vec![seen(1, key, "/bin/a"), Event::Sample(sample(2, key)), Event::Sample(sample(3, key))];
    let mut full = Batch { events: Arc::new(events.into()), ..Batch::default() };
    scene.tracker.apply(&mut full, &mut Refuse);
    let environments = |scene: &mut Scene| {
        let requests = std::mem::take(&mut scene.requests);
        requests.iter().filter(|request| matches!(request, ReadRequest::Environment(_))).count()
    };
    let execve = Sample { running: Running::Execve, ..sample(4, key) };
    scene.batch(10, vec![Event::Sample(execve)]);
    assert_eq!(environments(&mut scene), 0, "the registers are of one image, the environment of none");
    scene.batch(20, vec![Event::Sample(sample(11, key)), Event::Sample(sample(12, key))]);
    assert_eq!(environments(&mut scene), 1);
    let read = Looked::Environment(Ok((b"OTEL_SERVICE_NAME=cart\0".to_vec(), Vec::new())));
    scene.repairs.push(ProcessAnswer { image: key, before: AT(21), outcome: read });
    scene.batch(30, Vec::new());
    let then = scene.batch(40, vec![Event::Sample(sample(31, key))]);
    assert_eq!((service(&then[0]), environments(&mut scene)), (Some("cart"), 0));
}

#[test]
fn an_environment_read_after_an_exec_may_be_of_the_next_image_and_is_not_used() {
    let (mut scene, key, next) = (Scene::new(), image(5, 9, 1), image(5, 9, 2));
    scene.batch(10, vec![seen(1, key, "/bin/a"), Event::Sample(sample(2, key))]);
    let read = Looked::Environment(Ok((b"OTEL_SERVICE_NAME=cart\0".to_vec(), Vec::new())));
    scene.repairs.push(ProcessAnswer { image: key, before: AT(15), outcome: read });
    scene.batch(20, vec![exec(12, next, "/bin/b")]);
    let samples = scene.batch(30, vec![Event::Sample(sample(21, next)), Event::Sample(sample(22, key))]);
    assert_eq!(samples.iter().map(service).collect::<Vec<_>>(), [None, None]);
}

/// An interpreter is named by its script: one that ran before by the arguments in `/proc`, one that starts by the
/// arguments of the exec. A child has its parent's; a program that is no interpreter has none of its arguments
/// remembered.
#[test]
fn an_interpreter_is_called_by_what_it_runs_and_so_are_its_children() {
    let (mut scene, key) = (Scene::new(), image(5, 9, 1));
    scene.batch(10, vec![seen(1, key, "/usr/bin/python3"), Event::Sample(sample(2, key))]);
    let read = Looked::Environment(Ok((Vec::new(), b"python3\0/srv/cart.py\0".to_vec())));
    scene.repairs.push(ProcessAnswer { image: key, before: AT(15), outcome: read });
    scene.batch(20, Vec::new());
    let child = image(6, 21, 1);
    let fork = ProcessTransition::Fork { parent: key, relatives: Relatives::default() };
    let events =
        vec![Event::Sample(sample(21, key)), process(22, child, fork), Event::Sample(sample(23, child))];
    let samples = scene.batch(30, events);
    assert_eq!(samples.iter().map(service).collect::<Vec<_>>(), [Some("cart"), Some("cart")]);
    let next = ImageKey { exec_count: ExecCount(2), ..child };
    for (name, expected) in [("/usr/bin/node", Some("server")), ("/bin/cat", None)] {
        let mut event = exec(31, next, name);
        let next = ImageKey {
            process: ProcessKey { pid: Pid(u32::try_from(name.len()).unwrap()), ..next.process },
            ..next
        };
        if let Event::Process(event) = &mut event {
            event.image = next;
            if let ProcessTransition::Exec { arguments, .. } = &mut event.transition {
                *arguments = b"node\0-r\0x\0/srv/server.js\0".to_vec().into();
            }
        }
        let samples = scene.batch(40, vec![event, Event::Sample(sample(32, next))]);
        assert_eq!(samples.iter().map(service).collect::<Vec<_>>(), [expected]);
    }
}

/// The kernel knows only of the loader; the stacks show that it runs Python, and its arguments name Python's script.
#[test]
fn an_interpreter_that_the_loader_has_started_is_called_by_what_it_runs() {
    let (mut scene, key) = (Scene::new(), image(5, 9, 1));
    let mut event = exec(1, key, "/usr/lib64/ld-linux-x86-64.so.2");
    if let Event::Process(event) = &mut event
        && let ProcessTransition::Exec { environment, arguments, .. } = &mut event.transition
    {
        *environment = Some(Box::default());
        *arguments = b"ld.so\0--library-path\0/a\0/usr/bin/python3\0-u\0/srv/cart.py\0".to_vec().into();
    }
    let identity = FileIdentity { device: 1, inode: 2, ..FileIdentity::default() };
    let file = MappedFile { identity, ..MappedFile::at(Path::new("/usr/bin/python3.11")) };
    let backing = Backing::File(Arc::new(file));
    let mapping = Mapping { start: Pc(0), end: Pc(9), file_offset: FileOffset(0), backing };
    let frames = [Frame::exact(Pc(1), Code::Mapped(Arc::new(mapping)))].into();
    let stack = Stack { frames, end: StackEnd::Root };
    let sampled = Sample { stack, tid: Tid(5), ..sample(2, key) };
    let samples = scene.batch(10, vec![event, Event::Sample(sampled)]);
    assert_eq!((path(&samples[0]), service(&samples[0])), (some("/usr/bin/python3.11"), Some("cart")));
}

#[test]
fn a_process_that_changes_its_context_is_described_in_each() {
    let (mut scene, key) = (Scene::new(), image(5, 9, 1));
    let as_user = |at, user| {
        let context = Context { user: Some(Uid(user)), cgroup: None };
        Event::Sample(Sample { context, ..sample(at, key) })
    };
    let seen = vec![seen(1, key, "/bin/a"), as_user(2, 0), as_user(3, 1000), as_user(4, 0)];
    let samples = scene.batch(10, seen);
    let users: Vec<_> =
        samples.iter().map(|sample| sample.image.as_ref().unwrap().context.as_ref().unwrap().user).collect();
    assert_eq!(users, [Some(Uid(0)), Some(Uid(1000)), Some(Uid(0))]);
    let images: Vec<_> = samples.iter().map(|sample| sample.image.as_ref().unwrap()).collect();
    assert!(std::ptr::eq(&**images[0], &**images[2]), "one description serves all samples in a context");
    assert_ne!(images[0].identity(), images[1].identity());
}

fn transition(event: Event) -> ProcessTransition {
    match event {
        Event::Process(event) => event.transition,
        other => panic!("{other:?}"),
    }
}

/// On a board that boots in 1970, once the clock is set, processes that were started before have the right time too,
/// and so have their parents.
#[test]
fn the_time_of_creation_follows_a_clock_that_is_set_and_not_one_that_is_corrected() {
    let (mut scene, parent, key) = (Scene::new(), image(4, 3, 1), image(5, 7, 1));
    let created = |scene: &mut Scene, at| {
        let sampled = scene.batch(at + 1, vec![Event::Sample(sample(at, key))]);
        let image = sampled[0].image.as_ref().unwrap();
        (image.created.as_nanos(), image.parent().unwrap().created.as_nanos())
    };
    let relatives = Relatives { parent: parent.process, ..Relatives::default() };
    let fork = process(11, key, ProcessTransition::Fork { parent, relatives });
    scene.batch(20, vec![exec(10, parent, "/bin/init"), fork, exec(12, key, "/bin/daemon")]);
    assert_eq!(created(&mut scene, 21), (1_007, 1_003));
    scene.booted += 1_999_999_999;
    assert_eq!(created(&mut scene, 30), (1_007, 1_003), "it has been corrected");
    scene.booted = 1_700_000_000_000_000_000;
    assert_eq!(created(&mut scene, 40), (1_700_000_000_000_000_007, 1_700_000_000_000_000_003));
    scene.booted = 9;
    assert_eq!(created(&mut scene, 50), (16, 12), "or is set back");
}
