//! Files as the kernel side announces them, and samples in them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pdata::{
    Backing, Batch, Code, Event, FileOffset, Frame, ImageKey, KTime, MappedFile, Mapping, Pc, ProcessKey,
    Sample, Stack, Watermark,
};
use procfs::identity_of;

/// A process that has never existed.
pub(super) const ENDED: ProcessKey =
    ProcessKey { pid: pdata::Pid(u32::MAX), start_time: pdata::BootTime::from_nanos(1) };

/// The file at a path, as the kernel side announces it.
pub(super) fn announced(path: &Path) -> MappedFile {
    let found = fs::metadata(path).unwrap();
    MappedFile { identity: identity_of(&found), size: found.len(), ..MappedFile::at(path) }
}

/// The file of this program.
pub(super) fn own_program() -> Arc<MappedFile> {
    Arc::new(announced(&std::env::current_exe().unwrap()))
}

/// The offset in this program of the code at an address of this process.
pub(super) fn own_offset(pc: u64) -> u64 {
    let hex = |text| u64::from_str_radix(text, 16).unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let found = maps.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let offset = fields.nth(1)?;
        (hex(start)..hex(end)).contains(&pc).then(|| pc - hex(start) + hex(offset))
    });
    found.unwrap()
}

#[inline(never)]
pub(super) extern "C" fn first_function_to_name() -> u64 {
    std::hint::black_box(1)
}

#[inline(never)]
pub(super) extern "C" fn second_function_to_name() -> u64 {
    std::hint::black_box(2)
}

pub(super) fn first_offset() -> u64 {
    own_offset(first_function_to_name as *const () as u64)
}

pub(super) fn second_offset() -> u64 {
    own_offset(second_function_to_name as *const () as u64)
}

/// A frame at an offset of a file, which is mapped whole from address 0 on.
pub(super) fn frame(file: &Arc<MappedFile>, offset: u64) -> Frame {
    let mapping = Mapping {
        start: Pc(0),
        end: Pc(file.size),
        file_offset: FileOffset(0),
        backing: Backing::File(Arc::clone(file)),
    };
    Frame::exact(Pc(offset), Code::Mapped(Arc::new(mapping)))
}

pub(super) fn sample(at: u64, frames: Vec<Frame>) -> Event {
    let key = ImageKey { process: ENDED, ..ImageKey::default() };
    Event::Sample(Sample { at: KTime::from_nanos(at), key, stack: Stack::new(frames), ..Sample::default() })
}

pub(super) fn batch(events: Vec<Event>, watermark: u64) -> Batch {
    Batch {
        events: Arc::new(events.into()),
        watermark: Watermark::before(KTime::from_nanos(watermark)),
        ..Batch::default()
    }
}

/// The names of a batch's frames, in order.
pub(super) fn names(batch: &Batch) -> Vec<Option<String>> {
    let frames = batch.samples().flat_map(|sample| &sample.stack.frames);
    frames.map(|frame| frame.lines.as_ref().map(|lines| lines.0[0].function.name.to_string())).collect()
}
