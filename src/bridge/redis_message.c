#include "bridge/redis_message.h"

#include "base/check.h"

#define SECONDS_MAX ((int64_t)1 << 40) /* longer times count as for ever */

_Static_assert(SECONDS_MAX < INT64_MAX / 16, "neither the next digit nor the time now overflows it");

/* Splits at the first such letter. Returns false if there is none. */
static bool split_at_letter(struct slice text, uint8_t letter, struct slice *before, struct slice *after)
{
	const uint8_t *found = text.size != 0 ? memchr(text.data, letter, text.size) : NULL;
	if (found == NULL)
		return false;
	*before = slice_of(text.data, (size_t)(found - text.data));
	*after = slice_of(found + 1, text.size - before->size - 1);
	return true;
}

static bool read_pair(struct slice text, uint8_t letter, enum revocation_kind *kind, struct slice *rest)
{
	struct slice name;
	return split_at_letter(text, letter, &name, rest) && revocation_kind_parse(name, kind);
}

static bool is_id(struct slice id)
{
	return id.size != 0 && id.size <= REVOCATION_ID_BYTES_MAX;
}

bool redis_key_parse(struct slice key, enum revocation_kind *kind, struct slice *id)
{
	size_t prefix = sizeof(REDIS_KEY_PREFIX) - 1;
	if (key.size < prefix || memcmp(key.data, REDIS_KEY_PREFIX, prefix) != 0)
		return false;
	return read_pair(slice_of(key.data + prefix, key.size - prefix), ':', kind, id) && is_id(*id);
}

static bool read_revoked_seconds(struct slice text, int64_t *seconds)
{
	*seconds = 0;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		if (*seconds < SECONDS_MAX)
			*seconds = *seconds * 10 + (text.data[i] - '0');
	}
	return text.size != 0;
}

bool redis_revoked_parse(struct slice text, int64_t now_s, struct revocation *revocation)
{
	struct slice rest, number;
	int64_t seconds;
	if (!read_pair(text, ' ', &revocation->kind, &rest) || !split_at_letter(rest, ' ', &number, &revocation->id) ||
	    !read_revoked_seconds(number, &seconds) || !is_id(revocation->id))
		return false;
	bool has_end = seconds != 0 && seconds < SECONDS_MAX;
	CHECK(seconds >= 0);
	revocation->until_s = has_end ? now_s + seconds : REVOKED_FOR_EVER;
	return true;
}

bool redis_lifted_parse(struct slice text, enum revocation_kind *kind, struct slice *id)
{
	return read_pair(text, ' ', kind, id) && is_id(*id);
}

int64_t redis_until_s(int64_t now_s, int64_t ttl_ms)
{
	if (ttl_ms == -1)
		return REVOKED_FOR_EVER;
	if (ttl_ms < 0)
		return now_s;
	int64_t seconds = ttl_ms / 1000 + (ttl_ms % 1000 != 0);
	return seconds < SECONDS_MAX ? now_s + seconds : REVOKED_FOR_EVER;
}
