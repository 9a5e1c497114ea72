//! How much memory a batch holds.

use std::mem::size_of;

use pdata::{Batch, Code, Event, Executable, Frame, Image, Mapping, ProcessTransition, Sample};

/// Bytes that go when the batch goes, nearly: of what it shares with others (images, mappings) its share.
/// Never zero.
pub(crate) fn weight(batch: &Batch) -> usize {
    size_of::<Batch>() + weight_of(&batch.events)
}

/// Bytes that go when these events go, likewise.
pub(super) fn weight_of(events: &[Event]) -> usize {
    let beside = |event: &Event| match event {
        Event::Sample(sample) => of_sample(sample),
        Event::Process(event) => of_transition(&event.transition),
        Event::Loss(_) => 0,
        Event::Census(census) => size_of_val(&*census.processes),
    };
    events.iter().map(|event| size_of::<Event>() + beside(event)).sum()
}

fn of_sample(sample: &Sample) -> usize {
    let of_frame = |frame: &Frame| match &frame.code {
        Code::Mapped(mapping) => Mapping::share(mapping),
        Code::Kernel | Code::Unknown | Code::Interpreted(..) => 0,
    };
    let frames = &sample.stack.frames;
    let shared: usize = frames.iter().map(of_frame).sum();
    size_of_val(&**frames) + shared + sample.image.as_ref().map_or(0, Image::share)
}

/// Users choose the lengths of paths: up to 12 KiB of them come with an exec.
fn of_transition(transition: &ProcessTransition) -> usize {
    match transition {
        ProcessTransition::Seen { executable, .. } => executable.as_deref().map_or(0, Executable::footprint),
        ProcessTransition::Exec { executable, filename, interpreter, .. } => {
            executable.footprint() + filename.len() + interpreter.as_ref().map_or(0, |text| text.len())
        }
        ProcessTransition::Fork { .. }
        | ProcessTransition::Rename { .. }
        | ProcessTransition::Exit
        | ProcessTransition::Freed => 0,
    }
}

#[cfg(test)]
mod tests {
    use pdata::{Comm, FileState, ImageKey, KTime, ProcessEvent};

    use super::*;

    /// Before, an exec was 256 bytes whatever it held, and 64 MiB of them were 3 GiB.
    #[test]
    fn an_exec_weighs_what_its_paths_hold() {
        let path = std::path::Path::new(&"/a".repeat(2000)).into();
        let executable = Executable {
            path,
            own_path: None,
            state: FileState::Linked,
            device: 1,
            inode: 1,
            mount_namespace: 1,
            truncated: false,
        };
        let exec = ProcessTransition::Exec {
            executable: Box::new(executable),
            comm: Comm::default(),
            filename: vec![b'a'; 4000].into(),
            interpreter: Some(vec![b'a'; 255].into()),
        };
        let event = ProcessEvent { at: KTime::ZERO, image: ImageKey::default(), transition: exec };
        let weight = weight_of(&[Event::Process(event)]);
        assert!((8255..9000).contains(&weight), "{weight}");
    }
}
