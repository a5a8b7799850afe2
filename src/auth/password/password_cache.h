/* A cache of passwords that were correct before, so that a known client that reconnects costs a microsecond and not a
 * hash that is slow by design. It keeps a keyed hash of user, password and stored hash: after a password is changed or
 * a user removed, the entry is never found again. The table has a fixed size, newer entries overwrite older ones, and
 * nothing of it reaches a disk. Owned by one thread. Pure. */
#ifndef AUTH_PASSWORD_CACHE_H
#define AUTH_PASSWORD_CACHE_H

#include "auth/password/password_file.h"

#define PASSWORD_MARK_BYTES 16u

struct password_mark {
	uint8_t bytes[PASSWORD_MARK_BYTES];
};

struct password_cache {
	uint8_t key[32];
	struct password_mark *marks;
	uint32_t mask;
	uint64_t hits;
	uint64_t misses;
};

/* slots: a power of two, 16 bytes each. */
enum error password_cache_open(struct password_cache *cache, uint32_t slots);
void password_cache_close(struct password_cache *cache);

/* What tells these three together from all others. */
struct password_mark password_cache_mark(const struct password_cache *cache, struct slice hash, struct slice user,
					 struct slice password);
/* Whether it was remembered for this file's hash of the user. */
bool password_cache_has(struct password_cache *cache, const struct password_file *file, struct slice user,
			struct slice password);
/* The same for a stored hash, wherever it is. */
bool password_cache_has_hash(struct password_cache *cache, struct slice hash, struct slice user, struct slice password);
void password_cache_remember_hash(struct password_cache *cache, struct slice hash, struct slice user,
				  struct slice password);

/* password_check() of this very file, not of one that came or went meanwhile, said ERROR_OK. */
void password_cache_remember(struct password_cache *cache, const struct password_file *file, struct slice user,
			     struct slice password);

#endif
