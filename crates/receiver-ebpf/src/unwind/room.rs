//! Room for more rows: pages, files and rules that walks need least make it.

use foldhash::{HashMap, HashSet};
use pdata::FileIdentity;
use unwind::RuleId;

use super::kernel::Kernel;
use super::owner::Owner;
use super::tables::{FileFacts, Tables, VDSO, now};
use crate::abi::FileIdentityKey;

/// The number of parts of the memory, of which one is freed at once: waiting for walks takes up to 50 ms.
const FREED_AT_ONCE: u64 = 8;
/// Seconds, about, within which a page that a walk has used stays, even if another page then finds no room.
const FRESH: u32 = 8;

impl<K: Kernel> Tables<K> {
    /// Frees the pages that no walk has used for the longest, but none that a walk has used lately.
    pub(super) fn evict(&mut self, rows: u32) {
        let wanted = u64::from(rows).max(self.max_bytes / FREED_AT_ONCE / size_of::<u32>() as u64);
        let mut freed = 0;
        let mut numbers = self.idle_pages();
        numbers.retain(|number| {
            let more = freed < wanted;
            if more {
                freed += self.built.get(number).map_or(0, |place| u64::from(place.rows));
            }
            more
        });
        self.evict_pages(&numbers);
    }

    /// Pages that no walk has used lately, the longest unused first.
    fn idle_pages(&self) -> Vec<u32> {
        let now = now();
        let pages = self.built.keys().map(|number| (self.used(*number), *number));
        // Stamps of another CPU may be a little ahead.
        let is_idle =
            |(used, number): &(u32, u32)| now.saturating_sub(*used) > FRESH && !self.is_vdso(*number);
        let mut idle: Vec<(u32, u32)> = pages.filter(is_idle).collect();
        idle.sort_unstable();
        idle.into_iter().map(|(_, number)| number).collect()
    }

    fn evict_pages(&mut self, numbers: &[u32]) {
        self.evicted += numbers.len() as u64;
        self.take_away(numbers, 0);
    }

    pub(super) fn forget_older_half(&mut self) {
        let used = |file: &FileIdentity| self.kernel.file_used(&FileIdentityKey::of(*file)).unwrap_or(0);
        let files = self.files.keys().filter(|file| **file != VDSO);
        let mut files: Vec<(u32, FileIdentity)> = files.map(|file| (used(file), *file)).collect();
        files.sort_unstable_by_key(|(used, _)| *used);
        files.truncate(files.len().div_ceil(2));
        let files: Vec<FileIdentity> = files.into_iter().map(|(_, file)| file).collect();
        self.forget(&files);
    }

    /// Sees to it that there is room for the rules of more pages, of which none is being built now. First the rules of
    /// no page go, then pages that no walk has used lately, then the rows of files one by one: the user whose files
    /// need most rules in all loses the file that needs most. Root's files stay as long as there are others.
    ///
    /// Returns the files that were cut off for that.
    pub(crate) fn make_room_for_rules(&mut self) -> Vec<FileIdentity> {
        let mut cut_off = Vec::new();
        if !self.rules.are_scarce() {
            return cut_off;
        }
        let idle = self.idle_pages();
        self.evict_pages(&idle);
        if !self.rules.are_scarce() {
            return cut_off;
        }
        let mut of_files = self.rules_of_files();
        while self.rules.are_scarce() {
            let Some(file) = self.file_of_most_rules(&of_files) else { break };
            self.cut_off(file);
            of_files.remove(&file);
            cut_off.push(file);
        }
        cut_off
    }

    /// The rules that each file needs, by a look at all rows.
    fn rules_of_files(&self) -> HashMap<FileIdentity, HashSet<RuleId>> {
        let mut of_files: HashMap<FileIdentity, HashSet<RuleId>> = HashMap::default();
        for (number, place) in &self.built {
            let Some((file, _)) = self.owner(*number).filter(|(file, _)| *file != VDSO) else { continue };
            of_files.entry(file).or_default().extend(self.rows(*place).into_iter().map(|row| row.rule()));
        }
        of_files
    }

    /// The file that needs most rules, of the user whose files need most in all; root comes last.
    fn file_of_most_rules(&self, of_files: &HashMap<FileIdentity, HashSet<RuleId>>) -> Option<FileIdentity> {
        let owner = |file: &FileIdentity| self.files.get(file).map(|known| known.owner).unwrap_or_default();
        let mut of_owners: HashMap<Owner, HashSet<RuleId>> = HashMap::default();
        for (file, rules) in of_files {
            of_owners.entry(owner(file)).or_default().extend(rules);
        }
        let (most, _) = of_owners.into_iter().max_by_key(|(owner, rules)| (!owner.is_root, rules.len()))?;
        let theirs = of_files.iter().filter(|(file, _)| owner(file) == most);
        theirs.max_by_key(|(_, rules)| rules.len()).map(|(file, _)| *file)
    }

    /// Lets walks know a file as one without tables, until it is forgotten.
    fn cut_off(&mut self, file: FileIdentity) {
        let Some(known) = self.files.get(&file) else { return };
        let facts = FileFacts { build_id: known.build_id, owner: known.owner, pages: 0 };
        self.forget(&[file]);
        if let Err(error) = self.add_file(file, facts) {
            tracing::debug!(%error, "A file cannot be marked as one without unwind tables");
        }
    }

    fn is_vdso(&self, number: u32) -> bool {
        self.owner(number).is_some_and(|(file, _)| file == VDSO)
    }
}
