//! Sources of an image's attributes beside those of its executable: a small file for each source.
//!
//! A source is asked once for each image in each context, when the first sample of it is attributed, and again when
//! more has been learnt. A source reads nothing: facts that must be read while a process lives come with the events.

mod context;
mod environment;
pub(crate) mod names;
mod owner;
mod parents;
mod program;
mod residence;
mod source;
mod standing;

use pdata::Attributes;

use self::context::FromContext;
use self::environment::FromEnvironment;
use self::owner::Owner;
use self::parents::Parents;
use self::program::FromProgram;
use self::residence::FromResidence;
use self::source::Source;
use self::standing::Standing;
use crate::config::{Config, Metadata};

pub(crate) use self::owner::Users;
pub(crate) use self::source::Subject;

/// The sources that a configuration asks for, in the order of precedence.
#[derive(Debug)]
pub(crate) struct Sources(Vec<Box<dyn Source>>);

impl Sources {
    /// Makes the sources. Of a key that two sources have, the first one's value holds.
    pub(crate) fn new(config: &Config, users: Users) -> Self {
        let wants = |what| config.metadata.contains(&what);
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        let residence =
            FromResidence::new(wants(Metadata::Container), wants(Metadata::Unit), wants(Metadata::Cgroup));
        sources.extend(residence.map(|source| Box::new(source) as Box<_>));
        // Before the environment: the program has read that itself, and knows more by now.
        if wants(Metadata::Service) {
            sources.push(Box::new(FromContext));
        }
        let environment =
            FromEnvironment::new(wants(Metadata::Service), config.environment_variables.clone());
        sources.extend(environment.map(|source| Box::new(source) as Box<_>));
        // After the environment, in which those who run the service have named it.
        let program = FromProgram::new(wants(Metadata::Service), wants(Metadata::CommandArgs));
        sources.extend(program.map(|source| Box::new(source) as Box<_>));
        let parents =
            Parents::new(wants(Metadata::Parent), wants(Metadata::Ancestors).then_some(config.ancestors));
        sources.extend(parents.map(|source| Box::new(source) as Box<_>));
        if wants(Metadata::Owner) {
            sources.push(Box::new(Owner::new(users)));
        }
        let standing =
            Standing::new(wants(Metadata::Session), wants(Metadata::Namespaces), wants(Metadata::Group));
        sources.extend(standing.map(|source| Box::new(source) as Box<_>));
        Self(sources)
    }

    /// The attributes that all sources have of an image.
    pub(crate) fn describe(&mut self, subject: &Subject<'_>) -> Attributes {
        let mut attributes = Attributes::default();
        for source in &mut self.0 {
            attributes.add(source.describe(subject));
        }
        attributes
    }
}

#[cfg(test)]
mod tests;
