//! `convert` and `diff`: files of profiles.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::Path;

use profile_formats::{Format, Profile, Quantity, diff as difference, read};

use super::error::CommandError;

/// Mode of what is written: profiles name what a host runs.
const MODE: u32 = 0o600;
/// The largest file that is read.
const MOST_BYTES: u64 = 512 << 20;

/// Reads a profile and writes it in another format.
pub(super) fn convert(
    input: &Path,
    output: &Path,
    format: Option<&str>,
    value: Option<&str>,
) -> Result<(), CommandError> {
    let format = match format {
        Some(name) => Format::named(name).ok_or_else(|| unknown(name))?,
        None => Format::of_file(&output.to_string_lossy()).ok_or_else(|| nameless(output))?,
    };
    let profile = load(input)?;
    let quantity = quantity(&profile, value, input)?;
    let mut bytes = Vec::new();
    let written = format.write(&profile, quantity, &mut bytes);
    written.and_then(|()| save(output, &bytes)).map_err(|source| cannot("write", output, source))
}

/// Reads two profiles and writes how they differ.
pub(super) fn diff(
    before: &Path,
    after: &Path,
    output: &Path,
    value: Option<&str>,
) -> Result<(), CommandError> {
    let write = match Format::of_file(&output.to_string_lossy()) {
        Some(Format::Svg) => difference::svg,
        Some(Format::Folded) => difference::folded,
        _ => {
            let fault =
                format!("{} names no format of a comparison, expected .svg or .folded", output.display());
            return Err(CommandError::Argument(fault));
        }
    };
    let (one, two) = (load(before)?, load(after)?);
    let (of_one, of_two) = (quantity(&one, value, before)?, quantity(&two, value, after)?);
    if one.quantity_name(of_one) != two.quantity_name(of_two) {
        let (one, two) = (one.quantity_name(of_one).0, two.quantity_name(of_two).0);
        let fault =
            format!("one profile holds {one:?} and the other {two:?}: name what both have with --value");
        return Err(CommandError::Argument(fault));
    }
    let mut bytes = Vec::new();
    write((&one, of_one), (&two, of_two), &mut bytes);
    save(output, &bytes).map_err(|source| cannot("write", output, source))
}

fn load(path: &Path) -> Result<Profile, CommandError> {
    let bytes = bytes_of(path).map_err(|source| cannot("read", path, source))?;
    read(&bytes).map_err(|source| CommandError::Profile { path: path.to_owned(), source })
}

fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path)?),
    };
    source.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {MOST_BYTES} bytes"),
        ));
    }
    Ok(bytes)
}

fn quantity(profile: &Profile, value: Option<&str>, path: &Path) -> Result<Quantity, CommandError> {
    let Some(name) = value else { return Ok(profile.main_quantity()) };
    profile.quantity(name).ok_or_else(|| {
        let kinds = profile.kinds().into_iter().map(|(kind, _)| format!("{:?}", profile.tables.text(kind)));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        CommandError::Argument(format!("{} holds no {name:?}, but {kinds}", path.display()))
    })
}

/// Writes a file with all its bytes or not at all: under another name first.
fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::IsADirectory)?);
    name.push(".part");
    let part = path.with_file_name(name);
    let written = openfile::create(&part, MODE)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&part, path));
    written.inspect_err(|_error| {
        // The first error is the one to report.
        let _left = fs::remove_file(&part);
    })
}

fn cannot(action: &'static str, path: &Path, source: io::Error) -> CommandError {
    CommandError::File { action, path: path.to_owned(), source }
}

fn unknown(name: &str) -> CommandError {
    CommandError::Argument(format!("there is no format {name:?}, expected one of {}", names()))
}

fn nameless(path: &Path) -> CommandError {
    let path = path.display();
    CommandError::Argument(format!(
        "the name of {path} says no format: name it with --format, one of {}",
        names()
    ))
}

fn names() -> String {
    Format::ALL.map(Format::name).join(", ")
}
