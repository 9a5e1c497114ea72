//! Plans: the processes of a storm, as a function of its seed.

use std::fmt::Write;
use std::time::Duration;

use crate::mode::{Mode, Start, Step};
use crate::random::Random;
use crate::tree::{MEMFDS, Tree};
use crate::truth::State;

/// CPU times of processes, one of which is drawn, each +-25 %.
const CPU_CLASSES: [Duration; 4] = [
    Duration::from_micros(500),
    Duration::from_millis(2),
    Duration::from_millis(10),
    Duration::from_millis(50),
];
const SPREAD: f64 = 0.25;
/// CPU time of a process that is older than the storm: several classes' worth, spread over the storm.
const OLDER_CPU: Duration = Duration::from_millis(150);
const OLDER_SLICE: Duration = Duration::from_millis(5);

/// The shape of a storm.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The seed of everything random.
    pub seed: u64,
    /// The way in which processes arrive.
    pub arrival: Arrival,
    /// CPU time of each process; `None` to draw it from the classes.
    pub cpu: Option<Duration>,
    /// Kinds of process, equally often.
    pub modes: Vec<Mode>,
    /// Processes of each kind that are older than the storm and burn during it.
    pub older: usize,
    /// Processes that live through the storm and do nothing.
    pub sleepers: usize,
    /// True if each image waits until the launcher has read its link.
    pub verify: bool,
}

/// The ways in which processes arrive.
#[derive(Clone, Copy, Debug)]
pub enum Arrival {
    /// A Poisson process.
    Open {
        /// Processes a second.
        rate: f64,
        /// Time for which processes keep coming.
        span: Duration,
    },
    /// One process starts as soon as another has ended.
    Closed {
        /// Processes in all.
        processes: usize,
        /// Processes at the same time.
        at_once: usize,
    },
}

/// A process to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Time of the start after the storm's, ns.
    pub at: u64,
    /// The special feature of the process.
    pub mode: Mode,
    /// True if the process is to be there before the storm.
    pub older: bool,
    /// CPU time of each image, ns.
    pub burn: Vec<u64>,
    /// The paths that the launcher needs: of the executables, or those that the mode takes instead.
    paths: Vec<String>,
    /// The images that the process will run.
    pub images: Vec<Expected>,
    start: Start,
    step: Step,
    slice: u64,
    pause: u64,
    verify: bool,
}

/// An image as a profiler should see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The path of [`crate::truth::Image`].
    pub path: String,
    /// The own path of [`crate::truth::Image`].
    pub own_path: Option<String>,
    /// The states of [`crate::truth::Image`].
    pub states: Vec<State>,
    /// The script of [`crate::truth::Image`].
    pub script: Option<String>,
}

impl Expected {
    fn linked(path: &str) -> Self {
        Self { path: path.to_owned(), own_path: None, states: vec![State::Linked], script: None }
    }
}

/// The processes of a storm in the order of starting, first those that are older than the storm.
#[must_use]
pub fn draw(shape: &Shape, tree: &Tree) -> Vec<Entry> {
    let mut painter = Painter { random: Random::new(shape.seed), tree, fresh: 0, verify: shape.verify };
    let mut entries = Vec::new();
    for _ in 0..shape.sleepers {
        entries.push(Entry { step: Step::Sleep, older: true, ..painter.entry(Mode::Vfork, 0, true) });
    }
    for _ in 0..shape.older {
        entries.extend(shape.modes.iter().map(|&mode| painter.older(mode, shape)));
    }
    let mut deck = Vec::new();
    let mut at = 0.0;
    let drawn = entries.len();
    loop {
        match shape.arrival {
            Arrival::Open { rate, span } => {
                at += painter.random.exponential() / rate;
                if at >= span.as_secs_f64() {
                    return entries;
                }
            }
            Arrival::Closed { processes, .. } if entries.len() - drawn >= processes => return entries,
            Arrival::Closed { .. } => {}
        }
        let Some((mode, class)) = painter.deal(&mut deck, &shape.modes) else { return entries };
        let cpu =
            shape.cpu.unwrap_or_else(|| class.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * painter.random.unit()));
        let entry = painter.entry(mode, nanos(cpu), false);
        entries.push(Entry { at: nanos(Duration::from_secs_f64(at)), ..entry });
    }
}

struct Painter<'a> {
    random: Random,
    tree: &'a Tree,
    fresh: usize,
    verify: bool,
}

impl Painter<'_> {
    /// Draws the next card of a shuffled deck of all modes with all classes: every mode gets its share of CPU time even
    /// in a short storm.
    fn deal(&mut self, deck: &mut Vec<(Mode, Duration)>, modes: &[Mode]) -> Option<(Mode, Duration)> {
        if deck.is_empty() {
            deck.extend(modes.iter().flat_map(|&mode| CPU_CLASSES.map(|class| (mode, class))));
            self.random.shuffle(deck);
        }
        deck.pop()
    }

    fn older(&mut self, mode: Mode, shape: &Shape) -> Entry {
        let span = match shape.arrival {
            Arrival::Open { span, .. } => span,
            Arrival::Closed { .. } => Duration::ZERO,
        };
        // The slices do not fill the whole storm: sleeping takes longer than asked for.
        let slices = nanos(OLDER_CPU) / nanos(OLDER_SLICE);
        let pause = nanos(span.mul_f64(0.8)) / slices;
        let mut entry = self.entry(mode, nanos(OLDER_CPU), true);
        // All but the last image are long gone when the storm begins.
        let images = entry.burn.len();
        entry.burn = vec![0; images];
        if let Some(last) = entry.burn.last_mut() {
            *last = nanos(OLDER_CPU);
        }
        // A profiler that comes later finds the rest of the name.
        for image in entry.images.iter_mut().filter(|_| mode == Mode::UnlinkSelf) {
            image.states = vec![State::Deleted];
        }
        Entry { slice: nanos(OLDER_SLICE), pause, ..entry }
    }

    fn entry(&mut self, mode: Mode, cpu: u64, older: bool) -> Entry {
        let count = mode.images() as u64;
        let (paths, images) = self.files(mode);
        Entry {
            at: 0,
            mode,
            older,
            burn: (0..count).map(|_| cpu / count).collect(),
            paths,
            images,
            start: mode.start(),
            step: mode.step(),
            slice: 0,
            pause: 0,
            verify: self.verify,
        }
    }

    fn program(&mut self) -> String {
        self.random.pick(&self.tree.programs).cloned().unwrap_or_default()
    }

    fn fresh(&mut self, copy: bool) -> String {
        self.fresh += 1;
        self.tree.fresh(&format!("{}-{}", if copy { "copy" } else { "link" }, self.fresh))
    }

    /// The paths that the launcher needs to start a process of this mode, and the images that it then runs.
    fn files(&mut self, mode: Mode) -> (Vec<String>, Vec<Expected>) {
        match mode {
            Mode::ForkNoexec => (Vec::new(), vec![Expected::linked(&self.tree.launcher)]),
            Mode::UnlinkSelf | Mode::Deleted => self.unnamed(mode),
            Mode::Replace => {
                let (path, other) = (self.fresh(true), self.fresh(false));
                let states = vec![State::Linked, State::Deleted];
                (vec![path.clone(), other], vec![Expected { states, ..Expected::linked(&path) }])
            }
            Mode::Memfd => {
                let (source, name) = (self.program(), format!("anonymous {}", self.random.below(MEMFDS)));
                let image =
                    Expected { states: vec![State::Memfd], ..Expected::linked(&format!("/memfd:{name}")) };
                (vec![source, name], vec![image])
            }
            Mode::Chroot | Mode::Mntns => self.rooted(mode),
            Mode::Shebang | Mode::Shebang2 => self.interpreted(mode),
            Mode::Setuid => {
                let path = self.random.pick(&self.tree.locked).cloned().unwrap_or_default();
                (vec![path.clone()], vec![Expected::linked(&path)])
            }
            _ => {
                let paths: Vec<String> = (0..mode.images()).map(|_| self.program()).collect();
                let images = paths.iter().map(|path| Expected::linked(path)).collect();
                (paths, images)
            }
        }
    }

    fn unnamed(&mut self, mode: Mode) -> (Vec<String>, Vec<Expected>) {
        // A hard link loses only its name, a copy its last name.
        let copy = self.random.below(2) == 0;
        let path = self.fresh(copy);
        let states = match mode {
            Mode::Deleted => vec![State::Deleted],
            _ => vec![State::Linked, State::Deleted],
        };
        (vec![path.clone()], vec![Expected { states, ..Expected::linked(&path) }])
    }

    fn rooted(&mut self, mode: Mode) -> (Vec<String>, Vec<Expected>) {
        let Some(root) = self.random.pick(&self.tree.roots) else { return (Vec::new(), Vec::new()) };
        let image = if mode == Mode::Chroot {
            let own_path = Some(root.inner.clone());
            Expected { own_path, ..Expected::linked(&format!("{}{}", root.dir, root.inner)) }
        } else {
            Expected::linked(&root.inner)
        };
        (vec![root.inner.clone(), root.dir.clone()], vec![image])
    }

    fn interpreted(&mut self, mode: Mode) -> (Vec<String>, Vec<Expected>) {
        let scripts = if mode == Mode::Shebang { &self.tree.scripts } else { &self.tree.scripts_of_scripts };
        let Some(script) = self.random.pick(scripts) else { return (Vec::new(), Vec::new()) };
        let image = Expected { script: Some(script.path.clone()), ..Expected::linked(&script.interpreter) };
        (vec![script.path.clone()], vec![image])
    }
}

impl Entry {
    /// Files that only this process uses, each with true if it is a copy.
    pub(crate) fn fresh_files(&self) -> impl Iterator<Item = (&str, bool)> {
        let own = matches!(self.mode, Mode::UnlinkSelf | Mode::Deleted | Mode::Replace);
        self.paths.iter().filter(move |_| own).map(|path| (path.as_str(), path.contains("/fresh/copy-")))
    }

    /// True if the process burns and so has a truth.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.step != Step::Sleep
    }

    /// The line of a plan that `c/plan.c` reads.
    pub(crate) fn write(&self, plan: &mut String) {
        let numbers = [
            self.at,
            self.start as u64,
            self.step as u64,
            self.mode.images() as u64,
            u64::from(self.older),
            u64::from(self.verify),
        ];
        let burn = (0..3).map(|image| self.burn.get(image).copied().unwrap_or_default());
        for number in numbers.into_iter().chain(burn).chain([self.slice, self.pause]) {
            let _always = write!(plan, "{number}\t");
        }
        let path = |index| self.paths.get(index).map_or("", String::as_str);
        let _always = writeln!(plan, "{}\t{}\t{}", path(0), path(1), path(2));
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn shape(seed: u64) -> Shape {
        Shape {
            seed,
            arrival: Arrival::Open { rate: 200.0, span: Duration::from_secs(20) },
            cpu: None,
            modes: Mode::value_variants().to_vec(),
            older: 1,
            sleepers: 3,
            verify: false,
        }
    }

    #[test]
    fn a_storm_is_a_function_of_its_seed() {
        let tree = Tree::plan("/t", 50);
        assert_eq!(draw(&shape(5), &tree), draw(&shape(5), &tree));
        assert_ne!(draw(&shape(5), &tree), draw(&shape(6), &tree));
    }

    #[test]
    fn every_mode_gets_its_share_and_every_process_its_paths() {
        let entries = draw(&shape(1), &Tree::plan("/t", 50));
        let young: Vec<_> = entries.iter().filter(|entry| !entry.older).collect();
        assert!((3_600..4_400).contains(&young.len()), "{} is far from 200/s for 20 s", young.len());
        for &mode in Mode::value_variants() {
            let cpu: u64 = young.iter().filter(|e| e.mode == mode).flat_map(|e| &e.burn).sum();
            assert!(cpu > 1_000_000_000, "{mode:?} burns {cpu} ns");
        }
        for entry in &entries {
            assert_eq!(entry.images.len(), entry.mode.images());
            assert!(entry.images.iter().all(|image| image.path.starts_with('/')));
            assert!(entry.at < 20_000_000_000);
        }
    }

    #[test]
    fn older_processes_come_first_and_burn_only_in_their_last_image() {
        let entries = draw(&shape(1), &Tree::plan("/t", 50));
        let older = entries.iter().take_while(|entry| entry.older).count();
        assert_eq!(older, 3 + Mode::value_variants().len());
        assert!(entries[older..].iter().all(|entry| !entry.older));
        let chain = entries.iter().find(|entry| entry.mode == Mode::Chain).unwrap();
        assert_eq!(chain.burn, [0, 0, nanos(OLDER_CPU)]);
    }

    #[test]
    fn a_closed_loop_has_as_many_processes_as_asked_for() {
        let arrival = Arrival::Closed { processes: 77, at_once: 2 };
        let cpu = Some(Duration::from_micros(300));
        let shape = Shape { arrival, cpu, older: 0, sleepers: 0, modes: vec![Mode::Spawn], ..shape(1) };
        let entries = draw(&shape, &Tree::plan("/t", 5));
        assert_eq!(entries.len(), 77);
        assert!(entries.iter().all(|entry| entry.burn == [300_000]));
    }

    #[test]
    fn a_line_has_all_that_the_launcher_reads() {
        let tree = Tree::plan("/t", 5);
        for entry in draw(&shape(2), &tree) {
            let mut line = String::new();
            entry.write(&mut line);
            assert_eq!(line.matches('\t').count(), 13);
            assert_eq!(line.matches('\n').count(), 1);
        }
    }
}
