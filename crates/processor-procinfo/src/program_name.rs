//! What an interpreter runs, by its arguments: a script, a module, a class or an archive; and which of its programs a
//! file is that holds many.
//!
//! Only the names of files and modules are taken, never code that an argument holds.

use std::borrow::Cow;

/// The longest name; what is longer is no name that anybody has given.
const LONGEST: usize = 255;

/// How a family of interpreters reads its arguments.
struct Family {
    /// How executables of the family are called; a version may follow.
    names: &'static [&'static str],
    /// Options that are followed by a value of their own.
    with_value: &'static [&'static str],
    /// Options that are followed by what is run.
    runs: &'static [&'static str],
    /// Options that hold code, or have none run.
    no_name: &'static [&'static str],
    /// True if short options can be put together, as in `-um`.
    clusters: bool,
}

const FAMILIES: [Family; 8] = [
    Family {
        names: &["python", "pypy"],
        with_value: &["-W", "-X", "-Q", "--check-hash-based-pycs"],
        runs: &["-m"],
        no_name: &["-c", "-V", "-h"],
        clusters: true,
    },
    Family {
        names: &["java"],
        with_value: &[
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "--upgrade-module-path",
            "--add-modules",
            "--add-exports",
            "--add-opens",
            "--add-reads",
            "--patch-module",
            "--limit-modules",
            "--source",
        ],
        runs: &["-jar", "-m", "--module"],
        no_name: &["-version", "--version", "-help"],
        clusters: false,
    },
    Family {
        names: &["node", "nodejs", "bun", "deno"],
        with_value: &[
            "-r",
            "--require",
            "--import",
            "-C",
            "--conditions",
            "--loader",
            "--experimental-loader",
        ],
        runs: &[],
        no_name: &["-e", "--eval", "-p", "--print", "-i"],
        clusters: false,
    },
    Family {
        names: &["ruby", "jruby"],
        with_value: &["-r", "-I", "-C", "-E"],
        runs: &[],
        no_name: &["-e"],
        clusters: false,
    },
    Family { names: &["perl"], with_value: &["-I"], runs: &[], no_name: &["-e", "-E"], clusters: true },
    Family {
        names: &["php", "php-cli"],
        with_value: &["-c", "-d", "-z"],
        runs: &["-f"],
        no_name: &["-r", "-a"],
        clusters: false,
    },
    Family {
        names: &["bash", "sh", "dash", "ash", "hush", "zsh", "ksh"],
        with_value: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"],
        runs: &[],
        no_name: &["-c", "-s"],
        clusters: true,
    },
    Family {
        names: &["dotnet", "mono"],
        with_value: &["--additionalprobingpath", "--depsfile", "--runtimeconfig"],
        runs: &["exec"],
        no_name: &["build", "run", "test", "restore"],
        clusters: false,
    },
];

/// Executables that hold many programs, and are the one that they are called by: by the name of a link, or by their
/// first argument.
const MULTI_CALL: [&str; 5] = ["busybox", "busybox.static", "busybox-extras", "toybox", "coreutils"];

/// Extensions of what is run, which are no part of its name.
const EXTENSIONS: [&str; 14] = [
    ".pyz", ".pyc", ".py", ".jar", ".war", ".mjs", ".cjs", ".js", ".ts", ".rb", ".pl", ".php", ".dll", ".sh",
];

/// True if an executable of that name runs what its arguments name.
pub(crate) fn is_interpreter(executable: &str) -> bool {
    MULTI_CALL.contains(&executable) || FAMILIES.iter().any(|family| family.has(executable))
}

/// The name of what an executable runs; `None` if it is no interpreter, or its arguments do not say.
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
    // Of the other programs it is the program alone that counts: what follows is theirs.
    interpreted.and_then(|family| family.interpreted(arguments)).or(Some(applet))
}

/// Which of its programs an executable of many is.
fn applet<'a>(called: &str, arguments: &mut impl Iterator<Item = Cow<'a, str>>) -> Option<String> {
    // A shell that somebody has logged in to has a dash before its name.
    let called = name(called.trim_start_matches('-'))?;
    if !MULTI_CALL.contains(&called.as_str()) {
        return Some(called);
    }
    let first = arguments.next()?;
    // What begins with a dash is an option of all of it, such as `--list`.
    if first.starts_with('-') { None } else { name(&first) }
}

/// The name of a file or module that is run.
pub(crate) fn name(path: &str) -> Option<String> {
    // `-m module/class`, `-m package.__main__` and a directory's `__main__.py` are called by what is around that.
    let path = path.trim_end_matches('/');
    let path = ["/__main__.py", ".__main__"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
    let last = path.rsplit('/').next().unwrap_or(path);
    let name = EXTENSIONS.iter().find_map(|end| last.strip_suffix(end)).filter(|name| !name.is_empty());
    let name = name.unwrap_or(last);
    (!name.is_empty() && name != "-" && name.len() <= LONGEST).then(|| name.to_owned())
}

/// What an argument means.
enum Argument<'a> {
    Option,
    OptionWithValue,
    /// The next argument is what is run.
    RunsNext,
    Runs(&'a str),
    NoName,
}

impl Family {
    /// True of an executable of the family: `python`, `python3`, `python3.12`, `python3.12d`.
    fn has(&self, executable: &str) -> bool {
        self.names.iter().any(|name| {
            executable.strip_prefix(name).is_some_and(|version| {
                version.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len() <= 1
                    && !version.starts_with(|c: char| c.is_ascii_alphabetic())
            })
        })
    }

    /// The name of what one of the family runs, by the arguments behind its own name.
    fn interpreted<'a>(&self, mut arguments: impl Iterator<Item = Cow<'a, str>>) -> Option<String> {
        while let Some(argument) = arguments.next() {
            match self.read(&argument) {
                Argument::Option => {}
                Argument::OptionWithValue => drop(arguments.next()),
                Argument::RunsNext => return name(&arguments.next()?),
                Argument::Runs(what) => return name(what),
                Argument::NoName => return None,
            }
        }
        None
    }

    fn read<'a>(&self, argument: &'a Cow<'a, str>) -> Argument<'a> {
        let argument: &str = argument;
        let is = |options: &[&str]| options.contains(&argument);
        if is(self.runs) || argument == "--" {
            return Argument::RunsNext;
        }
        if is(self.no_name) || argument == "-" {
            return Argument::NoName;
        }
        if is(self.with_value) {
            return Argument::OptionWithValue;
        }
        // A file of more arguments.
        if argument.starts_with('@') {
            return Argument::Option;
        }
        if !argument.starts_with(['-', '+']) {
            return Argument::Runs(argument);
        }
        if self.clusters && !argument.starts_with("--") {
            self.read_cluster(argument)
        } else {
            Argument::Option
        }
    }

    /// Short options in one argument: the first of them that takes a value takes the rest, or the next argument.
    fn read_cluster<'a>(&self, argument: &'a str) -> Argument<'a> {
        for (place, option) in argument.char_indices().skip(1) {
            let rest = argument.get(place + option.len_utf8()..).unwrap_or_default();
            let is = |options: &[&str]| {
                options.iter().any(|other| other.strip_prefix('-') == Some(option.encode_utf8(&mut [0; 4])))
            };
            match (is(self.runs), is(self.no_name), is(self.with_value), rest.is_empty()) {
                (true, _, _, true) => return Argument::RunsNext,
                (true, _, _, false) => return Argument::Runs(rest),
                (_, true, _, _) => return Argument::NoName,
                (_, _, true, true) => return Argument::OptionWithValue,
                (_, _, true, false) => return Argument::Option,
                _ => {}
            }
        }
        Argument::Option
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(command: &str) -> Option<String> {
        let arguments: Vec<u8> =
            command.split(' ').flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
        let executable = command.split(' ').next().unwrap().rsplit('/').next().unwrap();
        interpreted(executable, &arguments)
    }

    #[test]
    fn an_interpreter_is_called_by_what_it_runs() {
        for (command, name) in [
            ("python3 /srv/app/worker.py --jobs 3", "worker"),
            ("/usr/bin/python3.12 -u -W ignore -m celery.bin worker", "celery.bin"),
            ("python3 -um uvicorn app:main", "uvicorn"),
            ("python3 -muvicorn app:main", "uvicorn"),
            ("python3 -X dev /srv/shop/__main__.py", "shop"),
            ("python3 -m shop.__main__", "shop"),
            ("pypy3 app.pyz", "app"),
            ("java -Xmx1g -cp a.jar:b.jar com.acme.Cart --port 1", "com.acme.Cart"),
            ("java @args -Dx=y -jar /opt/cart-1.2.jar server", "cart-1.2"),
            ("java -p mods -m com.acme/com.acme.Main", "com.acme.Main"),
            ("node --max-old-space-size=4096 -r ./tracing.js dist/server.js", "server"),
            ("nodejs bin/www", "www"),
            ("ruby -I lib -S puma", "puma"),
            ("perl -w -I lib script.pl", "script"),
            ("php -d memory_limit=1G -f job.php", "job"),
            ("bash -e -o pipefail ./build.sh all", "build"),
            ("sh -x /etc/init.d/cron", "cron"),
            ("dotnet /app/Shop.dll", "Shop"),
            ("dotnet exec Shop.dll", "Shop"),
            ("python3 -- -odd.py", "-odd"),
        ] {
            assert_eq!(of(command).as_deref(), Some(name), "{command}");
        }
    }

    /// An executable of many programs is the one that it is called by, whatever the arguments of that are.
    #[test]
    fn an_executable_of_many_programs_is_called_by_the_one_that_it_is() {
        for (executable, command, name) in [
            ("busybox", "busybox wget -O - http://host/a-secret", "wget"),
            ("busybox", "/bin/wget -O - http://host/a-secret", "wget"),
            ("busybox", "grep secret", "grep"),
            ("busybox", "busybox sh -x /etc/init.d/cron", "cron"),
            ("busybox", "sh /srv/job.sh", "job"),
            ("busybox", "sh -c code", "sh"),
            ("busybox", "-ash", "ash"),
            ("busybox.static", "busybox.static gzip -9", "gzip"),
            ("toybox", "/system/bin/ls -l", "ls"),
            ("coreutils", "sort -u names", "sort"),
        ] {
            let arguments: Vec<u8> =
                command.split(' ').flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
            assert_eq!(interpreted(executable, &arguments).as_deref(), Some(name), "{command}");
        }
        for command in ["busybox", "busybox --list", "busybox -"] {
            assert_eq!(of(command), None, "{command}");
        }
    }

    /// Code is no name, and neither is what follows it.
    #[test]
    fn what_has_no_name_gets_none() {
        for command in [
            "python3",
            "python3 -c import_os secret",
            "python3 -uc code",
            "bash -c make_all name",
            "bash -ec code",
            "node -e code file.js",
            "perl -ne code file",
            "perl -pe code",
            "node",
            "java -version",
            "cat /etc/passwd",
            "pythonic file.py",
            "bashful file",
            "sh -s file",
            "python3 -",
            "dotnet build x.sln",
        ] {
            assert_eq!(of(command), None, "{command}");
        }
    }

    #[test]
    fn an_argument_that_is_cut_short_is_not_taken_for_whole() {
        assert_eq!(interpreted("python3", b"python3\0-u\0/srv/wor"), None);
        assert_eq!(interpreted("python3", b"python3\0/srv/worker.py\0--jo"), Some("worker".to_owned()));
        assert_eq!(interpreted("python3", b""), None);
    }

    proptest! {
        /// Any arguments are read: no panic, and a name is never longer than one can be.
        #[test]
        fn any_arguments_are_read(
            executable in "(python3|java|node|ruby|perl|php|bash|dotnet|busybox|x)",
            arguments in prop::collection::vec("[-+@/a-zA-Z.=]{0,12}|.{0,8}", 0..8),
            bytes: Vec<u8>,
        ) {
            let text: Vec<u8> = arguments.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
            for found in [interpreted(&executable, &text), interpreted(&executable, &bytes)].into_iter().flatten() {
                prop_assert!(!found.is_empty() && found.len() <= LONGEST && !found.contains('\0'));
            }
        }
    }
}
