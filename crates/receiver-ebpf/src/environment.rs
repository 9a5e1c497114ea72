//! Which variables of environments the kernel side passes on.

use aya::maps::{Array, MapData, MapError};
use zerocopy::IntoBytes as _;

use crate::abi::{WANTED_VARIABLES, WantedEnvironment};
use crate::control::Control;

/// Most variables that can be passed on.
pub const MAX_VARIABLES: usize = WANTED_VARIABLES;

/// The kernel side's list of them.
pub(crate) struct Environments(Array<MapData, [u8; size_of::<WantedEnvironment>()]>);

impl Environments {
    pub(crate) const fn new(map: Array<MapData, [u8; size_of::<WantedEnvironment>()]>) -> Self {
        Self(map)
    }

    /// Has execs from now on pass on the variables of these names; those that do not fit are left out.
    pub(crate) fn pass_on(&mut self, names: &[String]) -> Result<(), MapError> {
        let mut bytes = [0; size_of::<WantedEnvironment>()];
        bytes.copy_from_slice(wanted(names).as_bytes());
        self.0.set(0, bytes, 0)
    }
}

/// Passes a request on, if there is a new one.
pub(crate) fn pass_on(control: &Control, environments: &mut Environments) {
    let Some(names) = control.take_variables() else { return };
    if let Err(error) = environments.pass_on(&names) {
        tracing::warn!(%error, "Cannot ask the kernel side for variables: programs that start are without those.");
    }
}

/// The names' first bytes: as much as one word of the kernel side's holds.
fn wanted(names: &[String]) -> WantedEnvironment {
    let mut wanted = WantedEnvironment::default();
    let places = wanted.heads.iter_mut().zip(wanted.masks.iter_mut());
    for (name, (head, mask)) in names.iter().zip(places) {
        let (mut text, mut known) = ([0; 8], [0; 8]);
        let bytes = name.bytes().chain([b'=']).zip(text.iter_mut().zip(known.iter_mut()));
        bytes.for_each(|(byte, (text, known))| (*text, *known) = (byte, u8::MAX));
        (*head, *mask) = (u64::from_ne_bytes(text), u64::from_ne_bytes(known));
        wanted.count += 1;
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_by_its_first_bytes_and_a_short_one_by_its_end_too() {
        let wanted = wanted(&["OTEL_SERVICE_NAME".to_owned(), "TZ".to_owned()]);
        let passes = |variable: &[u8; 8]| {
            let head = u64::from_ne_bytes(*variable);
            wanted.heads.iter().zip(wanted.masks).take(2).any(|(&of, mask)| head & mask == of)
        };
        assert_eq!(wanted.count, 2);
        assert!(passes(b"OTEL_SER") && passes(b"TZ=UTC\0\0"));
        assert!(!passes(b"OTEL_RES") && !passes(b"TZX=UTC\0") && !passes(&[0; 8]));
    }

    #[test]
    fn no_more_are_asked_for_than_there_is_room() {
        let names: Vec<_> = (0..40).map(|number| format!("KEY_{number}")).collect();
        assert_eq!(wanted(&names).count, 16);
        assert_eq!(wanted(&[]), WantedEnvironment::default());
    }
}
