//! Tests of made-up seconds as they are shown.

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use profile_seconds::{
    AgentUse, Call, CallKind, ProcessId, ProcessUse, QueueUse, Report, Second, StageUse, ThreadUse,
};

use crate::*;

const MILLIS: u64 = 1_000_000;

/// A second in which `path` ran for 300 ms: 200 ms in `leaf`, which `main` calls, and 100 ms in the kernel below it.
/// The program is process 7, a child of process 1; process 8, another child, has ended.
fn report(number: u64, path: &str, leaf: &str) -> Report {
    let texts = ["", path, "main", leaf, "do_read", "libx.so", "[kernel]", "init", "gone-one"];
    let call =
        |parent, name, module, kind, total: u64| Call { parent, name, module, kind, total: total * MILLIS };
    let process = |pid, parent: Option<u32>, name, gone, cpu: u64| ProcessUse {
        process: ProcessId { pid, start: 1 },
        parent: parent.map(|pid| ProcessId { pid, start: 1 }),
        name,
        gone,
        cpu: cpu * MILLIS,
    };
    let second = Second {
        number,
        samples: 30,
        cpu: 350 * MILLIS,
        names: texts.map(Into::into).into(),
        calls: vec![
            call(0, 1, 0, CallKind::Executable, 300),
            call(1, 2, 5, CallKind::User, 300),
            call(2, 3, 5, CallKind::User, 300),
            call(3, 4, 6, CallKind::Kernel, 100),
            call(0, 8, 0, CallKind::Executable, 50),
        ],
        processes: vec![
            process(1, None, 7, false, 0),
            process(7, Some(1), 1, false, 300),
            process(8, Some(1), 8, true, 50),
        ],
        lost: vec![("sample_ring_full".into(), true, 2), ("file_over_budget".into(), false, 5)],
    };
    let stage = StageUse {
        kind: "exporter".into(),
        id: leaf.into(),
        samples: 30 * number,
        samples_per_second: 30,
        lag_ms: Some(400),
        done_lag_ms: Some(1_250),
        queue: Some(QueueUse { used_bytes: 2_048, capacity_bytes: 8 << 20 }),
        dropped: 3,
        busy_permille: Some(12),
        failure: Some(path.into()),
    };
    let thread = ThreadUse { name: leaf.into(), threads: 2, cpu_permille: 15 };
    let agent = AgentUse { cpu_permille: 21, memory_bytes: 50 << 20, threads: vec![thread] };
    Report { second, cpus: 4, lag_ms: 430, agent, stages: vec![stage], skipped: 0 }
}

fn history(path: &str, leaf: &str) -> History {
    let mut history = History::default();
    (1_000..1_020).for_each(|number| history.take(report(number, path, leaf)));
    history
}

/// The screen of a terminal of this size, as rows without blanks at their ends.
fn screen(history: &History, view: &mut View, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let screen = Screen { source: "agent 5", has_colors: true };
    terminal.draw(|frame| draw(history, view, &screen, frame.buffer_mut())).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(row).collect()
}

fn view(tab: Tab) -> View {
    View::new(tab, Sort::Own, "")
}

#[test]
fn each_view_of_a_small_terminal_has_what_it_is_of() {
    let history = history("/usr/bin/x", "leaf");
    let executables = screen(&history, &mut view(Tab::Executables), 80, 24);
    assert_eq!(executables[0], "pipeline top  1 executables  2 functions  3 processes  4 icicle  5 stages");
    assert!(
        executables[1].starts_with("CPU 35.0 % of 400 %, 30 samples/s, last 5 s, by self"),
        "{executables:#?}"
    );
    assert_eq!(executables[2], "  CPU %*  LAST 20 s             EXECUTABLE");
    assert_eq!(executables[3], "    30.0  ████████████████████  /usr/bin/x");
    assert_eq!(executables[4], "     5.0  ████████████████████  gone-one");
    assert_eq!(executables[23], "lost 40  lag 0.4 s  agent 2.1 % CPU 50 MiB  ? help  q quit  agent 5");

    let functions = screen(&history, &mut view(Tab::Functions), 80, 24);
    let bars = "█".repeat(10);
    assert_eq!(functions[3], format!("    20.0     30.0  {bars}  leaf (libx.so)"));
    assert_eq!(functions[4], format!("    10.0     10.0  {bars}  do_read ([kernel])"));
    assert_eq!(functions[5], format!("     0.0     30.0  {bars}  main (libx.so)"));

    let processes = screen(&history, &mut view(Tab::Processes), 80, 24);
    assert_eq!(processes[3], format!("     0.0     35.0  {:20}  1 init", ""));
    assert_eq!(processes[4], format!("    30.0     30.0  {}   7 /usr/bin/x", "█".repeat(20)));
    assert_eq!(processes[5], format!("     5.0      5.0  {}   8 gone-one (gone)", "█".repeat(20)));

    let icicle = screen(&history, &mut view(Tab::Icicle), 80, 24);
    assert_eq!(icicle[2], "▏everything");
    assert!(icicle[3].starts_with("▏x") && icicle[3].ends_with("▏gone-one"), "{icicle:#?}");
    assert!(icicle[4].starts_with("▏main") && icicle[6].starts_with("▏do_read"), "{icicle:#?}");
    assert_eq!(icicle[22], "100.0 % of all: everything");

    let stages = screen(&history, &mut view(Tab::Stages), 80, 24);
    assert_eq!(stages[2], "STAGE                    SAMPLES/s      LAG     DONE BUSY %    QUEUE  DROPPED");
    assert_eq!(stages[3], "exporter leaf                   30    0.4 s    1.2 s    1.2    2 KiB        3");
    assert_eq!((&*stages[4], &*stages[7]), ("  /usr/bin/x", "leaf                             2      1.5"));
}

#[test]
fn a_wide_terminal_has_a_minute_and_whole_stages() {
    let history = history("/usr/bin/x", "leaf");
    let executables = screen(&history, &mut view(Tab::Executables), 200, 60);
    assert_eq!(executables[2], format!("  CPU %*  {:60}  EXECUTABLE", "LAST 60 s"));
    assert_eq!(executables[3], format!("    30.0  {:>60}  /usr/bin/x", "█".repeat(20)));
    let stages = screen(&history, &mut view(Tab::Stages), 200, 60);
    assert!(stages[3].contains("2 KiB of 8 MiB") && stages[3].contains(&"█".repeat(19)), "{stages:#?}");
}

#[test]
fn keys_choose_filter_sort_and_freeze() {
    let history = history("/usr/bin/x", "leaf");
    let mut shown = view(Tab::Executables);
    let press = |shown: &mut View, keys: &str| {
        for key in keys.chars() {
            assert_eq!(shown.press(Key::Character(key), &history), Outcome::Draw);
        }
    };
    press(&mut shown, "/GONE");
    let rows = screen(&history, &mut shown, 80, 24);
    assert!(
        rows[1].contains("filter /GONE_") && rows[3].ends_with("gone-one") && rows[4].is_empty(),
        "{rows:#?}"
    );
    shown.press(Key::Enter, &history);
    press(&mut shown, "3");
    let rows = screen(&history, &mut shown, 80, 24);
    assert!(
        rows[3].ends_with(" 1 init") && rows[4].ends_with("8 gone-one (gone)"),
        "with what is above it: {rows:#?}"
    );
    assert!(rows[3].starts_with("     0.0      5.0"), "a total of what is listed: {rows:#?}");
    shown.press(Key::Escape, &history);
    press(&mut shown, "2sN");
    assert!(screen(&history, &mut shown, 80, 24)[3].ends_with("do_read ([kernel])"));
    press(&mut shown, "T");
    assert!(screen(&history, &mut shown, 80, 24)[3].ends_with("leaf (libx.so)"));
    press(&mut shown, "w");
    assert!(screen(&history, &mut shown, 80, 24)[1].contains("last 15 s, by total"));
    press(&mut shown, " ");
    assert!(shown.is_frozen() && screen(&history, &mut shown, 80, 24)[0].ends_with("FROZEN"));
    press(&mut shown, "l");
    let rows = screen(&history, &mut shown, 80, 24);
    assert_eq!(
        (&*rows[3], &*rows[4]),
        ("           100  records   file_over_budget", "            40  samples   sample_ring_full")
    );
    press(&mut shown, "x?");
    assert!(screen(&history, &mut shown, 80, 24)[2].starts_with(" 1 2 3 4 5, Tab"));
    shown.press(Key::Escape, &history);
    assert_eq!(shown.press(Key::Character('q'), &history), Outcome::Quit);
    assert_eq!(view(Tab::Icicle).press(Key::Interrupt, &history), Outcome::Quit);
}

#[test]
fn an_executable_is_entered_and_left() {
    let history = history("/usr/bin/x", "leaf");
    let mut shown = view(Tab::Executables);
    shown.press(Key::Down, &history);
    shown.press(Key::Enter, &history);
    let rows = screen(&history, &mut shown, 80, 24);
    assert!(rows[1].contains(", of gone-one") && rows[3].is_empty(), "it has no functions: {rows:#?}");
    shown.press(Key::Escape, &history);
    shown.press(Key::Enter, &history);
    let rows = screen(&history, &mut shown, 80, 24);
    assert!(rows[1].contains(", of /usr/bin/x") && rows[3].ends_with("leaf (libx.so)"), "{rows:#?}");
    assert!(rows[3].contains('█') && rows[6].is_empty(), "{rows:#?}");
    shown.press(Key::Character('4'), &history);
    assert!(screen(&history, &mut shown, 80, 24)[2].starts_with("▏x"));
}

#[test]
fn the_icicle_is_walked_and_zoomed() {
    let history = history("/usr/bin/x", "leaf");
    let mut shown = view(Tab::Icicle);
    let chosen = |shown: &mut View| screen(&history, shown, 80, 24)[22].clone();
    for (key, text) in [
        (Key::Down, "85.7 % of all: /usr/bin/x"),
        (Key::Right, "14.3 % of all: gone-one"),
        (Key::Right, "14.3 % of all: gone-one"),
        (Key::Left, "85.7 % of all: /usr/bin/x"),
        (Key::Down, "85.7 % of all: main (libx.so)"),
        (Key::Enter, "85.7 % of all: main (libx.so)"),
        (Key::Up, "85.7 % of all: main (libx.so)"),
        (Key::Down, "85.7 % of all: leaf (libx.so)"),
    ] {
        shown.press(key, &history);
        assert_eq!(chosen(&mut shown), text, "{key:?}");
    }
    assert!(screen(&history, &mut shown, 80, 24)[2].starts_with("▏main"), "what was zoomed is on top");
    shown.press(Key::Escape, &history);
    shown.press(Key::Escape, &history);
    assert_eq!(screen(&history, &mut shown, 80, 24)[2], "▏everything");
}

#[test]
fn without_colours_nothing_is_coloured_and_what_has_ended_stays_dim() {
    let history = history("/usr/bin/x", "leaf");
    let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
    for tab in Tab::ALL {
        draw(&history, &mut view(tab), &Screen { source: "", has_colors: false }, &mut buffer);
        assert!(
            buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset),
            "{tab:?}"
        );
    }
    draw(&history, &mut view(Tab::Processes), &Screen::default(), &mut buffer);
    assert!(
        buffer[(0, 5)].modifier.contains(Modifier::DIM) && !buffer[(0, 4)].modifier.contains(Modifier::DIM)
    );
    assert!(buffer[(0, 3)].modifier.contains(Modifier::REVERSED));
}

#[test]
fn tables_are_the_same_without_a_terminal() {
    let history = history("/usr/bin/x", "leaf");
    assert_eq!(
        plain(&history, &view(Tab::Executables), 1),
        "CPU 35.0 % of 400 %, 30 samples/s, last 5 s, by self; lost 40  lag 0.4 s  agent 2.1 % CPU 50 MiB\n\
         lost 100 by file_over_budget\nlost 40 by sample_ring_full\n\
         \x20 CPU %*  EXECUTABLE\n    30.0  /usr/bin/x\n(1 more)\n"
    );
    let icicle = plain(&history, &view(Tab::Icicle), 9);
    let calls: Vec<_> = icicle.lines().skip(4).collect();
    assert_eq!(
        calls,
        [
            "    85.7  /usr/bin/x",
            "    85.7   main (libx.so)",
            "    85.7    leaf (libx.so)",
            "    28.6     do_read ([kernel])",
            "    14.3  gone-one"
        ]
    );
    assert!(plain(&history, &view(Tab::Processes), 9).ends_with("    8 gone-one (gone)\n"));
    assert!(plain(&history, &view(Tab::Stages), 9).contains("THREADS OF THE AGENT"));
}

/// A minute of seconds and the names in them are held, however long they keep coming.
#[test]
fn a_minute_is_held() {
    let mut history = History::default();
    for number in 1_000..4_000 {
        let mut report = report(number, &format!("/x/{number}"), "leaf");
        report.second.names.extend((0..100).map(|name| format!("{number} {name}").into()));
        history.take(report);
    }
    assert_eq!(history.seconds(), SECONDS);
    assert!(history.names.len() < 100_000, "{}", history.names.len());
    let rows = plain(&history, &view(Tab::Executables).with_window(60), 100);
    assert!(
        rows.contains("/x/3999\n") && rows.contains("/x/3940\n") && !rows.contains("/x/3939\n"),
        "{rows}"
    );
    history.take(report(7, "/other", "leaf"));
    assert_eq!(history.seconds(), 1, "the clock of another machine or boot");
}

/// A chosen executable stays the same, however many names come and go and are numbered anew.
#[test]
fn what_is_chosen_stays_the_same_executable() {
    let mut history = history("/usr/bin/app", "hot");
    let mut view = view(Tab::Executables);
    view.press(Key::Enter, &history);
    let frozen = history.clone();
    for number in 0..70_000_u64 {
        history.names.id(&format!("name-{number}"));
    }
    // Another name has the first number from here on.
    history.take(report(1_020, "/usr/bin/zzz", "first"));
    history.take(report(1_021, "/usr/bin/app", "hot"));
    assert!(history.names.len() < 1_000, "names have been numbered anew");
    for history in [&frozen, &history] {
        let shown = screen(history, &mut view, 100, 24).join("\n");
        assert!(shown.contains(", of /usr/bin/app") && shown.contains("hot"), "{shown}");
        assert!(!shown.contains("first"), "{shown}");
    }
    view.press(Key::Character('4'), &history);
    let shown = screen(&history, &mut view, 100, 24).join("\n");
    assert!(shown.contains("of all: /usr/bin/app"), "{shown}");
}

/// Seconds that were not sent are counted, and are not taken for quiet ones.
#[test]
fn seconds_that_were_not_sent_are_not_quiet() {
    let mut history = history("/usr/bin/app", "hot");
    let view = view(Tab::Executables).with_window(10);
    let figures = |history: &History| plain(history, &view, 5).lines().next().unwrap().to_owned();
    let before = figures(&history);
    let share = |line: &str| line.split(" %").next().unwrap().to_owned();
    assert!(!before.contains("not seen"));
    history.take(Report { skipped: 4, ..report(1_024, "/usr/bin/app", "hot") });
    let after = figures(&history);
    assert_eq!(share(&after), share(&before), "{after}");
    assert!(after.contains("last 6 s") && after.contains(", 4 s not seen"), "{after}");
    // The seconds before were not skipped: nothing ran in them. Three skipped ones are still in the window.
    history.take(report(1_030, "/usr/bin/app", "hot"));
    assert!(figures(&history).contains("last 7 s"), "{}", figures(&history));
}

/// Processes that are each other's parents are listed once, and a line of ancestors has an end.
#[test]
fn a_circle_of_processes_is_listed_once() {
    let mut report = report(5, "/x", "leaf");
    let id = |pid| ProcessId { pid, start: 1 };
    report.second.processes[0].parent = Some(id(7));
    report.second.processes.extend((100..300).map(|pid| ProcessUse {
        process: id(pid),
        parent: Some(id(pid + 1)),
        cpu: u64::from(pid == 100),
        ..ProcessUse::default()
    }));
    let mut history = History::default();
    history.take(report);
    let text = plain(&history, &view(Tab::Processes), 1_000);
    assert_eq!(text.matches(" 7 /x").count(), 1, "{text}");
    assert!(text.matches(" ?").count() >= 64, "{text}");
}

/// Names that try to steer a terminal.
fn hostile() -> impl Strategy<Value = String> {
    let parts = prop_oneof![
        Just("\u{1b}[2J".to_owned()),
        Just("\u{1b}]0;x\u{7}".to_owned()),
        Just("\r\n".to_owned()),
        Just("\u{202e}\u{2066}".to_owned()),
        Just("\u{9b}31m".to_owned()),
        Just("e\u{301}\u{301}\u{fe0f}\u{200d}".to_owned()),
        Just("中👩‍👩‍👧".to_owned()),
        "[ -~]{0,8}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(parts, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No name steers the terminal, in any view of any size, whatever keys are pressed.
    #[test]
    fn no_name_steers_the_terminal(
        path in hostile(), leaf in hostile(), filter in hostile(), source in hostile(),
        keys in "[1-5swSTNl?/fjkg ]{0,6}", width in 0_u16..130, height in 0_u16..40,
    ) {
        let history = history(&path, &leaf);
        for tab in Tab::ALL {
            let mut shown = View::new(tab, Sort::Own, &filter);
            let text = plain(&history, &shown, 9);
            prop_assert!(!text.contains(|c| c != '\n' && textline::is_unseen(c)), "{text:?}");
            for key in keys.chars() {
                shown.press(Key::Character(key), &history);
            }
            let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
            draw(&history, &mut shown, &Screen { source: &source, has_colors: true }, &mut buffer);
            for cell in &buffer.content {
                prop_assert!(!cell.symbol().contains(textline::is_unseen), "{:?}", cell.symbol());
            }
        }
    }
}
