//! Final locations of places in files, whose build IDs and segments may be read while samples are gathered.

use std::collections::HashMap;

use pdata::{FileOffset, MappedFile};

use super::places::{CodePlace, PlaceCode, Places};
use super::rekey::rekey;
use crate::model::{Location, Mapping, Profile, SampleKey, Stack, Tables, Texts};
use crate::table::{Id, Table};

/// Replaces the provisional numbers of locations by those that result from what is known of their files now. Stacks and
/// samples that become equal are merged.
pub(super) fn settle(places: &Places, profile: &mut Profile) {
    let mut files = FileNames::default();
    let locations: Vec<Id<Location>> = places
        .places
        .iter()
        .map(|(_, place)| {
            let location = locate(place, places, &mut files, &mut profile.tables);
            profile.tables.locations.intern(location)
        })
        .collect();
    // Each place has a location of its own, in the same order, unless two files turned out to be the same.
    if profile.tables.locations.len() < locations.len() {
        restack(&locations, profile);
    }
}

/// Replaces the numbers of locations in stacks, and of stacks in samples.
fn restack(locations: &[Id<Location>], profile: &mut Profile) {
    let old = std::mem::take(&mut profile.tables.stacks);
    let mut stacks = Table::default();
    let mut renumbered: Vec<Id<Stack>> = Vec::with_capacity(old.len());
    for (_, &Stack { caller, location }) in old.iter() {
        let caller = caller.and_then(|caller| renumbered.get(caller.index()).copied());
        let location = locations.get(location.index()).copied().unwrap_or(location);
        renumbered.push(stacks.intern(Stack { caller, location }));
    }
    profile.tables.stacks = stacks;
    rekey(profile, |key| {
        let stack = key.stack.and_then(|stack| renumbered.get(stack.index()).copied());
        SampleKey { stack, ..key }
    });
}

/// Path of a file, and its build ID or another identification of its content.
type FileName = (Id<str>, Option<Id<str>>);

#[derive(Default)]
struct FileNames(HashMap<usize, FileName>);

impl FileNames {
    fn of(&mut self, number: usize, file: &MappedFile, texts: &mut Texts) -> FileName {
        *self.0.entry(number).or_insert_with(|| {
            let gnu = file.any_build_id().map(|id| id.to_string());
            let htlhash = || {
                let hash = file.facts.get()?.htlhash;
                Some(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            };
            let build_id = gnu.or_else(htlhash).map(|id| texts.intern(&id));
            (texts.intern(&file.path.to_string_lossy()), build_id)
        })
    }
}

fn locate(place: &CodePlace, places: &Places, files: &mut FileNames, tables: &mut Tables) -> Location {
    let (mapping, address) = match place.code {
        PlaceCode::Unmapped { address } => (None, address),
        PlaceCode::Named { name, address } => (Some(named(name)), address),
        PlaceCode::Kernel { name, build_id: None, address, .. } => (Some(named(name)), address),
        PlaceCode::Kernel { name, build_id, length, address } => {
            let mapping = Mapping { start: 0, limit: length, file_offset: 0, name, build_id, is_file: true };
            (Some(mapping), address)
        }
        PlaceCode::File { file: number, offset, length, at } => match places.files.get(number) {
            None => (None, at),
            Some(file) => {
                let address = file.elf_address(FileOffset(at)).map_or(at, |address| address.0);
                let start = offset.wrapping_add(address.wrapping_sub(at));
                let (start, limit) =
                    start.checked_add(length).filter(|_| length > 0).map_or((0, 0), |limit| (start, limit));
                let (name, build_id) = files.of(number, file, &mut tables.texts);
                let mapping = Mapping { start, limit, file_offset: offset, name, build_id, is_file: true };
                (Some(mapping), address)
            }
        },
    };
    let mapping = mapping.map(|mapping| tables.mappings.intern(mapping));
    Location { mapping, address, lines: place.lines, kind: place.kind }
}

fn named(name: Id<str>) -> Mapping {
    Mapping { start: 0, limit: 0, file_offset: 0, name, build_id: None, is_file: false }
}
