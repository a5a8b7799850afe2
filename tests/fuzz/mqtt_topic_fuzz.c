/* An input is a filter and a topic, with the first newline between them. The eight-byte check must agree with one that
 * goes byte by byte, and a match with the definition of [4.7] written as a recursion. */
#include "fuzz.h"

#include "base/check.h"
#include "mqtt/field/topic.h"
#include "mqtt/packet.h"

/* One character of RFC 3629, by its value: 0 where it is ill-formed. */
static size_t character_naive(struct slice text, uint32_t *point)
{
	uint8_t lead = text.data[0];
	size_t bytes = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
	static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
	if (bytes == 0 || bytes > text.size)
		return 0;
	*point = bytes == 1 ? lead : lead & (0x7Fu >> bytes);
	for (size_t i = 1; i < bytes; i++) {
		if ((text.data[i] & 0xC0) != 0x80)
			return 0;
		*point = *point << 6 | (text.data[i] & 0x3F);
	}
	bool surrogate = *point >= 0xD800 && *point <= 0xDFFF;
	return *point < LEAST[bytes] || *point > 0x10FFFF || surrogate ? 0 : bytes;
}

static bool string_naive(struct slice text)
{
	while (text.size > 0) {
		uint32_t point = 0;
		size_t bytes = character_naive(text, &point);
		if (bytes == 0 || point == 0)
			return false;
		text = slice_of(text.data + bytes, text.size - bytes);
	}
	return true;
}

static bool has(struct slice text, char wanted)
{
	return text.size > 0 && memchr(text.data, wanted, text.size) != NULL;
}

static size_t levels_naive(struct slice text)
{
	size_t levels = 1;
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] == '/')
			levels++;
	return levels;
}

static bool size_naive(struct slice text)
{
	return text.size > 0 && text.size <= 65535 && levels_naive(text) <= MQTT_TOPIC_LEVELS_MAX;
}

static bool topic_naive(struct slice topic)
{
	return size_naive(topic) && string_naive(topic) && !has(topic, '+') && !has(topic, '#');
}

/* Each wildcard stands between separators or ends, '#' only at the end. */
static bool filter_naive(struct slice filter)
{
	if (!size_naive(filter) || !string_naive(filter))
		return false;
	for (size_t i = 0; i < filter.size; i++) {
		if (filter.data[i] != '+' && filter.data[i] != '#')
			continue;
		bool first = i == 0 || filter.data[i - 1] == '/';
		bool end = i + 1 == filter.size;
		bool last = end || (filter.data[i] == '+' && filter.data[i + 1] == '/');
		if (!first || !last)
			return false;
	}
	return true;
}

/* Character by character; a bare '+' eats up to the next separator, and "/#" may be all that the topic lacks. */
static bool matches_naive(const char *filter, const char *filter_end, const char *topic, const char *topic_end)
{
	if (filter == filter_end)
		return topic == topic_end;
	if (*filter == '#')
		return true;
	if (*filter == '+') {
		while (topic < topic_end && *topic != '/')
			topic++;
		return matches_naive(filter + 1, filter_end, topic, topic_end);
	}
	if (topic == topic_end)
		return filter_end - filter == 2 && memcmp(filter, "/#", 2) == 0;
	return *filter == *topic && matches_naive(filter + 1, filter_end, topic + 1, topic_end);
}

static bool hidden_naive(struct slice filter, struct slice topic)
{
	return topic.data[0] == '$' && (filter.data[0] == '+' || filter.data[0] == '#');
}

static void share_try(struct slice filter)
{
	struct slice group, rest;
	enum error fault = ERROR_OK;
	if (!mqtt_filter_share(filter, &group, &rest, &fault) || fault != ERROR_OK)
		return;
	CHECK(group.size > 0 && rest.size > 0);
	CHECK(!has(group, '/') && !has(group, '+') && !has(group, '#'));
	CHECK(group.data + group.size + 1 == rest.data);
	CHECK(rest.data + rest.size == filter.data + filter.size);
}

static void match_try(struct slice filter, struct slice topic)
{
	const char *f = (const char *)filter.data, *t = (const char *)topic.data;
	bool expected = !hidden_naive(filter, topic) && matches_naive(f, f + filter.size, t, t + topic.size);
	CHECK(mqtt_filter_matches(filter, topic) == expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = size == 0 ? NULL : memchr(data, '\n', size);
	size_t split = newline == NULL ? size : (size_t)(newline - data);
	struct slice filter = slice_of(data, split);
	struct slice topic = newline == NULL ? filter : slice_of(newline + 1, size - split - 1);
	bool good_filter = mqtt_filter_check(filter) == ERROR_OK, good_topic = mqtt_topic_check(topic) == ERROR_OK;
	CHECK(good_filter == filter_naive(filter));
	CHECK(good_topic == topic_naive(topic));
	CHECK((mqtt_string_check(topic) == ERROR_OK) == string_naive(topic));
	CHECK(mqtt_filter_has_wildcard(filter) == (has(filter, '+') || has(filter, '#')));
	share_try(filter);
	if (good_filter && good_topic)
		match_try(filter, topic);
	return 0;
}
