#include "relay/entry/stream_name.h"

#include "base/check.h"
#include "mqtt/field/protocol.h"
#include "mqtt/field/topic.h"

#include <string.h>

enum part_kind {
	PART_TEXT,
	PART_TOPIC,
	PART_LEVEL,
	PART_CLIENT,
	PART_USER,
	PART_WRONG,
};

struct part {
	enum part_kind kind;
	struct slice text; /* PART_TEXT */
	uint32_t level;    /* PART_LEVEL: from 1 on */
};

static struct part part_of_text(const char *text, size_t size)
{
	return (struct part){.kind = PART_TEXT, .text = slice_of(text, size)};
}

/* The N of {topic.N}; 0: it is none. */
static uint32_t level_of(struct slice digits)
{
	uint32_t level = 0;
	for (size_t i = 0; i < digits.size; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9' || level > MQTT_TOPIC_LEVELS_MAX)
			return 0;
		level = level * 10 + (uint32_t)(digits.data[i] - '0');
	}
	return level <= MQTT_TOPIC_LEVELS_MAX ? level : 0;
}

/* What stands between the braces. */
static struct part part_of_place(struct slice place)
{
	static const char LEVEL[] = "topic.";
	const size_t prefix = sizeof(LEVEL) - 1;
	if (slice_equal(place, slice_string("topic")))
		return (struct part){.kind = PART_TOPIC};
	if (slice_equal(place, slice_string("client")))
		return (struct part){.kind = PART_CLIENT};
	if (slice_equal(place, slice_string("user")))
		return (struct part){.kind = PART_USER};
	if (place.size > prefix && memcmp(place.data, LEVEL, prefix) == 0) {
		uint32_t level = level_of(slice_of(place.data + prefix, place.size - prefix));
		return (struct part){.kind = level != 0 ? PART_LEVEL : PART_WRONG, .level = level};
	}
	return (struct part){.kind = PART_WRONG};
}

/* Takes the next part off *rest, which is not at its end. */
static struct part next_part(const char **rest)
{
	const char *at = *rest;
	size_t plain = strcspn(at, "{}");
	CHECK(*at != '\0');
	if (plain != 0) {
		*rest = at + plain;
		return part_of_text(at, plain);
	}
	if (at[1] == at[0]) {
		*rest = at + 2;
		return part_of_text(at, 1);
	}
	size_t place = strcspn(at + 1, "{}");
	if (at[0] == '}' || at[1 + place] != '}')
		return (struct part){.kind = PART_WRONG};
	*rest = at + place + 2;
	return part_of_place(slice_of(at + 1, place));
}

bool stream_name_check(const char *pattern, const char **why)
{
	*why = "the name of a stream is wanted here";
	if (*pattern == '\0')
		return false;
	while (*pattern != '\0') {
		struct part part = next_part(&pattern);
		*why = "there are {topic}, {topic.N} with N from 1 to 128, {client}, {user}, and {{ and }} for a brace";
		if (part.kind == PART_WRONG)
			return false;
	}
	return true;
}

static struct slice topic_level(struct slice topic, uint32_t number)
{
	struct slice level = slice_of(NULL, 0);
	bool more = true;
	while (number-- != 0) {
		if (!mqtt_topic_level(&topic, &more, &level))
			return slice_of(NULL, 0);
	}
	return level;
}

static struct slice part_value(const struct part *part, const struct relay_message *message)
{
	switch (part->kind) {
	case PART_TEXT:
		return part->text;
	case PART_TOPIC:
		return message->topic;
	case PART_LEVEL:
		return topic_level(message->topic, part->level);
	case PART_CLIENT:
		return message->client;
	case PART_USER:
		return message->user;
	case PART_WRONG:
		break;
	}
	CHECK(false); /* the pattern was checked */
	return slice_of(NULL, 0);
}

size_t stream_name_fill(const char *pattern, const struct relay_message *message, uint8_t name[STREAM_NAME_BYTES_MAX],
			const char **why)
{
	size_t size = 0;
	while (*pattern != '\0') {
		struct part part = next_part(&pattern);
		struct slice value = part_value(&part, message);
		*why = "the stream's name would be too long";
		if (value.size > STREAM_NAME_BYTES_MAX - size)
			return 0;
		if (value.size != 0)
			memcpy(name + size, value.data, value.size);
		size += value.size;
	}
	*why = "the stream's name would be empty";
	return size;
}
