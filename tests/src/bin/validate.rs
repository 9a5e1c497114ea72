//! Prints figures of files of OTLP/JSON profiles, and the rules that they break: `validate FILE...`.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use tests::otlp::{OtlpFile, ReadError};
use tests::validator;

fn main() -> ExitCode {
    let mut valid = true;
    for path in env::args().skip(1) {
        valid &= check(Path::new(&path)).unwrap_or_else(|error| {
            eprintln!("{path}: {error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
            false
        });
    }
    if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints a file's violations and figures; true if there is no violation.
fn check(path: &Path) -> Result<bool, ReadError> {
    let file = OtlpFile::read(path)?;
    let mut valid = true;
    for (line, request) in file.requests.iter().enumerate() {
        for violation in validator::validate(request) {
            println!("{}:{}: {violation}", path.display(), line + 1);
            valid = false;
        }
    }
    println!("{}: {:#?}", path.display(), file.summary()?);
    Ok(valid)
}
