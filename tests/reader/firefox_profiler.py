"""The Firefox Profiler's own loader, upgrader and counts, by the program that Mozilla publishes them in for terminals.

The program (npm: @firefox-devtools/profiler-cli) has a daemon with a unix socket, which is asked through here: a process
for each question, as its command line has it, would take minutes for a recording of a thousand threads. The daemon is
started here too, since the command line gives it half a second to start, which a busy machine does not.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

SESSION = "formats"
# Longest that a start or an answer may take on a busy machine, seconds.
PATIENCE = 300


class Refused(Exception):
    """What the profiler says of a file that it cannot read, or of a question."""


class Daemon:
    """The profiler with one profile; it ends with the block."""

    def __init__(self, program, profile, directory):
        self.path = Path(directory) / f"{SESSION}.sock"
        # No symbol server is asked: the machine may have no network, and names are in the file.
        environment = {**os.environ, "PROFILER_CLI_SESSION_DIR": directory, "PROFILER_CLI_NO_SYMBOLICATE": "1"}
        command = [shutil.which("node"), str(program), "--daemon", str(profile), "--session", SESSION]
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        try:
            self.socket = self.until("start", self.connect)
            self.answers = self.socket.makefile("r", encoding="utf-8")
            self.until("load the profile", self.is_ready)
        except BaseException:
            # Python leaves no block that it has not entered.
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def until(self, what, attempt):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := attempt():
                return found
            if self.process.poll() is not None:
                raise Refused(f"it has ended with {self.process.returncode}")
            time.sleep(0.02)
        raise Refused(f"it does not {what} within {PATIENCE} s")

    def connect(self):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(PATIENCE)
        try:
            stream.connect(str(self.path))
        except OSError:
            return None
        return stream

    def is_ready(self):
        return self.message({"type": "status"})["type"] == "ready"

    def message(self, message):
        self.socket.sendall(f"{json.dumps(message)}\n".encode())
        answer = json.loads(self.answers.readline())
        if answer["type"] == "error":
            raise Refused(answer["error"])
        return answer

    def ask(self, **command):
        return self.message({"type": "command", "command": command})["result"]


def counted(program, profile):
    """Samples of all threads whose weights are samples."""
    with tempfile.TemporaryDirectory(prefix="firefox-profiler.") as directory, Daemon(program, profile.resolve(), directory) as daemon:
        threads = daemon.ask(command="thread", subcommand="list", threadListOptions={"limit": 0})["threads"]
        samples = 0
        for thread in threads:
            found = daemon.ask(command="thread", subcommand="samples", thread=thread["threadHandle"], includeIdle=True)
            if found["weightType"] == "samples":
                breakdown = found["categoryBreakdown"] or {"totalSamples": 0}
                samples += breakdown["totalSamples"]
        return samples
