#include "auth/acl_pattern.h"

#include "auth/utf8.h"

/* A pattern or a topic, level by level. */
struct levels {
	const uint8_t *at;
	const uint8_t *end;
	bool more;
};

static struct levels levels_of(struct slice text)
{
	return (struct levels){.at = text.data, .end = text.data + text.size, .more = true};
}

/* Written out rather than with memchr(): most levels are shorter than its call is long. */
static inline bool next_level(struct levels *levels, struct slice *level)
{
	if (!levels->more)
		return false;
	const uint8_t *begin = levels->at, *at = begin;
	while (at < levels->end && *at != '/')
		at++;
	*level = slice_of(begin, (size_t)(at - begin));
	levels->more = at < levels->end;
	levels->at = levels->more ? at + 1 : at;
	return true;
}

static inline bool is_wildcard(struct slice level, char wildcard)
{
	return level.size == 1 && level.data[0] == (uint8_t)wildcard;
}

static bool is_placeholder(uint8_t byte)
{
	return byte == ACL_PATTERN_CLIENT_ID || byte == ACL_PATTERN_USER;
}

static bool begins_with_wildcard(struct slice text)
{
	return text.size > 0 && (text.data[0] == '+' || text.data[0] == '#');
}

static bool begins_with_dollar(struct slice text)
{
	return text.size > 0 && text.data[0] == '$';
}

static bool value_is_usable(struct slice value, bool first)
{
	if (value.size == 0 || (first && value.data[0] == '$'))
		return false;
	for (size_t i = 0; i < value.size; i++)
		if (value.data[i] == '+' || value.data[i] == '#' || value.data[i] == '/')
			return false;
	return true;
}

static struct slice value_of(uint8_t placeholder, const struct acl_identity *identity)
{
	return placeholder == ACL_PATTERN_CLIENT_ID ? identity->client_id : identity->user;
}

enum match {
	MATCH_NO,
	MATCH_YES,
	MATCH_UNUSABLE, /* a placeholder's value cannot stand here */
};

static bool has_unusable_value(struct slice wanted, const struct acl_identity *identity, bool first)
{
	for (size_t i = 0; i < wanted.size; i++)
		if (is_placeholder(wanted.data[i]) &&
		    !value_is_usable(value_of(wanted.data[i], identity), first && i == 0))
			return true;
	return false;
}

/* One level of the pattern, no wildcard, against one that is asked for; first: of the pattern's levels. */
static enum match match_level(struct slice wanted, const struct acl_identity *identity, struct slice asked, bool first)
{
	if (has_unusable_value(wanted, identity, first))
		return MATCH_UNUSABLE;
	size_t used = 0;
	for (size_t i = 0; i < wanted.size; i++) {
		struct slice piece = slice_of(wanted.data + i, 1);
		if (is_placeholder(wanted.data[i]))
			piece = value_of(wanted.data[i], identity);
		if (asked.size - used < piece.size || memcmp(asked.data + used, piece.data, piece.size) != 0)
			return MATCH_NO;
		used += piece.size;
	}
	return used == asked.size ? MATCH_YES : MATCH_NO;
}

bool acl_pattern_covers(struct slice pattern, const struct acl_identity *identity, struct slice asked)
{
	if (begins_with_wildcard(pattern) && begins_with_dollar(asked))
		return false;
	struct levels wanted_levels = levels_of(pattern), asked_levels = levels_of(asked);
	struct slice wanted, level;
	for (bool first = true; next_level(&wanted_levels, &wanted); first = false) {
		/* Before the level that is asked for: "a/#" covers "a" too [4.7.1.2]. */
		if (is_wildcard(wanted, '#'))
			return true;
		if (!next_level(&asked_levels, &level) || is_wildcard(level, '#'))
			return false;
		if (is_wildcard(wanted, '+'))
			continue;
		/* What the asked-for '+' stands for is more than any one level. */
		if (is_wildcard(level, '+') || match_level(wanted, identity, level, first) != MATCH_YES)
			return false;
	}
	return !asked_levels.more;
}

bool acl_pattern_overlaps(struct slice pattern, const struct acl_identity *identity, struct slice asked)
{
	if (begins_with_dollar(pattern) && begins_with_wildcard(asked))
		return false;
	struct levels wanted_levels = levels_of(pattern), asked_levels = levels_of(asked);
	struct slice wanted, level;
	for (bool first = true; next_level(&wanted_levels, &wanted); first = false) {
		bool more = next_level(&asked_levels, &level);
		if (is_wildcard(wanted, '#') || (more && is_wildcard(level, '#')))
			return true;
		if (!more)
			return false;
		if (is_wildcard(wanted, '+'))
			continue;
		if (is_wildcard(level, '+')) {
			if (has_unusable_value(wanted, identity, first))
				return true;
			continue;
		}
		enum match match = match_level(wanted, identity, level, first);
		if (match != MATCH_YES)
			return match == MATCH_UNUSABLE;
	}
	/* "a" and "a/#" have "a" in common. */
	return !next_level(&asked_levels, &level) || is_wildcard(level, '#');
}

bool acl_pattern_is_literal(struct slice pattern)
{
	for (size_t i = 0; i < pattern.size; i++)
		if (is_placeholder(pattern.data[i]) || pattern.data[i] == '+' || pattern.data[i] == '#')
			return false;
	return true;
}

/* [MQTT-4.7.1-1, -2] */
static const char *check_levels(struct slice pattern)
{
	struct levels levels = levels_of(pattern);
	struct slice level;
	for (uint32_t count = 1; next_level(&levels, &level); count++) {
		if (count > ACL_PATTERN_LEVELS_MAX)
			return "the filter has too many levels";
		if (is_wildcard(level, '#') && levels.more)
			return "# must be the last level of the filter";
		if (level.size < 2)
			continue;
		for (size_t i = 0; i < level.size; i++)
			if (level.data[i] == '+' || level.data[i] == '#')
				return "+ and # must be alone in their level";
	}
	return NULL;
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
	/* Every topic has a first level, so that it means what "#" does; and that is what it is compared as. */
	if (slice_equal(slice_of(out, *size), slice_string("+/#"))) {
		out[0] = '#';
		*size = 1;
	}
	return check_levels(slice_of(out, *size));
}
