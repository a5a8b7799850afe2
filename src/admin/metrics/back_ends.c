#include "admin/metrics/back_ends.h"

#include "admin/metrics/bridges.h"
#include "admin/metrics/consumers.h"
#include "admin/metrics/hooks.h"
#include "admin/metrics/rules.h"
#include "admin/metrics/table.h"

static void write_rules(struct exposition *exposition, const struct snapshot *snapshot, size_t metric)
{
	rules_metric_write(exposition, &snapshot->rules, (enum rule_metric)metric);
}

static void write_table(struct exposition *exposition, const struct snapshot *snapshot, size_t metric)
{
	table_metric_write(exposition, &snapshot->table, (enum table_metric)metric);
}

static void write_consumers(struct exposition *exposition, const struct snapshot *snapshot, size_t metric)
{
	consumers_metric_write(exposition, &snapshot->consumers, (enum consumer_metric)metric);
}

static void write_hooks(struct exposition *exposition, const struct snapshot *snapshot, size_t metric)
{
	hooks_metric_write(exposition, &snapshot->hooks, (enum hook_metric)metric);
}

static void write_bridges(struct exposition *exposition, const struct snapshot *snapshot, size_t metric)
{
	bridges_metric_write(exposition, &snapshot->bridges, (enum bridge_metric)metric);
}

static const struct metric BACK_ENDS[] = {
	{PREFIX "rule_state", METRIC_GAUGE, "rule, state",
	 "1 for the state that the rule is in, 0 for the others: working; waiting, Redis is away or refuses entries; "
	 "starting",
	 write_rules, RULE_METRIC_STATE},
	{PREFIX "rule_entries", METRIC_COUNTER, "rule", "Entries that Redis has confirmed, dead letters included",
	 write_rules, RULE_METRIC_ENTRIES},
	{PREFIX "rule_entry_bytes", METRIC_COUNTER, "rule", "Bytes of topics and payloads of these entries",
	 write_rules, RULE_METRIC_BYTES},
	{PREFIX "rule_retries", METRIC_COUNTER, "rule",
	 "Times that a batch of entries had to be sent again, because Redis was away or refused it", write_rules,
	 RULE_METRIC_RETRIES},
	{PREFIX "rule_dead_letters", METRIC_COUNTER, "rule",
	 "Messages that went to the stream roost:dead, because Redis will never take them as the rule has them",
	 write_rules, RULE_METRIC_DEAD},
	{PREFIX "rule_backlog_messages", METRIC_GAUGE, "rule",
	 "Messages that the rule has taken and Redis has not confirmed", write_rules, RULE_METRIC_BACKLOG},
	{PREFIX "rule_backlog_bytes", METRIC_GAUGE, "rule", "Bytes of those of them that wait", write_rules,
	 RULE_METRIC_BACKLOG_BYTES},
	{PREFIX "rule_refused_messages", METRIC_COUNTER, "rule",
	 "Messages that the rule did not take because its backlog was full", write_rules, RULE_METRIC_REFUSED},
	{PREFIX "rule_oldest_seconds", METRIC_GAUGE, "rule",
	 "How long ago the oldest message of the backlog arrived; 0: there is none", write_rules, RULE_METRIC_OLDEST},
	{PREFIX "presence_table_state", METRIC_GAUGE, "state",
	 "1 for the state that the table of connected clients in Redis is in, 0 for the others: working; listing, it "
	 "is "
	 "made anew; waiting, Redis is away",
	 write_table, TABLE_METRIC_STATE},
	{PREFIX "presence_table_clients", METRIC_GAUGE, "", "Clients in that table, as Redis has confirmed them",
	 write_table, TABLE_METRIC_CLIENTS},
	{PREFIX "presence_table_events", METRIC_COUNTER, "", "Comings and goings that were written to it", write_table,
	 TABLE_METRIC_EVENTS},
	{PREFIX "presence_table_listings", METRIC_COUNTER, "", "Times that it was made anew of all clients",
	 write_table, TABLE_METRIC_LISTINGS},
	{PREFIX "presence_table_renewed_seconds", METRIC_GAUGE, "",
	 "How long ago Redis has confirmed that the table lives on; 0: not yet", write_table, TABLE_METRIC_RENEWED},
	{PREFIX "redis_node_connected", METRIC_GAUGE, "node",
	 "Whether the rules' connection to this server is there, one for each master that they send to", write_rules,
	 RULE_METRIC_NODES},
	{PREFIX "redis_redirects", METRIC_COUNTER, "",
	 "Times that a Redis Cluster sent entries of rules to another node (MOVED, ASK), and they went there",
	 write_rules, RULE_METRIC_REDIRECTS},
	{PREFIX "redis_slots_age_seconds", METRIC_GAUGE, "",
	 "Since the rules learned which master of a Redis Cluster has which slots; 0: they did not, or it is no "
	 "cluster",
	 write_rules, RULE_METRIC_MAP_AGE},
	{PREFIX "consumer_state", METRIC_GAUGE, "consumer, state",
	 "1 for the state that the consumer is in, 0 for the others: working; waiting, Redis is away or refuses; "
	 "starting",
	 write_consumers, CONSUMER_METRIC_STATE},
	{PREFIX "consumer_published", METRIC_COUNTER, "consumer", "Entries that were published as messages",
	 write_consumers, CONSUMER_METRIC_PUBLISHED},
	{PREFIX "consumer_published_bytes", METRIC_COUNTER, "consumer", "Bytes of their topics and payloads",
	 write_consumers, CONSUMER_METRIC_BYTES},
	{PREFIX "consumer_commands", METRIC_COUNTER, "consumer", "Entries that were commands, and were carried out",
	 write_consumers, CONSUMER_METRIC_COMMANDS},
	{PREFIX "consumer_expired", METRIC_COUNTER, "consumer",
	 "Entries whose messages had no time left when they were read", write_consumers, CONSUMER_METRIC_EXPIRED},
	{PREFIX "consumer_dead_letters", METRIC_COUNTER, "consumer",
	 "Entries that went to the stream for dead letters, because they cannot be carried out", write_consumers,
	 CONSUMER_METRIC_DEAD},
	{PREFIX "consumer_claimed", METRIC_COUNTER, "consumer",
	 "Entries that another member of the group had held for too long", write_consumers, CONSUMER_METRIC_CLAIMED},
	{PREFIX "consumer_read_again", METRIC_COUNTER, "consumer",
	 "Entries that this member had read before without saying that they are done", write_consumers,
	 CONSUMER_METRIC_AGAIN},
	{PREFIX "consumer_retries", METRIC_COUNTER, "consumer",
	 "Times that Redis was away, or refused, or that a command could not be carried out yet", write_consumers,
	 CONSUMER_METRIC_RETRIES},
	{PREFIX "consumer_lag_entries", METRIC_GAUGE, "consumer",
	 "Entries that no member of the group has read yet; of Redis 7 on, where it knows", write_consumers,
	 CONSUMER_METRIC_LAG},
	{PREFIX "consumer_pending_entries", METRIC_GAUGE, "consumer",
	 "Entries that members of the group have read and that are not done", write_consumers, CONSUMER_METRIC_PENDING},
	{PREFIX "consumer_delay_seconds", METRIC_GAUGE, "consumer",
	 "From an entry's being added until it was done: the last one of the last batch", write_consumers,
	 CONSUMER_METRIC_DELAY},
	{PREFIX "hook_state", METRIC_GAUGE, "hook, state",
	 "1 for the state that the hook is in, 0 for the others: working; waiting, its endpoint is away or does not "
	 "take events; starting",
	 write_hooks, HOOK_METRIC_STATE},
	{PREFIX "hook_events", METRIC_COUNTER, "hook", "Events that the endpoint has taken", write_hooks,
	 HOOK_METRIC_EVENTS},
	{PREFIX "hook_event_bytes", METRIC_COUNTER, "hook", "Bytes of topics and payloads of these events", write_hooks,
	 HOOK_METRIC_BYTES},
	{PREFIX "hook_requests", METRIC_COUNTER, "hook", "Requests that the endpoint answered with 2xx", write_hooks,
	 HOOK_METRIC_REQUESTS},
	{PREFIX "hook_failures", METRIC_COUNTER, "hook, kind",
	 "Requests that did not deliver their events: no_host, no_connection, no_trust (TLS), timed_out, broken "
	 "(closed "
	 "early, or no HTTP), no_process (on this side), redirected, refused (400, 413 and 422), client_error, "
	 "server_error",
	 write_hooks, HOOK_METRIC_FAILURES},
	{PREFIX "hook_dead_letters", METRIC_COUNTER, "hook", "Events that went to the dead-letter file", write_hooks,
	 HOOK_METRIC_DEAD},
	{PREFIX "hook_answered_requests", METRIC_COUNTER, "hook", "Requests that were answered, with whatever status",
	 write_hooks, HOOK_METRIC_ANSWERED},
	{PREFIX "hook_answer_seconds", METRIC_COUNTER, "hook", "How long these took, in sum", write_hooks,
	 HOOK_METRIC_TOOK},
	{PREFIX "hook_backlog_messages", METRIC_GAUGE, "hook",
	 "Messages that the hook has taken and the endpoint has not", write_hooks, HOOK_METRIC_BACKLOG},
	{PREFIX "hook_backlog_bytes", METRIC_GAUGE, "hook", "Bytes of those of them that wait", write_hooks,
	 HOOK_METRIC_BACKLOG_BYTES},
	{PREFIX "hook_refused_messages", METRIC_COUNTER, "hook",
	 "Messages that the hook did not take because its backlog was full", write_hooks, HOOK_METRIC_REFUSED},
	{PREFIX "hook_oldest_seconds", METRIC_GAUGE, "hook",
	 "How long ago the oldest message of the backlog arrived; 0: there is none", write_hooks, HOOK_METRIC_OLDEST},
	{PREFIX "bridge_state", METRIC_GAUGE, "bridge, state",
	 "1 for the state that the bridge is in, 0 for the others: working; waiting, its broker is away or refuses it; "
	 "starting",
	 write_bridges, BRIDGE_METRIC_STATE},
	{PREFIX "bridge_sent_messages", METRIC_COUNTER, "bridge",
	 "Messages that the broker has acknowledged, or, at QoS 0, that were sent to it", write_bridges,
	 BRIDGE_METRIC_SENT},
	{PREFIX "bridge_sent_bytes", METRIC_COUNTER, "bridge",
	 "Bytes of topics and payloads that were sent to the broker, for the first time or again", write_bridges,
	 BRIDGE_METRIC_SENT_BYTES},
	{PREFIX "bridge_received_messages", METRIC_COUNTER, "bridge",
	 "Messages from the broker that were published here", write_bridges, BRIDGE_METRIC_RECEIVED},
	{PREFIX "bridge_received_bytes", METRIC_COUNTER, "bridge",
	 "Bytes of topics and payloads of messages from the broker", write_bridges, BRIDGE_METRIC_RECEIVED_BYTES},
	{PREFIX "bridge_dead_letters", METRIC_COUNTER, "bridge",
	 "Messages that the broker refused, or that it can never take: each is dropped", write_bridges,
	 BRIDGE_METRIC_DEAD},
	{PREFIX "bridge_refused_messages", METRIC_COUNTER, "bridge",
	 "Messages from the broker that this gateway refused, or can never take", write_bridges, BRIDGE_METRIC_REFUSED},
	{PREFIX "bridge_looped_messages", METRIC_COUNTER, "bridge",
	 "Messages that had passed too many bridges, and were dropped", write_bridges, BRIDGE_METRIC_LOOPED},
	{PREFIX "bridge_connections", METRIC_COUNTER, "bridge", "Connections to the broker that came to be",
	 write_bridges, BRIDGE_METRIC_CONNECTIONS},
	{PREFIX "bridge_retries", METRIC_COUNTER, "bridge", "Times that a connection could not be made, or was lost",
	 write_bridges, BRIDGE_METRIC_RETRIES},
	{PREFIX "bridge_backlog_messages", METRIC_GAUGE, "bridge",
	 "Messages that the bridge has taken and the broker has not", write_bridges, BRIDGE_METRIC_BACKLOG},
	{PREFIX "bridge_backlog_bytes", METRIC_GAUGE, "bridge", "Bytes of those of them that wait", write_bridges,
	 BRIDGE_METRIC_BACKLOG_BYTES},
	{PREFIX "bridge_dropped_messages", METRIC_COUNTER, "bridge",
	 "Messages that the bridge missed because its queue was full: the oldest or the newest, as when_full says",
	 write_bridges, BRIDGE_METRIC_DROPPED},
};

#define BACK_END_COUNT (sizeof(BACK_ENDS) / sizeof(BACK_ENDS[0]))

_Static_assert(BACK_END_COUNT != 0, "each back end has some");

size_t back_end_metric_count(void)
{
	return BACK_END_COUNT;
}

const struct metric *back_end_metric(size_t number)
{
	return number < BACK_END_COUNT ? &BACK_ENDS[number] : NULL;
}
