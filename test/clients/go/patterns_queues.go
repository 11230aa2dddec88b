// Those of the common patterns that live from what a queue was declared with, and transactions.
package main

import (
	"fmt"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"
)

// deaths gives the entries of x-death as "queue, reason, count".
func deaths(headers amqp.Table) []string {
	found := []string{}
	entries, _ := headers["x-death"].([]any)
	for _, entry := range entries {
		table := entry.(amqp.Table)
		found = append(found, fmt.Sprintf("%v, %v, %v", table["queue"], table["reason"], table["count"]))
	}
	return found
}

func retry(o *options, connection *amqp.Connection) {
	channel := open(connection)
	queue, waiting := o.queue+" tried", o.queue+" tried later"
	declare(channel, queue, amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": waiting})
	declare(channel, waiting, amqp.Table{
		"x-message-ttl": 100, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue,
	})
	send(channel, "", queue, body("task"))
	arriving := consume(channel, queue, false)
	task := next(arriving, "first attempt")
	expectEqual(deaths(task.Headers), []string{}, "x-death at first")
	for failed := 1; failed <= 2; failed++ {
		check(task.Reject(false), "reject")
		task = next(arriving, "attempt")
		expectEqual(string(task.Body), "task", "body")
		expected := []string{fmt.Sprintf("%s, expired, %d", waiting, failed), fmt.Sprintf("%s, rejected, %d", queue, failed)}
		expectEqual(deaths(task.Headers), expected, "x-death")
	}
	check(task.Ack(false), "ack")
	expectEqual(task.Headers["x-first-death-queue"], queue, "queue of the first death")
	expectEqual(task.Headers["x-first-death-reason"], "rejected", "reason of the first death")
	for _, each := range []string{queue, waiting} {
		left, err := channel.QueueDelete(each, false, false, false)
		check(err, "delete")
		expectEqual(left, 0, "messages left")
	}
	check(channel.Close(), "close")
}

func priorities(_ *options, connection *amqp.Connection) {
	channel := open(connection)
	queue := declare(channel, "", amqp.Table{"x-max-priority": 10})
	for _, priority := range []uint8{1, 0, 9, 5, 200} {
		send(channel, "", queue, amqp.Publishing{Priority: priority, Body: []byte(strconv.Itoa(int(priority)))})
	}
	expectEqual(texts(consume(channel, queue, true), 5), []string{"200", "9", "5", "1", "0"}, "by priority")
	check(channel.Close(), "close")
}

func overflow(_ *options, connection *amqp.Connection) {
	channel := open(connection)
	queue := declare(channel, "", amqp.Table{"x-max-length": 2, "x-overflow": "reject-publish"})
	check(channel.Confirm(false), "confirm.select")
	refused := []string{}
	for _, text := range []string{"a", "b", "c", "take", "d", "e"} {
		if text == "take" {
			_, taken, err := channel.Get(queue, true)
			check(err, "get")
			expectEqual(taken, true, "get")
			continue
		}
		confirmation, err := channel.PublishWithDeferredConfirm("", queue, false, false, body(text))
		check(err, "publish")
		if !confirmation.Wait() {
			refused = append(refused, text)
		}
	}
	expectEqual(refused, []string{"c", "e"}, "refused messages")
	expectEqual(texts(consume(channel, queue, true), 2), []string{"b", "d"}, "accepted messages")
	check(channel.Close(), "close")
}

func stream(o *options, connection *amqp.Connection) {
	channel := open(connection)
	queue := declare(channel, o.queue+" log", amqp.Table{"x-queue-type": "stream"})
	check(channel.Confirm(false), "confirm.select")
	write := func(index int) {
		confirmation, err := channel.PublishWithDeferredConfirm("", queue, true, false, body(strconv.Itoa(index)))
		check(err, "publish")
		expectEqual(confirmation.Wait(), true, "confirm")
	}
	for index := 0; index < entries; index++ {
		write(index)
	}
	for _, reading := range []struct {
		start       any
		offset, end int
	}{{"first", 0, entries}, {40, 40, entries}, {"next", entries, entries + 1}} {
		reader := open(connection)
		check(reader.Qos(10, 0, false), "qos")
		arriving, err := reader.Consume(queue, "", false, false, false, false, amqp.Table{"x-stream-offset": reading.start})
		check(err, "consume")
		if reading.start == "next" {
			write(entries)
		}
		for offset := reading.offset; offset < reading.end; offset++ {
			entry := next(arriving, fmt.Sprintf("entry %d from %v", offset, reading.start))
			expectEqual(entry.Headers["x-stream-offset"], int64(offset), "offset")
			expectEqual(string(entry.Body), strconv.Itoa(offset), "entry")
			check(entry.Ack(false), "ack")
		}
		check(reader.Close(), "close")
	}
	_, err := channel.QueueDelete(queue, false, false, false)
	check(err, "delete")
	check(channel.Close(), "close")
}

func transactions(_ *options, connection *amqp.Connection) {
	channel, witness := open(connection), open(connection)
	queue := temporaryQueue(channel)
	check(channel.Tx(), "tx.select")
	send(channel, "", queue, body("forgotten"))
	check(channel.TxRollback(), "tx.rollback")
	send(channel, "", queue, body("kept"))
	expectEqual(ready(channel, queue), 0, "messages before the commit")
	check(channel.TxCommit(), "tx.commit")
	kept := next(consume(channel, queue, false), "committed message")
	expectEqual(string(kept.Body), "kept", "committed message")
	check(kept.Ack(false), "ack")
	check(channel.TxCommit(), "tx.commit")
	check(channel.Close(), "close")
	expectEqual(ready(witness, queue), 0, "messages after a committed ack")
	check(witness.Close(), "close")
}
