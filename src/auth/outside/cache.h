/* Answers of an outside authority, kept for a time, so that a client that comes back costs no question. Bounded in
 * entries and in bytes; the one that was used least recently makes room. Refusals have a quarter of the places for
 * themselves, so that a flood of wrong names puts out no right one.
 *
 * An entry is known by a keyed hash of its question (auth/outside/question.h): no password is in it. One whose time is
 * up is kept as long as there is room for it, for when the authority cannot be asked. Owned by one thread, or by
 * whoever holds a lock. Pure: the time comes in. */
#ifndef AUTH_OUTSIDE_CACHE_H
#define AUTH_OUTSIDE_CACHE_H

#include "auth/outside/answer.h"
#include "base/error.h"

#define OUTSIDE_MARK_BYTES 16u
#define OUTSIDE_KEY_BYTES 32u
/* Of all entries, on average. */
#define OUTSIDE_ENTRY_BYTES 1024u

/* Entries of older ones are no good any more. */
#define OUTSIDE_EPOCHS 16u

struct outside_mark {
	uint8_t bytes[OUTSIDE_MARK_BYTES];
};

/* How long answers are good that do not say it themselves. */
struct outside_times {
	uint32_t good_s;   /* 0: such answers are not kept */
	uint32_t denied_s; /* of refusals; likewise */
	uint32_t stale_s;  /* how long behind their end, while the authority is away; 0: not at all */
};

struct outside_entry;

/* Entries in the order of their use. */
struct outside_list {
	struct outside_entry *first;
	struct outside_entry *last;
	uint32_t count;
	uint32_t most;
};

struct outside_cache {
	uint8_t key[OUTSIDE_KEY_BYTES];
	struct outside_times times;
	struct outside_entry **buckets;
	uint32_t mask;
	struct outside_list good;
	struct outside_list denied;
	size_t bytes;
	size_t bytes_most;
	uint32_t epoch;                    /* begins with each call of outside_cache_suspect() */
	uint64_t ended_ms[OUTSIDE_EPOCHS]; /* when the latest of those before it ended */
	uint64_t evictions;                /* for want of room */
};

/* entries: at most; 0: nothing is kept. ERROR_NO_MEMORY. */
enum error outside_cache_open(struct outside_cache *cache, uint32_t entries, const struct outside_times *times);
void outside_cache_close(struct outside_cache *cache);

struct outside_mark outside_mark_of(const struct outside_cache *cache, struct slice question);

/* The answer, of which the cache has the reference; NULL: none that is good. stale: one whose time is up will do,
 * within `stale_s`, if it is no refusal. */
struct outside_answer *outside_cache_find(struct outside_cache *cache, const struct outside_mark *mark, uint64_t now_ms,
					  bool stale);
/* Keeps the answer, of which it takes a reference, in the place of an older one; without memory it does not. */
void outside_cache_put(struct outside_cache *cache, const struct outside_mark *mark, struct outside_answer *answer,
		       uint64_t now_ms);
/* Forgets it. */
void outside_cache_drop(struct outside_cache *cache, const struct outside_mark *mark);
void outside_cache_clear(struct outside_cache *cache);
/* It is not known any more whether what is kept is still so: as if the time of all was up. */
void outside_cache_suspect(struct outside_cache *cache, uint64_t now_ms);

static inline uint32_t outside_cache_count(const struct outside_cache *cache)
{
	return cache->good.count + cache->denied.count;
}

#endif
