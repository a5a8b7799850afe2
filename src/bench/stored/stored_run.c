#include "bench/stored/stored_run.h"

#include "bench/client/packets.h"
#include "bench/client/pool.h"
#include "bench/measure/inflight.h"
#include "bench/measure/quiet.h"
#include "bench/measure/stall.h"
#include "bench/measure/stamp.h"
#include "bench/report/progress.h"

#include "base/check.h"
#include "base/clock.h"
#include "mqtt/encode.h"

#include <stdio.h>
#include <stdlib.h>

#define STALL_NS 30000000000u
#define TURN_MS 10
#define TOPIC_PREFIX "stored/"
#define CLIENT_PREFIX "stored-"
#define PUBLISHER_PREFIX "stored-publisher-"
#define PUBLISHERS 16u
#define WINDOW 512u
#define OVERHEAD_BYTES 64u
#define KEEPALIVE_S 7200u

static struct client_plan stored_plan(const struct stored_options *options, const struct address *address)
{
	struct client_plan plan = {
		.client_prefix = CLIENT_PREFIX,
		.topic_prefix = TOPIC_PREFIX,
		.keepalive_s = KEEPALIVE_S,
		.version = options->version,
		.qos = 1,
		.session_expiry_s = UINT32_MAX,
		.writes = true,
	};
	dial_init(&plan.dial, address, true);
	return plan;
}

static bool say_losses(const struct client_pool *pool, const char *what)
{
	char reasons[512];
	if (losses_total(&pool->losses) == 0)
		return true;
	losses_describe(&pool->losses, pool->plan->version, reasons, sizeof(reasons));
	progress_end();
	fprintf(stderr, "roost bench stored: %s: %s\n", what, reasons);
	return false;
}

struct maker {
	struct client_pool pool;
	uint32_t made;
};

static uint32_t maker_topic(void *owner, uint32_t index)
{
	(void)owner;
	return index;
}

static void on_made(void *owner, uint32_t index)
{
	struct maker *maker = owner;
	maker->made++;
	client_pool_leave(&maker->pool, index);
}

bool stored_make_sessions(const struct stored_options *options, const struct address *address)
{
	struct client_plan plan = stored_plan(options, address);
	struct maker maker = {.made = 0};
	struct client_pool *pool = &maker.pool;
	struct stall stall = stall_begin(clock_now_ns(), STALL_NS);
	if (!client_pool_open(pool, &plan, 0, options->sessions))
		return false;
	pool->owner = &maker;
	pool->events = (struct client_events){.topic_of = maker_topic, .ready = on_made};
	while ((pool->started < pool->count || pool->in_progress > 0) && !progress_interrupted()) {
		while (pool->started < pool->count && pool->in_progress < options->in_progress)
			client_pool_start_next(pool);
		client_pool_turn(pool, TURN_MS);
		if (stall_is_over(&stall, maker.made, clock_now_ns()))
			client_pool_give_up(pool);
		progress_show("sessions", (double)maker.made / options->sessions, "%u of %u", maker.made,
			      options->sessions);
	}
	bool good = say_losses(pool, "not every session could be made") && maker.made == options->sessions;
	client_pool_close(pool);
	return good;
}

/* Publisher p of PUBLISHERS fills the sessions p, p + PUBLISHERS, ... */
struct filler {
	const struct stored_options *options;
	struct client_pool pool;
	struct inflight inflight[PUBLISHERS];
	uint8_t *packets;
	uint64_t acknowledged;
};

static uint64_t filler_total(const struct filler *filler, uint32_t index)
{
	const struct stored_options *options = filler->options;
	uint64_t sessions = (options->sessions + PUBLISHERS - 1 - index) / PUBLISHERS;
	return sessions * options->messages;
}

static size_t write_queued(struct filler *filler, uint32_t index, uint64_t number, uint8_t *out)
{
	static const uint8_t padding[UINT16_MAX + 1];
	const struct stored_options *options = filler->options;
	uint32_t session = (uint32_t)(number / options->messages) * PUBLISHERS + index;
	uint8_t topic[CLIENT_PREFIX_BYTES_MAX + 10];
	CHECK(session < options->sessions);
	struct mqtt_publish publish = {
		.topic = slice_of(topic, client_name(TOPIC_PREFIX, session, topic)),
		.payload = slice_of(padding, options->size),
		.packet_id = inflight_packet_id(number),
		.qos = 1,
	};
	size_t size = mqtt_publish_encode(&publish, options->version, out, options->size + OVERHEAD_BYTES);
	CHECK(size > options->size);
	struct stamp stamp = {.publisher = session, .number = number % options->messages};
	stamp_write(&stamp, out + size - options->size);
	return size;
}

static void fill(struct filler *filler, uint32_t index)
{
	struct inflight *inflight = &filler->inflight[index];
	uint32_t spared = filler->pool.receive_max < WINDOW ? WINDOW - filler->pool.receive_max : 0;
	size_t size = 0;
	if (!client_pool_may_send(&filler->pool, index))
		return;
	while (inflight_room(inflight) > spared && inflight->next < filler_total(filler, index)) {
		uint64_t number = inflight->next;
		inflight_take(inflight, 1);
		size += write_queued(filler, index, number, filler->packets + size);
	}
	if (size > 0)
		client_pool_send(&filler->pool, index, filler->packets, size);
}

static bool on_filled(void *owner, uint32_t index, uint8_t type, uint16_t packet_id)
{
	struct filler *filler = owner;
	if (!inflight_answer(&filler->inflight[index], type, packet_id))
		return false;
	filler->acknowledged++;
	return true;
}

static bool fill_all(struct filler *filler)
{
	uint64_t total = (uint64_t)filler->options->sessions * filler->options->messages;
	struct stall stall = stall_begin(clock_now_ns(), STALL_NS);
	while (filler->pool.started < PUBLISHERS)
		client_pool_start_next(&filler->pool);
	while (filler->acknowledged < total && !progress_interrupted()) {
		client_pool_turn(&filler->pool, TURN_MS);
		for (uint32_t i = 0; i < PUBLISHERS; i++)
			fill(filler, i);
		if (stall_is_over(&stall, filler->acknowledged, clock_now_ns()) ||
		    losses_total(&filler->pool.losses) > 0)
			break;
		progress_show("messages", (double)filler->acknowledged / (double)total, "%llu of %llu",
			      (unsigned long long)filler->acknowledged, (unsigned long long)total);
	}
	return say_losses(&filler->pool, "not every message could be queued") && filler->acknowledged == total;
}

bool stored_queue_messages(const struct stored_options *options, const struct address *address)
{
	struct client_plan plan = stored_plan(options, address);
	struct filler filler = {.options = options};
	plan.client_prefix = PUBLISHER_PREFIX;
	plan.session_expiry_s = 0;
	if (!client_pool_open(&filler.pool, &plan, 0, PUBLISHERS))
		return false;
	filler.pool.owner = &filler;
	filler.pool.events = (struct client_events){.acknowledged = on_filled};
	filler.packets = malloc((size_t)WINDOW * (options->size + OVERHEAD_BYTES));
	bool good = filler.packets != NULL;
	for (uint32_t i = 0; i < PUBLISHERS; i++)
		good = inflight_open(&filler.inflight[i], WINDOW) && good;
	good = good && fill_all(&filler);
	for (uint32_t i = 0; i < PUBLISHERS; i++) {
		client_pool_leave(&filler.pool, i);
		inflight_close(&filler.inflight[i]);
	}
	free(filler.packets);
	client_pool_close(&filler.pool);
	return good;
}

struct resumer {
	const struct stored_options *options;
	struct client_pool pool;
	struct stored_check *check;
	uint64_t *next; /* number of the next message of each */
};

static uint32_t session_of(void *owner, uint32_t index)
{
	const struct resumer *resumer = owner;
	return (uint32_t)((uint64_t)index * resumer->options->sessions / resumer->options->checked);
}

static void on_resumed(void *owner, uint32_t index, bool session_present)
{
	struct resumer *resumer = owner;
	(void)index;
	if (!session_present)
		return;
	resumer->check->present++;
	if (resumer->check->resumed_ns == 0)
		resumer->check->resumed_ns = clock_now_ns();
}

static void on_stored_message(void *owner, uint32_t index, const struct mqtt_publish *publish)
{
	struct resumer *resumer = owner;
	struct stamp stamp;
	if (!stamp_read(publish->payload, &stamp) || stamp.publisher != session_of(owner, index) ||
	    stamp.number != resumer->next[index])
		return;
	resumer->next[index]++;
	resumer->check->messages++;
}

/* Until all messages are there, or nothing comes any more. */
static void resume_all(struct resumer *resumer)
{
	struct client_pool *pool = &resumer->pool;
	struct quiet quiet = quiet_begin(QUIET_MS, 0, clock_now_ns());
	enum quiet_advice advice = QUIET_WAIT;
	while (advice != QUIET_OVER && !progress_interrupted() &&
	       (pool->ready < pool->count ||
		resumer->check->messages < (uint64_t)pool->count * resumer->options->messages)) {
		while (pool->started < pool->count && pool->in_progress < resumer->options->in_progress)
			client_pool_start_next(pool);
		client_pool_turn(pool, TURN_MS);
		/* CONNACK waits for the first checkpoint of the new start. */
		bool answered = pool->pings_pending == 0 && pool->in_progress == 0;
		advice = quiet_look(&quiet, resumer->check->messages + pool->ready, answered, clock_now_ns());
		if (advice == QUIET_PROBE)
			client_pool_probe(pool);
	}
}

void stored_resume(const struct stored_options *options, const struct address *address, struct stored_check *out)
{
	struct client_plan plan = stored_plan(options, address);
	struct resumer resumer = {.options = options, .check = out};
	*out = (struct stored_check){.checked = options->checked};
	resumer.next = calloc(options->checked, sizeof(*resumer.next));
	if (resumer.next != NULL && client_pool_open(&resumer.pool, &plan, 0, options->checked)) {
		resumer.pool.owner = &resumer;
		resumer.pool.events = (struct client_events){
			.number_of = session_of, .greeted = on_resumed, .message = on_stored_message};
		resume_all(&resumer);
		say_losses(&resumer.pool, "not every session could be resumed");
		for (uint32_t i = 0; i < resumer.pool.started; i++)
			client_pool_leave(&resumer.pool, i);
		client_pool_close(&resumer.pool);
	}
	free(resumer.next);
}
