//! Samples whose processes' records are lost, late, or lack facts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pdata::{
    Backing, Batch, BootTime, Census, CensusEntry, ClockOffset, Code, Comm, Context, Event, ExecCount,
    FileIdentity, FileOffset, Frame, Image, ImageKey, ImageKind, KTime, MappedFile, Mapping, Measure, Pc,
    Pid, ProcessEvent, ProcessKey, ProcessTransition, Relatives, Running, Sample, Stack, StackEnd, Tid, Uid,
    UnixNanos, Watermark,
};

use super::world::executable;
use crate::config::Config;
use crate::metrics::{Misses, Tally};
use crate::reader::{Looked, ProcessAnswer};
use crate::request::{ProcessRequest, ReadRequest, Refuse};
use crate::sources::Users;
use crate::tracker::{Repairs, Tracker};
use procfs::{ProcError, Snapshot};

const AT: fn(u64) -> KTime = KTime::from_nanos;

fn image(pid: u32, start: u64, count: u32) -> ImageKey {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(start) };
    ImageKey { process, exec_count: ExecCount(count) }
}

fn process(at: u64, image: ImageKey, transition: ProcessTransition) -> Event {
    Event::Process(ProcessEvent { at: AT(at), image, transition })
}

fn exec(at: u64, image: ImageKey, path: &str) -> Event {
    let executable = Box::new(executable(path));
    let filename = Box::default();
    let comm = Comm::default();
    process(
        at,
        image,
        ProcessTransition::Exec {
            executable,
            comm,
            filename,
            interpreter: None,
            environment: None,
            arguments: Box::default(),
            relatives: Relatives::default(),
        },
    )
}

fn seen(at: u64, image: ImageKey, path: &str) -> Event {
    let executable = Some(Box::new(executable(path)));
    process(
        at,
        image,
        ProcessTransition::Seen { executable, comm: Comm::default(), relatives: Relatives::default() },
    )
}

fn sample(at: u64, key: ImageKey) -> Sample {
    let measure = Measure::OnCpu { period: Duration::from_millis(10) };
    Sample { measure, at: AT(at), key, tid: Tid(99), ..Sample::default() }
}

/// A tracker, the reads it asks for, and the samples it has attributed.
struct Scene {
    tracker: Tracker,
    repairs: Repairs,
    requests: Vec<ReadRequest>,
    /// Nanoseconds that the wall clock showed at boot.
    booted: u64,
}

impl Scene {
    fn new() -> Self {
        let limits = (100, Duration::from_secs(1));
        let config = Config { max_exited_processes: limits.0, max_exited_age: limits.1, ..Config::default() };
        Self {
            tracker: Tracker::new(&config, Users::default()),
            repairs: Repairs::default(),
            requests: Vec::new(),
            booted: 1_000,
        }
    }

    fn batch(&mut self, watermark: u64, events: Vec<Event>) -> Vec<Sample> {
        let (boot, unix) = (BootTime::from_nanos(0), UnixNanos::from_nanos(self.booted));
        let clock = ClockOffset::from_readings(KTime::ZERO, boot, unix);
        let watermark = Watermark::before(AT(watermark));
        let mut batch = Batch { events: Arc::new(events.into()), watermark, clock, ..Batch::default() };
        self.tracker.apply(&mut batch, &mut self.requests);
        self.repairs.apply(watermark, &mut self.tracker);
        batch.samples().cloned().collect()
    }

    /// Sends one sample of that image, after all events so far.
    fn ask(&mut self, at: u64, key: ImageKey) -> Option<String> {
        path(&self.batch(at + 1, vec![Event::Sample(sample(at, key))])[0])
    }

    /// The processes that `/proc` has been asked about since the last call.
    fn looked_up(&mut self) -> Vec<ProcessRequest> {
        let requests = self.requests.drain(..).filter_map(|request| match request {
            ReadRequest::Process(request) => Some(request),
            ReadRequest::File(_) | ReadRequest::Environment(_) | ReadRequest::Context(..) => None,
        });
        requests.collect()
    }

    fn answer(&mut self, image: ImageKey, before: u64, outcome: Result<Snapshot, ProcError>) {
        self.repairs.push(ProcessAnswer { image, before: AT(before), outcome: Looked::Process(outcome) });
    }

    fn tally(&mut self) -> Tally {
        self.tracker.take_tally()
    }
}

fn path(sample: &Sample) -> Option<String> {
    match &sample.image.as_ref()?.kind {
        ImageKind::User { executable, .. } => Some(executable.path.display().to_string()),
        ImageKind::Kernel(comm) => Some(format!("[{comm}]")),
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn snapshot(path: &str) -> Snapshot {
    Snapshot { executable: Some(executable(path)), comm: Comm::default() }
}

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
