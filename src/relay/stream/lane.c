#include "relay/stream/lane.h"

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"

#include <stdio.h>

_Static_assert(STATUS_FAULT_BYTES >= BATCH_REASON_BYTES_MAX, "what Redis said fits");

void lane_init(struct lane *lane, const struct rule *rule)
{
	*lane = (struct lane){.rule = rule, .session = {.fd = -1}};
	copies_init(&lane->copies);
	pause_clear(&lane->pause);
}

void lane_fini(struct lane *lane)
{
	session_link_close(&lane->session);
	entry_batch_free(&lane->gathered);
	entry_batch_free(&lane->flying);
	entry_batch_free(&lane->spare);
}

/* ---- from the session ---- */

bool lane_may_read(const struct lane *lane)
{
	return lane->session.state != SESSION_CLOSED && !entry_batch_is_full(&lane->gathered);
}

static bool gather_messages(struct lane *lane, uint64_t wall_ms)
{
	struct mqtt_publish publish;
	struct relay_message message;
	/* The batch is asked first: what session_link_next() has passed is not read again. */
	while (!entry_batch_is_full(&lane->gathered) && session_link_next(&lane->session, &publish)) {
		relay_message_read(&publish, &message);
		if (copies_is_one(&lane->copies, &lane->rule->topics, &message)) {
			if (publish.packet_id != 0)
				session_link_acknowledge(&lane->session, publish.packet_id);
			continue;
		}
		if (entry_batch_add(&lane->gathered, lane->rule, &message, publish.packet_id, wall_ms))
			continue;
		/* It is redelivered when the session is opened again. */
		snprintf(lane->session.fault, sizeof(lane->session.fault), "%s", error_sentence(ERROR_NO_MEMORY));
	}
	return !session_link_is_broken(&lane->session);
}

bool lane_read(struct lane *lane, uint64_t wall_ms)
{
	bool more = true;
	/* What did not fit the last time. */
	if (!gather_messages(lane, wall_ms))
		return false;
	while (more && !entry_batch_is_full(&lane->gathered)) {
		if (!session_link_read(&lane->session, &more) || !gather_messages(lane, wall_ms))
			return false;
	}
	return true;
}

/* ---- to Redis ---- */

uint64_t lane_retry_ms(const struct lane *lane)
{
	bool holds = lane->flying.count != 0 || lane->gathered.count != 0;
	/* What was under way before comes behind CONNACK, in front of SUBACK, and may be more than a batch holds. */
	bool has_session = lane->session.state >= SESSION_CONNECTED;
	return holds && !lane->is_at_redis && has_session ? lane->pause.until_ms : UINT64_MAX;
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

void lane_launch(struct lane *lane, struct bytes *out)
{
	CHECK(!lane->is_at_redis);
	if (lane->flying.count == 0)
		swap_batches(&lane->flying, &lane->gathered);
	entry_batch_write(&lane->flying, out);
	lane->is_at_redis = true;
	lane->refusal[0] = lane->reason[0] = '\0';
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
	bool is_new = strcmp(lane->fault, fault) != 0 || !lane->is_waiting;
	CHECK(fault[0] != '\0');
	if (is_new)
		log_write(LOG_WARNING, "rule %s: %s", lane->rule->name, fault);
	snprintf(lane->fault, sizeof(lane->fault), "%s", fault);
	lane->fault_ms = now_ms;
}

static void pause_lane(struct lane *lane, uint64_t now_ms)
{
	lane->counts.retries++;
	lane->is_waiting = true;
	pause_begin(&lane->pause, now_ms);
}

static uint32_t count_dead(const struct entry_batch *batch)
{
	uint32_t dead = 0;
	for (uint32_t i = 0; i < batch->count; i++)
		dead += batch->entries[i].fate == BATCH_DEAD ? 1 : 0;
	return dead;
}

static void note_dead(struct lane *lane, uint32_t dead, uint64_t now_ms)
{
	char text[STATUS_FAULT_BYTES];
	if (dead == 0)
		return;
	snprintf(text, sizeof(text), "%u messages go to " RULE_DEAD_STREAM ": %.160s", dead, lane->reason);
	lane_note(lane, text, now_ms);
}

void lane_settle(struct lane *lane, const char *fault, uint64_t now_ms)
{
	CHECK(lane->is_at_redis && lane->spare.count == 0);
	uint32_t sent = lane->flying.count;
	uint32_t dead = count_dead(&lane->flying);
	lane->is_at_redis = false;
	if (!entry_batch_settle(&lane->flying, lane->rule, lane->reason, &lane->spare, note_done, lane)) {
		/* All of it is sent again: at least once. */
		lane_note(lane, error_sentence(ERROR_NO_MEMORY), now_ms);
		pause_lane(lane, now_ms);
		return;
	}
	swap_batches(&lane->flying, &lane->spare);
	note_dead(lane, dead, now_ms);
	if (fault[0] != '\0' || lane->refusal[0] != '\0') {
		lane_note(lane, fault[0] != '\0' ? fault : lane->refusal, now_ms);
		pause_lane(lane, now_ms);
		return;
	}
	/* Dead letters go at once. */
	if (lane->flying.count < sent || dead != 0) {
		if (lane->is_waiting && lane->flying.count == 0)
			log_write(LOG_INFO, "rule %s: Redis takes entries again", lane->rule->name);
		lane->is_waiting = lane->is_waiting && lane->flying.count != 0;
		pause_clear(&lane->pause);
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

/* The first of the oldest batch has come first, but for what was redelivered. */
static uint64_t oldest_ms(const struct lane *lane)
{
	const struct entry_batch *batch = lane->flying.count != 0 ? &lane->flying : &lane->gathered;
	return batch->count != 0 ? batch->entries[0].time_ms : 0;
}

void lane_status(const struct lane *lane, bool redis_connected, uint64_t now_ms, uint64_t wall_ms,
		 struct rule_status *status)
{
	const struct rule *rule = lane->rule;
	uint64_t arrived_ms = oldest_ms(lane);
	*status = (struct rule_status){
		.qos = rule->qos,
		.state = lane->session.state != SESSION_READY   ? RULE_STARTING
			 : redis_connected && !lane->is_waiting ? RULE_WORKING
								: RULE_WAITING,
		.counts = lane->counts,
		.backlog_messages = lane->flying.count + lane->gathered.count,
		.backlog_bytes = lane->flying.commands.size + lane->gathered.commands.size,
		.oldest_s = arrived_ms != 0 && arrived_ms < wall_ms ? (double)(wall_ms - arrived_ms) / 1e3 : 0,
		.fault_age_s = lane->fault[0] != '\0' ? (double)(now_ms - lane->fault_ms) / 1e3 : 0,
	};
	snprintf(status->name, sizeof(status->name), "%s", rule->name);
	snprintf(status->stream, sizeof(status->stream), "%s", rule->stream);
	snprintf(status->fault, sizeof(status->fault), "%s", lane->fault);
}
