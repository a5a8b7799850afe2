#include "relay/entry/entry_batch.h"

#include "base/check.h"
#include "relay/entry/stream_name.h"
#include "relay/json/properties_json.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES_LEAST 64u
/* Of what an empty batch keeps. */
#define KEEP_BYTES ((size_t)2 << 20)

void entry_batch_free(struct entry_batch *batch)
{
	bytes_free(&batch->commands);
	bytes_free(&batch->scratch);
	free(batch->entries);
	*batch = (struct entry_batch){0};
}

void entry_batch_clear(struct entry_batch *batch)
{
	bytes_clear(&batch->commands, KEEP_BYTES);
	bytes_clear(&batch->scratch, KEEP_BYTES);
	batch->count = 0;
}

bool entry_batch_reserve(struct entry_batch *batch, uint32_t entries, size_t bytes)
{
	uint32_t capacity = batch->capacity != 0 ? batch->capacity : ENTRIES_LEAST;
	while (capacity - batch->count < entries)
		capacity *= 2;
	if (capacity != batch->capacity) {
		struct batch_entry *grown = realloc(batch->entries, capacity * sizeof(*grown));
		if (grown == NULL)
			return false;
		batch->entries = grown;
		batch->capacity = capacity;
	}
	return bytes_reserve(&batch->commands, bytes);
}

/* Room for one more. NULL: memory is short. */
static struct batch_entry *place_for_entry(struct entry_batch *batch)
{
	if (batch->count == batch->capacity && !entry_batch_reserve(batch, 1, 0))
		return NULL;
	return &batch->entries[batch->count];
}

/* ---- one entry ---- */

static void append_field(struct bytes *out, enum rule_field field, struct slice value)
{
	bytes_append_text(out, rule_field_name(field));
	bytes_append_word(out, value);
}

/* Whether the message has it; if so, *value is what the entry gets. */
static bool entry_value(struct entry_batch *batch, const struct relay_message *message, enum rule_field field,
			struct slice *value)
{
	static const uint8_t DIGITS[] = "012";
	CHECK(message->qos <= 2);
	switch (field) {
	case RULE_FIELD_TOPIC:
		*value = message->topic;
		return true;
	case RULE_FIELD_PAYLOAD:
		*value = message->payload;
		return true;
	case RULE_FIELD_QOS:
		*value = slice_of(&DIGITS[message->qos], 1);
		return true;
	case RULE_FIELD_RETAIN:
		*value = slice_of(&DIGITS[message->retain ? 1 : 0], 1);
		return true;
	case RULE_FIELD_PROPERTIES:
		bytes_clear(&batch->scratch, KEEP_BYTES);
		properties_json(message->properties, &batch->scratch);
		*value = bytes_slice(&batch->scratch);
		return value->size != 0;
	case RULE_FIELD_CLIENT:
		*value = message->client;
		return value->data != NULL;
	case RULE_FIELD_USER:
		*value = message->user;
		return value->data != NULL;
	case RULE_FIELD_ADDRESS:
		*value = message->address;
		return value->data != NULL;
	case RULE_FIELD_TIME:
		*value = message->time;
		return value->data != NULL;
	case RULE_FIELD_COUNT:
		break;
	}
	CHECK(false);
	return false;
}

/* Fields that there are; of properties only whether there may be some is known before they are written. */
static uint32_t fields_present(struct entry_batch *batch, const struct rule *rule, const struct relay_message *message)
{
	uint32_t present = 0;
	struct slice value;
	for (int i = 0; i < RULE_FIELD_COUNT; i++) {
		if ((rule->fields & 1u << i) != 0 && entry_value(batch, message, (enum rule_field)i, &value))
			present |= 1u << i;
	}
	/* An entry of Redis has a field at least: none that a rule asks for may be there. */
	return present != 0 ? present : 1u << RULE_FIELD_TOPIC;
}

static void append_limit(struct bytes *out, const struct rule *rule, uint64_t now_ms)
{
	uint64_t age_ms = rule->max_age_s * UINT64_C(1000);
	if (rule->max_length != 0)
		bytes_append_text(out, "MAXLEN");
	else if (rule->max_age_s != 0)
		bytes_append_text(out, "MINID");
	else
		return;
	/* About: Redis drops whole nodes of a stream, which costs it next to nothing. */
	bytes_append_text(out, "~");
	bytes_append_number(out, rule->max_length != 0 ? rule->max_length : now_ms > age_ms ? now_ms - age_ms : 0);
}

/* XADD stream [MAXLEN|MINID ~ limit] *; the fields follow. */
static void append_head_of_entry(struct bytes *out, struct slice stream, const struct rule *rule, uint64_t now_ms,
				 struct batch_entry *entry)
{
	uint32_t limit_words = rule->max_length != 0 || rule->max_age_s != 0 ? 3 : 0;
	CHECK(entry->field_words >= 2 && entry->field_words % 2 == 0);
	bytes_append_array(out, 3 + limit_words + entry->field_words);
	bytes_append_text(out, "XADD");
	entry->stream_at = (uint32_t)(out->size - entry->command_at);
	bytes_append_word(out, stream);
	entry->stream_bytes = (uint32_t)(out->size - entry->command_at) - entry->stream_at;
	if (limit_words != 0)
		append_limit(out, rule, now_ms);
	bytes_append_text(out, "*");
}

/* The head of a dead letter, and the first of its fields but for one: the word with the stream's name follows. */
static void append_head_of_dead(struct bytes *out, const struct rule *rule, const char *reason, uint32_t field_words)
{
	bytes_append_array(out, 3 + 6 + field_words);
	bytes_append_text(out, "XADD");
	bytes_append_text(out, RULE_DEAD_STREAM);
	bytes_append_text(out, "*");
	bytes_append_text(out, "rule");
	bytes_append_text(out, rule->name);
	bytes_append_text(out, "reason");
	bytes_append_text(out, reason);
	bytes_append_text(out, "stream");
}

/* Counts the command that was appended since entry->command_at. */
static bool end_entry(struct entry_batch *batch, struct batch_entry *entry)
{
	if (batch->commands.failed) {
		batch->commands.size = entry->command_at;
		batch->commands.failed = false;
		return false;
	}
	entry->command_bytes = batch->commands.size - entry->command_at;
	entry->fate = BATCH_WAITS;
	CHECK_LT(entry->fields_at, entry->command_bytes);
	batch->count++;
	return true;
}

bool entry_batch_add(struct entry_batch *batch, const struct rule *rule, const struct relay_message *message,
		     uint16_t packet_id, uint64_t now_ms)
{
	uint8_t name[STREAM_NAME_BYTES_MAX];
	const char *why;
	struct slice value;
	struct batch_entry *entry = place_for_entry(batch);
	if (entry == NULL)
		return false;
	size_t name_bytes = stream_name_fill(rule->stream, message, name, &why);
	uint32_t present = fields_present(batch, rule, message);
	*entry = (struct batch_entry){
		.command_at = batch->commands.size,
		.field_words = 2 * (uint32_t)__builtin_popcount(present),
		.message_bytes = (uint32_t)(message->topic.size + message->payload.size),
		.time_ms = relay_message_time_ms(message),
		.packet_id = packet_id,
		.is_dead_letter = name_bytes == 0,
		.asked = BATCH_NOT_ASKED,
	};
	if (entry->is_dead_letter) {
		append_head_of_dead(&batch->commands, rule, why, entry->field_words);
		bytes_append_text(&batch->commands, rule->stream);
	} else {
		append_head_of_entry(&batch->commands, slice_of(name, name_bytes), rule, now_ms, entry);
	}
	entry->fields_at = batch->commands.size - entry->command_at;
	for (int i = 0; i < RULE_FIELD_COUNT; i++) {
		if ((present & 1u << i) != 0 && entry_value(batch, message, (enum rule_field)i, &value))
			append_field(&batch->commands, (enum rule_field)i, value);
	}
	if (batch->scratch.failed)
		batch->commands.failed = true;
	return end_entry(batch, entry);
}

/* ---- a transaction ---- */

/* "$4\r\nname\r\n" */
static struct slice text_of_word(struct slice word)
{
	const uint8_t *end = memchr(word.data, '\n', word.size);
	CHECK(end != NULL);
	size_t head = (size_t)(end + 1 - word.data);
	return slice_of(end + 1, word.size - head - 2);
}

struct slice entry_batch_stream(const struct entry_batch *batch, uint32_t number)
{
	CHECK_LT(number, batch->count);
	const struct batch_entry *entry = &batch->entries[number];
	if (entry->is_dead_letter)
		return slice_string(RULE_DEAD_STREAM);
	return text_of_word(slice_of(batch->commands.data + entry->command_at + entry->stream_at, entry->stream_bytes));
}

static void append_commands(struct entry_batch *batch, uint32_t first, uint32_t count, struct bytes *out)
{
	CHECK(count != 0 && first < batch->count && count <= batch->count - first);
	const struct batch_entry *last = &batch->entries[first + count - 1];
	size_t begin = batch->entries[first].command_at;
	for (uint32_t i = first; i < first + count; i++)
		batch->entries[i].fate = BATCH_WAITS;
	bytes_append(out, batch->commands.data + begin, last->command_at + last->command_bytes - begin);
}

void entry_batch_write(struct entry_batch *batch, uint32_t first, uint32_t count, struct bytes *out)
{
	bytes_append_array(out, 1);
	bytes_append_text(out, "MULTI");
	append_commands(batch, first, count, out);
	bytes_append_array(out, 1);
	bytes_append_text(out, "EXEC");
}

void entry_batch_write_alone(struct entry_batch *batch, uint32_t number, struct bytes *out)
{
	append_commands(batch, number, 1, out);
}

void entry_batch_heard(struct entry_batch *batch, uint32_t number, enum batch_fate fate)
{
	CHECK_LT(number, batch->count);
	CHECK(fate == BATCH_QUEUED || fate == BATCH_DONE || fate == BATCH_REFUSED);
	batch->entries[number].fate = (uint8_t)fate;
}

bool entry_batch_error_is_passing(const char *error)
{
	/* What Redis is like, rather than what the command is like. */
	static const char *const PASSING[] = {"OOM",    "READONLY", "MISCONF",   "LOADING",     "NOPERM",
					      "NOAUTH", "BUSY",     "TRYAGAIN",  "CLUSTERDOWN", "MASTERDOWN",
					      "MOVED",  "ASK",      "EXECABORT", "NOREPLICAS"};
	size_t size = strcspn(error, " ");
	for (size_t i = 0; i < sizeof(PASSING) / sizeof(PASSING[0]); i++) {
		if (strlen(PASSING[i]) == size && memcmp(PASSING[i], error, size) == 0)
			return true;
	}
	return false;
}

void entry_batch_executed(struct entry_batch *batch, uint32_t number, const char *error)
{
	CHECK_LT(number, batch->count);
	struct batch_entry *entry = &batch->entries[number];
	if (error[0] == '\0')
		entry->fate = BATCH_DONE;
	else if (entry_batch_error_is_passing(error) || entry->is_dead_letter)
		entry->fate = BATCH_REFUSED;
	else
		entry->fate = BATCH_DEAD;
}

/* ---- afterwards ---- */

static bool keep_entry(const struct entry_batch *batch, const struct batch_entry *entry, struct entry_batch *rest)
{
	struct batch_entry *kept = place_for_entry(rest);
	if (kept == NULL)
		return false;
	*kept = *entry;
	kept->command_at = rest->commands.size;
	bytes_append(&rest->commands, batch->commands.data + entry->command_at, entry->command_bytes);
	return end_entry(rest, kept);
}

bool entry_batch_copy(struct entry_batch *batch, const struct entry_batch *from, uint32_t number)
{
	CHECK(batch != from && number < from->count);
	if (!keep_entry(from, &from->entries[number], batch))
		return false;
	batch->entries[batch->count - 1].asked = BATCH_NOT_ASKED;
	return true;
}

void entry_batch_truncate(struct entry_batch *batch, uint32_t count)
{
	if (count >= batch->count)
		return;
	batch->commands.size = batch->entries[count].command_at;
	batch->count = count;
}

bool entry_batch_append(struct entry_batch *batch, const struct entry_batch *from)
{
	uint32_t before = batch->count;
	CHECK(batch != from);
	for (uint32_t i = 0; i < from->count; i++) {
		if (keep_entry(from, &from->entries[i], batch))
			continue;
		entry_batch_truncate(batch, before);
		return false;
	}
	return true;
}

static bool bury_entry(const struct entry_batch *batch, const struct batch_entry *entry, const struct rule *rule,
		       const char *reason, struct entry_batch *rest)
{
	struct batch_entry *dead = place_for_entry(rest);
	CHECK(!entry->is_dead_letter);
	if (dead == NULL)
		return false;
	*dead = *entry;
	dead->command_at = rest->commands.size;
	dead->is_dead_letter = true;
	dead->asked = BATCH_NOT_ASKED;
	append_head_of_dead(&rest->commands, rule, reason, entry->field_words);
	bytes_append(&rest->commands, batch->commands.data + entry->command_at + entry->stream_at, entry->stream_bytes);
	dead->fields_at = rest->commands.size - dead->command_at;
	bytes_append(&rest->commands, batch->commands.data + entry->command_at + entry->fields_at,
		     entry->command_bytes - entry->fields_at);
	return end_entry(rest, dead);
}

bool entry_batch_settle(struct entry_batch *batch, const struct rule *rule, const char *reason,
			struct entry_batch *rest, void (*done)(void *context, const struct batch_entry *entry),
			void *context)
{
	bool good = true;
	CHECK(rest->count == 0 && rest != batch);
	for (uint32_t i = 0; i < batch->count && good; i++) {
		const struct batch_entry *entry = &batch->entries[i];
		if (entry->fate == BATCH_DEAD)
			good = bury_entry(batch, entry, rule, reason, rest);
		else if (entry->fate != BATCH_DONE)
			good = keep_entry(batch, entry, rest);
	}
	if (!good) {
		entry_batch_clear(rest);
		return false;
	}
	for (uint32_t i = 0; i < batch->count; i++) {
		if (batch->entries[i].fate == BATCH_DONE)
			done(context, &batch->entries[i]);
	}
	entry_batch_clear(batch);
	return true;
}
