//! Images of the kernel as mappings.

use std::sync::Arc;

use pdata::{Backing, BuildId, FileOffset, KernelImage, Mapping, Pc};

/// The mapping of the kernel, of a module, of a function of a BPF program, or of code that leads to one.
pub(super) fn mapping(name: Box<str>, build_id: Option<BuildId>, start: Pc, end: Pc) -> Arc<Mapping> {
    let backing = Backing::Kernel(Arc::new(KernelImage { name, build_id }));
    Arc::new(Mapping { start, end, file_offset: FileOffset(0), backing })
}
