// Command pdatareader reads OTLP profiles from a file through the Collector's own pdata, and prints the figures that
// tests/reader/read.py prints.
//
// A file is either JSON lines or, as the file exporter writes protobuf, messages each after its length in four bytes,
// big-endian.
package main

import (
	"encoding/json"
	"log"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: pdatareader FILE")
	}
	file, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	reading := newReading()
	if err := eachRequest(file, reading.add); err != nil {
		log.Fatalf("%s: %v", os.Args[1], err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(reading); err != nil {
		log.Fatal(err)
	}
}
