//! Demangling: names of functions in the form that people read.

use std::fmt::{self, Write as _};

use cpp_demangle::{DemangleOptions, ParseOptions, Symbol};

/// The longest name that is shown. Names of either language can refer to parts of themselves, so that a short one
/// becomes endless.
const LONGEST: usize = 4 << 10;
/// The deepest nesting of names.
const DEEPEST: u32 = 96;

/// The parts of a mangled name that are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Demangle {
    /// No demangling: names are shown in the linker's form.
    None,
    /// The path of a function: without parameters and return types of C++, without the hash of Rust.
    #[default]
    Simplified,
    /// The whole name.
    Full,
}

/// The name behind a mangled name of Rust or C++; `None` if it is not mangled.
///
/// Names of Swift (`$s...`) and D (`_D...`) stay as they are. The crates for Swift all wrap the C++ of its compiler, to
/// which an agent that runs as root does not hand what strangers put into their files, and there is none for D.
///
/// The suffix that the compiler adds to the name of a part of a function (`.cold`, `.llvm.123`) is kept if the name is
/// shown in full.
#[must_use]
pub fn demangle(name: &str, how: Demangle) -> Option<String> {
    match how {
        Demangle::None => None,
        Demangle::Simplified | Demangle::Full => rust(name, how).or_else(|| cpp(name, how)),
    }
}

fn rust(name: &str, how: Demangle) -> Option<String> {
    let demangled = rustc_demangle::try_demangle(name).ok()?;
    match how {
        Demangle::Full => bounded(|out| write!(out, "{demangled}")),
        _ => bounded(|out| write!(out, "{demangled:#}")),
    }
}

fn cpp(name: &str, how: Demangle) -> Option<String> {
    if !name.starts_with("_Z") && !name.starts_with("__Z") && !name.starts_with("_GLOBAL_") {
        return None;
    }
    let parse = ParseOptions::default().recursion_limit(DEEPEST);
    // `.cold`, `.isra.0`, `.part.1`: parts that compilers split off keep the name with a suffix, which may be unknown.
    let symbol = Symbol::new_with_options(name, &parse).ok().or_else(|| {
        let (stem, _suffix) = name.split_once('.').filter(|_| how != Demangle::Full)?;
        Symbol::new_with_options(stem, &parse).ok()
    })?;
    let options = DemangleOptions::new().recursion_limit(DEEPEST);
    let options = match how {
        Demangle::Full => options,
        _ => options.no_params().no_return_type().hide_expression_literal_types(),
    };
    bounded(|out| symbol.structured_demangle(out, &options))
}

/// The text that `write` writes, unless it is empty or too long.
fn bounded(write: impl FnOnce(&mut Bounded) -> fmt::Result) -> Option<String> {
    let mut out = Bounded(String::new());
    write(&mut out).ok()?;
    (!out.0.is_empty()).then_some(out.0)
}

struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LONGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(name: &str, simplified: Option<&str>, full: Option<&str>) {
        assert_eq!(demangle(name, Demangle::Simplified).as_deref(), simplified);
        assert_eq!(demangle(name, Demangle::Full).as_deref(), full);
        assert_eq!(demangle(name, Demangle::None), None);
    }

    #[test]
    fn names_of_rust_and_cpp_are_read_and_those_of_c_stay() {
        check(
            "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
            Some("core::fmt::Formatter::pad"),
            Some("core::fmt::Formatter::pad::h0123456789abcdef"),
        );
        check("_RNvCs1234_7mycrate3foo", Some("mycrate::foo"), Some("mycrate[3c1c0]::foo"));
        check(
            "_ZNSt6vectorIiSaIiEE9push_backEOi",
            Some("std::vector<int, std::allocator<int> >::push_back"),
            Some("std::vector<int, std::allocator<int> >::push_back(int&&)"),
        );
        check("_Z3addii.cold", Some("add"), Some("add(int, int) [clone .cold]"));
        check("main", None, None);
        check("_start", None, None);
        check("memcpy@plt", None, None);
        for swift_or_d in
            ["$s4main5helloSSyYaKF", "_$s4main5helloSSyYaKF", "_T04main5helloSSyF", "_D4main5helloFZv"]
        {
            check(swift_or_d, None, None);
        }
    }

    #[test]
    fn a_name_that_repeats_itself_without_end_is_refused() {
        let name = format!("_Z1f{}", "S_".repeat(10_000));
        assert!(demangle(&name, Demangle::Full).is_none_or(|name| name.len() <= LONGEST));
        let nested = format!("_Z1f{}i{}", "P".repeat(100_000), "E".repeat(1000));
        assert!(demangle(&nested, Demangle::Full).is_none());
    }

    proptest! {
        /// Any text is read or refused, in bounded room.
        #[test]
        fn any_text_is_read_or_refused(prefix in "(_ZN|_Z|_R|__Z|)", rest in "[ -~]{0,200}") {
            for how in [Demangle::Simplified, Demangle::Full] {
                let demangled = demangle(&format!("{prefix}{rest}"), how);
                prop_assert!(demangled.is_none_or(|name| !name.is_empty() && name.len() <= LONGEST));
            }
        }
    }
}
