#include "cluster/copy/replication.h"

#include "base/check.h"
#include "cluster/wire/numbers.h"

/* ---- numbers ---- */

static uint8_t *add_u32(uint8_t *at, uint32_t value)
{
	put_u32(at, value);
	return at + sizeof(value);
}

static uint8_t *add_u64(uint8_t *at, uint64_t value)
{
	put_u64(at, value);
	return at + sizeof(value);
}

static uint8_t *put_store_id(uint8_t *at, const uint8_t id[REPLICATION_ID_BYTES])
{
	memcpy(at, id, REPLICATION_ID_BYTES);
	return at + REPLICATION_ID_BYTES;
}

static uint32_t next_u32(const uint8_t **at)
{
	uint32_t value = get_u32(*at);
	*at += sizeof(value);
	return value;
}

static uint64_t next_u64(const uint8_t **at)
{
	uint64_t value = get_u64(*at);
	*at += sizeof(value);
	return value;
}

static void get_store_id(const uint8_t **at, uint8_t id[REPLICATION_ID_BYTES])
{
	memcpy(id, *at, REPLICATION_ID_BYTES);
	*at += REPLICATION_ID_BYTES;
}

static struct slice behind(struct slice body, size_t head)
{
	return slice_of(body.data + head, body.size - head);
}

/* ---- offers ---- */

void replication_put_offer(const struct replication_offer *offer, uint8_t to[REPLICATION_OFFER_BYTES])
{
	uint8_t *at = add_u32(to, offer->version);
	at = add_u32(at, offer->stream);
	at = put_store_id(at, offer->store_id);
	at = put_store_id(at, offer->store_key);
	at = add_u32(at, offer->knows_taken);
	CHECK_EQ((size_t)(at - to), REPLICATION_OFFER_BYTES);
}

bool replication_get_offer(struct slice body, struct replication_offer *offer)
{
	const uint8_t *at = body.data;
	if (body.size != REPLICATION_OFFER_BYTES)
		return false;
	offer->version = next_u32(&at);
	offer->stream = next_u32(&at);
	get_store_id(&at, offer->store_id);
	get_store_id(&at, offer->store_key);
	offer->knows_taken = next_u32(&at);
	return offer->knows_taken <= 1;
}

void replication_put_held(const struct replication_held *held, uint8_t to[REPLICATION_HELD_BYTES])
{
	add_u32(add_u32(to, held->stream), held->count);
}

bool replication_get_held(struct slice body, struct replication_held *held)
{
	const uint8_t *at = body.data;
	if (body.size < REPLICATION_HELD_BYTES)
		return false;
	held->stream = next_u32(&at);
	held->count = next_u32(&at);
	return held->count <= REPLICATION_SEGMENTS_MAX &&
	       body.size == REPLICATION_HELD_BYTES + (size_t)held->count * REPLICATION_SEGMENT_BYTES;
}

void replication_put_segment(const struct replication_segment *segment, uint8_t to[REPLICATION_SEGMENT_BYTES])
{
	uint8_t *at = add_u32(to, segment->number);
	at = add_u64(at, segment->bytes);
	at = add_u64(at, segment->next_commit);
	add_u64(at, segment->header_checksum);
}

bool replication_get_segment(struct slice body, uint32_t place, struct replication_segment *segment)
{
	size_t offset = REPLICATION_HELD_BYTES + (size_t)place * REPLICATION_SEGMENT_BYTES;
	CHECK_LE(offset + REPLICATION_SEGMENT_BYTES, body.size);
	const uint8_t *at = body.data + offset;
	segment->number = next_u32(&at);
	segment->bytes = next_u64(&at);
	segment->next_commit = next_u64(&at);
	segment->header_checksum = next_u64(&at);
	const uint8_t *before = body.data + offset - REPLICATION_SEGMENT_BYTES;
	uint32_t last = place != 0 ? next_u32(&before) : 0;
	return segment->number > last && segment->bytes <= UINT32_MAX && segment->next_commit != 0;
}

/* ---- the log ---- */

void replication_put_bytes(const struct replication_bytes *bytes, uint8_t to[REPLICATION_BYTES_BYTES])
{
	uint8_t *at = add_u32(to, bytes->stream);
	at = add_u32(at, bytes->segment);
	at = add_u64(at, bytes->offset);
	add_u64(at, bytes->position);
}

bool replication_get_bytes(struct slice body, struct replication_bytes *head, struct slice *bytes)
{
	const uint8_t *at = body.data;
	if (body.size < REPLICATION_BYTES_BYTES)
		return false;
	head->stream = next_u32(&at);
	head->segment = next_u32(&at);
	head->offset = next_u64(&at);
	head->position = next_u64(&at);
	*bytes = behind(body, REPLICATION_BYTES_BYTES);
	return true;
}

void replication_put_safe(const struct replication_safe *safe, uint8_t to[REPLICATION_SAFE_BYTES])
{
	uint8_t *at = add_u32(to, safe->stream);
	at = add_u64(at, safe->position);
	at = add_u64(at, safe->pieces);
	at = add_u64(at, safe->last_commit);
	add_u64(at, safe->bytes);
}

bool replication_get_safe(struct slice body, struct replication_safe *safe)
{
	const uint8_t *at = body.data;
	if (body.size != REPLICATION_SAFE_BYTES)
		return false;
	safe->stream = next_u32(&at);
	safe->position = next_u64(&at);
	safe->pieces = next_u64(&at);
	safe->last_commit = next_u64(&at);
	safe->bytes = next_u64(&at);
	return true;
}

void replication_put_refused(const struct replication_refused *refused, uint8_t to[REPLICATION_REFUSED_BYTES])
{
	uint8_t *at = add_u32(to, refused->stream);
	at = add_u32(at, refused->reason);
	at = add_u64(at, refused->epoch);
	add_u64(at, refused->commit);
}

/* They go to a log. */
static bool are_plain_words(struct slice words)
{
	for (size_t i = 0; i < words.size; i++)
		if (words.data[i] < 0x20 || words.data[i] >= 0x7f)
			return false;
	return true;
}

bool replication_get_refused(struct slice body, struct replication_refused *refused, struct slice *words)
{
	const uint8_t *at = body.data;
	if (body.size < REPLICATION_REFUSED_BYTES || body.size > REPLICATION_REFUSED_BYTES + REPLICATION_WORDS_MAX)
		return false;
	refused->stream = next_u32(&at);
	refused->reason = next_u32(&at);
	refused->epoch = next_u64(&at);
	refused->commit = next_u64(&at);
	*words = behind(body, REPLICATION_REFUSED_BYTES);
	return refused->reason != 0 && refused->reason < REPLICATION_REFUSAL_LIMIT && are_plain_words(*words);
}

/* ---- coming back ---- */

void replication_put_ask(const struct replication_ask *ask, uint8_t to[REPLICATION_ASK_BYTES])
{
	put_store_id(add_u32(to, ask->number), ask->store_id);
}

static bool is_short_name(struct slice name)
{
	return name.size != 0 && name.size <= REPLICATION_WORDS_MAX && are_plain_words(name);
}

bool replication_get_ask(struct slice body, struct replication_ask *ask, struct slice *name)
{
	const uint8_t *at = body.data;
	if (body.size < REPLICATION_ASK_BYTES)
		return false;
	ask->number = next_u32(&at);
	get_store_id(&at, ask->store_id);
	*name = behind(body, REPLICATION_ASK_BYTES);
	return is_short_name(*name);
}

void replication_put_answer(const struct replication_answer *answer, uint8_t to[REPLICATION_ANSWER_BYTES])
{
	uint8_t *at = add_u32(to, answer->number);
	at = add_u32(at, answer->copy);
	at = add_u64(at, answer->epoch);
	add_u64(at, answer->commit);
}

bool replication_get_answer(struct slice body, struct replication_answer *answer)
{
	const uint8_t *at = body.data;
	if (body.size != REPLICATION_ANSWER_BYTES)
		return false;
	answer->number = next_u32(&at);
	answer->copy = next_u32(&at);
	answer->epoch = next_u64(&at);
	answer->commit = next_u64(&at);
	return answer->copy < REPLICATION_COPY_LIMIT;
}

void replication_put_taken(const struct replication_taken *taken, uint8_t to[REPLICATION_TAKEN_BYTES])
{
	uint8_t *at = put_store_id(to, taken->store_id);
	at = add_u64(at, taken->epoch);
	at = add_u64(at, taken->commit);
	add_u64(at, taken->sessions);
}

bool replication_get_taken(struct slice body, struct replication_taken *taken, struct slice *name)
{
	const uint8_t *at = body.data;
	if (body.size < REPLICATION_TAKEN_BYTES)
		return false;
	get_store_id(&at, taken->store_id);
	taken->epoch = next_u64(&at);
	taken->commit = next_u64(&at);
	taken->sessions = next_u64(&at);
	*name = behind(body, REPLICATION_TAKEN_BYTES);
	return is_short_name(*name);
}
