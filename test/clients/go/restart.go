// A publisher and a consumer that live through restarts of the broker.
package main

import (
	"context"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	reconnectTimeout = 60 * time.Second
	ackEvery         = 100
	reportEvery      = 200
)

func connect(uri string) (*amqp.Connection, *amqp.Channel) {
	deadline := time.Now().Add(reconnectTimeout)
	for {
		connection, err := amqp.Dial(uri)
		if err == nil {
			channel, err := connection.Channel()
			if err == nil {
				return connection, channel
			}
			connection.Close()
		}
		if time.Now().After(deadline) {
			fail("no connection within %v: %v", reconnectTimeout, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func publish(o *options) {
	confirmed := 0
	for confirmed < o.count {
		sent, err := publishUntilClosed(o, &confirmed)
		if confirmed < o.count {
			if err == nil {
				fail("publishing ended early without an error")
			}
			report(map[string]any{"event": "resumed", "from": confirmed, "sent": sent})
		}
	}
	report(map[string]any{"event": "confirmed", "count": confirmed})
}

// publishUntilClosed publishes from the first unconfirmed message on; gives the index after the last one sent.
func publishUntilClosed(o *options, confirmed *int) (int, error) {
	connection, channel := connect(o.uri)
	defer connection.Close()
	next := *confirmed
	if _, err := channel.QueueDeclare(o.queue, true, false, false, false, nil); err != nil {
		return next, err
	}
	if err := channel.Confirm(false); err != nil {
		return next, err
	}
	var waiting []*amqp.DeferredConfirmation
	for *confirmed < o.count {
		for next < o.count && len(waiting) < o.outstanding {
			confirmation, err := channel.PublishWithDeferredConfirm("", o.queue, false, false, amqp.Publishing{
				DeliveryMode: amqp.Persistent, MessageId: strconv.Itoa(next), Body: o.body(next, o.size(next)),
			})
			next++
			if err != nil {
				return next, err
			}
			waiting = append(waiting, confirmation)
		}
		acked, err := waiting[0].WaitContext(context.Background())
		if err != nil {
			return next, err
		}
		if !acked { // also how the client settles what was outstanding when the connection went
			if !channel.IsClosed() {
				fail("message %d was nacked", *confirmed)
			}
			return next, amqp.ErrClosed
		}
		waiting = waiting[1:]
		*confirmed++
		if *confirmed%reportEvery == 0 {
			report(map[string]any{"event": "confirmed", "count": *confirmed})
		}
	}
	return next, nil
}

type run struct {
	first, count int
	redelivered  bool
}

func (r *run) flush(session int) {
	if r.count > 0 {
		report(map[string]any{
			"event": "delivered", "first": r.first, "count": r.count, "redelivered": r.redelivered, "session": session,
		})
	}
	r.count = 0
}

func drain(o *options) {
	for session := 0; !drainUntilClosed(o, session); session++ {
	}
}

func drainUntilClosed(o *options, session int) bool {
	connection, channel := connect(o.uri)
	defer connection.Close()
	if err := channel.Qos(o.prefetch, 0, false); err != nil {
		return false
	}
	deliveries, err := channel.Consume(o.queue, "", false, false, false, false, nil)
	if err != nil {
		return false
	}
	var current run
	unacked := 0
	for delivery := range deliveries {
		index, err := strconv.Atoi(delivery.MessageId)
		check(err, "message id")
		o.expectBody(index, o.size(index), delivery.Body)
		if current.count == 0 || current.first+current.count != index || current.redelivered != delivery.Redelivered {
			current.flush(session)
			current = run{first: index, redelivered: delivery.Redelivered}
		}
		current.count++
		unacked++
		if unacked < ackEvery && index != o.count-1 {
			continue
		}
		unacked = 0
		current.flush(session)
		if err := delivery.Ack(true); err != nil {
			continue // the rest of what arrived counts as delivered, too
		}
		if index == o.count-1 {
			// The queue's last message is always the last one published, perhaps more than once.
			state, err := channel.QueueDeclarePassive(o.queue, true, false, false, false, nil)
			if err == nil && state.Messages == 0 && len(deliveries) == 0 {
				return true
			}
		}
	}
	current.flush(session)
	return false
}
