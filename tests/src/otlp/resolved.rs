//! The resources of a request, with every index resolved in its table.

use std::sync::Arc;

use super::value::{self, Attributes, Value};
use super::wire;

/// A profiled process, and its profiles in one request.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The resource's attributes.
    pub attributes: Attributes,
    /// The resource's profiles, over all scopes.
    pub profiles: Vec<Profile>,
}

/// Samples of one resource in one window of time.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Start of the window, nanoseconds since the Unix epoch.
    pub from: u64,
    /// End of the window, not part of it.
    pub until: u64,
    /// The amount that one sample stands for, in the unit of the period type.
    pub period: i64,
    /// Attributes of the profile.
    pub attributes: Attributes,
    /// The profile's samples.
    pub samples: Vec<Sample>,
}

/// A sample's identity (stack and attributes), and the instants at which it was captured.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Frames, leaf first.
    pub stack: Vec<Arc<Frame>>,
    /// Attributes, such as the thread's.
    pub attributes: Attributes,
    /// Instants of the captures, nanoseconds since the Unix epoch.
    pub times: Vec<u64>,
}

/// A place in code.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Address as the file's own headers use it.
    pub address: u64,
    /// The mapped file; `None` if no file backs the code.
    pub mapping: Option<Mapping>,
    /// Names of the functions, innermost first.
    pub functions: Vec<String>,
    /// Source file and line of each of them: empty and 0 if not known.
    pub places: Vec<(String, i64)>,
    /// Attributes, such as the kind of code.
    pub attributes: Attributes,
}

/// A mapped file.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Path of the file.
    pub filename: String,
    /// Attributes, such as its build IDs.
    pub attributes: Attributes,
}

/// An index that is outside of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{table}[{index}] is not there")]
pub struct BadIndex {
    /// The table.
    pub table: &'static str,
    /// The index.
    pub index: i32,
}

impl Resource {
    /// Text of an attribute; empty if the resource does not have it.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.attributes.get(key).and_then(Value::as_text).unwrap_or_default()
    }

    /// Integer of an attribute; `None` if the resource does not have it.
    #[must_use]
    pub fn int(&self, key: &str) -> Option<i64> {
        self.attributes.get(key).and_then(Value::as_int)
    }

    /// The resource's samples, over all profiles.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.profiles.iter().flat_map(|profile| &profile.samples)
    }

    /// Number of captures of the resource.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.samples().map(Sample::events).sum()
    }
}

impl Sample {
    /// Number of captures of the sample.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.times.len() as u64
    }
}

/// The resources of a request, in its order.
///
/// # Errors
/// [`BadIndex`] for the first index that is outside of its table.
pub fn resolve(request: &wire::JsonRequest) -> Result<Vec<Resource>, BadIndex> {
    let tables = Tables::of(&request.dictionary)?;
    request.resource_profiles.iter().map(|resource| tables.resource(resource)).collect()
}

struct Tables<'a> {
    dictionary: &'a wire::Dictionary,
    /// Frames, shared since a hot location is in thousands of stacks.
    frames: Vec<Arc<Frame>>,
}

impl<'a> Tables<'a> {
    fn of(dictionary: &'a wire::Dictionary) -> Result<Self, BadIndex> {
        let mut tables = Self { dictionary, frames: Vec::new() };
        tables.frames =
            dictionary.location_table.iter().map(|at| tables.frame(at)).collect::<Result<_, _>>()?;
        Ok(tables)
    }

    fn resource(&self, from: &wire::ResourceProfiles) -> Result<Resource, BadIndex> {
        let attributes = from.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let profiles = from.scope_profiles.iter().flat_map(|scope| &scope.profiles);
        Ok(Resource {
            attributes: value::attributes(attributes, &self.dictionary.string_table),
            profiles: profiles.map(|profile| self.profile(profile)).collect::<Result<_, _>>()?,
        })
    }

    fn profile(&self, from: &wire::Profile) -> Result<Profile, BadIndex> {
        Ok(Profile {
            from: from.time_unix_nano,
            until: from.time_unix_nano.saturating_add(from.duration_nano),
            period: from.period,
            attributes: self.attributes(&from.attribute_indices)?,
            samples: from.samples.iter().map(|sample| self.sample(sample)).collect::<Result<_, _>>()?,
        })
    }

    fn sample(&self, from: &wire::Sample) -> Result<Sample, BadIndex> {
        let stack = entry(&self.dictionary.stack_table, "stackTable", from.stack_index)?;
        let frame = |&index| entry(&self.frames, "locationTable", index).map(Arc::clone);
        Ok(Sample {
            stack: stack.location_indices.iter().map(frame).collect::<Result<_, _>>()?,
            attributes: self.attributes(&from.attribute_indices)?,
            times: from.timestamps_unix_nano.clone(),
        })
    }

    fn frame(&self, from: &wire::Location) -> Result<Arc<Frame>, BadIndex> {
        let mapping = match from.mapping_index {
            0 => None,
            index => Some(self.mapping(entry(&self.dictionary.mapping_table, "mappingTable", index)?)?),
        };
        Ok(Arc::new(Frame {
            address: from.address,
            mapping,
            functions: from.lines.iter().map(|line| self.function(line)).collect::<Result<_, _>>()?,
            places: from.lines.iter().map(|line| self.place(line)).collect::<Result<_, _>>()?,
            attributes: self.attributes(&from.attribute_indices)?,
        }))
    }

    fn mapping(&self, from: &wire::Mapping) -> Result<Mapping, BadIndex> {
        Ok(Mapping {
            filename: self.string(from.filename_strindex)?.to_owned(),
            attributes: self.attributes(&from.attribute_indices)?,
        })
    }

    fn function(&self, line: &wire::Line) -> Result<String, BadIndex> {
        let function = entry(&self.dictionary.function_table, "functionTable", line.function_index)?;
        Ok(self.string(function.name_strindex)?.to_owned())
    }

    fn place(&self, line: &wire::Line) -> Result<(String, i64), BadIndex> {
        let function = entry(&self.dictionary.function_table, "functionTable", line.function_index)?;
        Ok((self.string(function.filename_strindex)?.to_owned(), line.line))
    }

    fn attributes(&self, indices: &[i32]) -> Result<Attributes, BadIndex> {
        let of = |any| Value::of(any, &self.dictionary.string_table);
        let mut attributes = Attributes::new();
        for &index in indices {
            let attribute = entry(&self.dictionary.attribute_table, "attributeTable", index)?;
            let key = self.string(attribute.key_strindex)?;
            if let Some(value) = attribute.value.as_ref().and_then(of) {
                attributes.insert(key.to_owned(), value);
            }
        }
        Ok(attributes)
    }

    fn string(&self, index: i32) -> Result<&'a str, BadIndex> {
        entry(&self.dictionary.string_table, "stringTable", index).map(String::as_str)
    }
}

/// The entry of `table` at `index`; the error names both.
fn entry<'a, T>(entries: &'a [T], table: &'static str, index: i32) -> Result<&'a T, BadIndex> {
    usize::try_from(index).ok().and_then(|at| entries.get(at)).ok_or(BadIndex { table, index })
}
