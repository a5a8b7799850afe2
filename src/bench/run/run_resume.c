#include "bench/run/run_resume.h"

#include "bench/run/run_send.h"

#include "base/check.h"
#include "base/clock.h"
#include "mqtt/encode.h"

#include <stdlib.h>

/* Fits the shortest default backlog of a broker, mosquitto's 100. */
#define IN_PROGRESS_MAX 64u
#define RETRY_NS 20000000u
#define PUBREL_BYTES_MAX 16u

bool run_resume_open(struct run_group *group)
{
	if (group->account == NULL)
		return true;
	group->resuming = calloc(group->count, sizeof(*group->resuming));
	return group->resuming != NULL;
}

bool run_resume_open_window(struct run_group *group)
{
	CHECK(group->window > 0);
	for (uint32_t i = 0; group->resuming != NULL && i < group->count; i++) {
		group->resuming[i].sent = calloc(group->window, sizeof(struct run_sent));
		if (group->resuming[i].sent == NULL)
			return false;
	}
	return true;
}

void run_resume_close(struct run_group *group)
{
	for (uint32_t i = 0; group->resuming != NULL && i < group->count; i++) {
		unreleased_close(&group->resuming[i].unreleased);
		free(group->resuming[i].sent);
	}
	free(group->resuming);
}

static void resume_on_greeted(void *owner, uint32_t index, bool session_present)
{
	struct run_group *group = owner;
	struct run_resuming *client = &group->resuming[index];
	client->is_present = session_present;
	if (session_present)
		return;
	group->account->sessions_lost += client->is_known && !group->spec->clean_start;
	client->is_known = false;
	CHECK(group->unreleased >= client->unreleased.count);
	group->unreleased -= client->unreleased.count;
	unreleased_clear(&client->unreleased);
}

static void resume_on_released(void *owner, uint32_t index, uint16_t packet_id)
{
	struct run_group *group = owner;
	struct unreleased *unreleased = &group->resuming[index].unreleased;
	group->unreleased -= unreleased->count;
	unreleased_release(unreleased, packet_id);
	group->unreleased += unreleased->count;
}

static bool resume_on_refused(void *owner, uint32_t index, uint8_t type, uint16_t packet_id, uint8_t reason)
{
	struct run_group *group = owner;
	uint64_t place;
	(void)reason;
	if (group->window == 0 || !inflight_find(&group->clients[index].inflight, packet_id, &place))
		return false;
	inflight_drop(&group->clients[index].inflight, place);
	CHECK(group->unacknowledged > 0);
	group->unacknowledged--;
	/* With PUBCOMP nothing is refused: the server had ended the handshake before its own end. */
	group->account->refused += type != MQTT_PUBCOMP;
	run_send_due(group, index);
	return true;
}

static void resume_on_lost(void *owner, uint32_t index, enum client_state state, enum loss kind, uint32_t code)
{
	struct run_group *group = owner;
	(void)index;
	(void)state;
	group->retry_ns = clock_now_ns() + RETRY_NS;
	if (!atomic_load_explicit(&group->account->server_is_down, memory_order_acquire))
		losses_add(&group->losses, kind, code);
}

void run_resume_set_events(struct client_events *events)
{
	events->greeted = resume_on_greeted;
	events->released = resume_on_released;
	events->refused = resume_on_refused;
	events->lost = resume_on_lost;
}

static void send_pubrel(struct run_group *group, uint32_t index, uint64_t place)
{
	uint8_t packet[PUBREL_BYTES_MAX];
	struct mqtt_ack ack = {.packet_id = inflight_packet_id(place)};
	size_t size = mqtt_ack_encode(&ack, MQTT_PUBREL, (uint8_t)group->spec->version, packet, sizeof(packet));
	CHECK(size > 0);
	client_pool_send(&group->pool, index, packet, size);
}

void run_resume_ready(struct run_group *group, uint32_t index)
{
	struct run_resuming *client = &group->resuming[index];
	client->is_known = true;
	if (group->window == 0)
		return;
	const struct inflight *inflight = &group->clients[index].inflight;
	for (uint64_t place = inflight->oldest; place < inflight->next; place++) {
		uint8_t wait = inflight->waits[place % group->window];
		if (wait == INFLIGHT_PUBACK || wait == INFLIGHT_PUBREC)
			run_send_message(group, index, &client->sent[place % group->window], inflight_packet_id(place),
					 true);
		else if (wait == INFLIGHT_PUBCOMP)
			send_pubrel(group, index, place);
	}
}

void run_resume_acknowledged(struct run_group *group, uint32_t index, uint64_t place)
{
	CHECK(group->window > 0);
	const struct run_sent *sent = &group->resuming[index].sent[place % group->window];
	restart_account_acknowledge(group->account, sent->channel, sent->number);
}

bool run_resume_receive(struct run_group *group, uint32_t index, const struct mqtt_publish *publish,
			const struct audit_stream *stream, uint64_t number)
{
	struct unreleased *unreleased = &group->resuming[index].unreleased;
	if (publish->qos == 2) {
		uint32_t channel = group->expectations->stream_channel[stream - group->expectations->streams];
		group->unreleased -= unreleased->count;
		enum unreleased_answer answer = unreleased_take(unreleased, publish->packet_id, channel, number);
		group->unreleased += unreleased->count;
		group->account->identifiers_reused += answer == UNRELEASED_REUSED;
		if (answer == UNRELEASED_NO_MEMORY)
			group->account->ledger.out_of_memory = true;
		if (answer == UNRELEASED_AGAIN)
			return false;
	}
	return restart_account_receive(group->account, stream, number);
}

bool run_resume_is_subscribed(const struct run_group *group, uint32_t index)
{
	return group->account != NULL && group->resuming[index].is_known && group->resuming[index].is_present;
}

void run_resume_return(struct run_group *group, uint64_t now_ns)
{
	struct client_pool *pool = &group->pool;
	if (group->account == NULL || pool->ready + pool->in_progress == pool->started || run_group_reconnects(group) ||
	    atomic_load_explicit(&group->account->server_is_down, memory_order_acquire))
		return;
	for (uint32_t i = 0; i < pool->started && pool->in_progress < IN_PROGRESS_MAX; i++) {
		/* A failed attempt moves the next one. */
		if (now_ns < group->retry_ns)
			return;
		if (pool->clients[i].state == CLIENT_GONE)
			client_pool_start(pool, i);
	}
}
