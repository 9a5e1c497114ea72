//! OTLP profiles (`opentelemetry.proto.profiles.v1development`, schema 1.10) of us or of others: requests one after the
//! other, as exporters put them into files.
//!
//! `file` finds the requests, whatever they are wrapped in; `json` turns one that is text into protobuf by `schema`;
//! `wire` walks its fields; `dictionary` reads what the samples of `profile` refer to, and no more.

mod dictionary;
mod file;
mod json;
mod profile;
mod resource;
mod schema;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub(super) use file::{Wrapping, read, wrapping};

use self::dictionary::Dictionary;
use self::resource::{find_parents, process};
use self::wire::Fields;
use super::error::ReadError;
use crate::model::Profile;

/// What has been read of a file of requests.
#[derive(Debug, Default)]
struct Requests {
    profile: Profile,
    /// How many requests there were.
    number: usize,
    /// Losses whose window has been met: every profile of a window repeats them.
    losses: HashSet<(u64, u64, String, u64)>,
    /// True once a profile had a span.
    has_span: bool,
}

impl Requests {
    /// Adds what an `ExportProfilesServiceRequest` says.
    fn add(&mut self, request: &[u8]) -> Result<(), ReadError> {
        self.number += 1;
        let number = self.number;
        self.add_fields(request).map_err(|fault| ReadError::Otlp { request: number, fault })
    }

    fn add_fields(&mut self, request: &[u8]) -> Result<(), &'static str> {
        let mut dictionary = Dictionary::default();
        // The dictionary comes last, and everything before refers to it.
        for field in Fields(request) {
            if let (2, value) = field? {
                dictionary.add(value.bytes()?)?;
            }
        }
        for field in Fields(request) {
            if let (1, value) = field? {
                self.resource(value.bytes()?, &mut dictionary)?;
            }
        }
        Ok(())
    }

    /// Adds a `ResourceProfiles`.
    fn resource(&mut self, message: &[u8], dictionary: &mut Dictionary<'_>) -> Result<(), &'static str> {
        let tables = &mut self.profile.tables;
        let mut facts = Vec::new();
        for field in Fields(message) {
            let (1, resource) = field? else { continue };
            for field in Fields(resource.bytes()?) {
                if let (1, fact) = field? {
                    facts.extend(dictionary.key_value(fact.bytes()?, tables)?);
                }
            }
        }
        let owner = profile::Owner { process: process(&facts, tables), facts };
        for field in Fields(message) {
            let (2, scope) = field? else { continue };
            for field in Fields(scope.bytes()?) {
                if let (2, of) = field? {
                    self.profile_of(of.bytes()?, &owner, dictionary)?;
                }
            }
        }
        Ok(())
    }

    /// All that was read.
    fn finish(mut self) -> Profile {
        find_parents(&mut self.profile.tables);
        self.profile
    }
}
