//! The BPF programs that are loaded, and the program that an address of the kernel is in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pdata::{Mapping, Pc};

use super::image::mapping;
use crate::loaded::{self, LoadedProgram};

/// Time between two questions for a newer program, while addresses come that are in programs or in no known image.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A source of lists of programs: the kernel, but for tests.
pub(super) trait ListPrograms: std::fmt::Debug + Send {
    /// True if there is a program with a higher number: numbers are assigned in ascending order.
    fn has_newer(&self, newest: u32) -> bool;

    /// Lists every program that there is.
    fn list(&self) -> Vec<LoadedProgram>;
}

/// The programs of this machine's kernel.
#[derive(Debug)]
pub(super) struct OfKernel;

impl ListPrograms for OfKernel {
    fn has_newer(&self, newest: u32) -> bool {
        loaded::has_newer_program(newest)
    }

    fn list(&self) -> Vec<LoadedProgram> {
        loaded::programs()
    }
}

/// A kernel without programs.
#[derive(Debug)]
struct Nobody;

impl ListPrograms for Nobody {
    fn has_newer(&self, _newest: u32) -> bool {
        false
    }

    fn list(&self) -> Vec<LoadedProgram> {
        Vec::new()
    }
}

/// The machine code of BPF programs, a mapping for each of their functions. Trampolines, which lead to programs, are
/// [`TrampolineImages`](super::trampolines::TrampolineImages).
#[derive(Debug)]
pub(super) struct ProgramImages {
    source: Box<dyn ListPrograms>,
    /// The functions' mappings, in the order of their addresses.
    mappings: Vec<Arc<Mapping>>,
    /// The number of the newest program that the mappings cover.
    newest: u32,
    asked: Option<Instant>,
}

impl Default for ProgramImages {
    fn default() -> Self {
        Self::new(Nobody)
    }
}

impl ProgramImages {
    pub(super) fn new(source: impl ListPrograms + 'static) -> Self {
        Self { source: Box::new(source), mappings: Vec::new(), newest: 0, asked: None }
    }

    /// The mapping of the program that an address is in.
    pub(super) fn find(&mut self, pc: Pc) -> Option<&Arc<Mapping>> {
        if self.asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
            self.asked = Some(Instant::now());
            // A program may be where another was: each is newer than the one whose place it takes.
            if self.source.has_newer(self.newest) {
                self.read();
            }
        }
        let after = self.mappings.partition_point(|mapping| mapping.start <= pc);
        self.mappings.get(after.checked_sub(1)?).filter(|mapping| mapping.contains(pc))
    }

    /// Lists the programs. A function that is as before keeps its mapping, which others compare by its address.
    fn read(&mut self) {
        let before = std::mem::take(&mut self.mappings);
        for LoadedProgram { id, name, functions } in self.source.list() {
            self.newest = self.newest.max(id);
            let name: Box<str> = format!("[{name}]").into();
            for (start, length) in functions {
                let end = Pc(start.0.saturating_add(length));
                let same = before.binary_search_by_key(&start, |mapping| mapping.start).ok();
                let same = same.and_then(|at| before.get(at));
                let same = same.filter(|same| same.end == end && same.backing.name() == *name);
                self.mappings.push(same.map_or_else(|| mapping(name.clone(), None, start, end), Arc::clone));
            }
        }
        self.mappings.sort_by_key(|mapping| mapping.start);
        // A program that was unloaded while the others were listed may have left its place to another.
        self.mappings.dedup_by_key(|mapping| mapping.start);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Listed(Arc<Mutex<Vec<LoadedProgram>>>);

    impl ListPrograms for Listed {
        fn has_newer(&self, newest: u32) -> bool {
            self.0.lock().unwrap().iter().any(|program| program.id > newest)
        }

        fn list(&self) -> Vec<LoadedProgram> {
            self.0.lock().unwrap().clone()
        }
    }

    fn program(id: u32, name: &str, functions: &[(u64, u64)]) -> LoadedProgram {
        let functions = functions.iter().map(|&(start, length)| (Pc(start), length)).collect();
        LoadedProgram { id, name: name.to_owned(), functions }
    }

    fn name(images: &mut ProgramImages, pc: u64) -> Option<String> {
        let mapping = images.find(Pc(pc))?;
        assert!(mapping.contains(Pc(pc)) && mapping.backing.is_kernel());
        Some(mapping.backing.name().into_owned())
    }

    #[test]
    fn an_address_is_in_a_function_of_a_program_or_in_none() {
        let listed = Listed::default();
        listed.0.lock().unwrap().extend([
            program(3, "bpf_prog_1_a", &[(0x5000, 0x80), (0x4000, 0x10)]),
            program(4, "bpf_prog_2_b", &[(0x5080, 0x20)]),
            program(5, "hidden", &[]),
        ]);
        let images = &mut ProgramImages::new(listed.clone());
        let names = [0x3fff, 0x4000, 0x4010, 0x5000, 0x507f, 0x5080, 0x50a0].map(|pc| name(images, pc));
        let (a, b) = (Some("[bpf_prog_1_a]".to_owned()), Some("[bpf_prog_2_b]".to_owned()));
        assert_eq!(names, [None, a.clone(), None, a.clone(), a, b, None]);
    }

    #[test]
    fn a_program_in_the_place_of_another_is_found_and_one_that_stays_keeps_its_mapping() {
        let listed = Listed::default();
        listed
            .0
            .lock()
            .unwrap()
            .extend([program(3, "old", &[(0x5000, 8)]), program(4, "stays", &[(0x6000, 8)])]);
        let images = &mut ProgramImages::new(listed.clone());
        assert_eq!(name(images, 0x5000).as_deref(), Some("[old]"));
        let stays = Arc::clone(images.find(Pc(0x6000)).unwrap());
        listed.0.lock().unwrap()[0] = program(5, "new", &[(0x5000, 8)]);
        assert_eq!(name(images, 0x5000).as_deref(), Some("[old]"), "the kernel is not asked all the time");
        images.asked = Some(Instant::now().checked_sub(ASK_EVERY).unwrap());
        assert_eq!(name(images, 0x5000).as_deref(), Some("[new]"));
        assert!(Arc::ptr_eq(&stays, images.find(Pc(0x6000)).unwrap()));
    }
}
