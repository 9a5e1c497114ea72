//! The kernel's own images: the mapping that an address of the kernel is in, of the kernel itself, one of its modules,
//! a BPF program, or a trampoline or dispatcher that leads to programs.
//!
//! An address that is in no image, such as that of a kprobe's copy of an instruction, has no mapping. If the
//! kernel hides its addresses from this process (`kptr_restrict`), no module has one.

mod image;
mod programs;
mod trampolines;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pdata::{BuildId, Code, KERNEL, Mapping, Pc};
use procfs::ListSymbols as _;
use procfs::kernel::{KernelModule, build_id_of_notes, kernel_text, modules};

use self::image::mapping;
use self::programs::{OfKernel, ProgramImages};
use self::trampolines::TrampolineImages;
use crate::symbol_at::SymbolFinder;
use crate::symbols::SymbolList;

/// Time between two looks at the list of modules while addresses come that no module holds.
const LOOK_FOR_UNKNOWN_EVERY: Duration = Duration::from_secs(1);
/// Time between two looks while addresses in modules come: a module may have given its place to another.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The kernel's images, as far as it shows them.
#[derive(Debug, Default)]
pub(crate) struct KernelImages {
    root: PathBuf,
    kernel: Option<Arc<Mapping>>,
    /// The modules, in the order of their addresses.
    modules: Vec<Loaded>,
    looked: Option<Instant>,
    programs: ProgramImages,
    trampolines: TrampolineImages,
}

#[derive(Debug)]
struct Loaded {
    module: KernelModule,
    mapping: Arc<Mapping>,
}

impl KernelImages {
    /// The kernel's images by what `proc` and `sys` under `root` show of them. Takes a tenth of a second: the kernel's
    /// text is found by reading most of its symbols. Modules are looked for when an address is in none that is known.
    pub(crate) fn read(root: &Path) -> Self {
        let (programs, trampolines) = if root == Path::new("/") {
            (ProgramImages::new(OfKernel), trampolines())
        } else {
            (ProgramImages::default(), TrampolineImages::default())
        };
        let symbols = File::open(root.join("proc/kallsyms"));
        let text = symbols.and_then(|symbols| kernel_text(BufReader::new(symbols)));
        let text = text.unwrap_or_else(|error| {
            tracing::debug!(%error, "Cannot read the kernel's symbols.");
            None
        });
        // The list of symbols is only loaded if the kernel hides its own, or has none.
        let text = text.or_else(|| kernel_text(&*hidden_symbols(root)?).ok()?);
        let kernel = text.map(|text| {
            let build_id = build_id(&root.join("sys/kernel/notes"));
            mapping(KERNEL.into(), build_id, text.start, text.end)
        });
        Self { root: root.to_owned(), kernel, modules: Vec::new(), looked: None, programs, trampolines }
    }

    /// Begins to [`read`](Self::read) what this machine's kernel shows, on a thread beside the caller's other work.
    pub(crate) fn begin() -> Reading {
        let thread = thread::Builder::new().name("kernel-images".to_owned());
        Reading(thread.spawn(|| Self::read(Path::new("/"))).ok())
    }

    /// The code at an address of the kernel.
    pub(crate) fn code(&mut self, pc: Pc) -> Code {
        // A kernel that shows no addresses of its own shows none of its modules.
        let Some(kernel) = &self.kernel else { return Code::Kernel };
        if kernel.contains(pc) {
            return Code::Mapped(Arc::clone(kernel));
        }
        let patience = if self.module(pc).is_some() { LOOK_EVERY } else { LOOK_FOR_UNKNOWN_EVERY };
        if self.looked.is_none_or(|looked| looked.elapsed() >= patience) {
            self.look();
        }
        if let Some(mapping) = self.module(pc) {
            return Code::Mapped(Arc::clone(mapping));
        }
        let found = self.programs.find(pc).or_else(|| self.trampolines.find(pc));
        found.map_or(Code::Kernel, |mapping| Code::Mapped(Arc::clone(mapping)))
    }

    fn module(&self, pc: Pc) -> Option<&Arc<Mapping>> {
        let after = self.modules.partition_point(|loaded| loaded.mapping.start <= pc);
        let mapping = &self.modules.get(after.checked_sub(1)?)?.mapping;
        mapping.contains(pc).then_some(mapping)
    }

    /// Reads the list of modules. A module that is as before keeps its mapping, which others compare by its address.
    fn look(&mut self) {
        self.looked = Some(Instant::now());
        // A kernel without modules has no list of them.
        let listed = modules(&fs::read(self.root.join("proc/modules")).unwrap_or_default());
        let before = std::mem::take(&mut self.modules);
        // The size of some kernels' modules is more than that of their code.
        let ends = listed.iter().skip(1).map(|next| next.start).chain([Pc(u64::MAX)]);
        self.modules =
            listed.iter().zip(ends).map(|(module, end)| self.loaded(module, end, &before)).collect();
    }

    fn loaded(&self, module: &KernelModule, next: Pc, before: &[Loaded]) -> Loaded {
        let end = Pc(module.start.0.saturating_add(module.size)).min(next);
        let same = before.iter().find(|other| other.module == *module && other.mapping.end == end);
        let mapping = same.map_or_else(
            || {
                let notes = format!("sys/module/{}/notes/.note.gnu.build-id", module.name);
                let name = format!("[{}]", module.name);
                mapping(name.into(), build_id(&self.root.join(notes)), module.start, end)
            },
            |same| Arc::clone(&same.mapping),
        );
        Loaded { module: module.clone(), mapping }
    }
}

/// A kernel's images, as a result that is still being read.
#[derive(Debug)]
pub(crate) struct Reading(Option<JoinHandle<KernelImages>>);

impl Reading {
    /// Waits for the images. Empty if the system had no thread to read them on.
    pub(crate) fn finish(self) -> KernelImages {
        self.0.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

/// The trampolines of this machine's kernel; none before Linux 5.13.
fn trampolines() -> TrampolineImages {
    let finder = SymbolFinder::load();
    finder.map_or_else(
        |error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "Cannot ask the kernel for symbols.");
            TrampolineImages::default()
        },
        TrampolineImages::new,
    )
}

/// The symbols of this machine's kernel, even those that it hides.
fn hidden_symbols(root: &Path) -> Option<Vec<u8>> {
    if root != Path::new("/") {
        return None;
    }
    let symbols = SymbolList.symbols();
    symbols.inspect_err(|error| tracing::debug!(%error, "Cannot list the kernel's symbols.")).ok()
}

fn build_id(notes: &Path) -> Option<BuildId> {
    build_id_of_notes(&fs::read(notes).ok()?)
}

#[cfg(test)]
mod tests {
    use pdata::Backing;

    use super::*;

    const TEXT: u64 = 0xffff_ffff_8100_0000;
    const MODULE: u64 = 0xffff_ffff_c080_0000;

    /// A machine of which the kernel shows these files.
    fn machine(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        files.iter().for_each(|(path, bytes)| write(root.path(), path, bytes));
        root
    }

    fn write(root: &Path, path: &str, bytes: &[u8]) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn symbols() -> Vec<u8> {
        format!("{TEXT:x} T _stext\n{:x} T _etext\n", TEXT + 0x1000).into_bytes()
    }

    fn notes(id: u8) -> Vec<u8> {
        let words = [4_u32, 1, 3].map(u32::to_ne_bytes).concat();
        [&words, b"GNU\0".as_slice(), &[id, 0, 0, 0]].concat()
    }

    /// The name and build ID of the image that an address is in.
    fn found(images: &mut KernelImages, pc: u64) -> Option<(String, Option<BuildId>)> {
        let Code::Mapped(mapping) = images.code(Pc(pc)) else { return None };
        let Backing::Kernel(image) = &mapping.backing else { panic!("{mapping:?}") };
        assert!(mapping.contains(Pc(pc)));
        Some((image.name.to_string(), image.build_id))
    }

    #[test]
    fn an_address_is_in_the_kernel_in_a_module_or_in_neither() {
        let list = format!("ext4 8192 1 - Live {MODULE:#x}\nvfat 4096 0 - Live {:#x}\n", MODULE + 0x1000);
        let root = machine(&[
            ("proc/kallsyms", &symbols()),
            ("sys/kernel/notes", &notes(7)),
            ("proc/modules", list.as_bytes()),
            ("sys/module/ext4/notes/.note.gnu.build-id", &notes(8)),
        ]);
        let images = &mut KernelImages::read(root.path());
        assert_eq!(found(images, TEXT + 0xfff), Some(("[kernel]".to_owned(), BuildId::new(&[7]))));
        assert_eq!(found(images, MODULE + 0xfff), Some(("[ext4]".to_owned(), BuildId::new(&[8]))));
        assert_eq!(found(images, MODULE + 0x1000), Some(("[vfat]".to_owned(), None)), "the next module's");
        assert_eq!(found(images, MODULE + 0x2000), None);
        assert_eq!(found(images, TEXT + 0x1000), None);
    }

    #[test]
    fn a_module_in_the_place_of_another_is_found_and_one_that_stays_keeps_its_mapping() {
        let list =
            |name| format!("ext4 4096 1 - Live {MODULE:#x}\n{name} 4096 0 - Live {:#x}\n", MODULE + 0x1000);
        let root = machine(&[("proc/kallsyms", &symbols()), ("proc/modules", list("old").as_bytes())]);
        let images = &mut KernelImages::read(root.path());
        assert_eq!(found(images, MODULE + 0x1000).unwrap().0, "[old]");
        let stays = Arc::clone(images.module(Pc(MODULE)).unwrap());
        write(root.path(), "proc/modules", list("new").as_bytes());
        assert_eq!(found(images, MODULE + 0x1000).unwrap().0, "[old]", "it is not looked for all the time");
        images.looked = Some(Instant::now().checked_sub(LOOK_EVERY).unwrap());
        assert_eq!(found(images, MODULE + 0x1000).unwrap().0, "[new]");
        assert!(Arc::ptr_eq(&stays, images.module(Pc(MODULE)).unwrap()));
    }

    #[test]
    fn a_kernel_that_hides_its_addresses_has_no_images() {
        let hidden = b"0000000000000000 T _stext\n0000000000000000 T _etext\n";
        let root = machine(&[("proc/kallsyms", hidden), ("proc/modules", b"ext4 4096 1 - Live 0x0\n")]);
        assert_eq!(found(&mut KernelImages::read(root.path()), TEXT), None);
        assert_eq!(found(&mut KernelImages::read(Path::new("/nonexistent")), TEXT), None);
    }
}
