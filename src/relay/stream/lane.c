#include "relay/stream/lane.h"

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

_Static_assert(STATUS_FAULT_BYTES >= BATCH_REASON_BYTES_MAX, "what Redis said fits");

/* NOLINTBEGIN(bugprone-macro-parentheses): the name of what is declared */
#define EACH_FLIGHT(lane, flight)                                                                                      \
	for (uint32_t number = 0; number < (lane)->flight_end; number++)                                               \
		for (struct flight *flight = (lane)->flights[number]; flight != NULL; flight = NULL)
/* NOLINTEND(bugprone-macro-parentheses) */

void lane_init(struct lane *lane, const struct rule *rule, bool in_cluster)
{
	*lane = (struct lane){.rule = rule, .session = {.fd = -1}, .in_cluster = in_cluster};
	copies_init(&lane->copies);
}

void lane_fini(struct lane *lane)
{
	session_link_close(&lane->session);
	entry_batch_free(&lane->pool);
	entry_batch_free(&lane->spare);
	EACH_FLIGHT(lane, flight)
	{
		flight_fini(flight);
		free(flight);
	}
	/* How it is doing is asked once more. */
	lane->flight_end = 0;
}

/* ---- from the session ---- */

bool lane_may_read(const struct lane *lane)
{
	return lane->session.state != SESSION_CLOSED && !entry_batch_is_full(&lane->pool);
}

static bool gather_messages(struct lane *lane, uint64_t wall_ms)
{
	struct mqtt_publish publish;
	struct relay_message message;
	/* The batch is asked first: what session_link_next() has passed is not read again. */
	while (!entry_batch_is_full(&lane->pool) && session_link_next(&lane->session, &publish)) {
		relay_message_read(&publish, &message);
		if (copies_is_one(&lane->copies, &lane->rule->topics, &message)) {
			if (publish.packet_id != 0)
				session_link_acknowledge(&lane->session, publish.packet_id);
			continue;
		}
		if (entry_batch_add(&lane->pool, lane->rule, &message, publish.packet_id, wall_ms))
			continue;
		/* It is redelivered when the session is opened again. */
		snprintf(lane->session.fault, sizeof(lane->session.fault), "%s", error_sentence(ERROR_NO_MEMORY));
	}
	lane->had_no_room = entry_batch_is_full(&lane->pool);
	return !session_link_is_broken(&lane->session);
}

bool lane_read(struct lane *lane, uint64_t wall_ms)
{
	bool more = true;
	/* What did not fit the last time. */
	if (!gather_messages(lane, wall_ms))
		return false;
	while (more && !entry_batch_is_full(&lane->pool)) {
		if (!session_link_read(&lane->session, &more) || !gather_messages(lane, wall_ms))
			return false;
	}
	return true;
}

/* ---- to Redis ---- */

bool lane_holds(const struct lane *lane)
{
	EACH_FLIGHT(lane, flight)
	{
		if (flight->batch.count != 0)
			return true;
	}
	return lane->pool.count != 0;
}

bool lane_is_waiting(const struct lane *lane)
{
	EACH_FLIGHT(lane, flight)
	{
		if (flight->is_waiting)
			return true;
	}
	return lane->is_held;
}

bool lane_is_at_redis(const struct lane *lane)
{
	EACH_FLIGHT(lane, flight)
	{
		if (flight->is_at_redis)
			return true;
	}
	return false;
}

/* Of a single server: one flight at a time. */
static uint64_t retry_whole_ms(const struct lane *lane)
{
	const struct flight *flight = lane->flights[0];
	if (flight == NULL)
		return lane->pool.count != 0 ? 0 : UINT64_MAX;
	if (flight->is_at_redis || (flight->batch.count == 0 && lane->pool.count == 0))
		return UINT64_MAX;
	return flight->pause.until_ms;
}

/* Entries that stayed in a flight for want of memory go again as they are. */
static uint64_t retry_parts_ms(const struct lane *lane)
{
	uint64_t retry_ms = lane->pool.count != 0 ? lane->try_ms : UINT64_MAX;
	EACH_FLIGHT(lane, flight)
	{
		if (flight->batch.count != 0 && !flight->is_at_redis && flight->pause.until_ms < retry_ms)
			retry_ms = flight->pause.until_ms;
	}
	return retry_ms;
}

uint64_t lane_retry_ms(const struct lane *lane)
{
	/* What was under way before comes behind CONNACK, in front of SUBACK, and may be more than a batch holds. */
	if (lane->session.state < SESSION_CONNECTED)
		return UINT64_MAX;
	return lane->in_cluster ? retry_parts_ms(lane) : retry_whole_ms(lane);
}

bool lane_is_ready(const struct lane *lane, uint64_t now_ms)
{
	uint64_t retry_ms = lane_retry_ms(lane);
	return retry_ms != UINT64_MAX && now_ms >= retry_ms;
}

static void swap_batches(struct entry_batch *one, struct entry_batch *other)
{
	struct entry_batch kept = *one;
	*one = *other;
	*other = kept;
}

struct flight *lane_flight(struct lane *lane, uint32_t server)
{
	CHECK_LT(server, REDIS_NODES_MAX);
	if (lane->flights[server] != NULL)
		return lane->flights[server];
	struct flight *flight = malloc(sizeof(*flight));
	if (flight == NULL)
		return NULL;
	flight_init(flight, lane, lane->in_cluster);
	lane->flights[server] = flight;
	if (server >= lane->flight_end)
		lane->flight_end = server + 1;
	return flight;
}

static void note_moved(void *context, const struct batch_entry *entry)
{
	(void)context;
	(void)entry;
}

bool lane_drop_moved(struct lane *lane)
{
	CHECK(lane->spare.count == 0);
	if (!entry_batch_settle(&lane->pool, lane->rule, "", &lane->spare, note_moved, NULL))
		return false;
	swap_batches(&lane->pool, &lane->spare);
	return true;
}

void lane_all_gone(struct lane *lane)
{
	CHECK(lane->in_cluster && lane->pool.count == 0);
	lane->is_held = false;
	EACH_FLIGHT(lane, flight)
	flight->is_waiting = flight->is_waiting && flight->batch.count != 0;
}

bool lane_load(struct lane *lane, struct flight *flight)
{
	CHECK(!lane->in_cluster);
	if (flight->batch.count == 0)
		swap_batches(&flight->batch, &lane->pool);
	return flight_add_all(flight);
}

static void note_done(void *context, const struct batch_entry *entry)
{
	struct lane *lane = context;
	if (entry->packet_id != 0 && !session_link_is_broken(&lane->session))
		session_link_acknowledge(&lane->session, entry->packet_id);
	lane->counts.entries++;
	lane->counts.bytes += entry->message_bytes;
	lane->counts.dead += entry->is_dead_letter ? 1 : 0;
}

void lane_note(struct lane *lane, const char *fault, uint64_t now_ms)
{
	bool is_new = strcmp(lane->fault, fault) != 0 || !lane_is_waiting(lane);
	CHECK(fault[0] != '\0');
	if (is_new)
		log_write(LOG_WARNING, "rule %s: %s", lane->rule->name, fault);
	snprintf(lane->fault, sizeof(lane->fault), "%s", fault);
	lane->fault_ms = now_ms;
}

static void pause_flight(struct flight *flight, uint64_t now_ms)
{
	flight->lane->counts.retries++;
	flight->is_waiting = true;
	pause_begin(&flight->pause, now_ms);
}

static uint32_t count_dead(const struct entry_batch *batch)
{
	uint32_t dead = 0;
	for (uint32_t i = 0; i < batch->count; i++)
		dead += batch->entries[i].fate == BATCH_DEAD ? 1 : 0;
	return dead;
}

static void note_dead(struct lane *lane, uint32_t dead, const char *reason, uint64_t now_ms)
{
	char text[STATUS_FAULT_BYTES];
	if (dead == 0)
		return;
	snprintf(text, sizeof(text), "%u messages go to " RULE_DEAD_STREAM ": %.160s", dead, reason);
	lane_note(lane, text, now_ms);
}

/* What Redis does not have yet stays in the flight; in a cluster it goes to the front of the pool, since it may have to
 * go elsewhere. No two flights have entries of the same stream, so the order holds. false: memory is short, and all of
 * it is in the flight still. */
static bool settle_entries(struct lane *lane, struct flight *flight, uint32_t dead)
{
	struct entry_batch *spare = &lane->spare;
	size_t bytes = flight->batch.commands.size + lane->pool.commands.size + dead * (size_t)BATCH_DEAD_BYTES_MAX;
	bool goes_elsewhere = lane->in_cluster;
	CHECK(spare->count == 0);
	if (goes_elsewhere && !entry_batch_reserve(spare, flight->batch.count + lane->pool.count, bytes))
		return false;
	if (!entry_batch_settle(&flight->batch, lane->rule, flight->reason, spare, note_done, lane))
		return false;
	if (!goes_elsewhere) {
		swap_batches(&flight->batch, spare);
		return true;
	}
	flight->parcel_count = 0;
	if (spare->count != 0) {
		CHECK(entry_batch_append(spare, &lane->pool)); /* there is room */
		swap_batches(&lane->pool, spare);
		entry_batch_clear(spare);
	}
	lane->try_ms = 0;
	return true;
}

void lane_settle(struct lane *lane, struct flight *flight, const char *fault, uint64_t now_ms)
{
	CHECK(flight->is_at_redis && flight->lane == lane);
	uint64_t confirmed = lane->counts.entries;
	uint32_t sent = flight->batch.count;
	uint32_t dead = count_dead(&flight->batch);
	flight->is_at_redis = flight->is_kept = false;
	if (!settle_entries(lane, flight, dead)) {
		/* All of it is sent again: at least once. */
		flight->is_kept = true;
		lane_note(lane, error_sentence(ERROR_NO_MEMORY), now_ms);
		pause_flight(flight, now_ms);
		return;
	}
	bool is_done = lane->counts.entries - confirmed == sent;
	note_dead(lane, dead, flight->reason, now_ms);
	if (fault[0] != '\0' || flight->refusal[0] != '\0') {
		lane_note(lane, fault[0] != '\0' ? fault : flight->refusal, now_ms);
		pause_flight(flight, now_ms);
		return;
	}
	/* Dead letters go at once. */
	if (lane->counts.entries != confirmed || dead != 0) {
		if (flight->is_waiting && is_done)
			log_write(LOG_INFO, "rule %s: Redis takes entries again", lane->rule->name);
		flight->is_waiting = flight->is_waiting && !is_done;
		pause_clear(&flight->pause);
	}
}

/* ---- how it is doing ---- */

const char *rule_state_name(enum rule_state state)
{
	static const char *const NAMES[] = {
		[RULE_STARTING] = "starting", [RULE_WORKING] = "working", [RULE_WAITING] = "waiting"};
	CHECK(state <= RULE_WAITING);
	return NAMES[state];
}

/* The first of a batch has come first, but for what was redelivered. */
static void note_oldest(const struct entry_batch *batch, uint64_t *oldest_ms)
{
	uint64_t time_ms = batch->count != 0 ? batch->entries[0].time_ms : 0;
	if (time_ms != 0 && (*oldest_ms == 0 || time_ms < *oldest_ms))
		*oldest_ms = time_ms;
}

/* What it holds, and how old that is. */
static void sum_backlog(const struct lane *lane, struct rule_status *status, uint64_t *oldest_ms)
{
	*oldest_ms = 0;
	status->backlog_messages = lane->pool.count;
	status->backlog_bytes = lane->pool.commands.size;
	note_oldest(&lane->pool, oldest_ms);
	EACH_FLIGHT(lane, flight)
	{
		status->backlog_messages += flight->batch.count;
		status->backlog_bytes += flight->batch.commands.size;
		note_oldest(&flight->batch, oldest_ms);
	}
}

void lane_status(const struct lane *lane, bool redis_connected, uint64_t now_ms, uint64_t wall_ms,
		 struct rule_status *status)
{
	const struct rule *rule = lane->rule;
	uint64_t arrived_ms;
	*status = (struct rule_status){
		.qos = rule->qos,
		.state = lane->session.state != SESSION_READY        ? RULE_STARTING
			 : redis_connected && !lane_is_waiting(lane) ? RULE_WORKING
								     : RULE_WAITING,
		.counts = lane->counts,
		.fault_age_s = lane->fault[0] != '\0' ? (double)(now_ms - lane->fault_ms) / 1e3 : 0,
	};
	sum_backlog(lane, status, &arrived_ms);
	if (arrived_ms != 0 && arrived_ms < wall_ms)
		status->oldest_s = (double)(wall_ms - arrived_ms) / 1e3;
	snprintf(status->name, sizeof(status->name), "%s", rule->name);
	snprintf(status->stream, sizeof(status->stream), "%s", rule->stream);
	snprintf(status->fault, sizeof(status->fault), "%s", lane->fault);
}
