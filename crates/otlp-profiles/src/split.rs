//! Requests of bounded size.

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::profiles::v1development::{
    Profile, ProfilesDictionary, ResourceProfiles, Sample, ScopeProfiles,
};
use prost::Message;

use crate::extract::extract;

/// The least bound that makes sense: more than one capture takes with 127 kernel and 127 user frames,
/// each in a file of its own with the longest path, if that is UTF-8 (what is not takes up to three
/// times as much).
pub const MIN_REQUEST_BYTES: usize = 1024 * 1024;

/// A bound that the Collector's default of 4 MiB for a received message leaves room for.
pub const DEFAULT_REQUEST_BYTES: usize = 3_900 * 1024;

/// Splits a request until each part takes at most `max_bytes` as protobuf before compression.
///
/// Parts hold whole resources if possible, in order, each with a dictionary of only what it uses.
/// A resource that is too large alone is split by samples, and a sample by timestamps; the parts then
/// repeat the resource and the profile's times and attributes. What cannot be split is left too large:
/// one timestamp of one sample; how much that takes, [`MIN_REQUEST_BYTES`] says.
#[must_use]
pub fn split(request: ExportProfilesServiceRequest, max_bytes: usize) -> Vec<ExportProfilesServiceRequest> {
    let mut parts = Vec::new();
    fit(request, max_bytes, &mut parts);
    parts
}

/// Captured samples in a request: its timestamps.
pub(crate) fn samples(request: &ExportProfilesServiceRequest) -> u64 {
    let scopes = request.resource_profiles.iter().flat_map(|resource| &resource.scope_profiles);
    let samples = scopes.flat_map(|scope| &scope.profiles).flat_map(|profile| &profile.samples);
    samples.map(|sample| sample.timestamps_unix_nano.len() as u64).sum()
}

fn fit(
    request: ExportProfilesServiceRequest,
    max_bytes: usize,
    parts: &mut Vec<ExportProfilesServiceRequest>,
) {
    if request.encoded_len() <= max_bytes {
        parts.push(request);
        return;
    }
    let ExportProfilesServiceRequest { resource_profiles, dictionary } = request;
    match halve(resource_profiles) {
        Ok((left, right)) => {
            let dictionary: ProfilesDictionary = dictionary.unwrap_or_default();
            for half in [left, right] {
                fit(extract(half, &dictionary), max_bytes, parts);
            }
        }
        Err(resource_profiles) => parts.push(ExportProfilesServiceRequest { resource_profiles, dictionary }),
    }
}

/// A list in two with about as many bytes on either side, or as it is if nothing in it can be split.
fn halve<T: Halve>(mut list: Vec<T>) -> Result<(Vec<T>, Vec<T>), Vec<T>> {
    if list.len() > 1 {
        let right = list.split_off(middle(&list));
        return Ok((list, right));
    }
    match list.pop().map(Halve::halve) {
        Some(Ok((left, right))) => Ok((vec![left], vec![right])),
        Some(Err(whole)) => Err(vec![whole]),
        None => Err(list),
    }
}

/// Where half the bytes of a list of two or more are passed, with something on either side.
fn middle<T: Message>(list: &[T]) -> usize {
    let sizes: Vec<usize> = list.iter().map(Message::encoded_len).collect();
    let half = sizes.iter().sum::<usize>() / 2;
    let mut before = 0;
    let whole = sizes.iter().take_while(|&&size| {
        before += size;
        before <= half
    });
    whole.count().clamp(1, list.len() - 1)
}

/// A message that can become two which say the same together.
trait Halve: Message {
    /// The two, or the message itself if it cannot be split.
    fn halve(self) -> Result<(Self, Self), Self>
    where
        Self: Sized;
}

/// A message that is split by splitting the list in it.
trait Parent: Message + Clone {
    type Child: Halve;
    fn children(&mut self) -> &mut Vec<Self::Child>;
}

impl<P: Parent> Halve for P {
    fn halve(mut self) -> Result<(Self, Self), Self> {
        match halve(std::mem::take(self.children())) {
            Ok((left, right)) => {
                let mut first = self.clone();
                *first.children() = left;
                *self.children() = right;
                Ok((first, self))
            }
            Err(whole) => {
                *self.children() = whole;
                Err(self)
            }
        }
    }
}

impl Parent for ResourceProfiles {
    type Child = ScopeProfiles;
    fn children(&mut self) -> &mut Vec<ScopeProfiles> {
        &mut self.scope_profiles
    }
}

impl Parent for ScopeProfiles {
    type Child = Profile;
    fn children(&mut self) -> &mut Vec<Profile> {
        &mut self.profiles
    }
}

impl Parent for Profile {
    type Child = Sample;
    fn children(&mut self) -> &mut Vec<Sample> {
        &mut self.samples
    }
}

impl Halve for Sample {
    fn halve(mut self) -> Result<(Self, Self), Self> {
        let count = self.timestamps_unix_nano.len();
        // Values go along only where there is one for each timestamp, or none at all.
        if count < 2 || ![0, count].contains(&self.values.len()) {
            return Err(self);
        }
        let timestamps_unix_nano = self.timestamps_unix_nano.split_off(count / 2);
        let values = self.values.split_off(self.values.len() / 2);
        let right =
            Self { timestamps_unix_nano, values, attribute_indices: self.attribute_indices.clone(), ..self };
        Ok((self, right))
    }
}
