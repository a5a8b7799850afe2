#include "auth/password/password_cache.h"

#include "base/check.h"

#include <sodium.h>
#include <stdlib.h>

_Static_assert(PASSWORD_MARK_BYTES == crypto_generichash_BYTES_MIN, "BLAKE2b's shortest");

enum error password_cache_open(struct password_cache *cache, uint32_t slots)
{
	CHECK(slots != 0 && (slots & (slots - 1)) == 0 && sodium_init() >= 0);
	*cache = (struct password_cache){.marks = calloc(slots, sizeof(*cache->marks)), .mask = slots - 1};
	randombytes_buf(cache->key, sizeof(cache->key));
	return cache->marks != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

void password_cache_close(struct password_cache *cache)
{
	free(cache->marks);
	sodium_memzero(cache, sizeof(*cache));
}

static void password_cache_absorb(crypto_generichash_state *state, struct slice text)
{
	uint64_t size = text.size; /* in front, so that no text can run on into the next */
	crypto_generichash_update(state, (const unsigned char *)&size, sizeof(size));
	crypto_generichash_update(state, text.data, text.size);
}

struct password_mark password_cache_mark(const struct password_cache *cache, struct slice hash, struct slice user,
					 struct slice password)
{
	struct password_mark mark;
	crypto_generichash_state state;
	crypto_generichash_init(&state, cache->key, sizeof(cache->key), sizeof(mark.bytes));
	password_cache_absorb(&state, hash);
	password_cache_absorb(&state, user);
	password_cache_absorb(&state, password);
	crypto_generichash_final(&state, mark.bytes, sizeof(mark.bytes));
	return mark;
}

static struct password_mark *password_cache_slot_of(struct password_cache *cache, const struct password_mark *mark)
{
	uint32_t place;
	memcpy(&place, mark->bytes, sizeof(place));
	return &cache->marks[place & cache->mask];
}

bool password_cache_has_hash(struct password_cache *cache, struct slice hash, struct slice user, struct slice password)
{
	if (hash.size == 0)
		return false;
	struct password_mark mark = password_cache_mark(cache, hash, user, password);
	bool found = sodium_memcmp(password_cache_slot_of(cache, &mark)->bytes, mark.bytes, sizeof(mark.bytes)) == 0;
	if (found)
		cache->hits++;
	else
		cache->misses++;
	return found;
}

bool password_cache_has(struct password_cache *cache, const struct password_file *file, struct slice user,
			struct slice password)
{
	return password_cache_has_hash(cache, password_file_find(file, user), user, password);
}

void password_cache_remember_hash(struct password_cache *cache, struct slice hash, struct slice user,
				  struct slice password)
{
	if (hash.size == 0)
		return;
	struct password_mark mark = password_cache_mark(cache, hash, user, password);
	CHECK(cache->marks != NULL);
	*password_cache_slot_of(cache, &mark) = mark;
}

void password_cache_remember(struct password_cache *cache, const struct password_file *file, struct slice user,
			     struct slice password)
{
	password_cache_remember_hash(cache, password_file_find(file, user), user, password);
}
