// A program that tests a broker with amqp091-go: takes key=value arguments, prints one JSON object per line.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

const (
	bodyOffsets = 1024 * 1024
	bodyStride  = 7919
)

type options struct {
	scenario, uri, queue                                 string
	count, largeEvery, largeBytes, outstanding, prefetch int
	sizes                                                []int
	pool                                                 []byte
}

func parseOptions(arguments []string) options {
	values := map[string]string{}
	for _, argument := range arguments {
		key, value, found := strings.Cut(argument, "=")
		if !found {
			fail("argument is not key=value: %s", argument)
		}
		values[key] = value
	}
	number := func(key string) int {
		value, err := strconv.Atoi(values[key])
		check(err, key)
		return value
	}
	parsed := options{
		scenario: values["scenario"], uri: values["uri"], queue: values["queue"],
		count: number("count"), largeEvery: number("large_every"), largeBytes: number("large_bytes"),
		outstanding: number("outstanding"), prefetch: number("prefetch"),
	}
	for _, size := range strings.Split(values["sizes"], ",") {
		value, err := strconv.Atoi(size)
		check(err, "sizes")
		parsed.sizes = append(parsed.sizes, value)
	}
	pool, err := os.ReadFile(values["pool"])
	check(err, "pool")
	parsed.pool = pool
	return parsed
}

func (o *options) size(index int) int {
	if index%o.largeEvery == o.largeEvery-1 {
		return o.largeBytes
	}
	return o.sizes[index%len(o.sizes)]
}

func (o *options) body(index, size int) []byte {
	offset := (index * bodyStride) % bodyOffsets
	return o.pool[offset : offset+size]
}

func (o *options) expectBody(index, size int, body []byte) {
	if !bytes.Equal(o.body(index, size), body) {
		fail("message %d: contents differ (%d B, expected %d B)", index, len(body), size)
	}
}

func report(event map[string]any) {
	line, err := json.Marshal(event)
	check(err, "report")
	fmt.Println(string(line))
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

func check(err error, what string) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func main() {
	parsed := parseOptions(os.Args[1:])
	switch parsed.scenario {
	case "core":
		core(&parsed)
	case "patterns":
		patterns(&parsed)
	case "publish":
		publish(&parsed)
	case "drain":
		drain(&parsed)
	default:
		fail("unknown scenario %q", parsed.scenario)
	}
	report(map[string]any{"event": "done"})
}
