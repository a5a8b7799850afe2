#include "auth/rules/acl_pattern.h"

#include "base/check.h"

#include "auth/text/utf8.h"

_Static_assert(ACL_PATTERN_CLIENT_ID > 0xF4 && ACL_PATTERN_USER > 0xF4, "UTF-8 has no bytes above 0xF4");

static bool pattern_is_placeholder(uint8_t byte)
{
	return byte == ACL_PATTERN_CLIENT_ID || byte == ACL_PATTERN_USER;
}

static bool pattern_begins_with_wildcard(struct slice text)
{
	return text.size > 0 && (text.data[0] == '+' || text.data[0] == '#');
}

static bool pattern_begins_with_dollar(struct slice text)
{
	return text.size > 0 && text.data[0] == '$';
}

static bool placeholder_value_is_usable(struct slice value, bool first)
{
	if (value.size == 0 || (first && value.data[0] == '$'))
		return false;
	for (size_t i = 0; i < value.size; i++)
		if (value.data[i] == '+' || value.data[i] == '#' || value.data[i] == '/')
			return false;
	return true;
}

static struct slice placeholder_value_of(uint8_t placeholder, const struct acl_identity *identity)
{
	return placeholder == ACL_PATTERN_CLIENT_ID ? identity->client_id : identity->user;
}

/* A pattern and what is asked for, walked side by side: both stand at the beginning of a level, or, between
 * pattern_walk_level() and the next, at its end. */
struct walk {
	const uint8_t *at, *end;
	const uint8_t *asked, *asked_end;
	const struct acl_identity *identity;
	const uint8_t *begin; /* of the pattern */
};

static struct walk pattern_walk_of(struct slice pattern, const struct acl_identity *identity, struct slice asked)
{
	return (struct walk){.at = pattern.data,
			     .end = pattern.data + pattern.size,
			     .asked = asked.data,
			     .asked_end = asked.data + asked.size,
			     .identity = identity,
			     .begin = pattern.data};
}

/* At the beginning of a level: a wildcard is alone in it. */
static inline bool pattern_wildcard_is_at(const uint8_t *at, const uint8_t *end, char wildcard)
{
	return at < end && *at == (uint8_t)wildcard;
}

static inline const uint8_t *pattern_level_end(const uint8_t *at, const uint8_t *end)
{
	while (at < end && *at != '/')
		at++;
	return at;
}

/* "/#" is all that is left. */
static inline bool pattern_ends_with_hash(const uint8_t *at, const uint8_t *end)
{
	return end - at == 2 && at[1] == '#';
}

enum match {
	MATCH_NO,
	MATCH_YES,
	MATCH_UNUSABLE, /* a placeholder's value cannot stand here */
};

static enum match pattern_walk_value(struct walk *walk, uint8_t placeholder)
{
	struct slice value = placeholder_value_of(placeholder, walk->identity);
	if (!placeholder_value_is_usable(value, walk->at == walk->begin + 1))
		return MATCH_UNUSABLE;
	if ((size_t)(walk->asked_end - walk->asked) < value.size || memcmp(walk->asked, value.data, value.size) != 0)
		return MATCH_NO;
	walk->asked += value.size;
	return MATCH_YES;
}

/* One level of each, neither of them a wildcard. */
static enum match pattern_walk_level(struct walk *walk)
{
	while (walk->at < walk->end && *walk->at != '/') {
		uint8_t byte = *walk->at++;
		if (pattern_is_placeholder(byte)) {
			enum match match = pattern_walk_value(walk, byte);
			if (match != MATCH_YES)
				return match;
		} else if (walk->asked == walk->asked_end || *walk->asked++ != byte) {
			return MATCH_NO;
		}
	}
	return walk->asked == walk->asked_end || *walk->asked == '/' ? MATCH_YES : MATCH_NO;
}

/* In the level that begins at walk->at. */
static bool pattern_has_unusable_value(const struct walk *walk)
{
	for (const uint8_t *at = walk->at; at < walk->end && *at != '/'; at++)
		if (pattern_is_placeholder(*at) &&
		    !placeholder_value_is_usable(placeholder_value_of(*at, walk->identity), at == walk->begin))
			return true;
	return false;
}

bool acl_pattern_covers(struct slice pattern, const struct acl_identity *identity, struct slice asked)
{
	if (pattern_begins_with_wildcard(pattern) && pattern_begins_with_dollar(asked))
		return false;
	struct walk walk = pattern_walk_of(pattern, identity, asked);
	for (;; walk.at++, walk.asked++) {
		if (pattern_wildcard_is_at(walk.at, walk.end, '#'))
			return true;
		/* What wildcards stand for is more than any one level. */
		if (pattern_wildcard_is_at(walk.asked, walk.asked_end, '#'))
			return false;
		if (pattern_wildcard_is_at(walk.at, walk.end, '+')) {
			walk.at++;
			walk.asked = pattern_level_end(walk.asked, walk.asked_end);
		} else if (pattern_wildcard_is_at(walk.asked, walk.asked_end, '+') ||
			   pattern_walk_level(&walk) != MATCH_YES) {
			return false;
		}
		/* "a/#" covers "a" too [4.7.1.2]. */
		if (walk.asked == walk.asked_end)
			return walk.at == walk.end || pattern_ends_with_hash(walk.at, walk.end);
		if (walk.at == walk.end)
			return false;
	}
}

bool acl_pattern_overlaps(struct slice pattern, const struct acl_identity *identity, struct slice asked)
{
	if (pattern_begins_with_dollar(pattern) && pattern_begins_with_wildcard(asked))
		return false;
	struct walk walk = pattern_walk_of(pattern, identity, asked);
	for (;; walk.at++, walk.asked++) {
		if (pattern_wildcard_is_at(walk.at, walk.end, '#') ||
		    pattern_wildcard_is_at(walk.asked, walk.asked_end, '#'))
			return true;
		bool any = pattern_wildcard_is_at(walk.at, walk.end, '+'),
		     any_asked = pattern_wildcard_is_at(walk.asked, walk.asked_end, '+');
		if (any_asked && pattern_has_unusable_value(&walk))
			return true;
		if (any || any_asked) {
			walk.at = pattern_level_end(walk.at, walk.end);
			walk.asked = pattern_level_end(walk.asked, walk.asked_end);
		} else {
			enum match match = pattern_walk_level(&walk);
			if (match != MATCH_YES)
				return match == MATCH_UNUSABLE;
		}
		/* "a" and "a/#" have "a" in common. */
		if (walk.at == walk.end)
			return walk.asked == walk.asked_end || pattern_ends_with_hash(walk.asked, walk.asked_end);
		if (walk.asked == walk.asked_end)
			return pattern_ends_with_hash(walk.at, walk.end);
	}
}

bool acl_pattern_is_literal(struct slice pattern)
{
	for (size_t i = 0; i < pattern.size; i++)
		if (pattern_is_placeholder(pattern.data[i]) || pattern.data[i] == '+' || pattern.data[i] == '#')
			return false;
	return true;
}

/* [MQTT-4.7.1-1, -2] */
static const char *pattern_check_levels(struct slice pattern)
{
	const uint8_t *at = pattern.data, *end = at + pattern.size;
	for (uint32_t count = 1;; count++) {
		const uint8_t *level = at;
		at = pattern_level_end(at, end);
		if (count > ACL_PATTERN_LEVELS_MAX)
			return "the filter has too many levels";
		for (const uint8_t *byte = level; byte < at; byte++)
			if ((*byte == '+' || *byte == '#') && at - level > 1)
				return "+ and # must be alone in their level";
		if (at == end)
			return NULL;
		if (*level == '#')
			return "# must be the last level of the filter";
		at++;
	}
}

const char *acl_pattern_compile(struct slice text, uint8_t *out, size_t *size)
{
	*size = 0;
	if (text.size == 0)
		return "the filter is missing";
	if (text.size > ACL_PATTERN_BYTES_MAX)
		return "the filter is longer than 65535 bytes";
	if (!utf8_is_text(text))
		return "the filter is not UTF-8, or has control characters in it";
	for (size_t i = 0; i < text.size; i++) {
		uint8_t byte = text.data[i];
		if (byte == '%') {
			byte = ++i < text.size ? text.data[i] : 0;
			if (byte != 'c' && byte != 'u' && byte != '%')
				return "% must be followed by c (client id), u (user name) or % (the sign itself)";
			byte = byte == 'c' ? ACL_PATTERN_CLIENT_ID : byte == 'u' ? ACL_PATTERN_USER : (uint8_t)'%';
		}
		out[(*size)++] = byte;
	}
	CHECK(*size <= text.size);
	/* Every topic has a first level, so that it means what "#" does; and that is what it is compared as. */
	if (slice_equal(slice_of(out, *size), slice_string("+/#"))) {
		out[0] = '#';
		*size = 1;
	}
	return pattern_check_levels(slice_of(out, *size));
}
