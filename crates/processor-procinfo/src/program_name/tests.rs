use proptest::prelude::*;

use super::*;

fn of(command: &str) -> Option<String> {
    let arguments: Vec<u8> = command.split(' ').flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
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
        ("node --env-file .env server.js", "server"),
        ("deno run -A --config deno.json --allow-net main.ts", "main"),
        ("deno serve --port 80 main.ts", "main"),
        ("deno main.ts run", "main"),
        ("bun run --watch src/index.ts", "index"),
        ("bun index.ts", "index"),
        ("ruby -W0 -rjson -Ilib job.rb", "job"),
        ("ruby -W:no-deprecated --encoding utf-8 job.rb", "job"),
        ("perl -d:NYTProf -Mstrict -CSD job.pl", "job"),
        ("php -S 0.0.0.0:80 -t public router.php", "router"),
        ("php8.2 -dmemory_limit=1G job.php", "job"),
        ("dotnet exec --runtimeconfig x.json Shop.dll", "Shop"),
        ("bash -eo pipefail build.sh", "build"),
    ] {
        assert_eq!(of(command).as_deref(), Some(name), "{command}");
    }
}

/// Code is no name, and neither are the arguments after it.
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
        "dotnet tool hunter2",
        "ruby -ne code file",
        "ruby -pe code",
        "ruby -lane code file",
        "ruby -we code",
        "ruby -W0e code",
        "ruby -Kue code",
        "perl -0xFFne code file",
        "perl -i.bak -pe code",
        "perl -pie code",
        "perl -de 1",
        "node -pe code",
        "node --run start",
        "php -R code",
        "php -B code file",
        "php -E code file",
        "php -nr code",
        "php --process-code code",
        "php -S 0.0.0.0:80",
        "php -- word",
        "deno eval code",
        "deno repl --eval code",
        "deno task start",
        "bun -e code",
        "bun --print code",
        "bash -oc pipefail code",
        "java @arguments word",
    ] {
        assert_eq!(of(command), None, "{command}");
    }
}

/// An executable of many programs has the name by which it is called, whatever the arguments of that program are.
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

/// A value is no name, even where it is not known that an option takes it.
#[test]
fn what_does_not_look_like_a_name_is_none() {
    let of = |argument: &str| interpreted("node", format!("node\0--unknown\0{argument}\0").as_bytes());
    for argument in ["a b", "a;b", "f(1)", "x=1", "https://h/p?token=abc", "a\nb", "'a'", "", "a,b"] {
        assert_eq!(of(argument), None, "{argument}");
    }
    assert_eq!(of("/srv/Größe-1.2/a+b@c~.js"), Some("a+b@c~".to_owned()));
}

#[test]
fn an_argument_that_is_cut_short_is_not_taken_for_whole() {
    assert_eq!(interpreted("python3", b"python3\0-u\0/srv/wor"), None);
    assert_eq!(interpreted("python3", b"python3\0/srv/worker.py\0--jo"), Some("worker".to_owned()));
    assert_eq!(interpreted("python3", b""), None);
}

proptest! {
    /// Whatever options come before or in the same argument, code has no name.
    #[test]
    fn code_is_no_name(
        (executable, option) in prop_oneof![
            ("python3|pypy3", "c"),
            ("ruby|jruby|perl", "e"),
            ("perl", "E"),
            ("node", "[ep]"),
            ("php", "[rBRE]"),
            ("bash|sh|zsh|ash", "c"),
        ],
        flags in "[nwsl]{0,3}",
        code in "[a-z]{1,8}",
    ) {
        let arguments = format!("{executable}\0-{flags}{option}\0{code}\0");
        prop_assert_eq!(interpreted(&executable, arguments.as_bytes()), None);
    }

    /// Any arguments are read: no panic, and a name is never longer than one can be.
    #[test]
    fn any_arguments_are_read(
        executable in "(python3|java|node|deno|bun|ruby|perl|php|bash|busybox|dotnet|x)",
        arguments in prop::collection::vec("[-+@/a-zA-Z.=]{0,12}|.{0,8}", 0..8),
        bytes: Vec<u8>,
    ) {
        let text: Vec<u8> = arguments.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
        for found in [interpreted(&executable, &text), interpreted(&executable, &bytes)].into_iter().flatten() {
            prop_assert!(!found.is_empty() && found.len() <= LONGEST && !found.contains('\0'));
        }
    }
}
