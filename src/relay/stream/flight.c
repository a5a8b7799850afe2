#include "relay/stream/flight.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PARCELS_LEAST 16u

void flight_init(struct flight *flight, struct lane *lane, bool follows)
{
	*flight = (struct flight){.lane = lane, .follows = follows};
	pause_clear(&flight->pause);
}

void flight_fini(struct flight *flight)
{
	entry_batch_free(&flight->batch);
	free(flight->parcels);
	flight->parcels = NULL;
}

void flight_clear(struct flight *flight)
{
	entry_batch_clear(&flight->batch);
	flight->parcel_count = 0;
}

/* ---- what goes ---- */

static struct parcel *place_for_parcel(struct flight *flight)
{
	if (flight->parcel_count < flight->parcel_capacity)
		return &flight->parcels[flight->parcel_count];
	uint32_t capacity = flight->parcel_capacity != 0 ? flight->parcel_capacity * 2 : PARCELS_LEAST;
	struct parcel *parcels = realloc(flight->parcels, capacity * sizeof(*parcels));
	if (parcels == NULL)
		return NULL;
	flight->parcels = parcels;
	flight->parcel_capacity = capacity;
	return &parcels[flight->parcel_count];
}

bool flight_add(struct flight *flight, const struct entry_batch *from, const uint32_t *numbers, uint32_t count,
		uint16_t slot, bool asking)
{
	struct parcel *parcel = place_for_parcel(flight);
	uint32_t first = flight->batch.count;
	CHECK(!flight->is_at_redis && count != 0);
	if (parcel == NULL)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (entry_batch_copy(&flight->batch, from, numbers[i]))
			continue;
		entry_batch_truncate(&flight->batch, first);
		return false;
	}
	*parcel =
		(struct parcel){.first = first, .count = count, .slot = slot, .asking = asking, .is_alone = count == 1};
	flight->parcel_count++;
	return true;
}

bool flight_add_all(struct flight *flight)
{
	CHECK(!flight->is_at_redis);
	flight->parcel_count = 0;
	struct parcel *parcel = place_for_parcel(flight);
	if (parcel == NULL)
		return false;
	*parcel = (struct parcel){.count = flight->batch.count};
	flight->parcel_count = 1;
	return true;
}

void flight_write(struct flight *flight, struct bytes *out)
{
	CHECK(!flight->is_at_redis && flight->parcel_count != 0);
	for (uint32_t i = 0; i < flight->parcel_count; i++) {
		const struct parcel *parcel = &flight->parcels[i];
		if (parcel->asking) {
			bytes_append_array(out, 1);
			bytes_append_text(out, "ASKING");
		}
		if (parcel->is_alone)
			entry_batch_write_alone(&flight->batch, parcel->first, out);
		else
			entry_batch_write(&flight->batch, parcel->first, parcel->count, out);
	}
	flight->is_at_redis = true;
	flight->is_redirected = false;
	flight->answered = flight->answers = 0;
	flight->refusal[0] = flight->reason[0] = '\0';
}

/* ---- what comes ---- */

static uint32_t answers_of(const struct parcel *parcel)
{
	return (parcel->asking ? 1 : 0) + (parcel->is_alone ? 1 : parcel->count + 2);
}

uint32_t flight_owed(const struct flight *flight)
{
	return flight_is_answered(flight) ? 0 : answers_of(&flight->parcels[flight->answered]) - flight->answers;
}

static bool answer_is_wrong(char fault[FLIGHT_FAULT_BYTES], const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static bool answer_is_wrong(char fault[FLIGHT_FAULT_BYTES], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fault, FLIGHT_FAULT_BYTES, format, arguments);
	va_end(arguments);
	return false;
}

static void keep_first(char kept[BATCH_REASON_BYTES_MAX], const char *text)
{
	if (kept[0] == '\0')
		snprintf(kept, BATCH_REASON_BYTES_MAX, "%.*s", (int)BATCH_REASON_BYTES_MAX - 1, text);
}

/* An error that is none of an entry's own. A cluster that sends the parcel elsewhere does not refuse it; what it says
 * of the transaction then follows from that. */
static void refuse(struct flight *flight, const struct redis_place *asked, const redisReply *reply)
{
	struct slice error = slice_of(reply->str, (size_t)reply->len);
	if (flight->is_redirected)
		return;
	if (flight->follows && redis_redirect_read(error, asked, &flight->redirect)) {
		flight->is_redirected = true;
		return;
	}
	keep_first(flight->refusal, reply->str);
}

/* What an entry that was carried out came to. */
static void carry_out(struct flight *flight, const struct redis_place *asked, uint32_t entry, const redisReply *reply)
{
	const char *error = reply->type == REDIS_REPLY_ERROR ? reply->str : "";
	entry_batch_executed(&flight->batch, entry, error);
	if (flight->batch.entries[entry].fate == BATCH_REFUSED)
		refuse(flight, asked, reply);
	else if (error[0] != '\0')
		keep_first(flight->reason, error);
}

/* To a command between MULTI and EXEC. */
static bool hear_queued(struct flight *flight, const struct redis_place *asked, uint32_t entry, const redisReply *reply,
			char fault[FLIGHT_FAULT_BYTES])
{
	switch (reply->type) {
	case REDIS_REPLY_STATUS:
		entry_batch_heard(&flight->batch, entry, BATCH_QUEUED);
		return true;
	case REDIS_REPLY_STRING: /* MULTI was refused, and this was carried out by itself */
		entry_batch_heard(&flight->batch, entry, BATCH_DONE);
		return true;
	case REDIS_REPLY_ERROR:
		entry_batch_heard(&flight->batch, entry, BATCH_REFUSED);
		refuse(flight, asked, reply);
		return true;
	default:
		return answer_is_wrong(fault, "an answer of type %d to XADD", reply->type);
	}
}

static bool hear_executed(struct flight *flight, const struct redis_place *asked, const struct parcel *parcel,
			  const redisReply *reply, char fault[FLIGHT_FAULT_BYTES])
{
	size_t element = 0;
	if (reply->type == REDIS_REPLY_ERROR) {
		refuse(flight, asked, reply);
		return true;
	}
	if (reply->type != REDIS_REPLY_ARRAY)
		return answer_is_wrong(fault, "an answer of type %d to EXEC", reply->type);
	for (uint32_t i = parcel->first; i < parcel->first + parcel->count; i++) {
		if (flight->batch.entries[i].fate != BATCH_QUEUED)
			continue;
		if (element == reply->elements)
			return answer_is_wrong(fault, "an answer to EXEC with %zu parts", reply->elements);
		const redisReply *part = reply->element[element++];
		if (part->type != REDIS_REPLY_ERROR && part->type != REDIS_REPLY_STRING)
			return answer_is_wrong(fault, "an answer of type %d within EXEC", part->type);
		carry_out(flight, asked, i, part);
	}
	return element == reply->elements ||
	       answer_is_wrong(fault, "an answer to EXEC with %zu parts", reply->elements);
}

static bool hear_alone(struct flight *flight, const struct redis_place *asked, uint32_t entry, const redisReply *reply,
		       char fault[FLIGHT_FAULT_BYTES])
{
	if (reply->type != REDIS_REPLY_ERROR && reply->type != REDIS_REPLY_STRING)
		return answer_is_wrong(fault, "an answer of type %d to XADD", reply->type);
	carry_out(flight, asked, entry, reply);
	return true;
}

/* Answer number `answer` to a parcel, ASKING's left out. */
static bool hear_parcel(struct flight *flight, const struct redis_place *asked, const struct parcel *parcel,
			uint32_t answer, const redisReply *reply, char fault[FLIGHT_FAULT_BYTES])
{
	if (parcel->is_alone)
		return hear_alone(flight, asked, parcel->first, reply, fault);
	if (answer == 0) {
		if (reply->type == REDIS_REPLY_ERROR)
			refuse(flight, asked, reply);
		return true;
	}
	if (answer <= parcel->count)
		return hear_queued(flight, asked, parcel->first + answer - 1, reply, fault);
	return hear_executed(flight, asked, parcel, reply, fault);
}

enum flight_news flight_hear(struct flight *flight, const struct redis_place *asked, const redisReply *reply,
			     char fault[FLIGHT_FAULT_BYTES])
{
	CHECK(flight->is_at_redis && !flight_is_answered(flight));
	const struct parcel *parcel = &flight->parcels[flight->answered];
	uint32_t answer = flight->answers++;
	if (answer == 0)
		flight->is_redirected = false;
	/* Where ASKING is refused, so is what follows. */
	bool is_asking = parcel->asking && answer == 0;
	if (!is_asking && !hear_parcel(flight, asked, parcel, answer - (parcel->asking ? 1 : 0), reply, fault))
		return FLIGHT_WRONG;
	if (flight->answers < answers_of(parcel))
		return FLIGHT_GOES_ON;
	flight->answered++;
	flight->answers = 0;
	return FLIGHT_PARCEL;
}

void flight_send_on(struct flight *flight, uint16_t asked)
{
	CHECK(flight->is_redirected && flight->answered != 0);
	const struct parcel *parcel = &flight->parcels[flight->answered - 1];
	for (uint32_t i = parcel->first; i < parcel->first + parcel->count; i++) {
		struct batch_entry *entry = &flight->batch.entries[i];
		entry->asked = asked;
		if (entry->redirects++ < FLIGHT_REDIRECTS_MAX)
			continue;
		entry->redirects = 0;
		keep_first(flight->refusal, "the cluster sends it from node to node");
	}
}
