// What a Go program relies on: publish, confirm, consume, properties, settlement, returns and errors.
package main

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const answerTimeout = 30 * time.Second

func core(o *options) {
	connection, err := amqp.Dial(o.uri)
	check(err, "dial")
	for _, scenario := range []struct {
		name string
		run  func(*options, *amqp.Connection)
	}{
		{"bodies of every size arrive in order and byte-identical", bodies},
		{"all properties and header types round-trip", properties},
		{"a rejected message comes back flagged redelivered", settlement},
		{"an unroutable mandatory message is returned and confirmed", mandatory},
		{"get takes one message and tells an empty queue", get},
		{"errors close the channel with the right code, not the connection", failures},
		{"an exclusive queue is locked to its connection", exclusive},
		{"prefetch limits what is outstanding", prefetch},
		{"topic routing follows the pattern", topics},
	} {
		scenario.run(o, connection)
		report(map[string]any{"event": "check", "name": scenario.name})
	}
	check(connection.Close(), "close of the connection")
}

func open(connection *amqp.Connection) *amqp.Channel {
	channel, err := connection.Channel()
	check(err, "channel")
	return channel
}

func next(deliveries <-chan amqp.Delivery, what string) amqp.Delivery {
	select {
	case delivery, ok := <-deliveries:
		if !ok {
			fail("%s: the consumer was closed", what)
		}
		return delivery
	case <-time.After(answerTimeout):
		fail("%s: nothing was delivered", what)
	}
	return amqp.Delivery{}
}

func temporaryQueue(channel *amqp.Channel) string {
	queue, err := channel.QueueDeclare("", false, false, true, false, nil)
	check(err, "declare")
	return queue.Name
}

func bodies(o *options, connection *amqp.Connection) {
	channel := open(connection)
	queue, err := channel.QueueDeclare(o.queue, true, false, false, false, nil)
	check(err, "declare")
	check(channel.Confirm(false), "confirm.select")
	confirms := channel.NotifyPublish(make(chan amqp.Confirmation, o.count))
	for index := 0; index < o.count; index++ {
		check(channel.Publish("", queue.Name, true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, MessageId: strconv.Itoa(index), Body: o.body(index, o.size(index)),
		}), "publish")
	}
	for index := 0; index < o.count; index++ {
		if confirmation := <-confirms; !confirmation.Ack {
			fail("message %d was not confirmed", index)
		}
	}
	deliveries, err := channel.Consume(queue.Name, "", false, false, false, false, nil)
	check(err, "consume")
	for index := 0; index < o.count; index++ {
		delivery := next(deliveries, "bodies")
		if delivery.MessageId != strconv.Itoa(index) {
			fail("message %s arrived in place of %d", delivery.MessageId, index)
		}
		o.expectBody(index, o.size(index), delivery.Body)
		check(delivery.Ack(false), "ack")
	}
	_, err = channel.QueueDelete(queue.Name, false, false, false)
	check(err, "delete")
	check(channel.Close(), "close")
}

func properties(_ *options, connection *amqp.Connection) {
	channel := open(connection)
	queue := temporaryQueue(channel)
	moment := time.Unix(1_700_000_000, 0)
	sent := amqp.Publishing{
		ContentType: "text/plain", ContentEncoding: "identity", DeliveryMode: amqp.Persistent, Priority: 7,
		CorrelationId: "correlation", ReplyTo: "reply", Expiration: "3600000", MessageId: "message", Timestamp: moment,
		Type: "type", UserId: "guest", AppId: "application", Body: []byte("body"),
		Headers: amqp.Table{
			"bool": true, "int8": int8(-8), "uint8": byte(200), "int16": int16(-16000), "int32": int32(math.MinInt32),
			"int64": int64(math.MinInt64), "float32": float32(1.5), "float64": 2.25, "string": "häder", "bytes": []byte{0, 1, 255},
			"time": moment, "nil": nil, "decimal": amqp.Decimal{Scale: 2, Value: 12345},
			"array": []any{int32(1), "two", amqp.Table{"three": int64(3)}, []any{true, nil}},
			"table": amqp.Table{"deep": amqp.Table{"deeper": amqp.Table{"deepest": "yes"}}},
		},
	}
	check(channel.Publish("", queue, true, false, sent), "publish")
	deliveries, err := channel.Consume(queue, "", true, false, false, false, nil)
	check(err, "consume")
	got := next(deliveries, "properties")
	if !reflect.DeepEqual(got.Headers, sent.Headers) {
		fail("headers differ:\n got  %#v\n sent %#v", got.Headers, sent.Headers)
	}
	received := amqp.Publishing{
		ContentType: got.ContentType, ContentEncoding: got.ContentEncoding, DeliveryMode: got.DeliveryMode,
		Priority: got.Priority, CorrelationId: got.CorrelationId, ReplyTo: got.ReplyTo, Expiration: got.Expiration,
		MessageId: got.MessageId, Timestamp: got.Timestamp, Type: got.Type, UserId: got.UserId, AppId: got.AppId,
		Body: got.Body, Headers: got.Headers,
	}
	if !reflect.DeepEqual(received, sent) {
		fail("properties differ:\n got  %#v\n sent %#v", received, sent)
	}
	check(channel.Close(), "close")
}

func settlement(_ *options, connection *amqp.Connection) {
	channel := open(connection)
	queue := temporaryQueue(channel)
	for _, body := range []string{"one", "two"} {
		check(channel.Publish("", queue, false, false, amqp.Publishing{Body: []byte(body)}), "publish")
	}
	deliveries, err := channel.Consume(queue, "", false, false, false, false, nil)
	check(err, "consume")
	first, second := next(deliveries, "one"), next(deliveries, "two")
	if first.Redelivered || second.Redelivered {
		fail("a first delivery is flagged redelivered")
	}
	check(second.Nack(false, false), "nack")
	check(first.Reject(true), "reject")
	again := next(deliveries, "one again")
	if !again.Redelivered || string(again.Body) != "one" {
		fail("expected the first message again, flagged redelivered; got %q, %v", again.Body, again.Redelivered)
	}
	check(again.Ack(true), "ack")
	state, err := channel.QueueDeclarePassive(queue, false, false, true, false, nil)
	check(err, "passive declare")
	if state.Messages != 0 || state.Consumers != 1 {
		fail("expected an empty queue with one consumer, found %+v", state)
	}
	check(channel.Close(), "close")
}

func mandatory(_ *options, connection *amqp.Connection) {
	channel := open(connection)
	check(channel.Confirm(false), "confirm.select")
	returns := channel.NotifyReturn(make(chan amqp.Return, 1))
	confirmation, err := channel.PublishWithDeferredConfirm("", "no such queue", true, false, amqp.Publishing{Body: []byte("back")})
	check(err, "publish")
	if !confirmation.Wait() {
		fail("an unroutable message was nacked")
	}
	select {
	case returned := <-returns:
		if returned.ReplyCode != amqp.NoRoute || string(returned.Body) != "back" {
			fail("unexpected return: %+v", returned)
		}
	case <-time.After(answerTimeout):
		fail("nothing was returned")
	}
	check(channel.Close(), "close")
}

func get(_ *options, connection *amqp.Connection) {
	channel := open(connection)
	queue := temporaryQueue(channel)
	for _, body := range []string{"one", "two"} {
		check(channel.Publish("", queue, false, false, amqp.Publishing{Body: []byte(body)}), "publish")
	}
	message, ok, err := channel.Get(queue, false)
	check(err, "get")
	if !ok || string(message.Body) != "one" || message.MessageCount != 1 {
		fail("unexpected get-ok: %v %q, %d left", ok, message.Body, message.MessageCount)
	}
	check(message.Ack(false), "ack")
	purged, err := channel.QueuePurge(queue, false)
	check(err, "purge")
	if purged != 1 {
		fail("purge counted %d messages, expected 1", purged)
	}
	if _, ok, err = channel.Get(queue, true); err != nil || ok {
		fail("expected get-empty, got %v, %v", ok, err)
	}
	check(channel.Close(), "close")
}

func expectCode(err error, code int, what string) {
	var refusal *amqp.Error
	if !errors.As(err, &refusal) || refusal.Code != code {
		fail("%s: expected %d, got %v", what, code, err)
	}
}

func failures(_ *options, connection *amqp.Connection) {
	channel := open(connection)
	_, err := channel.QueueDeclarePassive("no such queue", true, false, false, false, nil)
	expectCode(err, amqp.NotFound, "passive declare of a missing queue")

	channel = open(connection)
	closed := channel.NotifyClose(make(chan *amqp.Error, 1))
	check(channel.Publish("no such exchange", "", false, false, amqp.Publishing{}), "publish")
	expectCode(<-closed, amqp.NotFound, "publish to a missing exchange")

	channel = open(connection)
	queue := "redeclared by amqp091-go"
	_, err = channel.QueueDeclare(queue, false, false, true, false, nil)
	check(err, "declare")
	_, err = channel.QueueDeclare(queue, false, true, true, false, nil)
	expectCode(err, amqp.PreconditionFailed, "redeclare with another auto-delete")

	channel = open(connection)
	closed = channel.NotifyClose(make(chan *amqp.Error, 1))
	check(channel.Ack(42, false), "ack")
	expectCode(<-closed, amqp.PreconditionFailed, "ack of an unknown delivery tag")
	if connection.IsClosed() {
		fail("a channel error closed the connection")
	}
}

func exclusive(o *options, connection *amqp.Connection) {
	queue := temporaryQueue(open(connection))
	other, err := amqp.Dial(o.uri)
	check(err, "dial")
	_, err = open(other).QueueDeclarePassive(queue, false, false, false, false, nil)
	expectCode(err, amqp.ResourceLocked, "another connection's exclusive queue")
	check(other.Close(), "close")
}

func prefetch(_ *options, connection *amqp.Connection) {
	channel := open(connection)
	queue := temporaryQueue(channel)
	for index := 0; index < 5; index++ {
		check(channel.Publish("", queue, false, false, amqp.Publishing{MessageId: strconv.Itoa(index)}), "publish")
	}
	check(channel.Qos(2, 0, false), "qos")
	deliveries, err := channel.Consume(queue, "", false, false, false, false, nil)
	check(err, "consume")
	next(deliveries, "first of two")
	second := next(deliveries, "second of two")
	state, err := channel.QueueDeclarePassive(queue, false, false, true, false, nil)
	check(err, "passive declare")
	if state.Messages != 3 || len(deliveries) != 0 {
		fail("expected 3 messages held back by prefetch 2, found %d", state.Messages)
	}
	check(second.Ack(true), "ack")
	next(deliveries, "third")
	next(deliveries, "fourth")
	check(channel.Close(), "close")
}

func topics(_ *options, connection *amqp.Connection) {
	channel := open(connection)
	queue := temporaryQueue(channel)
	check(channel.QueueBind(queue, "*.orange.#", "amq.topic", false, nil), "bind")
	for _, key := range []string{"quick.orange.rabbit", "lazy.brown", "lazy.orange", "orange"} {
		check(channel.Publish("amq.topic", key, false, false, amqp.Publishing{}), "publish")
	}
	deliveries, err := channel.Consume(queue, "", true, false, false, false, nil)
	check(err, "consume")
	for _, expected := range []string{"quick.orange.rabbit", "lazy.orange"} {
		if delivery := next(deliveries, expected); delivery.RoutingKey != expected {
			fail("expected key %s, got %s", expected, delivery.RoutingKey)
		}
	}
	check(channel.QueueUnbind(queue, "*.orange.#", "amq.topic", nil), "unbind")
	check(channel.Close(), "close")
}
