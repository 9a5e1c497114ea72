//! Every sample is attributed to the executable that used the CPU.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::agent::Setup;
use tests::due;
use tests::otlp::{Frame, Mapping, Resource, Sample};
use tests::program::{self, Burner, Step};
use tests::validator;

use crate::alone;

/// A prime rate, which does not beat with the scheduler's tick.
const RATE: u32 = 997;

/// CPU time that each image uses. At [`RATE`] 3988 samples are expected, and chance moves them by 6.3 % at most (see
/// `due` for the margin), so that a difference of a tenth is not chance.
const CPU: Duration = Duration::from_secs(4);

/// The facts that should be known of one image of a process.
struct Truth {
    /// Path of the image in the agent's mount namespace.
    path: PathBuf,
    build_id: String,
    used: Duration,
}

/// The programs, each a file of its own with a build ID of its own.
struct Programs {
    dir: tempfile::TempDir,
}

impl Programs {
    const OLDER: &str = "older";
    const ENTER: &str = "enter";
    const JAILED: &str = "jail/bin/jailed";
    const FIRST: &str = "first";
    const SECOND: &str = "second";
    const ALL: [&str; 5] = [Self::OLDER, Self::ENTER, Self::JAILED, Self::FIRST, Self::SECOND];

    fn compile() -> Self {
        let programs = Self { dir: tempfile::tempdir().expect("a temporary directory") };
        for name in Self::ALL {
            program::compile(&programs.path(name), &Self::build_id(name));
        }
        programs
    }

    fn path(&self, name: &str) -> PathBuf {
        // Resolved, since the kernel reports the path without links.
        self.dir.path().canonicalize().expect("the directory is there").join(name)
    }

    fn build_id(name: &str) -> String {
        let number = Self::ALL.iter().position(|of| *of == name).expect("a program");
        format!("{:040x}", 0xb01d_0000 + number)
    }

    fn truth(&self, name: &str, used: Duration) -> Truth {
        Truth { path: self.path(name), build_id: Self::build_id(name), used }
    }
}

/// Copies of one program under several paths, one started before the agent, one in a chroot, one that execs another:
/// each has as many samples as its CPU time stands for, all of them with its own path, and every frame in its own file
/// with its own build ID.
#[test]
#[ignore = "needs root: loads BPF programs, and chroot"]
fn every_sample_names_the_executable_that_ran() {
    let _alone = alone();
    let programs = Programs::compile();
    let mut older = Burner::start(&programs.path(Programs::OLDER), &[Step::Wait, Step::Cpu(CPU)]);
    let agent = Setup::new().samples_per_second(RATE).start();

    older.go();
    let jailed = Burner::start(
        &programs.path(Programs::ENTER),
        &[Step::Chroot(programs.path("jail")), Step::Exec("/bin/jailed".into()), Step::Cpu(CPU)],
    );
    let chain = Burner::start(
        &programs.path(Programs::FIRST),
        &[Step::Cpu(CPU), Step::Exec(programs.path(Programs::SECOND)), Step::Cpu(CPU)],
    );
    let processes = [
        (older, vec![Programs::OLDER]),
        (jailed, vec![Programs::ENTER, Programs::JAILED]),
        (chain, vec![Programs::FIRST, Programs::SECOND]),
    ]
    .map(|(burner, names)| (burner.pid(), names, burner.finish()));
    let outcome = agent.stop();

    validator::assert_valid(&outcome.file);
    let resources = outcome.file.resources().expect("every index is good");
    for (pid, names, used) in processes {
        assert_eq!(names.len(), used.len(), "each image tells its CPU time once");
        let images: Vec<_> = names.iter().zip(used).map(|(name, used)| programs.truth(name, used)).collect();
        assert_own_paths(&resources, pid, &images);
        for image in images.iter().filter(|image| image.used >= CPU) {
            let path = image.path.to_str().expect("a path of ours is text");
            due::assert_samples(&resources, path, image.used, RATE);
            assert_frames(&resources, image);
        }
    }
}

/// Asserts that the process has samples under the paths of its images and no others.
fn assert_own_paths(resources: &[Resource], pid: u32, images: &[Truth]) {
    let mut own: BTreeSet<_> = images.iter().map(|image| image.path.clone()).collect();
    let is_own = |of: &&Resource| own.contains(Path::new(of.text("process.executable.path")));
    let mine: Vec<_> = resources.iter().filter(is_own).collect();
    // Another process may have had the same pid, before or after.
    let key = |of: &Resource| (of.int("process.pid"), of.text("process.creation.time").to_owned());
    let keys: BTreeSet<_> = mine.iter().map(|of| key(of)).collect();
    assert_eq!(keys.len(), 1, "one process has these paths: {keys:?}");
    assert!(keys.iter().all(|(of, _)| *of == Some(i64::from(pid))), "{keys:?} is {pid}");
    // Between fork and exec the process runs this program.
    own.insert(env::current_exe().expect("a program has a path"));
    for of in resources.iter().filter(|of| keys.contains(&key(of))) {
        let path = of.text("process.executable.path");
        assert!(own.contains(Path::new(path)), "{} samples of {pid} are under {path:?}", of.events());
    }
}

/// Asserts that user frames are in the image's own file, with its own build ID.
fn assert_frames(resources: &[Resource], image: &Truth) {
    let own = |of: &&Resource| Path::new(of.text("process.executable.path")) == image.path;
    let (mut events, mut mapped) = (0, 0);
    for sample in resources.iter().filter(own).flat_map(Resource::samples) {
        events += sample.events();
        mapped += if leaf_is_mapped(sample) { sample.events() } else { 0 };
        for mapping in sample.stack.iter().filter_map(|frame| user_mapping(frame)) {
            assert_eq!(Path::new(&mapping.filename), image.path, "a static program maps one file");
            let build_id = mapping.attributes.get("process.executable.build_id.gnu");
            assert_eq!(build_id.and_then(|id| id.as_text()), Some(image.build_id.as_str()));
        }
    }
    // The other leaves are in the kernel: interrupts, and the system call that reads the clock.
    assert!(mapped * 10 >= events * 9, "{}: {mapped} of {events} leaves are mapped", image.path.display());
}

/// The mapping of a frame of the program's own; the kernel and its modules are named in brackets.
fn user_mapping(frame: &Frame) -> Option<&Mapping> {
    frame.mapping.as_ref().filter(|mapping| !mapping.filename.starts_with('['))
}

fn leaf_is_mapped(sample: &Sample) -> bool {
    sample.stack.first().is_some_and(|leaf| user_mapping(leaf).is_some())
}
