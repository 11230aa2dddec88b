// A program that manages a broker with rabbit-hole, which Terraform's provider is made of: takes key=value arguments,
// prints one JSON object per line.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"

	rabbithole "github.com/michaelklishin/rabbit-hole/v3"
)

// One part of what is managed.
type part struct {
	name string
	run  func(*broker)
}

// The broker and where it is.
type broker struct {
	*rabbithole.Client
	http, amqp string
	httpPort   uint
}

var parts = []part{
	{"the broker, its node and its name", whole},
	{"users, their tags, hashes and limits", users},
	{"virtual hosts and their limits", vhosts},
	{"permissions and topic permissions", permissions},
	{"exchanges", exchanges},
	{"queues of every type", queues},
	{"bindings, found again as Terraform does", bindings},
	{"policies and operator policies", policies},
	{"parameters and global parameters", parameters},
	{"connections, channels and consumers", connections},
	{"a queue's numbers as KEDA reads them", scaling},
	{"definitions out and in", definitions},
	{"health checks and feature flags", health},
	{"errors", errors},
}

func main() {
	values := map[string]string{}
	for _, argument := range os.Args[1:] {
		key, value, _ := strings.Cut(argument, "=")
		values[key] = value
	}
	var port uint
	_, err := fmt.Sscan(values["http_port"], &port)
	check(err, "http_port")
	uri := fmt.Sprintf("http://127.0.0.1:%d", port)
	client, err := rabbithole.NewClient(uri, "guest", "guest")
	check(err, "client")
	target := &broker{Client: client, http: uri, amqp: values["uri"], httpPort: port}
	for _, part := range parts {
		part.run(target)
		report(map[string]any{"event": "check", "name": part.name})
	}
	report(map[string]any{"event": "done"})
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

// What a call gave, if it gave no error.
func must[T any](value T, err error) T {
	if err != nil {
		fail("%T: %v", value, err)
	}
	return value
}

// What a health check says.
func isWell[T any, P interface {
	*T
	Ok() bool
}](status T, err error) bool {
	check(err, "health check")
	return P(&status).Ok()
}

// The status of a call that answers no more than that.
func expect(status int) func(*http.Response, error) {
	return func(response *http.Response, err error) {
		check(err, fmt.Sprintf("expected %d", status))
		if response.StatusCode != status {
			fail("%s %s: %s, expected %d", response.Request.Method, response.Request.URL, response.Status, status)
		}
	}
}

func equal(what string, actual, expected any) {
	if !reflect.DeepEqual(actual, expected) {
		fail("%s: %#v, expected %#v", what, actual, expected)
	}
}

func that(what string, holds bool) {
	if !holds {
		fail("not so: %s", what)
	}
}

// The one of a list that is asked for.
func find[T any](list []T, is func(T) bool) T {
	for _, item := range list {
		if is(item) {
			return item
		}
	}
	fail("not among %d of %T", len(list), list)
	panic("unreachable")
}

func has[T any](list []T, is func(T) bool) bool {
	for _, item := range list {
		if is(item) {
			return true
		}
	}
	return false
}
