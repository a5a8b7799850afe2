#include "commit/told/squeeze.h"

#include "base/check.h"
#include "store/format/record.h"

#include <stdlib.h>

#define MAP_SLOTS_MIN 1024u
/* The length of a run's body takes so many bytes more than that of an empty one, at most. */
#define RUN_LENGTH_BYTES 4u

/* The object of a KEPT that tells again of a message from before this buffer. */
#define OBJECT_FROM_BEFORE UINT32_MAX

/* Of each record. */
struct squeeze_mark {
	uint32_t offset;
	uint32_t object; /* its chain, or of KEPT and FORGOTTEN its message; 0: it stays as it is */
};

enum chain_state {
	CHAIN_LIVE,   /* it stays; also after its end where that has an effect outside the buffer */
	CHAIN_ENDED,  /* nothing of it is needed */
	CHAIN_HANDED, /* needed as long as its message is */
};

/* An entry that was queued in this buffer. */
struct squeeze_chain {
	uint32_t session;
	uint32_t message; /* its place in messages; 0: it was kept before this buffer */
	uint32_t numbers; /* its SENT, by its mark from 1, where none that stays gives the session's flow another
			   * identifier later on; 0: another one does, or it was not sent */
	uint8_t state;
	bool released;
};

/* A message that was kept in this buffer. */
struct squeeze_message {
	uint32_t references; /* by what stays */
	bool forgotten;
};

/* ---- memory ---- */

static bool squeeze_grow(void *items, uint32_t *capacity, size_t item_bytes)
{
	uint32_t more = *capacity != 0 ? *capacity * 2 : MAP_SLOTS_MIN;
	void *grown = reallocarray(*(void **)items, more, item_bytes);
	if (grown == NULL)
		return false;
	*(void **)items = grown;
	*capacity = more;
	return true;
}

static bool squeeze_map_clear(struct squeeze_map *map)
{
	if (map->capacity == 0 && !squeeze_grow(&map->slots, &map->capacity, sizeof(*map->slots)))
		return false;
	map->mask = MAP_SLOTS_MIN - 1;
	map->used = 0;
	memset(map->slots, 0, MAP_SLOTS_MIN * sizeof(*map->slots));
	return true;
}

void squeeze_fini(struct squeeze *squeeze)
{
	free(squeeze->marks);
	free(squeeze->chains);
	free(squeeze->messages);
	free(squeeze->bodies);
	free(squeeze->run);
	free(squeeze->entries.slots);
	free(squeeze->names.slots);
	free(squeeze->sessions.slots);
	*squeeze = (struct squeeze){.mark_count = 0};
}

/* ---- names ---- */

static uint64_t *squeeze_slot(const struct squeeze_map *map, uint32_t name)
{
	uint32_t at = (name * 0x9e3779b1u) >> 7;
	for (;; at++) {
		uint64_t *slot = &map->slots[at & map->mask];
		if (*slot == 0 || (uint32_t)(*slot >> 32) == name)
			return slot;
	}
}

static uint32_t squeeze_find(const struct squeeze_map *map, uint32_t name)
{
	return name != 0 ? (uint32_t)*squeeze_slot(map, name) : 0;
}

static bool squeeze_map_double(struct squeeze_map *map)
{
	uint32_t before = map->mask + 1;
	uint64_t *old = malloc(before * sizeof(*old));
	if (old == NULL)
		return false;
	memcpy(old, map->slots, before * sizeof(*old));
	if (map->capacity < 2 * before && !squeeze_grow(&map->slots, &map->capacity, sizeof(*map->slots))) {
		free(old);
		return false;
	}
	map->mask = 2 * before - 1;
	memset(map->slots, 0, 2 * (size_t)before * sizeof(*map->slots));
	for (uint32_t i = 0; i < before; i++) {
		if (old[i] != 0)
			*squeeze_slot(map, (uint32_t)(old[i] >> 32)) = old[i];
	}
	free(old);
	return true;
}

/* Name 0 is nobody's. */
static bool squeeze_set(struct squeeze_map *map, uint32_t name, uint32_t place)
{
	if (name == 0)
		return true;
	uint64_t *slot = squeeze_slot(map, name);
	if (*slot == 0) {
		if (place == 0)
			return true;
		map->used++;
	}
	*slot = (uint64_t)name << 32 | place;
	return map->used <= map->mask / 2 || squeeze_map_double(map);
}

/* ---- the first pass: what becomes of each object ---- */

static bool squeeze_keep(struct squeeze *squeeze, const struct store_record *record, uint32_t *object)
{
	/* Told again, it may be known from before this buffer: what is said of it stays. */
	if (record->kind == STORE_KEPT_AT || (record->flags & STORE_FLAG_AGAIN) != 0) {
		/* Where the name was given in this buffer, what the log has of that name is another message. */
		if (record->kind == STORE_KEPT && squeeze_find(&squeeze->names, record->message) == 0)
			*object = OBJECT_FROM_BEFORE;
		return squeeze_set(&squeeze->names, record->message, 0);
	}
	if (squeeze->message_count + 1 >= squeeze->message_capacity &&
	    !squeeze_grow(&squeeze->messages, &squeeze->message_capacity, sizeof(*squeeze->messages)))
		return false;
	*object = ++squeeze->message_count;
	squeeze->messages[*object] = (struct squeeze_message){.references = 0};
	return squeeze_set(&squeeze->names, record->message, *object);
}

static void squeeze_forget(struct squeeze *squeeze, const struct store_record *record, uint32_t *object)
{
	*object = squeeze_find(&squeeze->names, record->message);
	if (*object == 0)
		return;
	squeeze->messages[*object].forgotten = true;
	*squeeze_slot(&squeeze->names, record->message) = (uint64_t)record->message << 32;
}

static bool squeeze_queue(struct squeeze *squeeze, const struct store_record *record, uint32_t *object)
{
	uint32_t message = squeeze_find(&squeeze->names, record->message);
	if (message != 0)
		squeeze->messages[message].references++;
	if ((record->flags & STORE_FLAG_AGAIN) != 0)
		return squeeze_set(&squeeze->entries, record->entry, 0);
	if (squeeze->chain_count + 1 >= squeeze->chain_capacity &&
	    !squeeze_grow(&squeeze->chains, &squeeze->chain_capacity, sizeof(*squeeze->chains)))
		return false;
	*object = ++squeeze->chain_count;
	squeeze->chains[*object] = (struct squeeze_chain){.session = record->session, .message = message};
	return squeeze_set(&squeeze->entries, record->entry, *object);
}

static bool squeeze_send(struct squeeze *squeeze, struct squeeze_chain *chain, uint32_t place)
{
	uint32_t before = squeeze_find(&squeeze->sessions, chain->session);
	if (before != 0)
		squeeze->chains[before].numbers = 0;
	chain->numbers = squeeze->mark_count;
	return squeeze_set(&squeeze->sessions, chain->session, place);
}

/* The entry does not need its message any more. */
static void squeeze_release(struct squeeze *squeeze, const struct squeeze_chain *chain)
{
	if (chain->message == 0 || chain->released)
		return;
	CHECK(squeeze->messages[chain->message].references > 0);
	squeeze->messages[chain->message].references--;
}

static bool squeeze_move(struct squeeze *squeeze, const struct store_record *record, uint32_t place)
{
	return squeeze_set(&squeeze->entries, record->entry, 0) &&
	       squeeze_set(&squeeze->entries, record->entry_to, place);
}

/* An event of an entry. */
static bool squeeze_entry(struct squeeze *squeeze, const struct store_record *record, uint32_t *object)
{
	*object = squeeze_find(&squeeze->entries, record->entry);
	if (record->kind == STORE_MOVED)
		return squeeze_move(squeeze, record, *object);
	if (*object == 0)
		return true;
	struct squeeze_chain *chain = &squeeze->chains[*object];
	if (record->kind == STORE_SENT)
		return squeeze_send(squeeze, chain, *object);
	if (record->kind == STORE_HANDED_ON) {
		/* A promise of a message from before this buffer stays, to end with it. */
		if (chain->message != 0)
			chain->state = CHAIN_HANDED;
	} else if (record->kind != STORE_RELEASED) {
		chain->state = CHAIN_ENDED;
	}
	if (record->kind == STORE_RELEASED || chain->state != CHAIN_LIVE)
		squeeze_release(squeeze, chain);
	if (record->kind == STORE_RELEASED) {
		chain->released = true;
		return true;
	}
	return squeeze_set(&squeeze->entries, record->entry, 0);
}

static bool squeeze_look(struct squeeze *squeeze, const struct store_record *record, uint32_t *object)
{
	switch (record->kind) {
	case STORE_KEPT:
	case STORE_KEPT_AT:
		return squeeze_keep(squeeze, record, object);
	case STORE_FORGOTTEN:
		squeeze_forget(squeeze, record, object);
		return true;
	case STORE_WILL_SET: {
		uint32_t message = squeeze_find(&squeeze->names, record->message);
		if (message != 0)
			squeeze->messages[message].references++;
		return true;
	}
	case STORE_QUEUED:
		return squeeze_queue(squeeze, record, object);
	case STORE_SENT:
	case STORE_RELEASED:
	case STORE_DONE:
	case STORE_DROPPED:
	case STORE_HANDED_ON:
	case STORE_MOVED:
		return squeeze_entry(squeeze, record, object);
	default:
		return true;
	}
}

static enum error squeeze_look_at_all(struct squeeze *squeeze, struct slice records)
{
	for (size_t at = 0; at < records.size;) {
		struct store_record record;
		size_t bytes = store_record_decode(slice_of(records.data + at, records.size - at), &record);
		/* Runs are made here, and told by nobody. */
		if (bytes == 0 || record.kind == STORE_QUEUED_RUN)
			return ERROR_SYSTEM;
		if (squeeze->mark_count == squeeze->mark_capacity &&
		    !squeeze_grow(&squeeze->marks, &squeeze->mark_capacity, sizeof(*squeeze->marks)))
			return ERROR_NO_MEMORY;
		struct squeeze_mark *mark = &squeeze->marks[squeeze->mark_count++];
		*mark = (struct squeeze_mark){.offset = (uint32_t)at};
		if (!squeeze_look(squeeze, &record, &mark->object))
			return ERROR_NO_MEMORY;
		at += bytes;
	}
	return ERROR_OK;
}

/* ---- the second pass: what stays ---- */

struct squeeze_output {
	struct squeeze *squeeze;
	struct slice records;
	uint8_t *to;
	size_t size;
	size_t run_from; /* of bytes that stay as they are, and are copied together */
	size_t run_end;
	size_t placed; /* bytes that KEPT_AT saved */
	uint32_t written;
	uint32_t numbered;
};

static bool squeeze_message_goes(const struct squeeze *squeeze, uint32_t message)
{
	return message != 0 && squeeze->messages[message].forgotten && squeeze->messages[message].references == 0;
}

static bool squeeze_chain_goes(const struct squeeze *squeeze, const struct squeeze_chain *chain)
{
	return chain->state == CHAIN_ENDED ||
	       (chain->state == CHAIN_HANDED && squeeze_message_goes(squeeze, chain->message));
}

static void squeeze_flush(struct squeeze_output *output)
{
	size_t bytes = output->run_end - output->run_from;
	if (bytes != 0)
		memcpy(output->to + output->size, output->records.data + output->run_from, bytes);
	output->size += bytes;
	output->run_from = output->run_end;
}

static void squeeze_copy(struct squeeze_output *output, size_t from, size_t end)
{
	if (output->run_end != from) {
		squeeze_flush(output);
		output->run_from = from;
	}
	output->run_end = end;
	output->written++;
}

/* In place of the record that ends at `end`: never longer than what was left out up to there. */
static void squeeze_replace(struct squeeze_output *output, const struct store_record *record, size_t end)
{
	uint8_t bytes[STORE_RECORD_HEAD_BYTES_MAX];
	CHECK(record->text.size == 0 && record->body.size == 0);
	size_t size = store_record_encode(record, bytes);
	squeeze_flush(output);
	CHECK_LE(output->size + size, end);
	memcpy(output->to + output->size, bytes, size);
	output->size += size;
	output->run_from = output->run_end = end;
	output->written++;
}

static struct store_record squeeze_decode(const struct squeeze_output *output, size_t from, size_t end)
{
	struct store_record record;
	size_t bytes = store_record_decode(slice_of(output->records.data + from, end - from), &record);
	CHECK_EQ(bytes, end - from); /* as in the first pass */
	return record;
}

/* KEPT and FORGOTTEN: the name is the first field. */
static bool squeeze_note_body(struct squeeze_output *output, size_t from, size_t end)
{
	struct squeeze *squeeze = output->squeeze;
	if (squeeze->body_count == squeeze->body_capacity &&
	    !squeeze_grow(&squeeze->bodies, &squeeze->body_capacity, sizeof(*squeeze->bodies)))
		return false;
	uint32_t message = 0;
	const uint8_t *at = output->records.data + from + 1;
	for (unsigned shift = 0;; shift += 7) {
		message |= (uint32_t)(*at & 0x7fu) << shift;
		if (*at++ < 0x80)
			break;
	}
	squeeze_flush(output);
	bool kept = output->records.data[from] == STORE_KEPT;
	squeeze->bodies[squeeze->body_count++] = (struct squeeze_body){
		.message = message, .offset = (uint32_t)output->size, .bytes = kept ? (uint32_t)(end - from) : 0};
	return true;
}

/* A message that is told again. False: its body has to be written. */
static bool squeeze_write_place(struct squeeze_output *output, size_t from, size_t end)
{
	const struct squeeze_places *places = output->squeeze->places;
	struct store_record record = squeeze_decode(output, from, end);
	if (places == NULL || !places->find(places->context, record.message, &record.segment, &record.offset))
		return false;
	record.kind = STORE_KEPT_AT;
	record.body = slice_of(NULL, 0);
	uint8_t bytes[STORE_RECORD_HEAD_BYTES_MAX];
	size_t size = store_record_encode(&record, bytes);
	if (size >= end - from)
		return false;
	squeeze_replace(output, &record, end);
	output->placed += end - from - size;
	return true;
}

/* A record of a message. */
static bool squeeze_write_message(struct squeeze_output *output, uint32_t object, size_t from, size_t end)
{
	if (object == OBJECT_FROM_BEFORE) {
		if (squeeze_write_place(output, from, end))
			return true;
		object = 0;
	}
	if (squeeze_message_goes(output->squeeze, object))
		return true;
	if (!squeeze_note_body(output, from, end))
		return false;
	squeeze_copy(output, from, end);
	return true;
}

/* A record of an entry that was queued in this buffer. */
static void squeeze_write_entry(struct squeeze_output *output, uint32_t mark, size_t from, size_t end)
{
	const struct squeeze *squeeze = output->squeeze;
	const struct squeeze_chain *chain = &squeeze->chains[squeeze->marks[mark - 1].object];
	enum store_kind kind = (enum store_kind)output->records.data[from];
	if (squeeze_chain_goes(squeeze, chain)) {
		if (kind != STORE_SENT || chain->numbers != mark)
			return;
		struct store_record sent = squeeze_decode(output, from, end);
		struct store_record record = {
			.kind = STORE_NUMBERED, .session = chain->session, .packet_id = sent.packet_id};
		squeeze_replace(output, &record, end);
		output->numbered++;
	} else if (kind == STORE_QUEUED && squeeze_message_goes(squeeze, chain->message)) {
		CHECK(chain->released);
		struct store_record queued = squeeze_decode(output, from, end);
		queued.message = 0;
		squeeze_replace(output, &queued, end);
	} else {
		squeeze_copy(output, from, end);
	}
}

/* ---- runs ---- */

static enum store_kind squeeze_kind_at(const struct squeeze_output *output, uint32_t at)
{
	return (enum store_kind)output->records.data[output->squeeze->marks[at].offset];
}

static size_t squeeze_end_of(const struct squeeze_output *output, uint32_t at)
{
	const struct squeeze *squeeze = output->squeeze;
	return at + 1 < squeeze->mark_count ? squeeze->marks[at + 1].offset : output->records.size;
}

/* Nothing of this record of an entry is written. */
static bool squeeze_is_gone(const struct squeeze_output *output, uint32_t at)
{
	const struct squeeze *squeeze = output->squeeze;
	enum store_kind kind = squeeze_kind_at(output, at);
	uint32_t object = squeeze->marks[at].object;
	if (object == 0 || kind == STORE_KEPT || kind == STORE_FORGOTTEN)
		return false;
	const struct squeeze_chain *chain = &squeeze->chains[object];
	return squeeze_chain_goes(squeeze, chain) && (kind != STORE_SENT || chain->numbers != at + 1);
}

/* A QUEUED that is written as it is, and may be one of a run. */
static bool squeeze_joins(const struct squeeze_output *output, uint32_t at, struct store_record *queued)
{
	const struct squeeze *squeeze = output->squeeze;
	uint32_t object = squeeze->marks[at].object;
	if (squeeze_kind_at(output, at) != STORE_QUEUED || object == 0 || squeeze_is_gone(output, at) ||
	    squeeze_message_goes(squeeze, squeeze->chains[object].message))
		return false;
	*queued = squeeze_decode(output, squeeze->marks[at].offset, squeeze_end_of(output, at));
	return store_run_may_have(queued);
}

/* From the record of this mark on. *next: the mark behind the run; unchanged: there is none, or it would be longer than
 * what it stands for. False: no memory. */
static bool squeeze_write_run(struct squeeze_output *output, uint32_t *next)
{
	struct squeeze *squeeze = output->squeeze;
	uint32_t at = *next + 1;
	struct store_record queued;
	if (at == squeeze->mark_count || squeeze_kind_at(output, at) != STORE_QUEUED ||
	    !squeeze_joins(output, *next, &queued))
		return true;
	struct store_run run;
	store_run_begin(&run, &queued);
	size_t bytes = squeeze_end_of(output, *next) - squeeze->marks[*next].offset, size = 0;
	for (; at < squeeze->mark_count; at++) {
		if (squeeze_is_gone(output, at))
			continue;
		if (!squeeze_joins(output, at, &queued) || !store_run_takes(&run, &queued))
			break;
		if (size + 2 * STORE_RUN_ELEMENT_BYTES_MAX > squeeze->run_capacity &&
		    !squeeze_grow(&squeeze->run, &squeeze->run_capacity, 1))
			return false;
		size += store_run_add(&run, &queued, squeeze->run + size);
		bytes += squeeze_end_of(output, at) - squeeze->marks[at].offset;
	}
	if (run.count < 2)
		return true;
	size += store_run_end(&run, squeeze->run + size);
	uint8_t head[STORE_RECORD_HEAD_BYTES_MAX];
	run.first.body = slice_of(NULL, 0);
	if (store_record_encode(&run.first, head) + size + RUN_LENGTH_BYTES >= bytes)
		return true;
	run.first.body = slice_of(squeeze->run, size);
	squeeze_flush(output);
	output->size += store_record_encode(&run.first, output->to + output->size);
	output->run_from = output->run_end = squeeze_end_of(output, at - 1);
	CHECK_LE(output->size, output->run_end);
	output->written++;
	*next = at;
	return true;
}

/* ---- all of it ---- */

static bool squeeze_write(struct squeeze_output *output, uint32_t at)
{
	const struct squeeze_mark *mark = &output->squeeze->marks[at];
	size_t from = mark->offset, end = squeeze_end_of(output, at);
	enum store_kind kind = squeeze_kind_at(output, at);
	if (kind == STORE_KEPT || kind == STORE_FORGOTTEN)
		return squeeze_write_message(output, mark->object, from, end);
	if (mark->object != 0)
		squeeze_write_entry(output, at + 1, from, end);
	else
		squeeze_copy(output, from, end);
	return true;
}

enum error squeeze_run(struct squeeze *squeeze, struct slice records, uint8_t *to, struct squeezed *result)
{
	CHECK_LE(records.size, UINT32_MAX);
	squeeze->mark_count = squeeze->chain_count = squeeze->message_count = squeeze->body_count = 0;
	if (!squeeze_map_clear(&squeeze->entries) || !squeeze_map_clear(&squeeze->names) ||
	    !squeeze_map_clear(&squeeze->sessions))
		return ERROR_NO_MEMORY;
	enum error error = squeeze_look_at_all(squeeze, records);
	if (error != ERROR_OK)
		return error;
	struct squeeze_output output = {.squeeze = squeeze, .records = records, .to = to};
	for (uint32_t at = 0; at < squeeze->mark_count;) {
		uint32_t next = at;
		if (!squeeze_write_run(&output, &next) || (next == at && !squeeze_write(&output, at)))
			return ERROR_NO_MEMORY;
		at = next != at ? next : at + 1;
	}
	squeeze_flush(&output);
	CHECK_LE(output.size, records.size);
	*result = (struct squeezed){.bytes = output.size,
				    .bytes_placed = output.placed,
				    .records_before = squeeze->mark_count,
				    .records = output.written,
				    .only_numbered = output.written == output.numbered};
	return ERROR_OK;
}
