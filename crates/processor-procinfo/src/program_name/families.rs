//! The arguments of each family of interpreters, by their manuals.

/// The arguments of a family of interpreters.
#[derive(Debug)]
pub(super) struct Family {
    /// Names of the family's executables; a version may follow.
    pub(super) names: &'static [&'static str],
    /// Words that come before the program's name, and are no part of it.
    pub(super) commands: &'static [&'static str],
    /// Options that are followed by a value of their own, beside letters.
    pub(super) with_value: &'static [&'static str],
    /// Options that are followed by the program's name, beside letters.
    pub(super) runs: &'static [&'static str],
    /// Arguments that hold code, are followed by code, or run something that has no name.
    pub(super) no_name: &'static [&'static str],
    /// Options of one letter; `None` if a single dash begins words, as in `-jar`.
    pub(super) letters: Option<Letters>,
    /// Ends of names of files that are run, where every other name is a command; empty if any name will do.
    pub(super) ends: &'static [&'static str],
}

/// Options of one letter, which can be put together, as in `-um`. A letter that is not listed may take code.
#[derive(Debug)]
pub(super) struct Letters {
    /// Letters that take no value; digits that belong to them, too.
    pub(super) flags: &'static str,
    /// Letters that take a value: the rest of the argument, or the next one.
    pub(super) values: &'static str,
    /// Letters that take the rest of the argument alone, if there is any.
    pub(super) attached: &'static str,
    /// Letters that are followed by the program's name.
    pub(super) runs: &'static str,
    /// True if letters after one that takes a value are options, too, as in `-oe pipefail`.
    pub(super) values_come_later: bool,
}

const NO_LETTERS: Letters =
    Letters { flags: "", values: "", attached: "", runs: "", values_come_later: false };

const ANY: Family =
    Family { names: &[], commands: &[], with_value: &[], runs: &[], no_name: &[], letters: None, ends: &[] };

const SHELLS: Family = Family {
    names: &["bash", "sh", "dash", "ash", "hush", "zsh", "ksh"],
    with_value: &["--rcfile", "--init-file", "--emulate"],
    letters: Some(Letters {
        flags: "abefhiklmnprtuvxBCDEHIPTVX",
        values: "oO",
        values_come_later: true,
        ..NO_LETTERS
    }),
    ..ANY
};

const PYTHON: Family = Family {
    names: &["python", "pypy"],
    with_value: &["--check-hash-based-pycs", "--jit"],
    letters: Some(Letters { flags: "bBdEiIOPqRsStuvx3", values: "WXQ", runs: "m", ..NO_LETTERS }),
    ..ANY
};

const JAVA: Family = Family {
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
        "--enable-native-access",
        "--source",
    ],
    runs: &["-jar", "-m", "--module"],
    no_name: &["-version", "--version", "-help", "--help", "-d", "--describe-module"],
    ..ANY
};

const NODE: Family = Family {
    names: &["node", "nodejs"],
    with_value: &[
        "--require",
        "--import",
        "--conditions",
        "--loader",
        "--experimental-loader",
        "--env-file",
        "--env-file-if-exists",
        "--title",
        "--icu-data-dir",
        "--input-type",
        "--experimental-default-type",
        "--inspect-port",
        "--debug-port",
        "--diagnostic-dir",
        "--redirect-warnings",
        "--disable-warning",
        "--report-dir",
        "--report-directory",
        "--report-filename",
        "--report-signal",
        "--trace-event-categories",
        "--trace-event-file-pattern",
        "--cpu-prof-dir",
        "--cpu-prof-name",
        "--cpu-prof-interval",
        "--heap-prof-dir",
        "--heap-prof-name",
        "--heap-prof-interval",
        "--heapsnapshot-signal",
        "--heapsnapshot-near-heap-limit",
        "--openssl-config",
        "--tls-cipher-list",
        "--tls-keylog",
        "--unhandled-rejections",
        "--dns-result-order",
        "--max-http-header-size",
        "--secure-heap",
        "--secure-heap-min",
        "--snapshot-blob",
        "--watch-path",
        "--localstorage-file",
        "--allow-fs-read",
        "--allow-fs-write",
        "--test-name-pattern",
        "--test-skip-pattern",
        "--test-reporter",
        "--test-reporter-destination",
        "--test-concurrency",
        "--test-shard",
        "--test-timeout",
    ],
    no_name: &["--eval", "--print", "--interactive", "--run", "inspect"],
    letters: Some(Letters { flags: "c", values: "rC", ..NO_LETTERS }),
    ..ANY
};

const DENO: Family = Family {
    names: &["deno"],
    commands: &["run", "serve"],
    with_value: &[
        "--config",
        "--import-map",
        "--lock",
        "--cert",
        "--location",
        "--seed",
        "--log-level",
        "--ext",
        "--preload",
        "--require",
        "--import",
        "--host",
        "--port",
    ],
    no_name: &[
        "add",
        "approve-scripts",
        "audit",
        "bench",
        "bundle",
        "cache",
        "check",
        "clean",
        "compile",
        "completions",
        "coverage",
        "create",
        "deploy",
        "doc",
        "eval",
        "fmt",
        "help",
        "info",
        "init",
        "install",
        "jupyter",
        "lint",
        "lsp",
        "outdated",
        "publish",
        "remove",
        "repl",
        "sandbox",
        "task",
        "test",
        "types",
        "uninstall",
        "unstable",
        "update",
        "upgrade",
        "vendor",
        "x",
        "--eval",
        "--eval-file",
    ],
    letters: Some(Letters { flags: "AEINPqrRSW", values: "cL", ..NO_LETTERS }),
    ..ANY
};

const BUN: Family = Family {
    names: &["bun"],
    commands: &["run"],
    with_value: &[
        "--preload",
        "--require",
        "--import",
        "--config",
        "--cwd",
        "--filter",
        "--env-file",
        "--define",
        "--drop",
        "--loader",
        "--origin",
        "--port",
        "--title",
        "--shell",
        "--install",
        "--conditions",
        "--main-fields",
        "--extension-order",
        "--tsconfig-override",
        "--fetch-preconnect",
        "--max-http-header-size",
        "--elide-lines",
        "--jsx-factory",
        "--jsx-fragment",
        "--jsx-import-source",
        "--jsx-runtime",
    ],
    no_name: &[
        "a", "add", "audit", "build", "c", "create", "exec", "feedback", "i", "info", "init", "install",
        "link", "outdated", "patch", "pm", "publish", "remove", "repl", "rm", "test", "unlink", "update",
        "upgrade", "why", "x", "--eval", "--print",
    ],
    letters: Some(Letters { flags: "bi", values: "rFdlu", ..NO_LETTERS }),
    ..ANY
};

const RUBY: Family = Family {
    names: &["ruby", "jruby"],
    with_value: &[
        "--encoding",
        "--external-encoding",
        "--internal-encoding",
        "--enable",
        "--disable",
        "--dump",
        "--backtrace-limit",
        "--crash-report",
        "--parser",
    ],
    // `-i` takes the rest, too, but `-ie` is mostly a mistake for `-i -e`.
    letters: Some(Letters {
        flags: "01234567acdGilnpsSTUvwWy",
        values: "rICEX",
        attached: "FJx",
        ..NO_LETTERS
    }),
    ..ANY
};

const PERL: Family = Family {
    names: &["perl"],
    // `-x` takes the rest, too, but a number may be `0x`.
    letters: Some(Letters {
        flags: "0123456789acdfgilnpsStTuUwWX",
        values: "I",
        attached: "CDFmM",
        ..NO_LETTERS
    }),
    ..ANY
};

const PHP: Family = Family {
    names: &["php", "php-cli"],
    with_value: &[
        "--define",
        "--php-ini",
        "--zend-extension",
        "--server",
        "--docroot",
        "--rf",
        "--rc",
        "--re",
        "--rz",
        "--ri",
        "--rfunction",
        "--rclass",
        "--rextension",
        "--rzendextension",
        "--rextinfo",
    ],
    runs: &["--file", "--process-file"],
    no_name: &["--", "--run", "--process-begin", "--process-code", "--process-end", "--interactive"],
    letters: Some(Letters { flags: "qnCeHlsw", values: "cdztS", runs: "fF", ..NO_LETTERS }),
    ..ANY
};

const DOTNET: Family = Family {
    names: &["dotnet", "mono"],
    commands: &["exec"],
    with_value: &[
        "--additionalprobingpath",
        "--additional-deps",
        "--depsfile",
        "--runtimeconfig",
        "--fx-version",
        "--roll-forward",
        "--roll-forward-on-no-candidate-fx",
        "--config",
    ],
    ends: &[".dll", ".exe"],
    ..ANY
};

/// All families.
pub(super) const FAMILIES: [Family; 10] = [PYTHON, JAVA, NODE, DENO, BUN, RUBY, PERL, PHP, SHELLS, DOTNET];

impl Family {
    /// True of an executable of the family: `python`, `python3`, `python3.12`, `python3.12d`.
    pub(super) fn has(&self, executable: &str) -> bool {
        self.names.iter().any(|name| {
            executable.strip_prefix(name).is_some_and(|version| {
                version.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len() <= 1
                    && !version.starts_with(|c: char| c.is_ascii_alphabetic())
            })
        })
    }
}
