//! Runtimes of processes, by the names of their executables, and functions by the names that runtimes write.

use pdata::{Function, Runtime};

/// Runtimes by the names of their executables, without the digits and dots of a version behind them.
const EXECUTABLES: [(&str, Runtime); 14] = [
    ("node", Runtime::V8),
    ("nodejs", Runtime::V8),
    ("deno", Runtime::V8),
    ("chrome", Runtime::V8),
    ("chromium", Runtime::V8),
    ("electron", Runtime::V8),
    ("java", Runtime::Jvm),
    ("dotnet", Runtime::DotNet),
    ("python", Runtime::CPython),
    ("beam.smp", Runtime::Beam),
    ("ruby", Runtime::Ruby),
    ("php", Runtime::Php),
    ("wasmtime", Runtime::Wasm),
    ("wasmer", Runtime::Wasm),
];
/// First characters of names that V8 writes.
const V8_KINDS: [&str; 10] = [
    "JS:",
    "LazyCompile:",
    "Function:",
    "Script:",
    "Eval:",
    "Builtin:",
    "BytecodeHandler:",
    "RegExp:",
    "Stub:",
    "Handler:",
];
/// Marks in V8's names of the degree to which a function is compiled: not, quickly, better and best.
const V8_MARKS: [char; 4] = ['~', '^', '+', '*'];
/// First characters of names that CPython writes.
const CPYTHON: &str = "py::";

/// The runtime that an executable is, by the name of its file; native if none is known.
pub(crate) fn of_executable(name: &str) -> Runtime {
    let stem =
        name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.' || letter == '-');
    let known = EXECUTABLES.iter().find(|(known, _)| *known == name || *known == stem);
    known.map_or(Runtime::Native, |(_, runtime)| *runtime)
}

/// The function of a name that a compiler has written, in a process of that runtime.
pub(crate) fn function(name: &str, runtime: Runtime) -> Function {
    let plain = |runtime| Function { name: name.into(), runtime, ..Function::default() };
    let system_name = Some(name.into());
    if let Some(rest) = name.strip_prefix(CPYTHON) {
        let runtime = Runtime::CPython;
        return match rest.split_once(':') {
            // `py::NAME:FILE`
            Some((function, file)) if !function.is_empty() && !file.is_empty() => Function {
                name: function.into(),
                system_name,
                file: Some(file.into()),
                start_line: 0,
                runtime,
            },
            _ => plain(runtime),
        };
    }
    let Some(kind) = V8_KINDS.into_iter().find(|kind| name.starts_with(kind)) else { return plain(runtime) };
    let runtime = Runtime::V8;
    if !["JS:", "LazyCompile:", "Function:"].contains(&kind) {
        return plain(runtime);
    }
    // `JS:*NAME FILE:LINE:COLUMN`; without a name, the file comes after two blanks or one.
    let rest = name.strip_prefix(kind).unwrap_or(name);
    let rest = rest.strip_prefix(V8_MARKS).unwrap_or(rest);
    let (function, place) = rest.split_at(end_of_v8_name(rest));
    let (file, line) = place_of(place.trim_start());
    let function = if function.is_empty() { "(anonymous)" } else { function };
    Function { name: function.into(), system_name, file: file.map(Box::from), start_line: line, runtime }
}

/// Index of the end of a name that V8 writes, which the place of its function may follow. The name of an accessor has
/// two words: `get size`.
fn end_of_v8_name(rest: &str) -> usize {
    let first = rest.find(' ').unwrap_or(rest.len());
    let second = ["get ", "set "].iter().find_map(|kind| {
        let (name, _place) = rest.strip_prefix(kind)?.split_once(' ')?;
        // A function that is itself called `get` is followed by its file, whose path may have blanks.
        (!name.is_empty() && !name.contains(['/', ':', '\\'])).then_some(kind.len() + name.len())
    });
    second.unwrap_or(first)
}

/// File and line of `FILE:LINE:COLUMN` or `FILE:LINE`.
fn place_of(place: &str) -> (Option<&str>, u32) {
    let number = |text: &str| text.parse::<u32>().ok();
    let Some((file, last)) = place.rsplit_once(':') else {
        return (Some(place).filter(|file| !file.is_empty()), 0);
    };
    match (file.rsplit_once(':'), number(last)) {
        (Some((file, line)), Some(_column)) if number(line).is_some() => {
            (Some(file), number(line).unwrap_or_default())
        }
        (_, Some(line)) => (Some(file), line),
        (_, None) => (Some(place), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_is_known_by_its_name_without_its_version() {
        assert_eq!(of_executable("python3.12"), Runtime::CPython);
        assert_eq!(of_executable("node"), Runtime::V8);
        assert_eq!(of_executable("beam.smp"), Runtime::Beam);
        assert_eq!(of_executable("nodes"), Runtime::Native);
        assert_eq!(of_executable(""), Runtime::Native);
    }

    #[test]
    fn names_are_taken_apart_as_their_runtimes_write_them() {
        let check = |name: &str, expected: (&str, Option<&str>, u32, Runtime)| {
            let found = function(name, Runtime::Native);
            let seen = (&*found.name, found.file.as_deref(), found.start_line, found.runtime);
            assert_eq!(seen, expected, "{name}");
        };
        check("JS:*fib /srv/app.js:3:13", ("fib", Some("/srv/app.js"), 3, Runtime::V8));
        check("JS:~ file:///srv/app.js:1:1", ("(anonymous)", Some("file:///srv/app.js"), 1, Runtime::V8));
        check(
            "LazyCompile:~next node:internal/timers:12",
            ("next", Some("node:internal/timers"), 12, Runtime::V8),
        );
        check("LazyCompile:*get bar /srv/foo.js:1", ("get bar", Some("/srv/foo.js"), 1, Runtime::V8));
        check("JS:*set #size /srv/a.js:3:5", ("set #size", Some("/srv/a.js"), 3, Runtime::V8));
        check(
            "JS:~get [Symbol.toStringTag] file:///srv/my app.js:1:1",
            ("get [Symbol.toStringTag]", Some("file:///srv/my app.js"), 1, Runtime::V8),
        );
        check(
            "JS:~get node:internal/util/inspect:352",
            ("get", Some("node:internal/util/inspect"), 352, Runtime::V8),
        );
        check("JS:~get /srv/my app.js:3:5", ("get", Some("/srv/my app.js"), 3, Runtime::V8));
        check("JS:*get  /srv/a.js:3:5", ("get", Some("/srv/a.js"), 3, Runtime::V8));
        check("JS:*get size", ("get", Some("size"), 0, Runtime::V8));
        check("JS:^run", ("run", None, 0, Runtime::V8));
        check("Builtin:ArrayMap", ("Builtin:ArrayMap", None, 0, Runtime::V8));
        check("py::fib:/srv/fib.py", ("fib", Some("/srv/fib.py"), 0, Runtime::CPython));
        check("py::", ("py::", None, 0, Runtime::CPython));
        check("trace[main.lua:3]", ("trace[main.lua:3]", None, 0, Runtime::Native));
        assert_eq!(function("Lcom/foo/Bar;::run", Runtime::Jvm).runtime, Runtime::Jvm);
    }
}
