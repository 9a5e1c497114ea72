//! The variables and arguments of programs that the kernel side passes on.

use aya::maps::{Array, MapData, MapError};
use zerocopy::IntoBytes as _;

use crate::abi::{WANTED_VARIABLES, WantedEnvironment};

/// The most variables that can be passed on.
pub const MAX_VARIABLES: usize = WANTED_VARIABLES;

/// The facts that an exec is to pass on of a program's arguments and environment. None by default: an exec then costs
/// nothing for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Names of variables of the program's environment, at most [`MAX_VARIABLES`]; no others are passed on.
    pub variables: Vec<String>,
    /// Bytes of the program's arguments, from the first on; at most 2 KiB are passed on.
    pub argument_bytes: u32,
}

/// The kernel side's copy of the wanted facts.
pub(crate) struct Environments(Array<MapData, [u8; size_of::<WantedEnvironment>()]>);

impl Environments {
    pub(crate) const fn new(map: Array<MapData, [u8; size_of::<WantedEnvironment>()]>) -> Self {
        Self(map)
    }

    /// Has execs pass the wanted facts on from now on, if they have changed.
    pub(crate) fn apply(&mut self, wanted: Option<Wanted>) {
        let Some(wanted) = wanted else { return };
        if let Err(error) = self.pass_on(&wanted) {
            tracing::warn!(%error, "Cannot ask the kernel side for variables: programs that start are without those.");
        }
    }

    /// Writes the wanted facts to the kernel side's map. Variables that do not fit are left out.
    fn pass_on(&mut self, wanted: &Wanted) -> Result<(), MapError> {
        let mut bytes = [0; size_of::<WantedEnvironment>()];
        bytes.copy_from_slice(as_record(wanted).as_bytes());
        self.0.set(0, bytes, 0)
    }
}

/// The kernel side's form of the names: of each its first bytes, as much as one word holds.
fn as_record(wanted: &Wanted) -> WantedEnvironment {
    let mut record =
        WantedEnvironment { argument_bytes: wanted.argument_bytes, ..WantedEnvironment::default() };
    let places = record.heads.iter_mut().zip(record.masks.iter_mut());
    for (name, (head, mask)) in wanted.variables.iter().zip(places) {
        let (mut text, mut known) = ([0; 8], [0; 8]);
        let bytes = name.bytes().chain([b'=']).zip(text.iter_mut().zip(known.iter_mut()));
        bytes.for_each(|(byte, (text, known))| (*text, *known) = (byte, u8::MAX));
        (*head, *mask) = (u64::from_ne_bytes(text), u64::from_ne_bytes(known));
        record.count += 1;
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_by_its_first_bytes_and_a_short_one_by_its_end_too() {
        let variables = vec!["OTEL_SERVICE_NAME".to_owned(), "TZ".to_owned()];
        let wanted = as_record(&Wanted { variables, argument_bytes: 0 });
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
        let variables: Vec<_> = (0..40).map(|number| format!("KEY_{number}")).collect();
        let record = as_record(&Wanted { variables, argument_bytes: 7 });
        assert_eq!((record.count, record.argument_bytes), (16, 7));
        assert_eq!(as_record(&Wanted::default()), WantedEnvironment::default());
    }
}
