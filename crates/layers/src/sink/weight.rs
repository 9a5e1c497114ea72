//! How much memory a batch holds.

use std::mem::size_of;

use pdata::{Batch, Event, Executable, ProcessTransition};

/// Bytes that go when the batch goes, nearly: of what it shares with others (images, mappings) its share.
/// Never zero.
pub(crate) fn weight(batch: &Batch) -> usize {
    size_of::<Batch>() + weight_of(&batch.events)
}

/// Bytes that go when these events go, likewise.
pub(super) fn weight_of(events: &[Event]) -> usize {
    let beside = |event: &Event| match event {
        Event::Sample(sample) => sample.share(),
        Event::Process(event) => of_transition(&event.transition),
        Event::Loss(_) => 0,
        Event::Census(census) => size_of_val(&*census.processes),
    };
    events.iter().map(|event| size_of::<Event>() + beside(event)).sum()
}

/// Bytes that a transition holds beside itself. Users choose the lengths of paths: up to 12 KiB of them come with an
/// exec.
fn of_transition(transition: &ProcessTransition) -> usize {
    match transition {
        ProcessTransition::Seen { executable, .. } => executable.as_deref().map_or(0, Executable::footprint),
        ProcessTransition::Exec { executable, filename, interpreter, environment, arguments, .. } => {
            let texts = [interpreter.as_ref(), environment.as_ref(), Some(arguments)].into_iter().flatten();
            executable.footprint() + filename.len() + texts.map(|text| text.len()).sum::<usize>()
        }
        ProcessTransition::Fork { .. }
        | ProcessTransition::Rename { .. }
        | ProcessTransition::Exit
        | ProcessTransition::Freed => 0,
    }
}

#[cfg(test)]
mod tests {
    use pdata::{Comm, FileState, ImageKey, KTime, ProcessEvent, Relatives};

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
            environment: Some(vec![b'a'; 500].into()),
            arguments: vec![b'a'; 500].into(),
            relatives: Relatives::default(),
        };
        let event = ProcessEvent { at: KTime::ZERO, image: ImageKey::default(), transition: exec };
        let weight = weight_of(&[Event::Process(event)]);
        assert!((9255..10_000).contains(&weight), "{weight}");
    }
}
