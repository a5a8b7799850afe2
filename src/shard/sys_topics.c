#include "shard/sys_topics.h"

#include "mqtt/encode.h"
#include "route/routing.h"
#include "state/shard.h"
#include "store/store.h"
#include "topics/retained.h"

#include <stdio.h>

#define TEXT_BYTES_MAX 64u
#define PACKET_BYTES_MAX 256u

_Static_assert(PACKET_BYTES_MAX >= MQTT_HEADER_BYTES_MAX + 2 + 2 * TEXT_BYTES_MAX, "a topic and its figure fit");

/* A topic below $SYS/broker. Its figure is the sum of these counters. */
struct sys_topic {
	const char *name;
	enum counter add[3]; /* NONE: no more */
};

#define NONE COUNTER_COUNT

static const struct sys_topic TOPICS[] = {
	{"clients/connected", {COUNTER_connections_open, NONE, NONE}},
	{"clients/disconnected", {COUNTER_sessions_offline, NONE, NONE}},
	{"clients/total", {COUNTER_connections_open, COUNTER_sessions_offline, NONE}},
	{"clients/tcp", {COUNTER_connections_tcp, NONE, NONE}},
	{"clients/tls", {COUNTER_connections_tls, NONE, NONE}},
	{"clients/ws", {COUNTER_connections_ws, NONE, NONE}},
	{"clients/wss", {COUNTER_connections_wss, NONE, NONE}},
	{"clients/unix", {COUNTER_connections_unix, NONE, NONE}},
	{"clients/expired", {COUNTER_sessions_expired, NONE, NONE}},
	{"messages/received", {COUNTER_packets_in, NONE, NONE}},
	{"publish/messages/received", {COUNTER_messages_in, NONE, NONE}},
	{"publish/messages/sent", {COUNTER_messages_out, NONE, NONE}},
	{"publish/messages/dropped",
	 {COUNTER_messages_dropped_queue_full, COUNTER_messages_dropped_too_large, COUNTER_messages_dropped_memory}},
	{"bytes/received", {COUNTER_bytes_in, NONE, NONE}},
	{"bytes/sent", {COUNTER_bytes_out, NONE, NONE}},
	{"subscriptions/count", {COUNTER_subscriptions_open, NONE, NONE}},
	{"store/messages/count", {COUNTER_stored_messages, NONE, NONE}},
	{"store/messages/bytes", {COUNTER_stored_bytes, NONE, NONE}},
};

static void sys_topics_send(struct shard *shard, const char *name, const char *text)
{
	char topic[TEXT_BYTES_MAX];
	uint8_t packet[PACKET_BYTES_MAX];
	CHECK_EQ(shard->env.number, 0u);
	int length = snprintf(topic, sizeof(topic), "$SYS/broker/%s", name);
	CHECK_LT(length, (int)sizeof(topic));
	struct mqtt_publish message = {.topic = slice_string(topic), .payload = slice_string(text), .retain = true};
	size_t size = mqtt_publish_encode(&message, MQTT_VERSION_3_1_1, packet, sizeof(packet));
	CHECK(size != 0);
	struct publication publication =
		publication_of(&message, MQTT_VERSION_3_1_1, size, MQTT_HEADER_BYTES_MIN, shard->loop.now_s);
	struct message_ref kept = messages_new(&shard->mem.messages, &publication, packet);
	if (!message_ref_is_none(kept))
		routing_publish(shard, kept, client_ref_none(), NULL);
}

static void publish_number(struct shard *shard, const char *name, uint64_t value, const char *unit)
{
	char text[TEXT_BYTES_MAX];
	snprintf(text, sizeof(text), "%lu%s", value, unit);
	sys_topics_send(shard, name, text);
}

static uint64_t sys_topics_sum_of(const struct counters *counters, const struct sys_topic *topic)
{
	uint64_t sum = 0;
	for (int i = 0; i < 3 && topic->add[i] != NONE; i++)
		sum += atomic_load_explicit(&counters->values[topic->add[i]], memory_order_relaxed);
	return sum;
}

/* What an acknowledgement promises, and whether that can be kept to. */
static void publish_store(struct shard *shard)
{
	const struct shard_store *store = &shard->env.store;
	if (store->figures == NULL) {
		sys_topics_send(shard, "store/state", "none");
		sys_topics_send(shard, "store/promise", "memory");
		return;
	}
	struct store_figures figures;
	store->figures(store->context, &figures);
	sys_topics_send(shard, "store/state", store_state_name(figures.state));
	sys_topics_send(shard, "store/promise", shard->env.settings->store.periodic ? "written" : "synced");
	publish_number(shard, "store/log/bytes", figures.log_bytes, "");
	publish_number(shard, "store/room/bytes", figures.room_bytes, "");
	publish_number(shard, "store/failures", figures.failures, "");
}

void sys_topics_publish(struct shard *shard)
{
	uint32_t interval_s = shard->env.settings->sys_interval_s;
	if (interval_s == 0 || shard->env.sum_counters == NULL || shard->loop.now_s < shard->loop.sys_next_s)
		return;
	if (shard->loop.started_s == 0)
		shard->loop.started_s = shard->loop.now_s;
	shard->loop.sys_next_s = shard->loop.now_s + interval_s;
	struct counters sum = {0};
	shard->env.sum_counters(shard->env.sum_context, &sum);
	sys_topics_send(shard, "version", "roost " ROOST_VERSION);
	publish_number(shard, "uptime", shard->loop.now_s - shard->loop.started_s, " seconds");
	for (size_t i = 0; i < sizeof(TOPICS) / sizeof(TOPICS[0]); i++)
		publish_number(shard, TOPICS[i].name, sys_topics_sum_of(&sum, &TOPICS[i]), "");
	publish_store(shard);
	publish_number(shard, "retained messages/count", retained_size(shard->env.retained).messages, "");
}
