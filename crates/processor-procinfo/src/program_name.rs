//! The program that an interpreter runs, by its arguments: a script, a module, a class or an archive; and the program
//! that runs of a file that holds many.
//!
//! Only the names of files and modules are taken, never code that an argument holds: where an option is not known, or a
//! supposed name has characters that names seldom have, there is no name.

mod families;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use families::{FAMILIES, Family, Letters};

/// The longest name; a longer text is no name that anybody has chosen.
const LONGEST: usize = 255;

/// Executables that hold many programs, and run the one that they are called by: by the name of a link, or by their
/// first argument.
const MULTI_CALL: [&str; 5] = ["busybox", "busybox.static", "busybox-extras", "toybox", "coreutils"];

/// Extensions of files that are run, which are no part of the name.
const EXTENSIONS: [&str; 14] = [
    ".pyz", ".pyc", ".py", ".jar", ".war", ".mjs", ".cjs", ".js", ".ts", ".rb", ".pl", ".php", ".dll", ".sh",
];

/// True if an executable of that name runs a program that its arguments name.
pub(crate) fn is_interpreter(executable: &str) -> bool {
    MULTI_CALL.contains(&executable) || FAMILIES.iter().any(|family| family.has(executable))
}

/// The name of the program that an executable runs; `None` if it is no interpreter, or its arguments do not name one.
///
/// `arguments` are all of them, each ended by NUL, the program's own name first. The last may be cut short, and is not
/// looked at then.
pub(crate) fn interpreted(executable: &str, arguments: &[u8]) -> Option<String> {
    let whole = arguments.iter().rposition(|&byte| byte == 0)?;
    let mut arguments = arguments.get(..whole)?.split(|&byte| byte == 0).map(String::from_utf8_lossy);
    let called = arguments.next()?;
    if !MULTI_CALL.contains(&executable) {
        return FAMILIES.iter().find(|family| family.has(executable))?.interpreted(arguments);
    }
    let applet = applet(&called, &mut arguments)?;
    let interpreted = FAMILIES.iter().find(|family| family.has(&applet));
    // Of the other programs only the name counts: the arguments that follow are theirs.
    interpreted.and_then(|family| family.interpreted(arguments)).or(Some(applet))
}

/// The program that an executable of many runs.
fn applet<'a>(called: &str, arguments: &mut impl Iterator<Item = Cow<'a, str>>) -> Option<String> {
    // A shell that somebody has logged in to has a dash before its name.
    let called = name_in_argument(called.trim_start_matches('-'))?;
    if !MULTI_CALL.contains(&called.as_str()) {
        return Some(called);
    }
    let first = arguments.next()?;
    // An argument with a dash is an option of the whole executable, such as `--list`.
    if first.starts_with('-') { None } else { name_in_argument(&first) }
}

/// The name of the file or module that an argument seems to be; `None` if the argument may be something else, such as
/// code or an address.
fn name_in_argument(argument: &str) -> Option<String> {
    let is_of_names = |c: char| c.is_alphanumeric() || "/._-+@:~$".contains(c);
    name(argument).filter(|_| argument.chars().all(is_of_names))
}

/// The name of a file or module that is run.
pub(crate) fn name(path: &str) -> Option<String> {
    // `-m module/class`, `-m package.__main__` and a directory's `__main__.py` have the name of the part around
    // `__main__`.
    let path = path.trim_end_matches('/');
    let path = ["/__main__.py", ".__main__"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
    let last = path.rsplit('/').next().unwrap_or(path);
    let name = EXTENSIONS.iter().find_map(|end| last.strip_suffix(end)).filter(|name| !name.is_empty());
    let name = name.unwrap_or(last);
    (!name.is_empty() && name != "-" && name.len() <= LONGEST).then(|| name.to_owned())
}

/// The meaning of an argument.
enum Argument<'a> {
    Option,
    OptionWithValue,
    /// A file of more arguments, one of which may name the program.
    File,
    /// The next argument names the program.
    RunsNext,
    Runs(&'a str),
    NoName,
}

impl Family {
    /// The name of the program that an interpreter of the family runs, by the arguments behind its own name.
    fn interpreted<'a>(&self, mut arguments: impl Iterator<Item = Cow<'a, str>>) -> Option<String> {
        let mut may_have_been_named = false;
        while let Some(argument) = arguments.next() {
            match self.read(&argument) {
                Argument::Option => {}
                Argument::OptionWithValue => drop(arguments.next()),
                Argument::File => may_have_been_named = true,
                Argument::RunsNext => return name_in_argument(&arguments.next()?),
                Argument::Runs(_) if may_have_been_named => return None,
                Argument::Runs(what) => return name_in_argument(what),
                Argument::NoName => return None,
            }
        }
        None
    }

    fn read<'a>(&self, argument: &'a str) -> Argument<'a> {
        let is = |options: &[&str]| options.contains(&argument);
        if is(self.no_name) || argument == "-" {
            return Argument::NoName;
        }
        if is(self.runs) || argument == "--" {
            return Argument::RunsNext;
        }
        if is(self.with_value) {
            return Argument::OptionWithValue;
        }
        if is(self.commands) {
            return Argument::Option;
        }
        if argument.starts_with('@') {
            return Argument::File;
        }
        if !argument.starts_with(['-', '+']) {
            let ends = self.ends.is_empty() || self.ends.iter().any(|end| argument.ends_with(end));
            return if ends { Argument::Runs(argument) } else { Argument::NoName };
        }
        match &self.letters {
            Some(letters) if !argument.starts_with("--") => letters.read(argument),
            _ => Argument::Option,
        }
    }
}

impl Letters {
    /// Options of one letter in one argument: the first of them that takes a value takes the rest, or the next
    /// argument.
    fn read<'a>(&self, argument: &'a str) -> Argument<'a> {
        for (place, letter) in argument.char_indices().skip(1) {
            let rest = argument.get(place + letter.len_utf8()..).unwrap_or_default();
            if self.runs.contains(letter) {
                return if rest.is_empty() { Argument::RunsNext } else { Argument::Runs(rest) };
            }
            if self.values.contains(letter) {
                return match (rest.is_empty(), self.values_come_later) {
                    (true, _) => Argument::OptionWithValue,
                    (false, false) => Argument::Option,
                    (false, true) => Argument::NoName,
                };
            }
            if self.attached.contains(letter) {
                return Argument::Option;
            }
            if !self.flags.contains(letter) {
                return Argument::NoName;
            }
            // `-d:Module`, `-W:no-deprecated`, `-A=value`.
            if rest.starts_with([':', '=']) {
                return Argument::Option;
            }
        }
        Argument::Option
    }
}
