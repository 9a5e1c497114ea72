//! Attributes from the arguments of a program: the name of the program that an interpreter runs, and the command line.

use std::sync::Arc;

use pdata::{Attribute, AttributeValue, ImageKind};

use super::names;
use super::source::{Source, Subject};
use crate::{loader, program_name, redaction};

/// The source of service names and command lines, from the arguments that a program was started with.
#[derive(Debug)]
pub(super) struct FromProgram {
    service: bool,
    command_args: bool,
}

impl FromProgram {
    /// The source of the wanted attributes; `None` if none are wanted.
    pub(super) fn new(service: bool, command_args: bool) -> Option<Self> {
        (service || command_args).then_some(Self { service, command_args })
    }
}

impl Source for FromProgram {
    fn describe(&mut self, subject: &Subject<'_>) -> Arc<[Attribute]> {
        let ImageKind::User { script, loader, .. } = &subject.image.kind else { return Arc::default() };
        let mut attributes = Vec::new();
        if self.service {
            let script = script.as_ref().map(|script| script.path.to_string_lossy());
            let named = script.and_then(|path| program_name::name(&path));
            let executable = subject.image.kind.name();
            let own = match loader {
                Some(_) => loader::arguments_of_program(subject.arguments),
                None => subject.arguments,
            };
            let named = named.or_else(|| program_name::interpreted(&executable, own));
            attributes.extend(named.map(|name| Attribute::text(names::SERVICE_NAME, name)));
        }
        let arguments =
            if self.command_args { redaction::redacted(subject.arguments) } else { Arc::default() };
        if !arguments.is_empty() {
            let value = AttributeValue::Texts(arguments);
            attributes.push(Attribute { key: names::COMMAND_ARGS.into(), value });
        }
        attributes.into()
    }
}
