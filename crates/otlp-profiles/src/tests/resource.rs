//! The attributes in the resource of an image.

use std::path::Path;
use std::sync::Arc;

use pdata::*;

use super::make::{batch, comm, executable, key, sample};
use super::read::{captures, only_request};

fn resource(sample: Sample) -> Vec<String> {
    captures(&only_request(&[batch(vec![Event::Sample(sample)], Watermark::END)])).remove(0).resource
}

fn of(kind: ImageKind) -> Vec<String> {
    let created = UnixNanos::from_nanos(1_700_000_000_123_456_789);
    resource(sample(1, Some(Arc::new(Image::new(key(42), created, kind))), Vec::new()))
}

#[test]
fn a_program_is_told_by_path_name_and_start() {
    let kind =
        ImageKind::User { executable: Arc::new(executable("/usr/bin/make")), script: None, loader: None };
    assert_eq!(
        of(kind),
        [
            "service.name=make",
            "process.pid=IntValue(42)",
            "process.creation.time=2023-11-14T22:13:20.123456789Z",
            "procinfo.exec_count=IntValue(1)",
            "process.executable.name=make",
            "process.executable.path=/usr/bin/make",
        ]
    );
}

#[test]
fn what_is_special_about_a_file_stands_beside_its_path() {
    let mut file = executable("/srv/jail/bin/sh");
    file.own_path = Some(Path::new("/bin/sh").into());
    file.state = FileState::Deleted;
    file.truncated = true;
    let script = Script { path: Path::new("./run").into(), interpreter: Path::new("/bin/sh").into() };
    let captures =
        of(ImageKind::User { executable: Arc::new(file), script: Some(Arc::new(script)), loader: None });
    assert_eq!(
        captures[4..],
        [
            "process.executable.name=sh",
            "process.executable.path=/srv/jail/bin/sh",
            "procinfo.executable.own_path=/bin/sh",
            "procinfo.executable.state=deleted",
            "procinfo.executable.path_truncated=BoolValue(true)",
            "procinfo.script.path=./run",
            "procinfo.script.interpreter=/bin/sh",
        ]
    );
}

#[test]
fn a_loader_stands_beside_the_program_that_it_started() {
    let loader = Some(Arc::new(executable("/lib64/ld-linux-x86-64.so.2")));
    let captures = of(ImageKind::User { executable: Arc::new(executable("/opt/job")), script: None, loader });
    assert_eq!(captures[0], "service.name=job");
    assert_eq!(
        captures[4..],
        [
            "process.executable.name=job",
            "process.executable.path=/opt/job",
            "procinfo.loader.path=/lib64/ld-linux-x86-64.so.2",
        ]
    );
}

#[test]
fn a_memfd_is_marked() {
    let file = Executable { state: FileState::Memfd, ..executable("/memfd:jit") };
    let captures = of(ImageKind::User { executable: Arc::new(file), script: None, loader: None });
    assert!(captures.contains(&"procinfo.executable.state=memfd".to_owned()));
    assert!(captures.contains(&"process.executable.name=memfd:jit".to_owned()));
}

#[test]
fn a_kernel_thread_has_a_name_in_brackets_and_no_path() {
    let captures = of(ImageKind::Kernel(comm("kworker/0:1")));
    assert!(captures.contains(&"service.name=[kernel]".to_owned()));
    assert!(captures.contains(&"process.executable.name=[kworker/0:1]".to_owned()));
    assert!(!captures.iter().any(|attribute| attribute.starts_with("process.executable.path")));
}

#[test]
fn a_sample_of_an_unknown_process_is_kept_and_marked() {
    assert_eq!(
        resource(sample(1, None, Vec::new())),
        [
            "service.name=worker",
            "process.pid=IntValue(99)",
            "process.creation.time=1970-01-01T00:00:00.001000099Z",
            "procinfo.exec_count=IntValue(1)",
            "process.executable.name=worker",
            "procinfo.unresolved=BoolValue(true)",
        ]
    );
    let kernel = Sample { running: Running::KernelThread, ..sample(1, None, Vec::new()) };
    assert!(resource(kernel).contains(&"process.executable.name=[worker]".to_owned()));
}

#[test]
fn a_path_that_is_not_utf8_is_told_with_replacements() {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(b"/bin/\xff")).into();
    let kind = ImageKind::User {
        executable: Arc::new(Executable { path, ..executable("") }),
        script: None,
        loader: None,
    };
    assert!(of(kind).contains(&"process.executable.path=/bin/\u{fffd}".to_owned()));
}

#[test]
fn what_is_learnt_of_an_image_within_a_window_is_told_of_all_its_samples() {
    let file = Arc::new(executable("/bin/sh"));
    let image = |script: Option<&str>| {
        let script = script
            .map(|path| Arc::new(Script { path: Path::new(path).into(), interpreter: file.path.clone() }));
        let kind = ImageKind::User { executable: Arc::clone(&file), script, loader: None };
        Some(Arc::new(Image::new(key(42), UnixNanos::from_nanos(7), kind)))
    };
    let samples = [sample(1, image(None), Vec::new()), sample(2, image(Some("./run")), Vec::new())];
    let events = samples.map(Event::Sample).to_vec();
    let captures = captures(&only_request(&[batch(events, Watermark::END)]));
    assert_eq!(captures.len(), 2);
    for capture in captures {
        assert!(capture.resource.contains(&"procinfo.script.path=./run".to_owned()));
    }
}

/// Attributes of one resource that come from an image's description and from the host's.
fn with_host(host: Resource) -> Vec<String> {
    let kind = ImageKind::Kernel(comm("kswapd0"));
    let mut image = Image::new(key(42), UnixNanos::from_nanos(7), kind);
    let names: Arc<[Arc<str>]> = ["make".into(), "sh".into()].into();
    let ancestors = Attribute { key: "ancestors".into(), value: AttributeValue::Texts(names) };
    let set = [Attribute::text("service.name", "cart"), Attribute::text("container.id", "a"), ancestors];
    image.attributes.add(set.into());
    let events = vec![Event::Sample(sample(1, Some(Arc::new(image)), Vec::new()))];
    let batch = Batch { resource: Arc::new(host), ..batch(events, Watermark::END) };
    captures(&only_request(&[batch])).remove(0).resource
}

#[test]
fn what_is_known_of_an_image_and_of_the_host_is_there_once() {
    let mut host = Resource::default();
    host.set(Attribute::text("host.name", "web-1"), false);
    host.set(Attribute::text("service.name", "no"), false);
    host.set(Attribute::text("container.id", "b"), true);
    host.delete("procinfo.exec_count");
    let resource = with_host(host);
    assert_eq!(resource[0], "service.name=cart");
    let count = |key: &str| resource.iter().filter(|pair| pair.starts_with(key)).count();
    assert_eq!((count("service.name="), count("container.id="), count("procinfo.exec_count")), (1, 1, 0));
    assert!(resource.contains(&"host.name=web-1".to_owned()));
    assert!(resource.contains(&"container.id=b".to_owned()));
    assert!(
        resource
            .iter()
            .any(|pair| pair.starts_with("ancestors=") && pair.contains("make") && pair.contains("sh"))
    );
}

#[test]
fn two_hosts_have_two_resources() {
    let of = |name| {
        let mut host = Resource::default();
        host.set(Attribute::text("host.name", name), false);
        with_host(host)
    };
    assert_ne!(of("a"), of("b"));
}

#[test]
fn an_image_in_two_contexts_has_a_resource_for_each() {
    let file = Arc::new(executable("/bin/sh"));
    let image = |number: u32| {
        let kind = ImageKind::User { executable: Arc::clone(&file), script: None, loader: None };
        let mut image = Image::new(key(42), UnixNanos::from_nanos(7), kind);
        image.context = Some(Context { cgroup: None, user: Some(Uid(number)) });
        image.attributes.add([Attribute::int("process.user.id", number.into())].into());
        Some(Arc::new(image))
    };
    let samples = [sample(1, image(0), Vec::new()), sample(2, image(7), Vec::new())];
    let request = only_request(&[batch(samples.map(Event::Sample).to_vec(), Watermark::END)]);
    let captures = captures(&request);
    let of = |at: usize, text: &str| captures[at].resource.contains(&text.to_owned());
    assert!(of(0, "process.user.id=IntValue(0)") && of(1, "process.user.id=IntValue(7)"));
}
