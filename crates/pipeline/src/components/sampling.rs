//! The receivers that sample, for components that make them sample less, or deliver at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foreignfile::Opened;
use pdata::FileIdentity;
use processor_memory_limiter::Throttle;
use processor_procinfo::Identify;
use receiver_ebpf::{Control, MAX_VARIABLES, Wanted};

use super::id::ComponentId;

/// The receivers that sample, by their handles, and the requests of components to them.
///
/// Several components may ask for less, each by its own divisor: the largest applies.
#[derive(Debug, Default)]
pub struct Sampling(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    controls: BTreeMap<ComponentId, Control>,
    divisors: BTreeMap<u64, u32>,
    /// Number of keys that were handed out to components.
    askers: u64,
    program_statistics: bool,
    /// Variables and arguments of programs that components want, by the component's key.
    wanted: BTreeMap<u64, Wanted>,
}

impl Sampling {
    /// Adds a receiver, in the place of its predecessor.
    pub fn add(&self, id: ComponentId, control: Control) {
        let mut state = self.lock();
        control.set_divisor(state.divisor());
        control.set_program_statistics(state.program_statistics);
        control.set_wanted(state.wanted());
        state.controls.insert(id, control);
    }

    /// Removes a receiver.
    pub fn remove(&self, id: &ComponentId) {
        self.lock().controls.remove(id);
    }

    /// The handle of a receiver.
    pub fn control(&self, id: &ComponentId) -> Option<Control> {
        self.lock().controls.get(id).cloned()
    }

    /// Makes every receiver ask all stages behind it to deliver the events that they hold.
    pub fn flush(&self) {
        self.lock().controls.values().for_each(Control::flush);
    }

    /// Sets whether receivers have the kernel measure their BPF programs, including receivers that start later.
    pub fn set_program_statistics(&self, on: bool) {
        let mut state = self.lock();
        state.program_statistics = on;
        state.controls.values().for_each(|control| control.set_program_statistics(on));
    }

    /// Makes receivers pass on the wanted variables and arguments of starting programs, until the returned value is
    /// dropped.
    pub fn want(self: &Arc<Self>, wanted: Wanted) -> Wanting {
        let mut state = self.lock();
        state.askers += 1;
        let key = state.askers;
        state.wanted.insert(key, wanted);
        state.pass_on_wanted();
        Wanting { sampling: Arc::clone(self), key }
    }

    /// Makes a handle for one more component that may ask for less; its request ends when the handle is dropped.
    pub fn throttle(self: &Arc<Self>) -> Arc<dyn Throttle> {
        let mut state = self.lock();
        state.askers += 1;
        Arc::new(Asking { sampling: Arc::clone(self), key: state.askers })
    }

    fn ask(&self, key: u64, divisor: u32) {
        let mut state = self.lock();
        // A divisor of one is no request.
        match divisor {
            0 | 1 => state.divisors.remove(&key),
            divisor => state.divisors.insert(key, divisor),
        };
        let divisor = state.divisor();
        state.controls.values().for_each(|control| control.set_divisor(divisor));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No change of the state is left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn divisor(&self) -> u32 {
        self.divisors.values().copied().max().unwrap_or(1)
    }

    /// The union of all that components want: each variable once, and the most bytes of arguments.
    fn wanted(&self) -> Wanted {
        let names: BTreeSet<&String> = self.wanted.values().flat_map(|wanted| &wanted.variables).collect();
        let argument_bytes = self.wanted.values().map(|wanted| wanted.argument_bytes).max().unwrap_or(0);
        Wanted { variables: names.into_iter().cloned().collect(), argument_bytes }
    }

    fn pass_on_wanted(&self) {
        let wanted = self.wanted();
        if wanted.variables.len() > MAX_VARIABLES {
            tracing::warn!(
                wanted = wanted.variables.len(),
                most = MAX_VARIABLES,
                "More variables are asked for than the kernel side passes on: programs that start lack the last of them."
            );
        }
        self.controls.values().for_each(|control| control.set_wanted(wanted.clone()));
    }
}

impl Sampling {
    /// Asks one receiver after another until one can answer: the kernel's identity of a file is the same for all
    /// receivers. The state is not locked meanwhile.
    fn first_answer(&self, ask: impl FnMut(&Control) -> Option<bool>) -> Option<bool> {
        let controls: Vec<Control> = self.lock().controls.values().cloned().collect();
        controls.iter().find_map(ask)
    }
}

impl Identify for Sampling {
    fn is_file(&self, opened: &File, identity: FileIdentity) -> Option<bool> {
        self.first_answer(|control| control.is_file(opened, identity))
    }

    fn is_opened(&self, opened: &mut Opened<'_>, identity: FileIdentity) -> Option<bool> {
        self.first_answer(|control| control.is_opened(opened, identity))
    }
}

/// A component's wish for variables and arguments of programs, which ends when this is dropped.
#[derive(Debug)]
pub struct Wanting {
    sampling: Arc<Sampling>,
    key: u64,
}

impl Drop for Wanting {
    fn drop(&mut self) {
        let mut state = self.sampling.lock();
        state.wanted.remove(&self.key);
        state.pass_on_wanted();
    }
}

#[derive(Debug)]
struct Asking {
    sampling: Arc<Sampling>,
    key: u64,
}

impl Throttle for Asking {
    fn set_divisor(&self, divisor: u32) {
        self.sampling.ask(self.key, divisor);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.sampling.ask(self.key, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_divisor_counts_for_receivers_of_before_and_after() {
        let sampling = Arc::new(Sampling::default());
        let config = receiver_ebpf::Config { samples_per_second: 64, ..receiver_ebpf::Config::default() };
        let id: ComponentId = ComponentId::parse("ebpf").unwrap();
        let (first, second) = (Control::new(&config), Control::new(&config));
        sampling.add(id.clone(), first.clone());
        let (a, b) = (sampling.throttle(), sampling.throttle());
        a.set_divisor(4);
        b.set_divisor(2);
        assert_eq!(first.samples_per_second(), 16);
        drop(a);
        assert_eq!(first.samples_per_second(), 32);
        sampling.add(id, second.clone());
        assert_eq!(second.samples_per_second(), 32, "a later one gets the same");
        b.set_divisor(1);
        assert_eq!(second.samples_per_second(), 64);
    }
}
