//! The timeline: the output expected of a profiler for an instant of a process.

use std::collections::HashMap;

use crate::truth::{Image, Process, State, Truth};

/// Most nanoseconds by which a sample's time may differ: the profiler converts times by an offset of its own, and a
/// timer fires a little before its program reads the clock.
const SLACK: u64 = 20_000;
/// Most nanoseconds from the end that the parent knows of to the kernel's last steps in the process, which has to wait
/// for a CPU among all others that want one.
const LAST_STEPS: u64 = 200_000_000;

/// The processes of a storm by pid and time.
#[derive(Clone, Debug)]
pub struct Timeline<'a> {
    by_pid: HashMap<u32, Vec<&'a Process>>,
}

/// A view of a process that is right at an instant: there are several while an exec is in progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// Path of the executable.
    pub path: &'a str,
    /// Path as the process sees it, if that differs.
    pub own_path: Option<&'a str>,
    /// States of the file.
    pub states: &'a [State],
    /// Path of the script.
    pub script: Option<&'a str>,
    /// Names of the thread.
    pub comms: Vec<&'a str>,
}

impl<'a> Timeline<'a> {
    /// The timeline of all processes of a storm.
    #[must_use]
    pub fn new(truth: &'a Truth) -> Self {
        let mut by_pid: HashMap<u32, Vec<&Process>> = HashMap::new();
        for process in &truth.processes {
            by_pid.entry(process.pid).or_default().push(process);
        }
        by_pid.values_mut().for_each(|lives| lives.sort_by_key(|process| process.born));
        Self { by_pid }
    }

    /// The process that had the pid at that instant.
    #[must_use]
    pub fn find(&self, pid: u32, at: u64) -> Option<&'a Process> {
        let lives = self.by_pid.get(&pid)?;
        let lived = |process: &&&Process| process.born.saturating_sub(SLACK) <= at && at <= process.reaped;
        let just_ended = |process: &&&Process| process.reaped <= at && at <= process.reaped + LAST_STEPS;
        lives.iter().find(lived).or_else(|| lives.iter().rfind(just_ended)).copied()
    }
}

/// The views of the process that are right at that instant.
///
/// An image may be named from the call of the exec that makes it until the next one has begun its `main`: in between
/// the kernel turns one into the other at an instant that nobody outside can see.
#[must_use]
pub fn views(process: &Process, at: u64) -> Vec<View<'_>> {
    let mut views = Vec::new();
    let first_enter = process.images.first().map_or(process.reaped, |image| image.enter);
    if at <= first_enter.saturating_add(SLACK) || process.images.is_empty() {
        views.push(View {
            path: &process.inherited.path,
            own_path: None,
            states: &[State::Linked],
            script: None,
            comms: vec![&process.inherited.comm],
        });
    }
    let mut from = process.exec_at.unwrap_or(process.born);
    for (index, image) in process.images.iter().enumerate() {
        let until = process.images.get(index + 1).map_or(u64::MAX, |next| next.enter.saturating_add(SLACK));
        if from.saturating_sub(SLACK) <= at && at <= until {
            views.push(view(process, image, at));
        }
        from = image.leave;
    }
    views
}

fn view<'a>(process: &'a Process, image: &'a Image, at: u64) -> View<'a> {
    let mut comms = vec![image.comm.as_str()];
    if let Some(rename) = &process.rename {
        if at > rename.until.saturating_add(SLACK) {
            comms.clear();
        }
        if at >= rename.from.saturating_sub(SLACK) {
            comms.push(&rename.comm);
        }
    }
    View {
        path: &image.path,
        own_path: image.own_path.as_deref(),
        states: &image.states,
        script: image.script.as_deref(),
        comms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::{Inherited, Rename};

    const MS: u64 = 1_000_000;

    fn image(path: &str, enter: u64, leave: u64) -> Image {
        Image {
            path: path.to_owned(),
            own_path: None,
            states: vec![State::Linked],
            script: None,
            comm: path.trim_start_matches('/').to_owned(),
            enter,
            leave,
            cpu_ns: leave - enter,
            observed: None,
        }
    }

    /// Born at 10 ms, exec of /a at 11, its main at 12, exec of /b at 20, its main at 21, reaped at 30.
    fn chain() -> Process {
        Process {
            mode: "chain".into(),
            variant: None,
            pid: 7,
            born: 10 * MS,
            exec_at: Some(11 * MS),
            counted_from: 10 * MS,
            reaped: 30 * MS,
            cpu_ns: 20 * MS,
            inherited: Inherited { path: "/parent".into(), comm: "parent".into() },
            images: vec![image("/a", 12 * MS, 20 * MS), image("/b", 21 * MS, 29 * MS)],
            rename: None,
        }
    }

    fn paths(process: &Process, at: u64) -> Vec<&str> {
        views(process, at).iter().map(|view| view.path).collect()
    }

    #[test]
    fn one_image_between_execs_and_either_during_one() {
        let process = chain();
        assert_eq!(paths(&process, 10 * MS + MS / 2), ["/parent"]);
        assert_eq!(paths(&process, 11 * MS + MS / 2), ["/parent", "/a"]);
        assert_eq!(paths(&process, 15 * MS), ["/a"]);
        assert_eq!(paths(&process, 20 * MS + MS / 2), ["/a", "/b"]);
        assert_eq!(paths(&process, 25 * MS), ["/b"]);
        assert_eq!(paths(&process, 30 * MS), ["/b"]);
    }

    #[test]
    fn a_spawned_process_may_have_its_image_from_its_birth() {
        let process = Process { exec_at: None, ..chain() };
        assert_eq!(paths(&process, 10 * MS), ["/parent", "/a"]);
    }

    #[test]
    fn a_process_without_an_image_of_its_own_runs_its_parents() {
        let process = Process { images: Vec::new(), ..chain() };
        assert_eq!(paths(&process, 29 * MS), ["/parent"]);
    }

    #[test]
    fn a_new_name_replaces_the_old_one_at_some_instant_of_the_call() {
        let rename = Some(Rename { from: 15 * MS, until: 16 * MS, comm: "new".into() });
        let process = Process { rename, images: vec![image("/a", 12 * MS, 29 * MS)], ..chain() };
        let comms = |at| views(&process, at)[0].comms.clone();
        assert_eq!(comms(14 * MS), ["a"]);
        assert_eq!(comms(15 * MS + MS / 2), ["a", "new"]);
        assert_eq!(comms(20 * MS), ["new"]);
    }

    #[test]
    fn a_pid_used_again_is_another_process() {
        let second = Process { born: 31 * MS, reaped: 40 * MS, ..chain() };
        let third = Process { born: 60 * MS, reaped: 70 * MS, ..chain() };
        let storm = crate::truth::Storm {
            seed: 0,
            pid_reuse: true,
            begin: crate::truth::Clocks::default(),
            end: crate::truth::Clocks::default(),
        };
        let truth = Truth { storm, processes: vec![third, second, chain()] };
        let timeline = Timeline::new(&truth);
        let born = |at| timeline.find(7, at).map(|process| process.born / MS);
        assert_eq!(born(30 * MS), Some(10));
        assert_eq!(born(30 * MS + MS / 2), Some(10), "its last steps in the kernel");
        assert_eq!(born(31 * MS), Some(31));
        assert_eq!(born(50 * MS), Some(31), "the last that has ended");
        assert_eq!(born(65 * MS), Some(60));
        assert_eq!(born(271 * MS), None);
        assert_eq!(timeline.find(8, 20 * MS), None);
    }
}
