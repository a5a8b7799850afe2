#include "relay/item/topics.h"

#include "base/check.h"
#include "mqtt/field/topic.h"

#include <string.h>

bool topics_add(struct topics *topics, const char *text, char fault[ITEM_FAULT_BYTES_MAX])
{
	struct slice filter = slice_string(text);
	struct slice group;
	struct slice rest;
	enum error error = mqtt_filter_check(filter);
	if (error == ERROR_OK && mqtt_filter_share(filter, &group, &rest, &error))
		return item_fault(
			fault, "\"%.64s\" is shared with other subscribers; a rule takes all that matches its topics",
			text);
	if (error != ERROR_OK)
		return item_fault(fault, "\"%.64s\" is no topic filter: %s", text, error_sentence(error));
	if (filter.size >= TOPICS_FILTER_BYTES_MAX)
		return item_fault(fault, "a topic filter of more than %u bytes", TOPICS_FILTER_BYTES_MAX - 1);
	if (topics_has(topics, filter))
		return item_fault(fault, "\"%.64s\" is there for the second time", text);
	if (topics->count == TOPICS_MAX)
		return item_fault(fault, "more than %u topic filters", TOPICS_MAX);
	memcpy(topics->filters[topics->count++], text, filter.size + 1);
	return true;
}

bool topics_has(const struct topics *topics, struct slice filter)
{
	CHECK_LE(topics->count, TOPICS_MAX);
	for (uint32_t i = 0; i < topics->count; i++) {
		if (slice_equal(slice_string(topics->filters[i]), filter))
			return true;
	}
	return false;
}

bool topics_equal(const struct topics *one, const struct topics *other)
{
	if (one->count != other->count)
		return false;
	for (uint32_t i = 0; i < one->count; i++) {
		if (strcmp(one->filters[i], other->filters[i]) != 0)
			return false;
	}
	return true;
}

/* FNV-1a, folded to what an identifier may be: 1 to 268,435,455 [3.3.2.3.8]. It is kept with messages, so it has no
 * key. Where two filters had the same, their copies of one publish would be two messages. */
uint32_t topics_identifier(const char *filter)
{
	uint32_t hash = 2166136261u;
	for (; *filter != '\0'; filter++)
		hash = (hash ^ (uint8_t)*filter) * 16777619u;
	hash = (hash ^ hash >> 28) & 0x0fffffffu;
	return hash != 0 ? hash : 1;
}

bool topics_has_identifier(const struct topics *topics, uint32_t identifier)
{
	CHECK_LE(topics->count, TOPICS_MAX);
	for (uint32_t i = 0; i < topics->count; i++) {
		if (topics_identifier(topics->filters[i]) == identifier)
			return true;
	}
	return false;
}
