use std::path::Path;
use std::sync::Arc;

use pdata::*;
use proptest::prelude::*;

use super::*;

fn key(pid: u32, start: u64) -> ImageKey {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(start) };
    ImageKey { process, exec_count: ExecCount(1) }
}

fn program(path: &str) -> ImageKind {
    let executable = Executable {
        path: Path::new(path).into(),
        own_path: None,
        state: FileState::Linked,
        device: 1,
        inode: 2,
        mount_namespace: 3,
        truncated: false,
    };
    ImageKind::User { executable: Arc::new(executable), script: None, loader: None }
}

fn image(
    key: ImageKey,
    path: &str,
    parent: Option<(u32, u64)>,
    attributes: &[(&'static str, &str)],
) -> Image {
    let parents = parent.map(|(pid, start)| Parent {
        process: super::tests::key(pid, start).process,
        created: UnixNanos::from_nanos(start),
        kind: Some(program("/usr/bin/make")),
    });
    let mut image = Image::new(key, UnixNanos::from_nanos(key.process.start_time.as_nanos()), program(path));
    image.parents = parents.into_iter().collect();
    image.attributes.add(attributes.iter().map(|(key, text)| Attribute::text(key, *text)).collect());
    image
}

fn member(image: &Image) -> Member<'_> {
    Member { key: image.key, image: Some(image), thread_name: "thread" }
}

/// The number of the group of each member, and the groups.
fn grouped(by: &[GroupBy], images: &[Image]) -> (Vec<usize>, Groups) {
    let mut groups = Grouping::new(by, Duration::ZERO).groups();
    let numbers = images.iter().map(|image| groups.add(&member(image))).collect();
    (numbers, groups)
}

fn facts(group: &Group) -> Vec<String> {
    let value = |value: &AttributeValue| match value {
        AttributeValue::Text(text) => text.to_string(),
        AttributeValue::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    group.facts().iter().map(|fact| format!("{}={}", fact.key, value(&fact.value))).collect()
}

#[test]
fn compilers_of_one_build_are_one_and_those_of_a_build_whose_pid_came_back_another() {
    let images = [
        image(key(10, 5), "/usr/bin/cc", Some((7, 1)), &[]),
        image(key(11, 6), "/usr/bin/as", Some((7, 1)), &[]),
        image(key(10, 9), "/usr/bin/cc", Some((7, 8)), &[]),
        image(key(12, 9), "/usr/bin/cc", None, &[]),
    ];
    let (numbers, groups) = grouped(&[GroupBy::Parent], &images);
    assert_eq!(numbers, [0, 0, 1, 2]);
    let [first, second, third] = groups.all() else { panic!("{groups:?}") };
    assert_eq!(
        facts(first),
        [
            "process.parent_pid=7",
            "procinfo.parent.creation_time=1970-01-01T00:00:00.000000001Z",
            "procinfo.parent.executable.name=make"
        ]
    );
    assert_eq!((first.processes(), &*first.label(), first.service()), (2, "pid 7 make", "make"));
    assert_eq!((second.processes(), second.service()), (1, "cc"), "all of one service");
    assert_eq!((facts(third), &*third.label()), (vec![], "-"));
}

#[test]
fn several_facts_make_a_group_together() {
    let web = [("container.id", "aa"), ("k8s.namespace.name", "shop"), ("service.name", "web")];
    let images = [
        image(key(10, 5), "/usr/bin/python3", None, &web),
        image(key(11, 5), "/usr/bin/bash", None, &web),
        image(key(12, 5), "/usr/bin/python3", None, &[]),
    ];
    let by = |by: &[GroupBy]| grouped(by, &images).0;
    assert_eq!(by(&[GroupBy::Container]), [0, 0, 1]);
    assert_eq!(by(&[GroupBy::Container, GroupBy::Executable]), [0, 1, 2]);
    assert_eq!(by(&[GroupBy::Executable]), [0, 1, 0]);
    assert_eq!(by(&[GroupBy::Service]), [0, 0, 1]);
    let (_, groups) =
        grouped(&[GroupBy::Attribute("k8s.namespace.name".to_owned()), GroupBy::Service], &images);
    assert_eq!(facts(&groups.all()[0]), ["k8s.namespace.name=shop", "service.name=web"]);
    assert_eq!(groups.all()[0].label(), "shop  web");
    assert_eq!(groups.all()[1].label(), "-  python3");
}

/// A pod is one group, whether its name was known of a member or not; a namespace alone is no deployment.
#[test]
fn pods_and_what_made_them_are_groups() {
    let of = |pod: &'static str, more: &[(&'static str, &'static str)]| {
        image(key(10, 5), "/bin/app", None, &[&[("k8s.pod.uid", pod)], more].concat())
    };
    let shop = ("k8s.namespace.name", "shop");
    let named = |name: &'static str, deployment: &'static str| {
        [("k8s.pod.name", name), shop, ("k8s.deployment.name", deployment)]
    };
    let images = [
        of("1", &[]),
        of("1", &named("cart-x", "cart")),
        of("2", &named("cart-y", "cart")),
        of("3", &[shop]),
        image(key(11, 5), "/bin/app", None, &[]),
    ];
    let (numbers, groups) = grouped(&[GroupBy::Pod], &images);
    assert_eq!(numbers, [0, 0, 1, 2, 3]);
    assert_eq!(facts(&groups.all()[0]), ["k8s.pod.uid=1", "k8s.pod.name=cart-x", "k8s.namespace.name=shop"]);
    let labels: Vec<_> = groups.all().iter().map(Group::label).collect();
    assert_eq!(labels, ["cart-x", "cart-y", "3", "-"]);
    let (numbers, groups) = grouped(&[GroupBy::Deployment], &images);
    assert_eq!(numbers, [0, 1, 1, 0, 0]);
    assert_eq!(facts(&groups.all()[1]), ["k8s.deployment.name=cart", "k8s.namespace.name=shop"]);
    assert_eq!((facts(&groups.all()[0]), groups.all()[0].label()), (vec![], "-".to_owned()));
    let (numbers, groups) = grouped(&[GroupBy::Namespace, GroupBy::Deployment], &images);
    assert_eq!(numbers, [0, 1, 1, 2, 0]);
    assert_eq!(groups.all()[2].labels(), ["shop", "-"]);
    assert_eq!(facts(&groups.all()[2]), ["k8s.namespace.name=shop"]);
}

#[test]
fn what_is_not_known_goes_by_the_name_of_its_thread() {
    let mut groups = Grouping::new(&[GroupBy::Executable], Duration::ZERO).groups();
    let unknown = |thread_name| Member { key: key(1, 1), image: None, thread_name };
    let known = image(key(2, 2), "gone", None, &[]);
    let numbers = [groups.add(&unknown("gone")), groups.add(&unknown("other")), groups.add(&member(&known))];
    assert_eq!(numbers, [0, 1, 2]);
    assert_eq!((&*groups.all()[0].label(), groups.all()[0].service()), ("gone (unresolved)", "gone"));
}

#[test]
fn only_what_ended_within_the_span_is_short() {
    let clock = ClockOffset::default();
    let mut lives = Lives::default();
    let exit =
        |key, at| ProcessEvent { at: KTime::from_nanos(at), image: key, transition: ProcessTransition::Exit };
    lives.process(&exit(key(1, 100), 150));
    lives.process(&exit(key(1, 100), 199));
    lives.process(&exit(key(2, 100), 200));
    let short = Grouping::new(&[GroupBy::Executable], Duration::from_nanos(100));
    let takes = |pid, start| short.takes(key(pid, start), &lives, clock);
    assert!(takes(1, 100));
    assert!(!takes(2, 100), "as long as the span");
    assert!(!takes(1, 7), "another process of that number");
    assert!(!takes(3, 100), "runs still");
    assert!(Grouping::new(&[GroupBy::Executable], Duration::ZERO).takes(key(3, 100), &lives, clock));
    assert!(!Grouping::default().takes(key(1, 100), &lives, clock));
}

#[test]
fn keys_are_read_as_documented() {
    let pods: Vec<GroupBy> = serde_json::from_str(
        r#"["pod", "k8s.pod", "deployment", "k8s.deployment", "namespace", "k8s.namespace"]"#,
    )
    .unwrap();
    let [pod, deployment, namespace] = [GroupBy::Pod, GroupBy::Deployment, GroupBy::Namespace];
    assert_eq!(pods, [pod.clone(), pod, deployment.clone(), deployment, namespace.clone(), namespace]);
    let by: Vec<GroupBy> = serde_json::from_str(r#"["parent", "k8s.namespace.name", "unit"]"#).unwrap();
    let attribute = GroupBy::Attribute("k8s.namespace.name".to_owned());
    assert_eq!(by, [GroupBy::Parent, attribute, GroupBy::Unit]);
    assert_eq!(serde_json::to_string(&by).unwrap(), r#"["parent","k8s.namespace.name","unit"]"#);
    assert!(group_faults(&by, Duration::from_secs(1)).is_empty());
    let wrong = [GroupBy::Attribute("contaner".to_owned())];
    assert!(
        group_faults(&wrong, Duration::ZERO)[0].message.starts_with("\"contaner\" is nothing to group by")
    );
    assert!(group_faults(&[], Duration::from_secs(1))[0].message.starts_with("is empty"));
}

proptest! {
    /// However members are put together: those of one group have all its facts in common, and a group has as many
    /// processes as its members.
    #[test]
    fn members_of_a_group_are_alike(
        members in prop::collection::vec((1..4_u32, 0..2_u64, 0..3_usize, prop::option::of(1..3_u32), any::<bool>()), 1..30),
        by in prop::sample::subsequence(vec![GroupBy::Executable, GroupBy::Process, GroupBy::Parent, GroupBy::Container], 1..4),
    ) {
        let images: Vec<Image> = members.iter().map(|&(pid, start, path, parent, contained)| {
            let attributes = [("container.id", "aa")];
            let path = ["/bin/a", "/bin/b", "/sbin/a"][path];
            image(key(pid, start), path, parent.map(|pid| (pid, 1)), &attributes[..usize::from(contained)])
        }).collect();
        let (numbers, groups) = grouped(&by, &images);
        for (number, group) in groups.all().iter().enumerate() {
            let of_group: Vec<&Image> = numbers.iter().zip(&images).filter(|(n, _)| **n == number).map(|(_, image)| image).collect();
            let processes: std::collections::HashSet<_> = of_group.iter().map(|image| image.key.process).collect();
            prop_assert_eq!(group.processes(), processes.len());
            for image in of_group {
                let mut alone = Grouping::new(&by, Duration::ZERO).groups();
                alone.add(&member(image));
                prop_assert_eq!(alone.all()[0].facts(), group.facts());
            }
        }
        let labels: std::collections::HashSet<_> = groups.all().iter().map(facts).map(|facts| facts.join(" ")).collect();
        prop_assert_eq!(labels.len(), groups.all().len(), "two groups differ in what they say");
    }
}
