//! `convert` and `diff`: files of profiles.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;

use openfile::Destination;
use profile_formats::{Format, Profile, Quantity, diff as difference, read};

use super::error::CommandError;
use crate::output_format::OutputFormat;

/// Mode of written files: profiles name the programs of a host.
const MODE: u32 = 0o600;
/// Largest file that is read, in bytes.
const MOST_BYTES: u64 = 512 << 20;

/// Reads a profile and writes it in another format.
pub(super) fn convert(
    input: &Path,
    output: &Path,
    format: Option<&str>,
    value: Option<&str>,
) -> Result<(), CommandError> {
    let format = match format {
        Some(name) => OutputFormat::named(name).ok_or_else(|| unknown(name))?,
        None => OutputFormat::of_file(&output.to_string_lossy()).ok_or_else(|| nameless(output))?,
    };
    let target = Target::open(output)?;
    let profile = load(input)?;
    let quantity = quantity(&profile, value, input)?;
    let bytes = format.encode(&profile, quantity);
    bytes.and_then(|bytes| target.write(&bytes)).map_err(|source| cannot("write", output, source))
}

/// Reads two profiles and writes their differences.
pub(super) fn diff(
    before: &Path,
    after: &Path,
    output: &Path,
    value: Option<&str>,
) -> Result<(), CommandError> {
    let format = OutputFormat::of_file(&output.to_string_lossy());
    let Some(format @ (OutputFormat::Html | OutputFormat::Tool(Format::Svg | Format::Folded))) = format
    else {
        let fault =
            format!("{} names no format of a comparison, expected .html, .svg or .folded", output.display());
        return Err(CommandError::Argument(fault));
    };
    let target = Target::open(output)?;
    let (one, two) = (load(before)?, load(after)?);
    let (of_one, of_two) = (quantity(&one, value, before)?, quantity(&two, value, after)?);
    if one.quantity_name(of_one) != two.quantity_name(of_two) {
        let (one, two) = (one.quantity_name(of_one).0, two.quantity_name(of_two).0);
        let fault =
            format!("one profile holds {one:?} and the other {two:?}: name what both have with --value");
        return Err(CommandError::Argument(fault));
    }
    let bytes = match format {
        OutputFormat::Html => {
            let (before, after) = (name_of(before), name_of(after));
            profile_page::html_of_difference((&one, of_one, &before), (&two, of_two, &after))
                .map_err(|source| cannot("write", output, source.into()))?
        }
        OutputFormat::Tool(format) => {
            let mut bytes = Vec::new();
            let write = if format == Format::Svg { difference::svg } else { difference::folded };
            write((&one, of_one), (&two, of_two), &mut bytes);
            bytes
        }
    };
    target.write(&bytes).map_err(|source| cannot("write", output, source))
}

/// The last part of a path.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Reads the profile in a file.
pub(super) fn load(path: &Path) -> Result<Profile, CommandError> {
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

/// The quantity of this name, or the main one.
pub(super) fn quantity(
    profile: &Profile,
    value: Option<&str>,
    path: &Path,
) -> Result<Quantity, CommandError> {
    let Some(name) = value else { return Ok(profile.main_quantity()) };
    profile.quantity(name).ok_or_else(|| {
        let kinds = profile.kinds().into_iter().map(|(kind, _)| format!("{:?}", profile.tables.text(kind)));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        CommandError::Argument(format!("{} holds no {name:?}, but {kinds}", path.display()))
    })
}

/// The output of a profile.
enum Target {
    Stdout,
    /// A file, which gets all bytes or stays as it was; a device is not replaced.
    File(Destination),
}

impl Target {
    /// Checks for faults for which a profile could not be written, before one is read.
    fn open(path: &Path) -> Result<Self, CommandError> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        Destination::open(path).map(Self::File).map_err(|source| cannot("write", path, source))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
            Self::File(destination) => destination.write(bytes, MODE, None),
        }
    }
}

fn cannot(action: &'static str, path: &Path, source: io::Error) -> CommandError {
    CommandError::File { action, path: path.to_owned(), source }
}

fn unknown(name: &str) -> CommandError {
    CommandError::Argument(format!("there is no format {name:?}, expected one of {}", OutputFormat::names()))
}

fn nameless(path: &Path) -> CommandError {
    let path = path.display();
    CommandError::Argument(format!(
        "the name of {path} says no format: name it with --format, one of {}",
        OutputFormat::names()
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileTypeExt as _;

    use super::*;

    /// A device is refused before anything is read: as root this command could put a file in its place.
    #[test]
    fn a_device_is_not_replaced() {
        let fault = convert(Path::new("/none"), Path::new("/dev/null"), Some("folded"), None).unwrap_err();
        assert!(matches!(&fault, CommandError::File { action: "write", .. }), "{fault}");
        assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        let fault = convert(Path::new("/none"), Path::new("-"), Some("folded"), None).unwrap_err();
        assert!(matches!(&fault, CommandError::File { action: "read", .. }), "{fault}");
    }
}
