//! Reading of profiles and their samples.

use otlp_profiles::attributes as key;
use pdata::UnixNanos;
use protowire::Fields;

use super::dictionary::Dictionary;
use super::gathered::Gathered;
use super::resource::process;
use crate::model::{
    Amount, Attribute, Bounds, Capture, Process, Profile, SampleKey, Thread, Value, ValueType,
};
use crate::read::full::{FactRoom, add as add_sample};
use crate::table::Id;

/// The process of a resource, and the resource's facts.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) process: Option<Id<Process>>,
    pub(super) facts: Vec<Attribute>,
}

/// Adds a `Profile` message.
pub(super) fn add(
    gathered: &mut Gathered,
    message: &[u8],
    owner: &Owner,
    dictionary: &mut Dictionary<'_>,
) -> Result<(), &'static str> {
    let (mut start, mut duration, mut period) = (0, 0_u64, 0);
    let (mut kind, mut period_type, mut facts) = ((0, 0), None, Vec::new());
    for field in Fields(message) {
        let (number, of) = field?;
        match number {
            1 => kind = kind_of(of.bytes()?)?,
            3 => start = of.number()?,
            4 => duration = of.number()?,
            5 => period_type = Some(kind_of(of.bytes()?)?),
            6 => period = of.signed()?,
            11 => dictionary.attributes(&mut facts, of, &mut gathered.profile.tables)?,
            _ => {}
        }
    }
    gathered.span(start, start.saturating_add(duration));
    gathered.lose(start, duration, &facts);
    let tables = &mut gathered.profile.tables;
    let mut text = |index| dictionary.text(index, tables);
    let (kind, unit) = (text(kind.0)?, text(kind.1)?);
    let period_type = match period_type.filter(|&period_type| period_type != (0, 0)) {
        Some((kind, unit)) => Some((text(kind)?, text(unit)?)),
        None => None,
    };
    let value_type = tables.value_types.intern(ValueType { kind, unit, period_type, period });
    let counts = tables.text(unit) == "count";
    for field in Fields(message) {
        if let (2, sample) = field? {
            let Gathered { profile, facts: room, .. } = &mut *gathered;
            Samples { value_type, counts, owner, dictionary, profile, room }.add(sample.bytes()?)?;
        }
    }
    Ok(())
}

/// Reads a `ValueType`, as the numbers of its two texts.
fn kind_of(message: &[u8]) -> Result<(usize, usize), &'static str> {
    let (mut kind, mut unit) = (0, 0);
    for field in Fields(message) {
        let (number, of) = field?;
        match number {
            1 => kind = of.index()?,
            2 => unit = of.index()?,
            _ => {}
        }
    }
    Ok((kind, unit))
}

/// Reads the samples of one profile into the whole.
struct Samples<'a, 'b> {
    value_type: Id<ValueType>,
    /// True if the values count samples.
    counts: bool,
    owner: &'a Owner,
    dictionary: &'a mut Dictionary<'b>,
    profile: &'a mut Profile,
    /// Room for facts of samples.
    room: &'a mut FactRoom,
}

impl Samples<'_, '_> {
    /// Adds a `Sample` message: timestamps that count 1 each, or with a value for each, or values without instants.
    fn add(&mut self, message: &[u8]) -> Result<(), &'static str> {
        let (mut stack, mut facts, mut sum) = (0, Vec::new(), 0_i64);
        let (mut values, mut instants) = (0_u64, 0_u64);
        for field in Fields(message) {
            let (number, of) = field?;
            match number {
                1 => stack = of.index()?,
                2 => self.dictionary.attributes(&mut facts, of, &mut self.profile.tables)?,
                4 => of.numbers(|value| {
                    values += 1;
                    sum = sum.saturating_add(value.cast_signed());
                })?,
                5 => of.fixed(|_| instants += 1)?,
                _ => {}
            }
        }
        let counted = if self.counts { u64::try_from(sum).unwrap_or_default() } else { values.min(1) };
        let amount = match (values, instants) {
            (0, _) => Amount { value: i64::try_from(instants).unwrap_or(i64::MAX), count: instants },
            (_, 0) => Amount { value: sum, count: counted },
            _ => Amount { value: sum, count: instants },
        };
        if amount == Amount::default() {
            return Ok(());
        }
        let id = self.intern(stack, facts, amount)?;
        self.captures(message, id, amount, values == instants)
    }

    fn intern(
        &mut self,
        stack: usize,
        facts: Vec<Attribute>,
        amount: Amount,
    ) -> Result<Id<SampleKey>, &'static str> {
        let stack = self.dictionary.stack(stack, &mut self.profile.tables)?;
        let value_type = self.value_type;
        let other =
            SampleKey { stack: None, cut: None, thread: None, cpu: None, value_type, attributes: None };
        let task = self.task(facts, other);
        let key = stack.zip(task).map(|(stack, task)| SampleKey { stack, ..task });
        Ok(add_sample(self.profile, key, other, amount))
    }

    /// The sample's key with thread, CPU and further facts; `None` if its thread is new and there is no room.
    fn task(&mut self, facts: Vec<Attribute>, mut key: SampleKey) -> Option<SampleKey> {
        let tables = &mut self.profile.tables;
        let (mut tid, mut name, mut free, mut is_process) = (None, None, Vec::new(), false);
        for fact in &facts {
            let text = if let Value::Text(text) = fact.value { Some(text) } else { None };
            let number = if let Value::Int(number) = fact.value { u32::try_from(number).ok() } else { None };
            match tables.text(fact.key) {
                key::THREAD_ID => tid = number,
                key::THREAD_NAME => name = text.filter(|&text| !tables.text(text).is_empty()),
                key::CPU_LOGICAL_NUMBER => key.cpu = number,
                key::STACK_TRUNCATED => key.cut = text,
                key::PROCESS_PID | key::PROCESS_EXECUTABLE_NAME | key::PROCESS_EXECUTABLE_PATH => {
                    is_process = true
                }
                _ => free.push(*fact),
            }
        }
        let mut process = self.owner.process;
        if is_process {
            // Sources that have many processes in one resource name the process in each sample.
            let is_of_process = |fact: &&Attribute| tables.text(fact.key).starts_with("process.");
            let of_process: Vec<_> = facts.iter().filter(is_of_process).copied().collect();
            let whole: Vec<_> = self.owner.facts.iter().copied().chain(of_process).collect();
            free.retain(|fact| !tables.text(fact.key).starts_with("process."));
            process = self::process(&whole, tables, self.room);
        }
        let has_thread = process.is_some() || tid.is_some() || name.is_some();
        let is_room = self.profile.samples.len() < Bounds::default().samples;
        if has_thread {
            key.thread = Some(tables.threads.intern_within(Thread { process, tid, name }, is_room)?);
        }
        key.attributes = self.room.list(free, tables);
        Some(key)
    }

    /// Adds the instants of a sample, each with its own value if `one_each`, else with its share of the sum.
    fn captures(
        &mut self,
        message: &[u8],
        sample: Id<SampleKey>,
        amount: Amount,
        one_each: bool,
    ) -> Result<(), &'static str> {
        let mut values = Vec::new();
        if one_each {
            for field in Fields(message) {
                if let (4, of) = field? {
                    of.numbers(|value| {
                        if values.len() < Bounds::default().captures {
                            values.push(value.cast_signed());
                        }
                    })?;
                }
            }
        }
        let count = i64::try_from(amount.count).unwrap_or(i64::MAX).max(1);
        let (share, mut rest) = (amount.value / count, amount.value % count);
        let mut values = values.into_iter();
        let profile = &mut *self.profile;
        for field in Fields(message) {
            let (5, of) = field? else { continue };
            of.fixed(|at| {
                let value = values.next().unwrap_or_else(|| share + std::mem::take(&mut rest));
                if profile.captures.len() < Bounds::default().captures {
                    profile.captures.push(Capture { at: UnixNanos::from_nanos(at), sample, value });
                } else {
                    profile.untimed = profile.untimed.saturating_add(1);
                }
            })?;
        }
        Ok(())
    }
}
