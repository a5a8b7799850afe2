#include "mqtt/field/topic.h"

#include "base/check.h"

#include "mqtt/field/lanes.h"
#include "mqtt/field/protocol.h"

/* What a scan looks for beside malformed UTF-8 and U+0000. */
enum scan_for { SCAN_STRING, SCAN_TOPIC };

static inline bool utf8_continues(const uint8_t *at, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if ((at[i] & 0xC0) != 0x80)
			return false;
	return true;
}

/* Bytes of the character beyond ASCII at the start of text, or 0 where it is ill-formed: table 3-7 of the Unicode
 * Standard. The second byte's narrower range keeps out overlong forms, surrogates and what is past U+10FFFF. */
static inline size_t utf8_sequence_bytes(const uint8_t *at, size_t left)
{
	uint8_t lead = at[0];
	if (lead < 0xE0) /* below 0xC2: a continuation, or overlong */
		return lead >= 0xC2 && left >= 2 && utf8_continues(at + 1, 1) ? 2 : 0;
	if (lead < 0xF0) {
		uint8_t least = lead == 0xE0 ? 0xA0 : 0x80, most = lead == 0xED ? 0x9F : 0xBF;
		return left >= 3 && at[1] >= least && at[1] <= most && utf8_continues(at + 2, 1) ? 3 : 0;
	}
	uint8_t least = lead == 0xF0 ? 0x90 : 0x80, most = lead == 0xF4 ? 0x8F : 0xBF;
	return lead <= 0xF4 && left >= 4 && at[1] >= least && at[1] <= most && utf8_continues(at + 2, 2) ? 4 : 0;
}

/* Passes over characters beyond ASCII, which come in runs. NULL: one is ill-formed. */
static const uint8_t *utf8_run_end(const uint8_t *at, const uint8_t *end)
{
	while (at < end && *at >= 0x80) {
		size_t bytes = utf8_sequence_bytes(at, (size_t)(end - at));
		if (bytes == 0)
			return NULL;
		at += bytes;
	}
	CHECK(at <= end);
	return at;
}

/* Eight lanes of ASCII. */
static inline enum error topic_lanes_check(uint64_t word, enum scan_for scan_for, size_t *separators)
{
	if (lanes_equal(word, 0) != 0)
		return ERROR_STRING_NUL;
	if (scan_for == SCAN_TOPIC) {
		if ((lanes_equal(word, '+') | lanes_equal(word, '#')) != 0)
			return ERROR_TOPIC_WILDCARD;
		*separators += lanes_count(lanes_equal(word, '/'));
	}
	return ERROR_OK;
}

/* One pass over the text; *separators counts the '/' of a topic. Inlined so that the compiler drops what scan_for does
 * not ask for. */
static inline __attribute__((always_inline)) enum error topic_text_scan(struct slice text, enum scan_for scan_for,
									size_t *separators)
{
	if (text.size == 0) /* data may be NULL, and NULL + 0 is undefined */
		return ERROR_OK;
	const uint8_t *at = text.data, *end = at + text.size;
	for (;;) {
		uint64_t word = 0;
		for (; (size_t)(end - at) >= LANE_COUNT; at += LANE_COUNT) {
			word = lanes_load(at);
			if ((word & LANES_HIGH_BITS) != 0)
				break;
			enum error error = topic_lanes_check(word, scan_for, separators);
			if (error != ERROR_OK)
				return error;
		}
		size_t left = (size_t)(end - at);
		if (left == 0)
			return ERROR_OK;
		/* The last bytes, or a character beyond ASCII with the ASCII in front of it. */
		if (left < LANE_COUNT)
			word = lanes_load_last(text, left);
		uint64_t beyond = word & LANES_HIGH_BITS;
		size_t ascii = beyond != 0 ? (size_t)__builtin_ctzll(beyond) / 8 : left;
		enum error error = topic_lanes_check(lanes_keep(word, ascii), scan_for, separators);
		if (error != ERROR_OK)
			return error;
		if (beyond == 0)
			return ERROR_OK;
		at = utf8_run_end(at + ascii, end);
		if (at == NULL)
			return ERROR_STRING_UTF8;
	}
}

enum error mqtt_string_check(struct slice string)
{
	return topic_text_scan(string, SCAN_STRING, NULL);
}

_Static_assert(MQTT_TOPIC_LEVELS_MAX <= UINT16_MAX, "a topic of the longest size can have more levels");

/* What names and filters have in common [4.7.3]. */
static inline enum error topic_size_check(struct slice text)
{
	if (text.size == 0)
		return ERROR_TOPIC_EMPTY;
	return text.size > UINT16_MAX ? ERROR_TOPIC_LONG : ERROR_OK;
}

enum error mqtt_topic_check(struct slice topic)
{
	enum error error = topic_size_check(topic);
	if (error != ERROR_OK)
		return error;
	size_t separators = 0;
	error = topic_text_scan(topic, SCAN_TOPIC, &separators);
	if (error != ERROR_OK)
		return error;
	return separators >= MQTT_TOPIC_LEVELS_MAX ? ERROR_TOPIC_LEVELS : ERROR_OK;
}

static bool topic_level_is(struct slice level, char wildcard)
{
	return level.size == 1 && level.data[0] == (uint8_t)wildcard;
}

bool mqtt_filter_has_wildcard(struct slice filter)
{
	for (size_t i = 0; i < filter.size; i++)
		if (filter.data[i] == '+' || filter.data[i] == '#')
			return true;
	return false;
}

enum error mqtt_filter_check(struct slice filter)
{
	enum error error = topic_size_check(filter);
	if (error == ERROR_OK)
		error = mqtt_string_check(filter);
	if (error != ERROR_OK)
		return error;
	struct slice level;
	bool more = true;
	for (unsigned levels = 1; mqtt_topic_level(&filter, &more, &level); levels++) {
		if (levels > MQTT_TOPIC_LEVELS_MAX)
			return ERROR_TOPIC_LEVELS;
		if (topic_level_is(level, '#') && more)
			return ERROR_FILTER_MALFORMED;
		if (level.size > 1 && mqtt_filter_has_wildcard(level))
			return ERROR_FILTER_MALFORMED;
	}
	return ERROR_OK;
}

bool mqtt_filter_share(struct slice filter, struct slice *group, struct slice *rest, enum error *fault)
{
	static const char PREFIX[] = "$share/";
	const size_t prefix_bytes = sizeof(PREFIX) - 1;
	if (filter.size < prefix_bytes || memcmp(filter.data, PREFIX, prefix_bytes) != 0)
		return false;
	*rest = slice_of(filter.data + prefix_bytes, filter.size - prefix_bytes);
	bool more = true;
	mqtt_topic_level(rest, &more, group);
	bool good = group->size > 0 && !mqtt_filter_has_wildcard(*group) && more && rest->size > 0;
	*fault = good ? ERROR_OK : ERROR_FILTER_SHARED;
	return true;
}

/* [MQTT-4.7.2-1] */
static bool topic_is_hidden_from(struct slice filter, struct slice topic)
{
	bool leading_wildcard = filter.size > 0 && (filter.data[0] == '+' || filter.data[0] == '#');
	return leading_wildcard && topic.size > 0 && topic.data[0] == '$';
}

bool mqtt_filter_matches(struct slice filter, struct slice topic)
{
	if (topic_is_hidden_from(filter, topic))
		return false;
	struct slice wanted, level;
	bool more_wanted = true, more = true;
	while (mqtt_topic_level(&filter, &more_wanted, &wanted)) {
		/* Before the topic's level is asked for: "a/#" matches "a" too [4.7.1.2]. */
		if (topic_level_is(wanted, '#'))
			return true;
		if (!mqtt_topic_level(&topic, &more, &level))
			return false;
		if (!topic_level_is(wanted, '+') && !slice_equal(wanted, level))
			return false;
	}
	return !more;
}

bool mqtt_topic_is_reserved(struct slice topic)
{
	static const char PREFIX[] = "$SYS";
	size_t size = sizeof(PREFIX) - 1;
	return topic.size >= size && memcmp(topic.data, PREFIX, size) == 0 &&
	       (topic.size == size || topic.data[size] == '/');
}

bool mqtt_topic_is_bridge_state(struct slice topic)
{
	return mqtt_filter_matches(slice_string("$SYS/broker/connection/+/state"), topic);
}

enum error mqtt_filter_check_whole(struct slice filter)
{
	struct slice group;
	struct slice topics = filter;
	enum error fault = ERROR_OK;
	bool shared = mqtt_filter_share(filter, &group, &topics, &fault);
	return shared && fault != ERROR_OK ? fault : mqtt_filter_check(topics);
}
