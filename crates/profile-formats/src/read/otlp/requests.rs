//! Reading of requests into a profile.

use protowire::Fields;

use super::dictionary::Dictionary;
use super::gathered::Gathered;
use super::profile::{self, Owner};
use super::resource::{find_parents, process};
use crate::model::Profile;
use crate::read::error::ReadError;

/// Most facts of a resource, all of which are read again for each sample that names a process.
const MOST_FACTS: usize = 512;

/// The profile of the requests of a file that have been read so far.
#[derive(Debug, Default)]
pub(super) struct Requests {
    gathered: Gathered,
    /// Number of requests so far.
    number: usize,
}

impl Requests {
    /// Adds an `ExportProfilesServiceRequest` message.
    pub(super) fn add(&mut self, request: &[u8]) -> Result<(), ReadError> {
        self.number += 1;
        let number = self.number;
        self.add_fields(request).map_err(|fault| ReadError::Otlp { request: number, fault })
    }

    fn add_fields(&mut self, request: &[u8]) -> Result<(), &'static str> {
        let mut dictionary = Dictionary::default();
        // The dictionary comes last although everything before refers to it, so it is read first.
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

    /// Adds a `ResourceProfiles` message.
    fn resource(&mut self, message: &[u8], dictionary: &mut Dictionary<'_>) -> Result<(), &'static str> {
        let Gathered { profile, facts: room, .. } = &mut self.gathered;
        let tables = &mut profile.tables;
        let mut facts = Vec::new();
        for field in Fields(message) {
            let (1, resource) = field? else { continue };
            for field in Fields(resource.bytes()?) {
                if let (1, fact) = field? {
                    if facts.len() >= MOST_FACTS {
                        return Err("a resource with more than 512 attributes");
                    }
                    facts.extend(dictionary.key_value(fact.bytes()?, tables)?);
                }
            }
        }
        let owner = Owner { process: process(&facts, tables, room), facts };
        for field in Fields(message) {
            let (2, scope) = field? else { continue };
            for field in Fields(scope.bytes()?) {
                if let (2, of) = field? {
                    profile::add(&mut self.gathered, of.bytes()?, &owner, dictionary)?;
                }
            }
        }
        Ok(())
    }

    /// The profile of all requests.
    pub(super) fn finish(mut self) -> Profile {
        find_parents(&mut self.gathered.profile.tables);
        self.gathered.profile
    }
}
