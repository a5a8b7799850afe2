#include "relay/table/table_entry.h"

#include "relay/json/json_text.h"

#include <inttypes.h>
#include <stdio.h>

/* A number of 64 bits has no more. */
#define DIGITS_MAX 19u

/* ---- entries ---- */

static void write_entry_text(struct bytes *json, const char *name, struct slice text)
{
	if (text.size == 0)
		return;
	bytes_append(json, name, strlen(name));
	json_text_append(json, text);
}

void table_entry_write(const struct table_entry *entry, struct bytes *json)
{
	char text[64];
	int size = snprintf(text, sizeof(text), "{\"since_ms\":%" PRIu64 ",\"version\":%u", entry->since_ms,
			    entry->version);
	bytes_append(json, text, (size_t)size);
	write_entry_text(json, ",\"transport\":", entry->transport);
	write_entry_text(json, ",\"address\":", entry->address);
	write_entry_text(json, ",\"user\":", entry->user);
	bytes_append(json, "}", 1);
}

/* ---- events ---- */

static struct slice text_of_member(const struct strict_json *json, const char *name)
{
	const struct strict_node *node = strict_member(json, json->nodes, slice_string(name));
	return node != NULL && node->type == STRICT_STRING ? node->text : slice_of(NULL, 0);
}

/* 0: there is no such number. */
static uint64_t number_of_member(const struct strict_json *json, const char *name)
{
	const struct strict_node *node = strict_member(json, json->nodes, slice_string(name));
	uint64_t number = 0;
	if (node == NULL || node->type != STRICT_NUMBER || node->text.size > DIGITS_MAX)
		return 0;
	for (size_t i = 0; i < node->text.size; i++) {
		uint8_t digit = node->text.data[i];
		if (digit < '0' || digit > '9')
			return 0;
		number = number * 10 + (uint64_t)(digit - '0');
	}
	return number;
}

void table_event_read(struct slice topic, uint8_t *payload, size_t size, struct table_event *event)
{
	size_t at;
	struct strict_json json = {.nodes = event->nodes, .capacity = TABLE_EVENT_NODES};
	bool comes = slice_equal(topic, slice_string(TABLE_TOPIC_COMES));
	event->change = TABLE_NOTHING;
	if (!comes && !slice_equal(topic, slice_string(TABLE_TOPIC_GOES)))
		return;
	if (strict_json_read(&json, payload, size, &at) != NULL)
		return;
	event->client = text_of_member(&json, "client");
	if (event->client.size == 0)
		return;
	event->change = comes ? TABLE_COMES : TABLE_GOES;
	event->entry = (struct table_entry){
		.since_ms = number_of_member(&json, "time_ms"),
		.version = (uint32_t)number_of_member(&json, "version"),
		.transport = text_of_member(&json, "transport"),
		.address = text_of_member(&json, "address"),
		.user = text_of_member(&json, "user"),
	};
}
