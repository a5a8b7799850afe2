#include "http/target.h"

static int target_hex_digit(uint8_t letter)
{
	if (letter >= '0' && letter <= '9')
		return letter - '0';
	if (letter >= 'a' && letter <= 'f')
		return letter - 'a' + 10;
	if (letter >= 'A' && letter <= 'F')
		return letter - 'A' + 10;
	return -1;
}

/* Decodes into *room and advances it. Returns false for a % without two hexadecimal digits after it. */
static bool target_decode(struct slice text, bool plus_is_space, uint8_t **room, struct slice *decoded)
{
	uint8_t *at = *room;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t byte = text.data[i];
		if (byte == '%') {
			int high = i + 2 < text.size ? target_hex_digit(text.data[i + 1]) : -1;
			int low = i + 2 < text.size ? target_hex_digit(text.data[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			byte = (uint8_t)(high << 4 | low);
			i += 2;
		} else if (byte == '+' && plus_is_space) {
			byte = ' ';
		}
		*at++ = byte;
	}
	*decoded = slice_of(*room, (size_t)(at - *room));
	*room = at;
	return true;
}

/* Cuts everything up to the separator off the front of *rest. */
static struct slice target_cut(struct slice *rest, char separator)
{
	const uint8_t *end = rest->size != 0 ? memchr(rest->data, separator, rest->size) : NULL;
	size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
	struct slice front = slice_of(rest->data, size);
	size_t taken = end != NULL ? size + 1 : size;
	*rest = slice_of(rest->data + taken, rest->size - taken);
	return front;
}

static bool target_parse_path(struct target *target, struct slice path, uint8_t **room)
{
	if (path.size == 0 || path.data[0] != '/')
		return false;
	if (path.size == 1)
		return true;
	bool ends_with_slash = path.data[path.size - 1] == '/';
	target_cut(&path, '/');
	while (path.size != 0) {
		struct slice segment = target_cut(&path, '/');
		if (segment.size == 0 || target->segment_count == TARGET_SEGMENTS_MAX ||
		    !target_decode(segment, false, room, &target->segments[target->segment_count++]))
			return false;
	}
	return !ends_with_slash;
}

static bool target_parse_queries(struct target *target, struct slice queries, uint8_t **room)
{
	while (queries.size != 0) {
		struct slice value = target_cut(&queries, '&');
		if (value.size == 0)
			continue;
		struct slice name = target_cut(&value, '=');
		if (target->query_count == TARGET_QUERIES_MAX)
			return false;
		struct target_query *query = &target->queries[target->query_count++];
		if (!target_decode(name, true, room, &query->name) || !target_decode(value, true, room, &query->value))
			return false;
	}
	return true;
}

bool target_parse(struct target *target, struct slice raw, uint8_t *room)
{
	*target = (struct target){0};
	struct slice queries = raw;
	struct slice path = target_cut(&queries, '?');
	return target_parse_path(target, path, &room) && target_parse_queries(target, queries, &room);
}

bool target_query(const struct target *target, const char *name, struct slice *value)
{
	for (uint32_t i = 0; i < target->query_count; i++) {
		if (slice_equal(target->queries[i].name, slice_string(name))) {
			*value = target->queries[i].value;
			return true;
		}
	}
	return false;
}

bool target_number(struct slice text, uint32_t most, uint32_t *number)
{
	uint64_t value = 0;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.data[i] - '0');
		if (value > most)
			return false;
	}
	*number = (uint32_t)value;
	return text.size != 0;
}
