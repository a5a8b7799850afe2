#include "bench/run/run_group.h"

#include "bench/measure/stamp.h"
#include "bench/run/run_resume.h"
#include "bench/run/run_send.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Limits for one tick, so that incoming data is read in between. */
#define TICK_MESSAGES_MAX 256u
#define TICK_RECONNECTS_MAX 32u
#define TICK_PINGS_MAX 64u
/* How long the server keeps the session of a client that will resume it. */
#define SESSION_EXPIRY_S 60u

static uint32_t group_topic(void *owner, uint32_t index)
{
	const struct run_group *group = owner;
	const struct scenario_group *spec = group->spec;
	if ((spec->role & ROLE_SUBSCRIBER) == 0 || run_resume_is_subscribed(group, index))
		return CLIENT_NO_TOPIC;
	if (spec->subscribe.number == TOPIC_FIXED)
		return 0;
	return topic_pattern_number(&spec->subscribe, group->first + index, spec->circles, 0);
}

static void note_sign_in(struct run_group *group, uint32_t index)
{
	if (group->clients == NULL || group->clients[index].sign_in_due_ns == 0)
		return;
	struct run_client *client = &group->clients[index];
	if (client->sign_in_due_ns >= group->measure_from_ns)
		histogram_add(&group->tally->sign_in_ns, clock_now_ns() - client->sign_in_due_ns);
	client->sign_in_due_ns = 0;
	group->tally->sign_ins++;
}

static void group_on_ready(void *owner, uint32_t index)
{
	struct run_group *group = owner;
	note_sign_in(group, index);
	if (group->account == NULL)
		return;
	run_resume_ready(group, index);
	if (run_group_publishes(group))
		run_send_due(group, index);
}

static void group_on_message(void *owner, uint32_t index, const struct mqtt_publish *publish)
{
	CHECK(index < ((const struct run_group *)owner)->count);
	struct run_group *group = owner;
	struct run_tally *tally = group->tally;
	struct audit_stream *stream = NULL;
	struct stamp stamp;
	if ((group->spec->role & ROLE_SUBSCRIBER) != 0 && stamp_read(publish->payload, &stamp))
		stream = expectations_stream(group->expectations, group->number, group->first + index, stamp.publisher);
	if (stream == NULL) {
		tally->foreign++;
		return;
	}
	bool counts = group->account == NULL || run_resume_receive(group, index, publish, stream, stamp.number);
	uint64_t now = clock_now_ns();
	if (counts && stamp.sent_ns >= group->measure_from_ns && stamp.sent_ns <= now) {
		histogram_add(&tally->latency_ns, now - stamp.sent_ns);
		tally->latency_sum_ns += now - stamp.sent_ns;
	}
	if (group->account == NULL)
		audit_receive(&tally->audit, stream, stamp.number);
	else
		tally->audit.received += counts;
}

static bool group_on_acknowledged(void *owner, uint32_t index, uint8_t type, uint16_t packet_id)
{
	struct run_group *group = owner;
	uint64_t place;
	if (group->window == 0 || !inflight_find(&group->clients[index].inflight, packet_id, &place) ||
	    !inflight_answer(&group->clients[index].inflight, type, packet_id))
		return false;
	if (group->account != NULL && type != MQTT_PUBCOMP)
		run_resume_acknowledged(group, index, place);
	group->tally->acknowledgements++;
	CHECK(group->unacknowledged > 0);
	group->unacknowledged -= type != MQTT_PUBREC;
	run_send_due(group, index);
	return true;
}

static void group_on_writable(void *owner, uint32_t index)
{
	struct run_group *group = owner;
	if (run_group_publishes(group))
		run_send_due(group, index);
}

static void make_plan(struct run_group *group)
{
	const struct scenario_group *spec = group->spec;
	/* Another run may have left sessions behind. */
	snprintf(group->client_prefix, sizeof(group->client_prefix), "%s-%d-", spec->name, (int)getpid());
	group->plan.client_prefix = group->client_prefix;
	group->plan.topic_prefix = spec->subscribe.before;
	group->plan.topic_suffix = spec->subscribe.after;
	group->plan.topic_fixed = spec->subscribe.number == TOPIC_FIXED;
	group->plan.keepalive_s = (uint16_t)spec->keepalive_s;
	group->plan.version = (uint8_t)spec->version;
	group->plan.qos = (uint8_t)spec->qos;
	group->plan.session_expiry_s = spec->clean_start ? 0 : SESSION_EXPIRY_S;
	group->plan.writes = run_group_publishes(group);
}

bool run_group_open(struct run_group *group, uint32_t first_client)
{
	CHECK(group->count > 0 && group->first + group->count <= group->spec->count);
	make_plan(group);
	group->is_open = client_pool_open(&group->pool, &group->plan, first_client, group->count);
	if (!group->is_open)
		return false;
	group->pool.owner = group;
	group->pool.events = (struct client_events){.topic_of = group_topic,
						    .ready = group_on_ready,
						    .message = group_on_message,
						    .acknowledged = group_on_acknowledged,
						    .writable = group_on_writable};
	if (group->account != NULL)
		run_resume_set_events(&group->pool.events);
	/* Twice in a keepalive. */
	if (group->spec->keepalive_s > 0)
		schedule_init(&group->pings, clock_now_ns(), 2.0 * group->count / group->spec->keepalive_s, 0, 0);
	group->packet = malloc(group->spec->size_max + RUN_SEND_OVERHEAD_BYTES_MAX);
	group->padding = calloc(1, group->spec->size_max);
	if (run_group_publishes(group) || run_group_reconnects(group)) {
		group->clients = calloc(group->count, sizeof(*group->clients));
		if (group->clients == NULL)
			return false;
	}
	return group->packet != NULL && group->padding != NULL && run_resume_open(group);
}

void run_group_close(struct run_group *group)
{
	for (uint32_t i = 0; group->window > 0 && i < group->count; i++)
		inflight_close(&group->clients[i].inflight);
	if (group->is_open)
		client_pool_close(&group->pool);
	run_resume_close(group);
	free(group->clients);
	free(group->packet);
	free(group->padding);
}

/* Called when the server has told its Receive Maximum. */
static bool open_inflight(struct run_group *group)
{
	uint32_t window = group->spec->inflight;
	if (group->spec->qos == 0 || !run_group_publishes(group) || group->window > 0)
		return true;
	if (group->pool.receive_max < window)
		window = group->pool.receive_max;
	for (uint32_t i = 0; i < group->count; i++) {
		if (!inflight_open(&group->clients[i].inflight, window)) {
			while (i-- > 0)
				inflight_close(&group->clients[i].inflight);
			return false;
		}
	}
	group->window = window;
	return run_resume_open_window(group);
}

bool run_group_begin(struct run_group *group, double load, uint64_t begin_ns, uint64_t measure_from_ns, double phase)
{
	CHECK(phase >= 0 && phase < 1 && measure_from_ns >= begin_ns);
	const struct scenario_group *spec = group->spec;
	double share = (double)group->count / spec->count;
	if (!open_inflight(group))
		return false;
	group->measure_from_ns = measure_from_ns;
	schedule_init(&group->messages, begin_ns,
		      run_group_publishes(group) ? share * scenario_group_rate(spec, load) : 0, phase,
		      (uint64_t)spec->loops * group->count);
	schedule_init(&group->reconnects, begin_ns, share * scenario_group_reconnects(spec, load), phase, 0);
	group->sent = 0;
	group->sending_stopped = false;
	for (uint32_t i = 0; group->clients != NULL && i < group->count; i++)
		group->clients[i].turns = 0;
	return true;
}

void run_group_stop(struct run_group *group, uint64_t now_ns)
{
	struct schedule *messages = &group->messages;
	uint64_t due = schedule_due(messages, now_ns);
	if (due > messages->next)
		messages->limit = due;
	else
		messages->limit = messages->next;
	if (messages->limit == 0)
		messages->period_ns = 0;
	group->reconnects.period_ns = 0;
}

void run_group_stop_sending(struct run_group *group)
{
	group->sending_stopped = true;
	group->messages.period_ns = 0;
}

static bool is_due(const struct schedule *schedule, uint64_t now_ns)
{
	return schedule_next_ns(schedule) <= now_ns;
}

static void tick_messages(struct run_group *group, uint64_t now_ns)
{
	struct run_tally *tally = group->tally;
	for (uint32_t i = 0; i < TICK_MESSAGES_MAX && is_due(&group->messages, now_ns); i++) {
		uint64_t turn = group->messages.next;
		uint32_t index = (uint32_t)(turn % group->count);
		uint32_t channel = expectations_channel(group->expectations, group->number, group->first + index,
							turn / group->count);
		uint64_t due_ns = schedule_next_ns(&group->messages);
		if (due_ns >= group->measure_from_ns)
			histogram_add(&tally->late_ns, now_ns - due_ns);
		tally->due++;
		tally->expected_due += group->expectations->channels[channel].fan;
		group->messages.next++;
		run_send_due(group, index);
	}
}

/* A client that was lost tries again in its next turn. */
static void reconnect(struct run_group *group, uint32_t index, uint64_t due_ns)
{
	CHECK(run_group_reconnects(group) && index < group->count);
	struct client_pool *pool = &group->pool;
	enum client_state state = (enum client_state)pool->clients[index].state;
	group->tally->reconnects++;
	if (state != CLIENT_READY && state != CLIENT_GONE) {
		group->tally->skipped++;
		return;
	}
	client_pool_leave(pool, index);
	group->clients[index].sign_in_due_ns = due_ns;
	client_pool_start(pool, index);
}

static void tick_reconnects(struct run_group *group, uint64_t now_ns)
{
	for (uint32_t i = 0; i < TICK_RECONNECTS_MAX && is_due(&group->reconnects, now_ns); i++) {
		uint64_t due_ns = schedule_next_ns(&group->reconnects);
		uint32_t index = (uint32_t)(group->reconnects.next++ % group->count);
		if (due_ns >= group->measure_from_ns)
			histogram_add(&group->tally->late_ns, now_ns - due_ns);
		reconnect(group, index, due_ns);
	}
}

static void tick_pings(struct run_group *group, uint64_t now_ns)
{
	for (uint32_t i = 0; i < TICK_PINGS_MAX && is_due(&group->pings, now_ns); i++)
		client_pool_ping(&group->pool, (uint32_t)(group->pings.next++ % group->count));
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t run_group_tick(struct run_group *group, uint64_t now_ns)
{
	tick_messages(group, now_ns);
	tick_reconnects(group, now_ns);
	tick_pings(group, now_ns);
	return least(schedule_next_ns(&group->messages),
		     least(schedule_next_ns(&group->reconnects), schedule_next_ns(&group->pings)));
}

uint64_t run_group_unsent(const struct run_group *group)
{
	const struct schedule *messages = &group->messages;
	uint64_t due = messages->limit > messages->next ? messages->limit : messages->next;
	CHECK(due >= group->sent);
	return due - group->sent;
}

uint64_t run_group_unacknowledged(const struct run_group *group)
{
	if (group->account != NULL)
		return group->unacknowledged + group->unreleased;
	CHECK(group->pool.released <= group->pool.received_qos_2);
	return group->unacknowledged + group->pool.received_qos_2 - group->pool.released;
}

bool run_group_loops_done(const struct run_group *group)
{
	if (!run_group_publishes(group))
		return true;
	return group->spec->loops > 0 && run_group_unsent(group) == 0;
}

const struct losses *run_group_losses(const struct run_group *group)
{
	return group->account != NULL ? &group->losses : &group->pool.losses;
}
