//! Programs whose code, calls or C library are odd.

use std::process::{Command, Stdio};

use pdata::StackEnd;
use receiver_ebpf::UnwindConfig;

use crate::program::{Program, RECURSION, names, watch, working};
use crate::{DEPTH, ENOUGH};

/// The names of a stack below `work`, leaf first, each with the number of its frames in a row.
type Callers<'a> = &'a [(&'static str, usize)];

/// Watches a program until enough samples are in `work`: each has `callers` below that, and reaches its root.
fn all_are(program: &Program, functions: &[&'static str], callers: Callers<'_>) {
    let samples = watch(UnwindConfig::default(), program, ENOUGH);
    let functions: Vec<_> = functions.iter().map(|name| (*name, program.function(name))).collect();
    let found = working(samples.iter(), &functions[0].1, &program.path);
    assert!(found.len() >= ENOUGH, "{} samples", found.len());
    for sample in &found {
        let names = names(sample, program, &functions);
        assert_eq!(names.get(1..=callers.len()), Some(callers), "{names:?} {sample:?}");
        assert_eq!(sample.stack.end, StackEnd::Root, "{names:?} {sample:?}");
    }
}

/// A call that never returns may be the last instruction of its function: the return address is then the first one of
/// the next function, where the stack pointer is another.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_function_may_end_with_a_call_that_does_not_return() {
    let source = format!(
        "{RECURSION}
        __attribute__((noreturn, noinline)) void forever(void) {{ for (;;) descend({DEPTH}); }}
        __attribute__((noinline)) void last(long at) {{ volatile char room[72]; room[at] = 1; forever(); }}
        __attribute__((noinline)) long next(int rounds) {{ return work(rounds) + descend(rounds); }}
        int main(int count, char **none) {{ if (count > 5) return next(count); last(count); }}"
    );
    let program = Program::start(&source, &["-falign-functions=1", "-fno-reorder-functions"]);
    let (last, next) = (program.function("last"), program.function("next"));
    assert_eq!(last.end, next.start, "the functions follow each other");
    let callers = [("descend", DEPTH + 1), ("forever", 1), ("last", 1), ("main", 1)];
    all_are(&program, &["work", "descend", "forever", "last", "next", "main"], &callers);
}

/// Code that a program has copied into anonymous memory, as Node does for huge pages, has the rows of its file.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn code_in_anonymous_memory_in_place_of_its_file_has_the_files_rows() {
    let source = format!(
        "#define _GNU_SOURCE
        #include <stdint.h>
        #include <string.h>
        #include <sys/mman.h>
        {RECURSION}
        extern char __etext;
        int main() {{
            uintptr_t start = (uintptr_t)main & -4096L, bytes = (((uintptr_t)&__etext + 4095) & -4096L) - start;
            char *copy = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            memcpy(copy, (void *)start, bytes);
            if (mprotect(copy, bytes, PROT_READ | PROT_EXEC)) return 1;
            if (mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, start) == MAP_FAILED) return 1;
            for (;;) descend({DEPTH});
        }}"
    );
    let program = Program::start(&source, &[]);
    all_are(&program, &["work", "descend", "main"], &[("descend", DEPTH + 1), ("main", 1)]);
}

/// musl has no tables: what it calls reaches a root all the same, in a static program, in a dynamic one, and in a
/// thread.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn programs_and_threads_of_musl_reach_their_root() {
    let has_musl = Command::new("musl-gcc").arg("--version").stdout(Stdio::null()).status();
    if !has_musl.is_ok_and(|status| status.success()) {
        eprintln!("no musl-gcc: programs of musl are not tried");
        return;
    }
    let main = format!("{RECURSION} int main() {{ for (;;) descend({DEPTH}); }}");
    let thread = format!(
        "#include <pthread.h>
        {RECURSION}
        static void *run(void *none) {{ for (;;) descend({DEPTH}); return none; }}
        int main() {{ pthread_t one; pthread_create(&one, 0, run, 0); pthread_join(one, 0); }}"
    );
    let callers = [("descend", DEPTH + 1), ("main", 1), ("other", 1)];
    for flags in [&["-static"][..], &[]] {
        all_are(&Program::start_by("musl-gcc", &main, flags), &["work", "descend", "main"], &callers);
    }
    let callers = [("descend", DEPTH + 1), ("run", 1), ("other", 1)];
    all_are(&Program::start_by("musl-gcc", &thread, &["-static"]), &["work", "descend", "run"], &callers);
}

/// Go calls C on another stack than its own, which lies above that; its frame pointers lead back.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_stack_goes_on_below_where_go_has_changed_to_another() {
    // As `runtime.systemstack` does it, by a descriptor that has the new stack pointer where a goroutine's has it. What
    // makes the file one of Go's is its table of functions.
    let source = format!(
        "#include <pthread.h>
        {RECURSION}
        void change(void (*to)(void), void *descriptor);
        __asm__(\"change: push %rbp; mov %rsp, %rbp; mov 0x38(%rsi), %rsp; call *%rdi; mov %rbp, %rsp; pop %rbp; ret\\n\"
                \".type change, @function; .size change, . - change; .section .gopclntab, \\\"a\\\"; .byte 0; .text\");
        static void enter(void) {{ for (;;) descend({DEPTH}); }}
        static void *run(void *descriptor) {{ change(enter, descriptor); return descriptor; }}
        int main() {{
            static void *descriptor[8];
            char above[65536] __attribute__((aligned(16)));
            pthread_t one;
            descriptor[7] = above + sizeof(above);
            pthread_create(&one, 0, run, descriptor);
            pthread_join(one, 0);
        }}"
    );
    let program = Program::start(&source, &[]);
    let callers = [("descend", DEPTH + 1), ("enter", 1), ("change", 1), ("run", 1)];
    all_are(&program, &["work", "descend", "enter", "change", "run"], &callers);
}
