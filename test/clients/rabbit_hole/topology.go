// What lies in a virtual host: exchanges, queues, bindings, and who uses them.
package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	rabbithole "github.com/michaelklishin/rabbit-hole/v3"
	amqp "github.com/rabbitmq/amqp091-go"
)

const waitMax = 30 * time.Second

func exchanges(b *broker) {
	settings := rabbithole.ExchangeSettings{Type: "topic", Durable: true}
	settings.Arguments = map[string]any{"alternate-exchange": "amq.fanout"}
	expect(201)(b.DeclareExchange(vhost, "logs /é", settings))
	expect(204)(b.DeclareExchange(vhost, "logs /é", settings))
	made := must(b.GetExchange(vhost, "logs /é"))
	equal("exchange", []any{made.Type, made.Durable, bool(made.AutoDelete)}, []any{"topic", true, false})
	equal("arguments", made.Arguments, settings.Arguments)
	expect(201)(b.DeclareExchange(vhost, "short", rabbithole.ExchangeSettings{Type: "x-consistent-hash"}))
	that("exchanges", len(must(b.ListExchangesIn(vhost))) >= 8 && len(must(b.ListExchanges())) >= 14)
	expect(204)(b.DeleteExchange(vhost, "short"))
}

func queues(b *broker) {
	for _, kind := range []string{"classic", "quorum", "stream"} {
		settings := rabbithole.QueueSettings{Type: kind, Durable: true}
		if kind == "classic" {
			settings.Arguments = map[string]any{"x-max-length": 1000, "x-message-ttl": 600_000}
		}
		expect(201)(b.DeclareQueue(vhost, kind, settings))
		made := must(b.GetQueue(vhost, kind))
		equal(kind, []any{made.Type, made.Durable, made.Status}, []any{kind, true, "running"})
		if kind != "classic" {
			equal("members", made.Members, []string{made.Node})
		}
	}
	equal("argument", must(b.GetQueue(vhost, "classic")).Arguments["x-max-length"], float64(1000))
	equal("queues", len(must(b.ListQueuesIn(vhost))), 3)
	page := must(b.PagedListQueuesWithParametersIn(vhost, url.Values{"page": {"1"}, "page_size": {"2"}}))
	equal("page", []int{page.Page, page.PageCount, page.PageSize, page.ItemCount, page.TotalCount}, []int{1, 2, 2, 2, 3})
	columns := must(b.ListQueuesWithParameters(url.Values{"columns": {"name"}, "sort": {"name"}}))
	equal("columns", []string{columns[0].Name, columns[0].Type}, []string{"classic", ""})
	expect(204)(b.PurgeQueue(vhost, "quorum"))
	expect(204)(b.DeleteQueue(vhost, "quorum", rabbithole.QueueDeleteOptions{IfEmpty: true, IfUnused: true}))
}

// Terraform's provider keeps what the header Location names, and looks for it in the list.
func bindings(b *broker) {
	keys := map[string]map[string]any{"a.#": nil, "": nil, "é /%~": nil, "with": {"k": "v", "n": 1}}
	for key, arguments := range keys {
		info := rabbithole.BindingInfo{Source: "logs /é", Destination: "classic", DestinationType: "queue"}
		info.RoutingKey, info.Arguments = key, arguments
		response := must(b.DeclareBinding(vhost, info))
		equal("status", response.StatusCode, http.StatusCreated)
		parts := strings.Split(response.Header.Get("Location"), "/")
		propertiesKey := must(url.PathUnescape(parts[len(parts)-1]))
		made := find(must(b.ListBindingsIn(vhost)), func(binding rabbithole.BindingInfo) bool {
			return binding.Source == info.Source && binding.PropertiesKey == propertiesKey
		})
		equal("routing key", made.RoutingKey, key)
		expect(204)(b.DeleteBinding(vhost, made))
		expect(201)(b.DeclareBinding(vhost, info))
	}
	to := rabbithole.BindingInfo{Source: "logs /é", Destination: "amq.fanout", DestinationType: "exchange"}
	expect(201)(b.DeclareBinding(vhost, to))
	equal("of a queue", len(must(b.ListQueueBindings(vhost, "classic"))), len(keys)+1)
	equal("between", len(must(b.ListQueueBindingsBetween(vhost, "logs /é", "classic"))), len(keys))
	equal("between exchanges", len(must(b.ListExchangeBindingsBetween(vhost, "logs /é", "amq.fanout"))), 1)
	equal("of a source", len(must(b.ListExchangeBindingsWithSource(vhost, "logs /é"))), len(keys)+1)
	equal("of a destination", len(must(b.ListExchangeBindingsWithDestination(vhost, "amq.fanout"))), 1)
	that("of all", len(must(b.ListBindings())) >= len(keys)+3)
}

// A connection on which there is a channel that confirms.
func (b *broker) connect() (*amqp.Connection, *amqp.Channel) {
	config := amqp.Config{Vhost: vhost, Properties: amqp.NewConnectionProperties()}
	config.Properties.SetClientConnectionName("hole")
	connection := must(amqp.DialConfig(b.amqp, config))
	channel := must(connection.Channel())
	check(channel.Confirm(false), "confirm")
	return connection, channel
}

func connections(b *broker) {
	guest := rabbithole.Permissions{Configure: ".*", Write: ".*", Read: ".*"}
	must(b.UpdatePermissionsIn(vhost, "guest", guest))
	connection, channel := b.connect()
	check(channel.Qos(7, 0, false), "qos")
	_, err := channel.Consume("classic", "tag", false, false, false, false, nil)
	check(err, "consume")
	shown := find(must(b.ListConnections()), func(c rabbithole.ConnectionInfo) bool { return c.Vhost == vhost })
	equal("connection", []any{shown.User, shown.Channels, shown.State}, []any{"guest", 1, "running"})
	equal("its name", shown.ClientProperties["connection_name"], "hole")
	equal("by itself", must(b.GetConnection(shown.Name)).Name, shown.Name)
	equal("of a user", must(b.ListConnectionsOfUser("guest"))[0].Name, shown.Name)
	equal("of a virtual host", len(must(b.ListVhostConnections(vhost))), 1)
	paged := must(b.PagedListConnectionsWithParameters(url.Values{"page": {"1"}}))
	equal("page", paged.ItemCount, 1)
	open := must(b.ListChannels())
	equal("channels", len(open), 1)
	equal("prefetch", must(b.GetChannel(open[0].Name)).PrefetchCount, 7)
	consumers := must(b.ListConsumersIn(vhost))
	equal("consumer", []any{consumers[0].ConsumerTag, consumers[0].Queue.Name, consumers[0].AcknowledgementMode}, []any{
		"tag", "classic", rabbithole.ManualAcknowledgement,
	})
	equal("consumers", len(must(b.ListConsumers())), 1)
	closed := connection.NotifyClose(make(chan *amqp.Error, 1))
	expect(204)(b.CloseConnection(shown.Name))
	equal("reason", (<-closed).Code, amqp.ConnectionForced)
	connection, _ = b.connect()
	closed = connection.NotifyClose(make(chan *amqp.Error, 1))
	expect(204)(b.CloseAllConnectionsOfUser("guest"))
	equal("reason", (<-closed).Code, amqp.ConnectionForced)
}

// What KEDA's scaler decodes.
type scaled struct {
	Name          string `json:"name"`
	Messages      int    `json:"messages"`
	MessagesReady int    `json:"messages_ready"`
	MessageStats  struct {
		PublishDetails struct {
			Rate *float64 `json:"rate"`
		} `json:"publish_details"`
	} `json:"message_stats"`
}

func scaling(b *broker) {
	connection, channel := b.connect()
	defer connection.Close()
	for range 3 {
		message := amqp.Publishing{Body: []byte("work"), DeliveryMode: amqp.Persistent}
		confirm := must(channel.PublishWithDeferredConfirm("", "classic", false, false, message))
		ctx, cancel := context.WithTimeout(context.Background(), waitMax)
		that("confirmed", must(confirm.WaitContext(ctx)))
		cancel()
	}
	var queue scaled
	b.read("/api/queues/rabbit%2Fhole/classic", &queue)
	equal("queue", []any{queue.Name, queue.Messages, queue.MessagesReady}, []any{"classic", 3, 3})
	that("a rate", queue.MessageStats.PublishDetails.Rate != nil)
	var page struct {
		Items     []scaled `json:"items"`
		PageCount int      `json:"page_count"`
	}
	b.read("/api/queues/rabbit%2Fhole?page=1&use_regex=true&pagination=false&name=%5Eclas&page_size=100", &page)
	equal("by a pattern", []int{len(page.Items), page.PageCount, page.Items[0].Messages}, []int{1, 1, 3})
	equal("with statistics", must(b.GetQueue(vhost, "classic")).MessageStats.Publish, int64(3))
}

func (b *broker) read(path string, into any) {
	request := must(http.NewRequest("GET", b.http+path, nil))
	request.SetBasicAuth("guest", "guest")
	response := must(http.DefaultClient.Do(request))
	defer response.Body.Close()
	equal(path, response.StatusCode, http.StatusOK)
	check(json.NewDecoder(response.Body).Decode(into), path)
}

func definitions(b *broker) {
	exported := must(b.ListDefinitions())
	that("users", has(*exported.Users, func(user rabbithole.UserInfo) bool { return user.Name == "ann b" }))
	that("virtual hosts", len(*exported.Vhosts) == 2)
	that("of a virtual host", must(b.ListVhostDefinitions(vhost)).Vhosts == nil)
	expect(204)(b.DeleteQueue(vhost, "classic"))
	expect(204)(b.DeleteExchange(vhost, "logs /é"))
	// Its permissions do not say whose they are, and its policies lack their names.
	exported.Permissions, exported.Policies = nil, &[]rabbithole.PolicyDefinition{}
	expect(204)(b.UploadDefinitions(exported))
	equal("there again", must(b.GetQueue(vhost, "classic")).Arguments["x-max-length"], float64(1000))
	equal("bound again", len(must(b.ListQueueBindings(vhost, "classic"))), 5)
	ofVhost := must(b.ListVhostDefinitions(vhost))
	ofVhost.Policies = &[]rabbithole.PolicyDefinition{}
	expect(201)(b.PutVhost("copy", rabbithole.VhostSettings{}))
	expect(204)(b.UploadVhostDefinitions(ofVhost, "copy"))
	equal("copied", len(must(b.ListQueuesIn("copy"))), len(must(b.ListQueuesIn(vhost))))
	expect(204)(b.DeleteVhost("copy"))
}

func health(b *broker) {
	that("alarms", isWell(b.HealthCheckAlarms()) && isWell(b.HealthCheckLocalAlarms()))
	that("certificates", isWell(b.HealthCheckCertificateExpiration(1, rabbithole.DAYS)))
	that("a port", isWell(b.HealthCheckPortListener(b.httpPort)))
	that("no port", !isWell(b.HealthCheckPortListener(1)))
	that("a protocol", isWell(b.HealthCheckProtocolListener(rabbithole.AMQP)))
	that("no protocol", !isWell(b.HealthCheckProtocolListener(rabbithole.STOMP)))
	that("virtual hosts", isWell(b.HealthCheckVirtualHosts()))
	that("mirrors", isWell(b.HealthCheckNodeIsMirrorSyncCritical()))
	that("quorums", isWell(b.HealthCheckNodeIsQuorumCritical()))
	for _, flag := range must(b.ListFeatureFlags()) {
		expect(204)(b.EnableFeatureFlag(flag.Name))
		equal(flag.Name, flag.State, rabbithole.StateEnabled)
	}
	equal("deprecated features", len(must(b.ListDeprecatedFeatures()))+len(must(b.ListDeprecatedFeaturesUsed())), 0)
}

func errors(b *broker) {
	_, err := b.GetQueue(vhost, "nope")
	refused, isKnown := err.(rabbithole.ErrorResponse)
	that("an error's form", isKnown && refused.StatusCode == 404 && refused.Reason == "Not Found")
	_, err = b.DeclareQueue(vhost, "classic", rabbithole.QueueSettings{Type: "classic", Durable: false})
	refused, isKnown = err.(rabbithole.ErrorResponse)
	that("what is refused", isKnown && refused.StatusCode == 400 && strings.Contains(refused.Reason, "inequivalent arg"))
	wrong := must(rabbithole.NewClient(b.http, "guest", "wrong"))
	_, err = wrong.Overview()
	that("a wrong password", err != nil && strings.Contains(err.Error(), "401"))
	expect(204)(b.DeleteVhost(vhost))
	expect(204)(b.DeleteUser("ann b"))
}
