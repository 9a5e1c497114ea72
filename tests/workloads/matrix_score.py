"""How whole the stacks in the agent's profiles are, and whether each return address in them follows a call."""

import collections
import json


def follows_call(code):
    """Whether the last of these bytes ends a call: e8 with 4 bytes, or ff /2 in any length."""
    if len(code) < 8:
        return True
    if code[-5] == 0xE8:
        return True
    return any(code[-n] == 0xFF and code[-n + 1] & 0x38 == 0x10 for n in range(2, 8))


# The trampoline of a signal handler: mov $15, %rax; syscall.
SIGRETURN = b"\x48\xc7\xc0\x0f\0\0\0\x0f\x05"


def is_made_up(before, at):
    """Return addresses that nobody's call has left: of a signal handler, and the second byte of Go's goexit (a nop and
    a call), where a goroutine ends."""
    return at == SIGRETURN or (before[-1:] == b"\x90" and at[:1] == b"\xe8")


class Reader:
    """Scores the profiles of the agent."""

    def __init__(self):
        self.files, self.restorers = {}, {}

    def bytes_before(self, path, offset):
        if path not in self.files:
            try:
                with open(path, "rb") as file:
                    self.files[path] = file.read()
            except OSError:
                self.files[path] = b""
        return self.files[path][max(0, offset - 8):offset], self.files[path][offset:offset + 9]

    def score(self, lines, spans):
        """By name of a span, which is (pids, from, until, beginnings of threads' names): stacks, whole ones, return
        addresses, and those after no call."""
        scores = collections.defaultdict(collections.Counter)
        for line in lines:
            request = json.loads(line)
            tables = request["dictionary"]
            for resource in request["resourceProfiles"]:
                for scope in resource["scopeProfiles"]:
                    for profile in scope["profiles"]:
                        for sample in profile.get("samples", []):
                            self.sample(resource, sample, tables, spans, scores)
        return scores

    def sample(self, resource, sample, tables, spans, scores):
        attribute = lambda entry: entry["key"] if "key" in entry else tables["stringTable"][entry["keyStrindex"]]
        known = {attribute(entry): entry["value"] for entry in resource["resource"]["attributes"]}
        pid = int(known.get("process.pid", {}).get("intValue", 0))
        name = None
        for span, (pids, begin, end, threads) in spans.items():
            if pid in pids:
                name = (span, begin, end, threads)
        if name is None:
            return
        span, begin, end, threads = name
        times = [int(at) for at in sample.get("timestampsUnixNano", [])]
        count = sum(begin <= at <= end for at in times)
        if not count:
            return
        said = {}
        for index in sample.get("attributeIndices", []):
            entry = tables["attributeTable"][index]
            value = entry["value"]
            said[attribute(entry)] = self.text(value, tables)
        if threads and not said.get("thread.name", "").startswith(threads):
            return
        score = scores[span]
        frames = self.user_frames(sample, tables)
        if not frames:
            return
        score["stacks"] += count
        score["frames"] += count * len(frames)
        cut = said.get("profile.stack.truncated")
        score["whole"] += 0 if cut else count
        if cut:
            score["cut " + cut] += count
            path, offset = frames[-1]
            score[f"cut at {path or 'no file'}+{offset:#x}"] += count
        after_signal = True  # the leaf
        for path, offset in frames:
            if path and not after_signal:
                before, at = self.bytes_before(path, offset + 1)
                score["returns"] += count
                if not follows_call(before) and not is_made_up(before, at):
                    score["bad"] += count
                    score[f"bad at {path}+{offset:#x}"] += count
            after_signal = False
            if path and self.bytes_before(path, offset + 1)[1] == SIGRETURN:
                after_signal = True

    def text(self, value, tables):
        return value.get("stringValue") or tables["stringTable"][value.get("stringValueStrindex", 0)]

    def user_frames(self, sample, tables):
        stack = tables["stackTable"][sample.get("stackIndex", 0)]
        frames = []
        for index in stack.get("locationIndices", []):
            location = tables["locationTable"][index]
            kinds = [tables["attributeTable"][number]["value"] for number in location.get("attributeIndices", [])]
            if any(self.text(kind, tables) == "kernel" for kind in kinds):
                continue
            mapping = tables["mappingTable"][location.get("mappingIndex", 0)]
            path = tables["stringTable"][mapping.get("filenameStrindex", 0)]
            start, offset = int(mapping.get("memoryStart", 0)), int(mapping.get("fileOffset", 0))
            is_file = path.startswith("/") and not path.startswith("//")
            frames.append((path if is_file else "", int(location.get("address", 0)) - start + offset))
        return frames
