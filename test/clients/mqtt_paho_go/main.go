// What programs with paho for Go rely on. Arguments: key=value; prints one JSON object per line.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const wait = 60 * time.Second

var options = map[string]string{}

func report(event map[string]any) {
	line, _ := json.Marshal(event)
	fmt.Println(string(line))
}

func check(name string) { report(map[string]any{"event": "check", "name": name}) }

func must(condition bool, what string, values ...any) {
	if condition {
		return
	}
	fmt.Fprintln(os.Stderr, append([]any{what}, values...)...)
	os.Exit(1)
}

type client struct {
	mqtt     mqtt.Client
	messages chan mqtt.Message
	present  bool
}

func open(id string, version uint, clean bool, will string) *client {
	c := &client{messages: make(chan mqtt.Message, 100_000)}
	o := mqtt.NewClientOptions().AddBroker("tcp://127.0.0.1:" + options["port"]).SetClientID(id)
	o.SetProtocolVersion(version).SetCleanSession(clean).SetUsername("guest").SetPassword("guest")
	o.SetAutoReconnect(false).SetOrderMatters(true)
	if will != "" {
		o.SetWill(will, "gone", 1, false)
	}
	o.SetDefaultPublishHandler(func(_ mqtt.Client, message mqtt.Message) { c.messages <- message })
	c.mqtt = mqtt.NewClient(o)
	token := c.mqtt.Connect().(*mqtt.ConnectToken)
	must(token.WaitTimeout(wait) && token.Error() == nil, "connect", id, token.Error())
	c.present = token.SessionPresent()
	return c
}

func (c *client) subscribe(filter string, qos byte) {
	token := c.mqtt.Subscribe(filter, qos, nil).(*mqtt.SubscribeToken)
	must(token.WaitTimeout(wait) && token.Error() == nil, "subscribe", token.Error())
	must(token.Result()[filter] == qos, "granted", token.Result())
}

func (c *client) publish(topic, payload string, qos byte, retain bool) {
	token := c.mqtt.Publish(topic, qos, retain, payload)
	must(token.WaitTimeout(wait) && token.Error() == nil, "publish", token.Error())
}

func (c *client) next() mqtt.Message {
	select {
	case message := <-c.messages:
		return message
	case <-time.After(wait):
		must(false, "no message came")
		return nil
	}
}

func everyQos(version uint) {
	subscriber := open("go-sub", version, true, "")
	subscriber.subscribe("go/qos/#", 2)
	publisher := open("go-pub", version, true, "")
	for qos := byte(0); qos <= 2; qos++ {
		for index := 0; index < 50; index++ {
			publisher.publish("go/qos/x", strconv.Itoa(index), qos, false)
		}
		for index := 0; index < 50; index++ {
			message := subscriber.next()
			must(string(message.Payload()) == strconv.Itoa(index), "order", index, string(message.Payload()))
			must(message.Qos() == qos, "qos", message.Qos())
		}
	}
	subscriber.mqtt.Disconnect(100)
	publisher.mqtt.Disconnect(100)
}

func retained(version uint) {
	publisher := open("go-ret", version, true, "")
	publisher.publish("go/retained", "kept", 1, true)
	late := open("go-late", version, true, "")
	late.subscribe("go/retained", 1)
	message := late.next()
	must(message.Retained() && string(message.Payload()) == "kept", "retained")
	publisher.publish("go/retained", "", 1, true)
	publisher.mqtt.Disconnect(100)
	late.mqtt.Disconnect(100)
}

func will(version uint) {
	watcher := open("go-watch", version, true, "")
	watcher.subscribe("go/will", 1)
	open("go-dying", version, true, "go/will")
	taker := open("go-dying", version, true, "")
	must(string(watcher.next().Payload()) == "gone", "will")
	taker.mqtt.Disconnect(100)
	watcher.mqtt.Disconnect(100)
}

func session(version uint) {
	first := open("go-session", version, false, "")
	first.subscribe("go/session", 1)
	first.mqtt.Disconnect(100)
	publisher := open("go-pub2", version, true, "")
	for index := 0; index < 20; index++ {
		publisher.publish("go/session", strconv.Itoa(index), 1, false)
	}
	publisher.mqtt.Disconnect(100)
	second := open("go-session", version, false, "")
	if version == 4 {
		must(second.present, "the session is present")
	}
	for index := 0; index < 20; index++ {
		must(string(second.next().Payload()) == strconv.Itoa(index), "order after a session")
	}
	second.mqtt.Disconnect(100)
	open("go-session", version, true, "").mqtt.Disconnect(100)
}

func core() {
	for _, version := range []uint{3, 4} {
		name := map[uint]string{3: "3.1", 4: "3.1.1"}[version]
		everyQos(version)
		check("every_qos " + name)
		retained(version)
		check("retained " + name)
		will(version)
		check("will " + name)
		session(version)
		check("session " + name)
	}
}

func before() {
	first := open("go-kill", 4, false, "")
	first.subscribe("go/kill/1", 1)
	first.subscribe("go/kill/2", 2)
	first.mqtt.Disconnect(100)
	publisher := open("go-killpub", 4, true, "")
	var tokens []mqtt.Token
	for index := 0; index < 200; index++ {
		qos := byte(1 + index%2)
		tokens = append(tokens, publisher.mqtt.Publish(fmt.Sprintf("go/kill/%d", qos), qos, false, strconv.Itoa(index)))
	}
	for _, token := range tokens {
		must(token.WaitTimeout(wait) && token.Error() == nil, "publish", token.Error())
	}
	publisher.publish("go/kill/retained", "kept", 2, true)
	check("acknowledged")
}

func after() {
	second := open("go-kill", 4, false, "")
	must(second.present, "the session is present")
	var got []int
	for index := 0; index < 200; index++ {
		value, _ := strconv.Atoi(string(second.next().Payload()))
		got = append(got, value)
	}
	sort.Ints(got)
	for index, value := range got {
		must(index == value, "all there", index, value)
	}
	second.subscribe("go/kill/retained", 0)
	must(string(second.next().Payload()) == "kept", "retained")
	second.mqtt.Disconnect(100)
	check("all there")
}

func main() {
	for _, argument := range os.Args[1:] {
		parts := strings.SplitN(argument, "=", 2)
		options[parts[0]] = parts[1]
	}
	map[string]func(){"core": core, "before": before, "after": after}[options["phase"]]()
	report(map[string]any{"event": "done"})
}
