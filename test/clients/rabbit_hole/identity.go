// Who there is and what it may do: users, virtual hosts, permissions, policies, parameters.
package main

import (
	rabbithole "github.com/michaelklishin/rabbit-hole/v3"
)

const vhost = "rabbit/hole"

func whole(b *broker) {
	overview := must(b.Overview())
	that("versions", overview.ManagementVersion != "" && overview.RabbitMQVersion != "")
	that("listeners", has(overview.Listeners, func(l rabbithole.Listener) bool { return l.Protocol == "amqp" }))
	that("exchange types", len(overview.ExchangeTypes) > 4)
	nodes := must(b.ListNodes())
	equal("nodes", len(nodes), 1)
	node := must(b.GetNode(nodes[0].Name))
	that("it runs", node.IsRunning && node.Uptime > 0 && node.MemUsed > 0 && node.FdTotal > 0)
	equal("who asks", must(b.Whoami()).Tags, rabbithole.UserTags{"administrator"})
	that("protocols", has(must(b.EnabledProtocols()), func(name string) bool { return name == "amqp" }))
	that("ports", must(b.ProtocolPorts())["http"] == rabbithole.Port(b.httpPort))
	before := must(b.GetClusterName())
	expect(204)(b.SetClusterName(rabbithole.ClusterName{Name: "warren"}))
	equal("name", must(b.GetClusterName()).Name, "warren")
	expect(204)(b.SetClusterName(*before))
}

func users(b *broker) {
	settings := rabbithole.UserSettings{Password: "s3krEt", Tags: rabbithole.UserTags{"policymaker", "own"}}
	expect(201)(b.PutUser("ann b", settings))
	expect(204)(b.PutUser("ann b", settings))
	ann := must(b.GetUser("ann b"))
	equal("tags", ann.Tags, settings.Tags)
	equal("algorithm", ann.HashingAlgorithm, rabbithole.HashingAlgorithmSHA256)
	hash := rabbithole.Base64EncodedSaltedPasswordHashSHA512("other")
	hashed := rabbithole.UserSettings{PasswordHash: hash, HashingAlgorithm: rabbithole.HashingAlgorithmSHA512}
	hashed.Tags = rabbithole.UserTags{"management"}
	expect(201)(b.PutUser("hashed", hashed))
	equal("hash", must(b.GetUser("hashed")).PasswordHash, hash)
	own := must(rabbithole.NewClient(b.http, "hashed", "other"))
	equal("who asks", must(own.Whoami()).Name, "hashed")
	expect(201)(b.PutUserWithoutPassword("certified", rabbithole.UserSettings{Tags: rabbithole.UserTags{}}))
	equal("users", len(must(b.ListUsers())), 4)
	expect(204)(b.PutUserLimits("ann b", rabbithole.UserLimitsValues{"max-connections": 5, "max-channels": 9}))
	limits := must(b.GetUserLimits("ann b"))
	equal("limits", limits[0].Value, rabbithole.UserLimitsValues{"max-connections": 5, "max-channels": 9})
	equal("limits of all", len(must(b.GetAllUserLimits())), 1)
	expect(204)(b.DeleteUserLimits("ann b", rabbithole.UserLimits{"max-connections", "max-channels"}))
	equal("limits", len(must(b.GetUserLimits("ann b"))), 0)
	expect(204)(b.DeleteUser("hashed"))
	expect(204)(b.DeleteUser("certified"))
}

func vhosts(b *broker) {
	settings := rabbithole.VhostSettings{Description: "a hole", Tags: rabbithole.VhostTags{"a", "b"}}
	settings.DefaultQueueType = "quorum"
	expect(201)(b.PutVhost(vhost, settings))
	made := must(b.GetVhost(vhost))
	equal("description", made.Description, settings.Description)
	equal("tags", made.Tags, settings.Tags)
	equal("default queue type", made.DefaultQueueType, "quorum")
	that("it runs", len(made.ClusterState) == 1)
	settings.Description, settings.DefaultQueueType = "another", "classic"
	expect(204)(b.PutVhost(vhost, settings))
	equal("virtual hosts", len(must(b.ListVhosts())), 2)
	expect(204)(b.PutVhostLimits(vhost, rabbithole.VhostLimitsValues{"max-connections": 50, "max-queues": 90}))
	equal("limits", must(b.GetVhostLimits(vhost))[0].Value["max-queues"], 90)
	equal("limits of all", len(must(b.GetAllVhostLimits())), 1)
	expect(204)(b.DeleteVhostLimits(vhost, rabbithole.VhostLimits{"max-connections", "max-queues"}))
}

func permissions(b *broker) {
	some := rabbithole.Permissions{Configure: "^log\\.", Write: "^log\\.", Read: ".*"}
	expect(201)(b.UpdatePermissionsIn(vhost, "ann b", some))
	given := must(b.GetPermissionsIn(vhost, "ann b"))
	equal("permissions", []string{given.Configure, given.Write, given.Read}, []string{some.Configure, some.Write, some.Read})
	equal("of a user", len(must(b.ListPermissionsOf("ann b"))), 1)
	that("of all", len(must(b.ListPermissions())) >= 3)
	for _, exchange := range []string{"amq.topic", "logs"} {
		topics := rabbithole.TopicPermissions{Exchange: exchange, Write: "^a", Read: "^b"}
		expect(201)(b.UpdateTopicPermissionsIn(vhost, "ann b", topics))
	}
	equal("topics", len(must(b.GetTopicPermissionsIn(vhost, "ann b"))), 2)
	expect(204)(b.DeleteTopicPermissionsIn(vhost, "ann b", "logs"))
	equal("topics of a user", len(must(b.ListTopicPermissionsOf("ann b"))), 1)
	equal("topics of all", must(b.ListTopicPermissions())[0].Write, "^a")
	expect(204)(b.ClearTopicPermissionsIn(vhost, "ann b"))
	expect(204)(b.ClearPermissionsIn(vhost, "ann b"))
}

func policies(b *broker) {
	policy := rabbithole.Policy{Pattern: "^p\\.", ApplyTo: "queues", Priority: 3}
	policy.Definition = rabbithole.PolicyDefinition{"max-length": 100, "overflow": "reject-publish", "ha-mode": "all"}
	expect(201)(b.PutPolicy(vhost, "limits", policy))
	made := must(b.GetPolicy(vhost, "limits"))
	equal("pattern", []any{made.Pattern, made.ApplyTo, made.Priority}, []any{"^p\\.", "queues", 3})
	equal("definition", made.Definition["max-length"], float64(100))
	equal("of a virtual host", len(must(b.ListPoliciesIn(vhost))), 1)
	operator := rabbithole.OperatorPolicy{Pattern: "^p\\.", ApplyTo: "queues"}
	operator.Definition = rabbithole.PolicyDefinition{"max-length": 5}
	expect(201)(b.PutOperatorPolicy(vhost, "ours", operator))
	equal("operator policy", must(b.GetOperatorPolicy(vhost, "ours")).Definition["max-length"], float64(5))
	equal("of all", len(must(b.ListOperatorPolicies()))+len(must(b.ListOperatorPoliciesIn(vhost))), 2)
	expect(201)(b.DeclareQueue(vhost, "p.q", rabbithole.QueueSettings{Type: "classic", Durable: true}))
	equal("policy of a queue", must(b.GetQueue(vhost, "p.q")).Policy, "limits")
	expect(204)(b.DeleteOperatorPolicy(vhost, "ours"))
	check(b.DeleteAllPolicies(), "delete all policies")
	equal("policies", len(must(b.ListPolicies())), 0)
}

func parameters(b *broker) {
	upstream := rabbithole.FederationDefinition{Uri: rabbithole.URISet{"amqp://nowhere.invalid"}, PrefetchCount: 5}
	expect(201)(b.PutFederationUpstream(vhost, "up", upstream))
	equal("upstream", must(b.GetFederationUpstream(vhost, "up")).Definition.PrefetchCount, 5)
	equal("upstreams", len(must(b.ListFederationUpstreamsIn(vhost))), 1)
	component := rabbithole.FederationUpstreamComponent
	equal("parameters", len(must(b.ListRuntimeParametersIn(component, vhost))), 1)
	value := must(b.GetRuntimeParameter(component, vhost, "up")).Value.(map[string]any)
	equal("value", value["prefetch-count"], float64(5))
	expect(204)(b.DeleteFederationUpstream(vhost, "up"))
	expect(201)(b.PutRuntimeParameter("own", vhost, "p", map[string]any{"a": []any{1.5, "b"}}))
	equal("parameter", len(must(b.ListRuntimeParametersFor("own"))), 1)
	check(b.DeleteAllRuntimeParameters(), "delete all parameters")
	equal("parameters", len(must(b.ListRuntimeParameters())), 0)
	expect(201)(b.PutGlobalParameter("g", map[string]any{"a": true}))
	equal("global parameter", must(b.GetGlobalParameter("g")).Value, map[string]any{"a": true})
	that("global parameters", len(must(b.ListGlobalParameters())) >= 1)
	expect(204)(b.DeleteGlobalParameter("g"))
}
