package main

import (
	"fmt"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// summary is Summary of tests/src/otlp/summary.rs.
type summary struct {
	Requests  uint64            `json:"requests"`
	Resources uint64            `json:"resources"`
	Samples   uint64            `json:"samples"`
	Events    uint64            `json:"events"`
	Frames    uint64            `json:"frames"`
	First     uint64            `json:"first"`
	Last      uint64            `json:"last"`
	Paths     map[string]uint64 `json:"paths"`
	Threads   map[string]uint64 `json:"threads"`
	Leaves    map[string]uint64 `json:"leaves"`
}

// reading is Reading of tests/src/reader.rs.
type reading struct {
	Summary             summary `json:"summary"`
	LargestRequestBytes int     `json:"largest_request_bytes"`
}

func newReading() *reading {
	return &reading{Summary: summary{
		Paths:   map[string]uint64{},
		Threads: map[string]uint64{},
		Leaves:  map[string]uint64{},
	}}
}

// add counts what a request says.
func (r *reading) add(profiles pprofile.Profiles, size int) error {
	r.Summary.Requests++
	r.LargestRequestBytes = max(r.LargestRequestBytes, size)
	tables := tables{profiles.Dictionary()}
	for _, resource := range profiles.ResourceProfiles().All() {
		r.Summary.Resources++
		path := ""
		if value, ok := resource.Resource().Attributes().Get("process.executable.path"); ok {
			path = value.Str()
		}
		for _, scope := range resource.ScopeProfiles().All() {
			for _, profile := range scope.Profiles().All() {
				for _, sample := range profile.Samples().All() {
					if err := r.addSample(tables, path, sample); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (r *reading) addSample(tables tables, path string, sample pprofile.Sample) error {
	events := uint64(sample.TimestampsUnixNano().Len())
	for _, at := range sample.TimestampsUnixNano().All() {
		if r.Summary.First == 0 || at < r.Summary.First {
			r.Summary.First = at
		}
		r.Summary.Last = max(r.Summary.Last, at)
	}
	if int(sample.StackIndex()) >= tables.StackTable().Len() {
		return fmt.Errorf("no stack %d", sample.StackIndex())
	}
	stack := tables.StackTable().At(int(sample.StackIndex())).LocationIndices()
	r.Summary.Samples++
	r.Summary.Events += events
	r.Summary.Frames += uint64(stack.Len())
	r.Summary.Paths[path] += events
	thread, err := tables.attribute(sample.AttributeIndices(), "thread.name")
	if err != nil {
		return err
	}
	r.Summary.Threads[thread] += events
	if stack.Len() == 0 {
		return nil
	}
	leaf, err := tables.leaf(stack.At(0))
	if err == nil && leaf != "" {
		r.Summary.Leaves[leaf] += events
	}
	return err
}

// tables follows indices of a dictionary.
type tables struct{ pprofile.ProfilesDictionary }

// leaf is the file of a location and its GNU build ID, parted by a space; empty if it has no mapping.
func (t tables) leaf(location int32) (string, error) {
	if int(location) >= t.LocationTable().Len() {
		return "", fmt.Errorf("no location %d", location)
	}
	index := t.LocationTable().At(int(location)).MappingIndex()
	if index == 0 {
		return "", nil
	}
	if int(index) >= t.MappingTable().Len() {
		return "", fmt.Errorf("no mapping %d", index)
	}
	mapping := t.MappingTable().At(int(index))
	buildID, err := t.attribute(mapping.AttributeIndices(), "process.executable.build_id.gnu")
	if err != nil {
		return "", err
	}
	filename, err := t.text(mapping.FilenameStrindex())
	return filename + " " + buildID, err
}

// attribute is the text of the attribute with this key, empty if there is none.
func (t tables) attribute(indices pcommon.Int32Slice, key string) (string, error) {
	for _, index := range indices.All() {
		if int(index) >= t.AttributeTable().Len() {
			return "", fmt.Errorf("no attribute %d", index)
		}
		attribute := t.AttributeTable().At(int(index))
		name, err := t.text(attribute.KeyStrindex())
		if err != nil {
			return "", err
		}
		if name == key {
			return attribute.Value().AsString(), nil
		}
	}
	return "", nil
}

func (t tables) text(index int32) (string, error) {
	if int(index) >= t.StringTable().Len() {
		return "", fmt.Errorf("no string %d", index)
	}
	return t.StringTable().At(int(index)), nil
}
