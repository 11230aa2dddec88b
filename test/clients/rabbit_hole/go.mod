module leveret/test/clients/rabbit_hole

go 1.23.0

require (
	github.com/michaelklishin/rabbit-hole/v3 v3.2.0
	github.com/rabbitmq/amqp091-go v1.16.0
)
