#include "mqtt/field/topic.h"

#include "mqtt/field/protocol.h"

/* Eight bytes at once. A byte of the word is told apart by these, each repeated in every lane. */
#define LANES(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HIGH_BITS LANES(0x80)

/* What a scan looks for beside malformed UTF-8 and U+0000. */
enum scan_for { SCAN_STRING, SCAN_TOPIC };

/* The high bit of each lane that equals byte. Exact only where no lane has its high bit set, which makes
 * lane ^ byte at most 0x7F, so that adding 0x7F carries into the high bit but never into the next lane. */
static inline uint64_t lanes_equal(uint64_t ascii, uint8_t byte)
{
	return ~((ascii ^ LANES(byte)) + LANES(0x7F)) & HIGH_BITS;
}

/* How many lanes a result of lanes_equal() marks: the multiplication adds all lanes up in the highest. */
static inline size_t lanes_count(uint64_t marks)
{
	return (size_t)((marks >> 7) * LANES(1) >> 56);
}

/* size (0..8) bytes in any order, which no check depends on; lanes that are left hold a harmless letter. */
static inline uint64_t lanes_load(const uint8_t *bytes, size_t size)
{
	uint64_t word = LANES('a');
	if (size == sizeof(word))
		memcpy(&word, bytes, sizeof(word));
	else
		for (size_t i = 0; i < size; i++)
			word = word << 8 | bytes[i];
	return word;
}

/* Bytes before the first one beyond ASCII, which there must be. */
static size_t utf8_ascii_prefix_bytes(const uint8_t *bytes)
{
	size_t size = 0;
	while (bytes[size] < 0x80)
		size++;
	return size;
}

/* Bytes of the character beyond ASCII at the start of text, or 0 where it is ill-formed. The rows are table 3-7 of the
 * Unicode Standard: the second byte's narrower range keeps out overlong forms, surrogates and what is past U+10FFFF. */
static size_t utf8_sequence_bytes(struct slice text)
{
	static const struct {
		uint8_t lead_max, second_min, second_max, bytes;
	} ROWS[] = {
		{0xC1, 0xFF, 0x00, 0}, /* a continuation, or overlong */
		{0xDF, 0x80, 0xBF, 2}, /* U+0080 */
		{0xE0, 0xA0, 0xBF, 3}, /* U+0800 */
		{0xEC, 0x80, 0xBF, 3}, /* U+1000 */
		{0xED, 0x80, 0x9F, 3}, /* U+D000, but not U+D800 */
		{0xEF, 0x80, 0xBF, 3}, /* U+E000 */
		{0xF0, 0x90, 0xBF, 4}, /* U+10000 */
		{0xF3, 0x80, 0xBF, 4}, /* U+40000 */
		{0xF4, 0x80, 0x8F, 4}, /* U+100000 to U+10FFFF */
		{0xFF, 0xFF, 0x00, 0}, /* past Unicode */
	};
	size_t row = 0;
	while (text.data[0] > ROWS[row].lead_max)
		row++;
	size_t bytes = ROWS[row].bytes;
	if (bytes == 0 || bytes > text.size)
		return 0;
	if (text.data[1] < ROWS[row].second_min || text.data[1] > ROWS[row].second_max)
		return 0;
	for (size_t i = 2; i < bytes; i++)
		if ((text.data[i] & 0xC0) != 0x80)
			return 0;
	return bytes;
}

/* One pass over the text; *separators counts the '/' of a topic. Inlined so that the compiler drops what scan_for does
 * not ask for. */
static inline __attribute__((always_inline)) enum error topic_text_scan(struct slice text, enum scan_for scan_for,
									size_t *separators)
{
	while (text.size > 0) {
		size_t step = text.size < 8 ? text.size : 8;
		uint64_t word = lanes_load(text.data, step);
		if (__builtin_expect((word & HIGH_BITS) != 0, 0)) {
			step = utf8_ascii_prefix_bytes(text.data);
			word = lanes_load(text.data, step);
			if (step == 0)
				step = utf8_sequence_bytes(text);
			if (step == 0)
				return ERROR_STRING_UTF8;
		}
		if (lanes_equal(word, 0) != 0)
			return ERROR_STRING_NUL;
		if (scan_for == SCAN_TOPIC) {
			if ((lanes_equal(word, '+') | lanes_equal(word, '#')) != 0)
				return ERROR_TOPIC_WILDCARD;
			*separators += lanes_count(lanes_equal(word, '/'));
		}
		text = slice_of(text.data + step, text.size - step);
	}
	return ERROR_OK;
}

enum error mqtt_string_check(struct slice string)
{
	return topic_text_scan(string, SCAN_STRING, NULL);
}

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
