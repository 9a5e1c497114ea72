//! The changes that process events make to the table.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use pdata::{
    Comm, Executable, Image, ImageKey, ImageKind, KTime, Pid, ProcessEvent, ProcessTransition, Relatives,
    Script, Tid,
};

use super::Tracker;
use crate::loader;
use crate::process::Process;
use crate::program_name;

impl Tracker {
    pub(super) fn process_event(&mut self, event: &ProcessEvent) {
        let (key, at) = (event.image, event.at);
        match &event.transition {
            ProcessTransition::Seen { executable, comm, relatives } => {
                let kind = match executable {
                    Some(executable) => user(executable, None),
                    None => ImageKind::Kernel(*comm),
                };
                self.seen(key, at, kind);
                self.relate(key, relatives);
            }
            ProcessTransition::Exec {
                executable,
                filename,
                interpreter,
                environment,
                arguments,
                relatives,
                ..
            } => {
                let script = interpreter.as_deref().map(|interpreter| script(filename, interpreter));
                self.exec(key, at, user(executable, script));
                self.relate(key, relatives);
                // Where no variable is wanted, only arguments are to be asked for.
                let nothing = (!self.wants_variables && !arguments.is_empty()).then_some(&[][..]);
                let variables = environment.as_deref().or(nothing);
                if let (Some(process), Some(variables)) = (self.table.get_mut(key.process), variables) {
                    process.set_environment(key.exec_count, Arc::from(variables));
                }
                self.give_arguments(key, arguments);
            }
            ProcessTransition::Fork { parent, relatives } => {
                self.fork(key, at, *parent);
                self.relate(key, relatives);
                // At once, since the parent may be forgotten before anything is sampled of its child.
                self.parents_of(key.process);
            }
            ProcessTransition::Rename { tid, comm } => self.rename(key, *tid, *comm),
            ProcessTransition::Exit => {
                // Entered even if not known, so that late events of it do not keep it for ever.
                self.enter(key, KTime::ZERO, at);
                self.table.exited(key.process, at);
            }
            ProcessTransition::Freed => {
                if self.table.is_running(key.process) {
                    self.tally.lost_exits += 1;
                }
                self.table.freed(key.process, at);
            }
        }
    }

    /// The state of a process, which may be new; `None` if it has been forgotten.
    pub(super) fn enter(&mut self, key: ImageKey, began: KTime, at: KTime) -> Option<&mut Process> {
        let clock = &self.clock;
        let make = || Process::new(clock.created(key.process.start_time));
        let entered = self.table.enter(key.process, began, at, make)?;
        self.tally.lost_exits += u64::from(entered.lost_exit);
        Some(entered.held)
    }

    fn relate(&mut self, key: ImageKey, relatives: &Relatives) {
        if let Some(process) = self.table.get_mut(key.process) {
            process.relate(relatives);
        }
    }

    pub(super) fn seen(&mut self, key: ImageKey, at: KTime, kind: ImageKind) {
        let Some(process) = self.enter(key, KTime::ZERO, at) else { return };
        let image = Arc::new(Image::new(key, process.created, kind));
        let bytes = image.footprint();
        if let Some(at) = process.images.see(key.exec_count, image) {
            self.replaced.push(at, key.process, bytes);
        }
    }

    fn exec(&mut self, key: ImageKey, at: KTime, kind: ImageKind) {
        let Some(process) = self.enter(key, KTime::ZERO, at) else { return };
        let image = Arc::new(Image::new(key, process.created, kind));
        // Whichever of the two is the older one is held for those who lag behind.
        let bytes = process.images.newest_footprint().max(image.footprint());
        if let Some(at) = process.images.begin(key.exec_count, at, image) {
            self.replaced.push(at, key.process, bytes);
        }
    }

    fn fork(&mut self, key: ImageKey, at: KTime, parent: ImageKey) {
        let parents = self.table.get(parent.process);
        let image = parents.and_then(|process| process.images.get(parent.exec_count)).cloned();
        // Of a parent outside the agent's pid namespace nothing can be known.
        if image.is_none() && parent.process.pid != Pid(0) {
            self.tally.misses.parent += 1;
        }
        let environment = parents.and_then(|process| process.environment(parent.exec_count)).cloned();
        let arguments = parents.and_then(|process| process.arguments(parent.exec_count)).cloned();
        let Some(child) = self.enter(key, at, at) else { return };
        if let Some(environment) = environment {
            child.set_environment(key.exec_count, environment);
        }
        if let Some(arguments) = arguments {
            child.set_arguments(key.exec_count, arguments);
        }
        if let Some(image) = image {
            let image = Image::new(key, child.created, image.kind.clone());
            let bytes = image.footprint();
            if let Some(at) = child.images.begin(key.exec_count, at, Arc::new(image)) {
                self.replaced.push(at, key.process, bytes);
            }
        }
    }

    /// Remembers the arguments of an image, if they name its program or have been asked for.
    pub(super) fn give_arguments(&mut self, key: ImageKey, arguments: &[u8]) {
        let keeps_all = self.keeps_arguments;
        let Some(process) = self.table.get_mut(key.process).filter(|_| !arguments.is_empty()) else { return };
        let says_more = |kind: &ImageKind| {
            // The program that the loader runs may turn out to be an interpreter.
            program_name::is_interpreter(&kind.name())
                || matches!(kind, ImageKind::User { loader: Some(_), .. })
        };
        let image = process.images.get(key.exec_count);
        if keeps_all || image.is_some_and(|image| says_more(&image.kind)) {
            process.set_arguments(key.exec_count, arguments.into());
        }
    }

    /// Renames a kernel thread: these are known by name, which is set after they were forked.
    fn rename(&mut self, key: ImageKey, tid: Tid, comm: Comm) {
        let Some(process) = self.table.get_mut(key.process).filter(|_| tid.0 == key.process.pid.0) else {
            return;
        };
        let Some(image) = process.images.get(key.exec_count) else { return };
        if matches!(image.kind, ImageKind::Kernel(_)) {
            let image = Image { kind: ImageKind::Kernel(comm), ..(**image).clone() };
            process.images.redescribe(key.exec_count, Arc::new(image));
        }
    }
}

pub(crate) fn user(executable: &Executable, script: Option<Script>) -> ImageKind {
    let executable = Arc::new(executable.clone());
    let loader = loader::is_loader(&executable.path).then(|| Arc::clone(&executable));
    ImageKind::User { executable, script: script.map(Arc::new), loader }
}

fn script(path: &[u8], interpreter: &[u8]) -> Script {
    Script {
        path: Path::new(OsStr::from_bytes(path)).into(),
        interpreter: Path::new(OsStr::from_bytes(interpreter)).into(),
    }
}
