"""A profile in OTLP/JSON as another tool would write it: a minute of a build and a server, with names that do harm."""

import datetime
import json

START = 1_790_000_000  # Unix seconds
SECONDS = 60
HOSTILE = "</script><img src=x onerror=document.title='owned'>\u202e\u001b[31m"
GONE = "cc1"
LIBRARY, BUILD_ID = "/usr/lib/libparse.so.1", "00c0ffee"
IN_LIBRARY = ("parse", "lex")
# The container of these pids. Its name has what separates in addresses, in paths and in the filters of the page.
CONTAINER = "shop/a&exe=b:1 c"
IN_CONTAINER = (11, 13)


class Dictionary:
    """The tables of a request."""

    def __init__(self):
        self.strings, self.tables = {"": 0}, {}

    def text(self, text):
        return self.strings.setdefault(text, len(self.strings))

    def entry(self, table, entry):
        """The number of an entry, each of which is there once; number 0 is the empty one."""
        known = self.tables.setdefault(table, {"{}": 0})
        return known.setdefault(json.dumps(entry), len(known))

    def attribute(self, key, value):
        kind = {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
        return self.entry("attributeTable", {"keyStrindex": self.text(key), "value": kind})

    def mapping(self, file):
        build_id = self.attribute("process.executable.build_id.gnu", BUILD_ID)
        return self.entry("mappingTable", {"filenameStrindex": self.text(file), "memoryLimit": "4096", "attributeIndices": [build_id]})

    def location(self, function, file, module):
        named = self.entry("functionTable", {"nameStrindex": self.text(function), "filenameStrindex": self.text(file), "startLine": "12"})
        kind = self.attribute("profile.frame.type", "native" if module else "kernel")
        location = {"lines": [{"functionIndex": named, "line": "12"}], "attributeIndices": [kind]}
        if module:
            location["mappingIndex"] = self.mapping(module)
        return self.entry("locationTable", location)

    def stack(self, functions, executable):
        def module(name):
            return LIBRARY if name in IN_LIBRARY else None if name.startswith("sys_") else executable
        places = [self.location(name, f"src/{number}.c", module(name)) for number, name in enumerate(functions)]
        return self.entry("stackTable", {"locationIndices": places[::-1]})

    def message(self):
        tables = {name: [json.loads(entry) for entry in known] for name, known in self.tables.items()}
        return {"stringTable": list(self.strings), "linkTable": [{}], **{"mappingTable": [{}], **tables}}


# Pid, executable, parent, seconds in which it ran, stacks with samples in each second.
PROCESSES = [
    (10, "/usr/bin/make", 1, (0, 60), [(["main", "job_wait", "sys_wait4"], 1)]),
    (11, f"/usr/lib/gcc/{GONE}", 10, (5, 30), [(["main", "compile", "parse", "lex"], 20), (["main", "compile", "optimize"], 10)]),
    (12, "/usr/sbin/server", 1, (0, 60), [(["main", "serve", "read_request", "sys_read"], 15), (["main", "serve", HOSTILE], 5)]),
    (13, "/usr/sbin/server", 1, (40, 60), [(["main", "serve", "collect_garbage"], 30)]),
]


def total():
    return sum((until - since) * count for _, _, _, (since, until), stacks in PROCESSES for _, count in stacks)


def write(path):
    """Writes the profile; returns how many samples it has."""
    dictionary, resources = Dictionary(), []
    for pid, executable, parent, (since, until), stacks in PROCESSES:
        def instant(second):
            return datetime.datetime.fromtimestamp(START + second, datetime.timezone.utc).isoformat()
        facts = {"process.pid": pid, "process.executable.path": executable, "process.parent_pid": parent,
                 "process.executable.name": executable.rsplit("/")[-1], "process.creation.time": instant(since - 1)}
        if pid in IN_CONTAINER:
            facts["container.name"] = CONTAINER
        if until < SECONDS:
            facts["process.exit.time"] = instant(until)
        attributes = [{"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
                      for key, value in facts.items()]
        samples = []
        for functions, count in stacks:
            times = [(START + second) * 10**9 + n * 10**9 // count for second in range(since, until) for n in range(count)]
            samples.append({"stackIndex": dictionary.stack(functions, executable), "timestampsUnixNano": [str(time) for time in times],
                            "attributeIndices": [dictionary.attribute("thread.id", pid),
                                                 dictionary.attribute("thread.name", executable.rsplit("/")[-1][:15]),
                                                 dictionary.attribute("cpu.logical_number", pid % 2)]})
        profile = {"sampleType": {"typeStrindex": dictionary.text("samples"), "unitStrindex": dictionary.text("count")},
                   "periodType": {"typeStrindex": dictionary.text("cpu"), "unitStrindex": dictionary.text("nanoseconds")},
                   "period": str(10**9 // 50), "timeUnixNano": str(START * 10**9), "durationNano": str(SECONDS * 10**9),
                   "samples": samples}
        resources.append({"resource": {"attributes": attributes}, "scopeProfiles": [{"profiles": [profile]}]})
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"resourceProfiles": resources, "dictionary": dictionary.message()}, file)
    return total()
