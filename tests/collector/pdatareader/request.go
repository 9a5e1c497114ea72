package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/collector/pdata/pprofile/pprofileotlp"
)

// eachRequest hands on every request of a file, and its size as protobuf.
func eachRequest(file []byte, add func(pprofile.Profiles, int) error) error {
	next, parse := nextMessage, parseProto
	// No message is as long as a length that starts with this byte says.
	if bytes.HasPrefix(file, []byte("{")) {
		next, parse = nextLine, parseJSON
	}
	for number := 1; len(file) > 0; number++ {
		message, rest, err := next(file)
		if err == nil && len(message) > 0 {
			var profiles pprofile.Profiles
			var size int
			if profiles, size, err = parse(message); err == nil {
				err = add(profiles, size)
			}
		}
		if err != nil {
			return fmt.Errorf("request %d: %w", number, err)
		}
		file = rest
	}
	return nil
}

func nextLine(file []byte) (line, rest []byte, err error) {
	line, rest, _ = bytes.Cut(file, []byte("\n"))
	return line, rest, nil
}

func nextMessage(file []byte) (message, rest []byte, err error) {
	if len(file) < 4 {
		return nil, nil, errors.New("the file ends within a length")
	}
	length := uint64(binary.BigEndian.Uint32(file))
	if file = file[4:]; uint64(len(file)) < length {
		return nil, nil, errors.New("the file ends within a message")
	}
	return file[:length], file[length:], nil
}

func parseJSON(message []byte) (pprofile.Profiles, int, error) {
	strict := pprofile.JSONUnmarshaler{DisallowUnknownFields: true}
	resolved, err := strict.UnmarshalProfiles(message)
	if err != nil {
		return resolved, 0, err
	}
	request := pprofileotlp.NewExportRequest()
	if err := request.UnmarshalJSON(message); err != nil {
		return resolved, 0, err
	}
	return choose(request, resolved)
}

func parseProto(message []byte) (pprofile.Profiles, int, error) {
	resolved, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(message)
	if err != nil {
		return resolved, 0, err
	}
	request := pprofileotlp.NewExportRequest()
	if err := request.UnmarshalProto(message); err != nil {
		return resolved, 0, err
	}
	return choose(request, resolved)
}

// choose tells a request as it was meant. The OTLP receiver's way of reading (package pprofileotlp) does not follow
// references in the attributes of resources. That of the file receivers (package pprofile) does, but at v0.159 it takes
// an absent keyStrindex for one to string 0, which is empty, and so erases every inline key once there are strings. What
// has inline keys is read the first way, what has references the second; a resource with both would be misread by
// either, and is refused.
func choose(request pprofileotlp.ExportRequest, resolved pprofile.Profiles) (pprofile.Profiles, int, error) {
	raw, err := request.MarshalProto()
	if err != nil {
		return resolved, 0, err
	}
	for _, profiles := range []pprofile.Profiles{request.Profiles(), resolved} {
		if hasKeys(profiles) {
			return profiles, len(raw), nil
		}
	}
	return resolved, 0, errors.New("a resource has a key that neither way of reading finds")
}

func hasKeys(profiles pprofile.Profiles) bool {
	for _, resource := range profiles.ResourceProfiles().All() {
		for key, value := range resource.Resource().Attributes().All() {
			if key == "" || value.Type() == pcommon.ValueTypeEmpty {
				return false
			}
		}
	}
	return true
}
