// The common patterns of Go programs: requests and answers, shared work, news for all, retries, priorities.
package main

import (
	"context"
	"net"
	"reflect"
	"sort"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	replyTo  = "amq.rabbitmq.reply-to"
	requests = 5
	tasks    = 6
	entries  = 50
)

func patterns(o *options) {
	connection, err := amqp.Dial(o.uri)
	check(err, "dial")
	for _, pattern := range []struct {
		name string
		run  func(*options, *amqp.Connection)
	}{
		{"requests are answered by direct reply-to", rpc},
		{"workers share tasks, and a lost worker's task is done by another", work},
		{"every subscriber of a fanout exchange gets the news", subscribers},
		{"topics lead to those who asked for them", animals},
		{"what failed is tried again later, through dead letters", retry},
		{"the more urgent comes first", priorities},
		{"headers lead to those who asked for them", documents},
		{"a full queue refuses with a nack", overflow},
		{"a stream is read again from its start, from an offset and from its end", stream},
		{"a transaction is committed or rolled back as a whole", transactions},
	} {
		pattern.run(o, connection)
		report(map[string]any{"event": "check", "name": pattern.name})
	}
	check(connection.Close(), "close of the connection")
}

func send(channel *amqp.Channel, exchange, key string, message amqp.Publishing) {
	check(channel.PublishWithContext(context.Background(), exchange, key, false, false, message), "publish")
}

func body(text string) amqp.Publishing {
	return amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(text)}
}

func declare(channel *amqp.Channel, name string, arguments amqp.Table) string {
	queue, err := channel.QueueDeclare(name, name != "", false, name == "", false, arguments)
	check(err, "declare")
	return queue.Name
}

func consume(channel *amqp.Channel, queue string, autoAck bool) <-chan amqp.Delivery {
	deliveries, err := channel.Consume(queue, "", autoAck, false, false, false, nil)
	check(err, "consume")
	return deliveries
}

func texts(deliveries <-chan amqp.Delivery, count int) []string {
	taken := []string{}
	for len(taken) < count {
		taken = append(taken, string(next(deliveries, "message "+strconv.Itoa(len(taken))).Body))
	}
	return taken
}

func ready(channel *amqp.Channel, queue string) int {
	state, err := channel.QueueDeclarePassive(queue, false, false, false, false, nil)
	check(err, "passive declare")
	return state.Messages
}

func expectEqual(found, expected any, what string) {
	if !reflect.DeepEqual(found, expected) {
		fail("%s: expected %v, found %v", what, expected, found)
	}
}

func bind(channel *amqp.Channel, queue, key, exchange string, arguments amqp.Table) {
	check(channel.QueueBind(queue, key, exchange, false, arguments), "bind")
}

func exchange(channel *amqp.Channel, name, kind string) string {
	check(channel.ExchangeDeclare(name, kind, false, true, false, false, nil), "declare of an exchange")
	return name
}

func rpc(o *options, connection *amqp.Connection) {
	serving, err := amqp.Dial(o.uri)
	check(err, "dial")
	server := open(serving)
	queue, err := server.QueueDeclare(o.queue+" requests", false, true, false, false, nil)
	check(err, "declare")
	check(server.Qos(1, 0, false), "qos")
	arriving := consume(server, queue.Name, false)
	go func() {
		for request := range arriving {
			answer := amqp.Publishing{CorrelationId: request.CorrelationId, Body: append(request.Body, " pong"...)}
			send(server, "", request.ReplyTo, answer)
			check(request.Ack(false), "ack of a request")
		}
	}()
	channel := open(connection)
	answers := consume(channel, replyTo, true)
	expected, found := map[string]string{}, map[string]string{}
	for index := 0; index < requests; index++ {
		id := strconv.Itoa(index)
		send(channel, "", queue.Name, amqp.Publishing{ReplyTo: replyTo, CorrelationId: id, Body: []byte("ping " + id)})
		expected[id] = "ping " + id + " pong"
	}
	for range expected {
		answer := next(answers, "answer")
		found[answer.CorrelationId] = string(answer.Body)
	}
	expectEqual(found, expected, "answers")
	check(channel.Close(), "close")
	check(server.Close(), "close")
	check(serving.Close(), "close")
}

func work(o *options, connection *amqp.Connection) {
	channel := open(connection)
	queue := declare(channel, o.queue+" tasks", nil)
	check(channel.Confirm(false), "confirm.select")
	for index := 0; index < tasks; index++ {
		confirmation, err := channel.PublishWithDeferredConfirm("", queue, true, false, body(strconv.Itoa(index)))
		check(err, "publish")
		expectEqual(confirmation.Wait(), true, "confirm")
	}
	var socket net.Conn
	lost, err := amqp.DialConfig(o.uri, amqp.Config{Dial: func(network, address string) (net.Conn, error) {
		dialed, err := amqp.DefaultDial(answerTimeout)(network, address)
		socket = dialed
		return dialed, err
	}})
	check(err, "dial")
	steady, err := amqp.Dial(o.uri)
	check(err, "dial")
	doomed, worker := open(lost), open(steady)
	check(doomed.Qos(1, 0, false), "qos")
	check(worker.Qos(1, 0, false), "qos")
	expectEqual(texts(consume(doomed, queue, false), 1), []string{"0"}, "task of the worker that will be lost")
	arriving := consume(worker, queue, false)
	done := []string{}
	for len(done) < tasks {
		task := next(arriving, "task")
		if len(done) == 0 {
			expectEqual(string(task.Body), "1", "second worker's task")
			expectEqual(ready(channel, queue), tasks-2, "tasks left")
			check(socket.Close(), "loss of the connection")
		}
		done = append(done, string(task.Body)+map[bool]string{true: " again"}[task.Redelivered])
		check(task.Ack(false), "ack")
	}
	sort.Strings(done)
	expectEqual(done, []string{"0 again", "1", "2", "3", "4", "5"}, "tasks done")
	check(steady.Close(), "close")
	left, err := channel.QueueDelete(queue, false, false, false)
	check(err, "delete")
	expectEqual(left, 0, "tasks left")
	check(channel.Close(), "close")
}

func subscribers(o *options, connection *amqp.Connection) {
	channel := open(connection)
	news := exchange(channel, o.queue+" news", "fanout")
	arriving := [2]<-chan amqp.Delivery{}
	for index := range arriving {
		subscriber := open(connection)
		queue := temporaryQueue(subscriber)
		bind(subscriber, queue, "", news, nil)
		arriving[index] = consume(subscriber, queue, true)
	}
	for _, text := range []string{"a", "b", "c"} {
		send(channel, news, "", body(text))
	}
	for _, deliveries := range arriving {
		expectEqual(texts(deliveries, 3), []string{"a", "b", "c"}, "news")
	}
	check(channel.Close(), "close")
}

func animals(o *options, connection *amqp.Connection) {
	channel := open(connection)
	topic := exchange(channel, o.queue+" animals", "topic")
	orange, other := temporaryQueue(channel), temporaryQueue(channel)
	bind(channel, orange, "*.orange.*", topic, nil)
	bind(channel, other, "*.*.rabbit", topic, nil)
	bind(channel, other, "lazy.#", topic, nil)
	rabbit, elephant, pink := "quick.orange.rabbit", "lazy.orange.elephant", "lazy.pink.rabbit"
	for _, key := range []string{rabbit, elephant, "quick.brown.fox", pink, "lazy", "orange"} {
		send(channel, topic, key, body(key))
	}
	expectRouted(channel, orange, []string{rabbit, elephant})
	expectRouted(channel, other, []string{rabbit, elephant, pink, "lazy"})
	check(channel.Close(), "close")
}

func expectRouted(channel *amqp.Channel, queue string, expected []string) {
	expectEqual(ready(channel, queue), len(expected), "messages routed")
	expectEqual(texts(consume(channel, queue, true), len(expected)), expected, "messages routed")
}

func documents(o *options, connection *amqp.Connection) {
	channel := open(connection)
	headers := exchange(channel, o.queue+" documents", "headers")
	both, either := temporaryQueue(channel), temporaryQueue(channel)
	bind(channel, both, "", headers, amqp.Table{"x-match": "all", "format": "pdf", "type": "report"})
	bind(channel, either, "", headers, amqp.Table{"x-match": "any", "format": "pdf", "type": "log"})
	for _, kind := range []string{"pdf report", "pdf log", "zip report", "zip log"} {
		format, content, _ := strings.Cut(kind, " ")
		message := body(kind)
		message.Headers = amqp.Table{"format": format, "type": content}
		send(channel, headers, "", message)
	}
	expectRouted(channel, both, []string{"pdf report"})
	expectRouted(channel, either, []string{"pdf report", "pdf log", "zip log"})
	check(channel.Close(), "close")
}
