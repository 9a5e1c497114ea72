"""Runs inside gdb: prints the program's registers, frames and stacks where it stops itself by SIGSTOP.

If the variable STEPS_OF names a function, then at each instruction from the beginning of that until it returns, whatever
it calls included, but at most at STEPS of them. Each line is a word and numbers in hex:

    map START END OFFSET PATH      executable mappings of files
    stop                           what follows belongs to this stop
    register VALUE                 rax rdx rcx rbx rsi rdi rbp rsp r8 to r15, rip
    memory START BYTES             a stack, from below its stack pointer on
    frame PC                       leaf first
"""

import os

import gdb

REGISTERS = "rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split()
RED_ZONE = 128
MOST_BYTES = 64 << 10


def register(frame, name):
    return int(frame.read_register(name)) & (1 << 64) - 1


def mappings():
    with open(f"/proc/{gdb.selected_inferior().pid}/maps") as lines:
        for line in lines:
            fields = line.split(maxsplit=5)
            start, end = (int(number, 16) for number in fields[0].split("-"))
            yield start, end, fields[1], int(fields[2], 16), fields[5].strip() if len(fields) > 5 else ""


def show_stack(pointer, maps):
    for start, end, *_ in maps:
        if start <= pointer < end:
            begin = max(pointer - RED_ZONE, start)
            bytes_ = gdb.selected_inferior().read_memory(begin, min(end - begin, MOST_BYTES))
            print(f"memory {begin:x} {bytes(bytes_).hex()}")


def show_stop():
    print("stop")
    frame = gdb.newest_frame()
    for name in REGISTERS:
        print(f"register {register(frame, name):x}")
    maps = list(mappings())
    show_stack(register(frame, "rsp"), maps)
    while frame is not None:
        # The others are no frames of the stack: what a compiler has put in place of a call.
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            print(f"frame {frame.pc():x}")
        older = frame.older()
        if older is not None and frame.type() == gdb.SIGTRAMP_FRAME:
            show_stack(register(older, "rsp"), maps)
        frame = older


for command in ("set pagination off", "set width 0", "set startup-with-shell off", "set debuginfod enabled off"):
    gdb.execute(command)
# Down to where the kernel has begun the program; as many frames as there are.
for command in ("set backtrace past-main on", "set backtrace past-entry on", "set backtrace limit unlimited"):
    gdb.execute(command)
# What lies above the frames is then little.
gdb.execute("unset environment")
# A signal that the program handles itself goes to it.
gdb.execute("handle SIGILL nostop noprint pass")
function = os.environ.get("STEPS_OF")
if function:
    gdb.execute(f"break *&{function}")
gdb.execute("run")
for start, end, access, offset, path in mappings():
    if "x" in access and path.startswith("/"):
        print(f"map {start:x} {end:x} {offset:x} {path}")
show_stop()
if function:
    behind = gdb.newest_frame().older().pc()
    for _ in range(int(os.environ["STEPS"])):
        gdb.execute("stepi", to_string=True)
        show_stop()
        if gdb.newest_frame().pc() == behind:
            break
gdb.execute("kill")
