#!/usr/bin/env python3
"""Reads OTLP profiles from a file with the official protobuf runtime.

A file is JSON lines, or messages each after its length in four bytes, big-endian, as the
Collector's file exporter writes protobuf.

Prints the figures of `Summary` (tests/src/otlp/summary.rs) as one JSON object, and the largest
request in bytes as protobuf. Shares no code with the agent: the schema is PyPI's
opentelemetry-proto, the decoder protobuf's own.
"""

import base64
import collections
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)


def hex_to_base64(line):
    """OTLP/JSON writes ids as hex where protobuf's JSON wants base64: rewrite those of the links."""
    request = json.loads(line)
    for link in request.get("dictionary", {}).get("linkTable", []):
        for key in ("traceId", "spanId"):
            if key in link:
                raw = bytes.fromhex(link[key])
                link[key] = base64.b64encode(raw).decode()
    return request


def any_value(value, strings):
    kind = value.WhichOneof("value")
    if kind == "string_value_strindex":
        return strings[value.string_value_strindex]
    return None if kind is None else getattr(value, kind)


def resource_attributes(attributes, strings):
    """Attributes by key; both may be references, as the Collector writes them."""
    return {
        strings[kv.key_strindex] if kv.key_strindex else kv.key: any_value(kv.value, strings)
        for kv in attributes
    }


def attributes(tables, indices):
    """Attributes by key."""
    found = {}
    for index in indices:
        attribute = tables.attribute_table[index]
        key = tables.string_table[attribute.key_strindex]
        found[key] = any_value(attribute.value, tables.string_table)
    return found


class Reader:
    """Adds up the figures, request by request."""

    def __init__(self):
        self.figures = collections.Counter()
        self.paths = collections.Counter()
        self.threads = collections.Counter()
        self.leaves = collections.Counter()
        self.times = []
        self.largest = 0

    def add(self, request):
        self.figures["requests"] += 1
        self.largest = max(self.largest, request.ByteSize())
        for resource in request.resource_profiles:
            self.figures["resources"] += 1
            named = resource_attributes(resource.resource.attributes, request.dictionary.string_table)
            path = named.get("process.executable.path") or ""
            for scope in resource.scope_profiles:
                for profile in scope.profiles:
                    for sample in profile.samples:
                        self.add_sample(request.dictionary, path, sample)

    def add_sample(self, tables, path, sample):
        events = len(sample.timestamps_unix_nano)
        stack = tables.stack_table[sample.stack_index].location_indices
        self.figures["samples"] += 1
        self.figures["events"] += events
        self.figures["frames"] += len(stack)
        self.times.extend(sample.timestamps_unix_nano)
        self.paths[path] += events
        thread = attributes(tables, sample.attribute_indices).get("thread.name")
        self.threads[thread or ""] += events
        mapping_index = tables.location_table[stack[0]].mapping_index if stack else 0
        if mapping_index:
            mapping = tables.mapping_table[mapping_index]
            build_id = attributes(tables, mapping.attribute_indices).get("process.executable.build_id.gnu")
            self.leaves[f"{tables.string_table[mapping.filename_strindex]} {build_id or ''}"] += events

    def result(self):
        figures = {key: self.figures[key] for key in ("requests", "resources", "samples", "events", "frames")}
        figures["first"] = min(self.times, default=0)
        figures["last"] = max(self.times, default=0)
        figures |= {"paths": self.paths, "threads": self.threads, "leaves": self.leaves}
        return {"summary": figures, "largest_request_bytes": self.largest}


def from_json(file):
    for line in file.decode("utf-8").split("\n"):
        if line.strip():
            # Refuses keys that the schema does not have.
            yield json_format.ParseDict(hex_to_base64(line), ExportProfilesServiceRequest())


def from_protobuf(file):
    while file:
        length = int.from_bytes(file[:4], "big")
        message, file = file[4 : 4 + length], file[4 + length :]
        if len(message) < length:
            sys.exit("the file ends within a message")
        yield ExportProfilesServiceRequest.FromString(message)


def main():
    reader = Reader()
    with open(sys.argv[1], "rb") as file:
        file = file.read()
    # No message is as long as a length that starts with this byte says.
    for request in (from_json if file.startswith(b"{") else from_protobuf)(file):
        reader.add(request)
    json.dump(reader.result(), sys.stdout)


if __name__ == "__main__":
    main()
