#include "auth/outside/cache.h"

#include "base/check.h"

#include <sodium.h>
#include <stdlib.h>

_Static_assert(OUTSIDE_MARK_BYTES == crypto_generichash_BYTES_MIN, "BLAKE2b's shortest");
_Static_assert(OUTSIDE_KEY_BYTES == crypto_generichash_KEYBYTES, "a key of its usual length");

#define BUCKETS_MIN 64u

struct outside_entry {
	struct outside_entry *next; /* in its bucket */
	struct outside_entry *newer;
	struct outside_entry *older;
	struct outside_answer *answer;
	uint64_t until_ms;
	uint32_t epoch; /* in which it was put */
	struct outside_mark mark;
};

static uint32_t outside_buckets_for(uint32_t entries)
{
	uint32_t buckets = BUCKETS_MIN;
	while (buckets < entries)
		buckets *= 2;
	return buckets;
}

enum error outside_cache_open(struct outside_cache *cache, uint32_t entries, const struct outside_times *times)
{
	CHECK(entries <= 1u << 30 && sodium_init() >= 0);
	uint32_t buckets = outside_buckets_for(entries);
	*cache = (struct outside_cache){
		.times = *times,
		.buckets = calloc(buckets, sizeof(struct outside_entry *)),
		.mask = buckets - 1,
		.good = {.most = entries - entries / 4},
		.denied = {.most = entries / 4},
		.bytes_most = (size_t)entries * OUTSIDE_ENTRY_BYTES,
	};
	randombytes_buf(cache->key, sizeof(cache->key));
	return cache->buckets != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

void outside_cache_close(struct outside_cache *cache)
{
	outside_cache_clear(cache);
	free(cache->buckets);
	sodium_memzero(cache, sizeof(*cache));
}

struct outside_mark outside_mark_of(const struct outside_cache *cache, struct slice question)
{
	struct outside_mark mark;
	crypto_generichash(mark.bytes, sizeof(mark.bytes), question.data, question.size, cache->key,
			   sizeof(cache->key));
	return mark;
}

/* ---- places ---- */

/* The link that leads to the entry, or to the end of its bucket. */
static struct outside_entry **outside_link_of(struct outside_cache *cache, const struct outside_mark *mark)
{
	uint32_t bucket;
	memcpy(&bucket, mark->bytes, sizeof(bucket));
	struct outside_entry **link = &cache->buckets[bucket & cache->mask];
	while (*link != NULL && memcmp((*link)->mark.bytes, mark->bytes, sizeof(mark->bytes)) != 0)
		link = &(*link)->next;
	return link;
}

static struct outside_list *outside_list_of(struct outside_cache *cache, const struct outside_entry *entry)
{
	return entry->answer->verdict == OUTSIDE_DENIED ? &cache->denied : &cache->good;
}

static void outside_list_remove(struct outside_list *list, struct outside_entry *entry)
{
	*(entry->newer != NULL ? &entry->newer->older : &list->first) = entry->older;
	*(entry->older != NULL ? &entry->older->newer : &list->last) = entry->newer;
	CHECK_GT(list->count, 0);
	list->count--;
}

static void outside_list_add(struct outside_list *list, struct outside_entry *entry)
{
	entry->newer = NULL;
	entry->older = list->first;
	*(list->first != NULL ? &list->first->newer : &list->last) = entry;
	list->first = entry;
	list->count++;
}

static size_t outside_entry_bytes(const struct outside_entry *entry)
{
	return sizeof(*entry) + outside_answer_bytes(entry->answer);
}

static void outside_entry_remove(struct outside_cache *cache, struct outside_entry **link)
{
	struct outside_entry *entry = *link;
	CHECK(entry != NULL);
	*link = entry->next;
	outside_list_remove(outside_list_of(cache, entry), entry);
	CHECK_GE(cache->bytes, outside_entry_bytes(entry));
	cache->bytes -= outside_entry_bytes(entry);
	outside_answer_put(&entry->answer);
	free(entry);
}

void outside_cache_drop(struct outside_cache *cache, const struct outside_mark *mark)
{
	struct outside_entry **link = outside_link_of(cache, mark);
	if (*link != NULL)
		outside_entry_remove(cache, link);
}

static void outside_list_clear(struct outside_cache *cache, struct outside_list *list)
{
	while (list->last != NULL)
		outside_entry_remove(cache, outside_link_of(cache, &list->last->mark));
}

void outside_cache_clear(struct outside_cache *cache)
{
	if (cache->buckets == NULL)
		return;
	outside_list_clear(cache, &cache->good);
	outside_list_clear(cache, &cache->denied);
	CHECK_EQ(cache->bytes, 0);
}

/* ---- times ---- */

/* That of its epoch, if that came first. */
static uint64_t outside_until_ms(const struct outside_cache *cache, const struct outside_entry *entry)
{
	uint32_t epochs = cache->epoch - entry->epoch;
	if (epochs == 0)
		return entry->until_ms;
	uint64_t ended_ms = epochs <= OUTSIDE_EPOCHS ? cache->ended_ms[entry->epoch % OUTSIDE_EPOCHS] : 0;
	return ended_ms < entry->until_ms ? ended_ms : entry->until_ms;
}

void outside_cache_suspect(struct outside_cache *cache, uint64_t now_ms)
{
	cache->ended_ms[cache->epoch++ % OUTSIDE_EPOCHS] = now_ms;
}

static uint32_t outside_life_s(const struct outside_cache *cache, const struct outside_answer *answer)
{
	if (answer->ttl_s != OUTSIDE_TTL_UNSAID)
		return answer->ttl_s;
	return answer->verdict == OUTSIDE_DENIED ? cache->times.denied_s : cache->times.good_s;
}

/* ---- use ---- */

struct outside_answer *outside_cache_find(struct outside_cache *cache, const struct outside_mark *mark, uint64_t now_ms,
					  bool stale)
{
	struct outside_entry *entry = *outside_link_of(cache, mark);
	if (entry == NULL)
		return NULL;
	uint64_t until_ms = outside_until_ms(cache, entry);
	if (stale && entry->answer->verdict != OUTSIDE_DENIED)
		until_ms += cache->times.stale_s * UINT64_C(1000);
	if (now_ms >= until_ms)
		return NULL;
	struct outside_list *list = outside_list_of(cache, entry);
	outside_list_remove(list, entry);
	outside_list_add(list, entry);
	return entry->answer;
}

/* Entries are few enough for one more, which is in its list already. */
static void outside_make_room(struct outside_cache *cache, struct outside_list *list)
{
	while (list->count > list->most || cache->bytes > cache->bytes_most) {
		/* Where bytes are short, those of refusals go first. */
		struct outside_list *from = cache->denied.last != NULL ? &cache->denied : &cache->good;
		if (list->count > list->most)
			from = list;
		CHECK(from->last != NULL);
		outside_entry_remove(cache, outside_link_of(cache, &from->last->mark));
		cache->evictions++;
	}
}

void outside_cache_put(struct outside_cache *cache, const struct outside_mark *mark, struct outside_answer *answer,
		       uint64_t now_ms)
{
	uint32_t life_s = outside_life_s(cache, answer);
	outside_cache_drop(cache, mark);
	if (life_s == 0 || cache->bytes_most == 0)
		return;
	struct outside_entry *entry = malloc(sizeof(*entry));
	if (entry == NULL)
		return;
	*entry = (struct outside_entry){
		.answer = outside_answer_get(answer),
		.until_ms = now_ms + life_s * UINT64_C(1000),
		.epoch = cache->epoch,
		.mark = *mark,
	};
	*outside_link_of(cache, mark) = entry;
	cache->bytes += outside_entry_bytes(entry);
	struct outside_list *list = outside_list_of(cache, entry);
	outside_list_add(list, entry);
	outside_make_room(cache, list);
}
