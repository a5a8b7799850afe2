/* Passwords that were found good before, so that a storm of known clients coming back costs a microsecond each and not
 * a hash that is made to be slow. What is kept is a keyed hash of user, password and stored hash: a user whose password
 * is changed or who is gone is not found any more. A fixed table in which newer takes older's place; nothing of it
 * reaches a disk. Owned by one thread. Pure. */
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

/* Whether it was remembered for this file's hash of the user. */
bool password_cache_has(struct password_cache *cache, const struct password_file *file, struct slice user,
			struct slice password);
/* password_check() of this very file, not of one that came or went meanwhile, said ERROR_OK. */
void password_cache_remember(struct password_cache *cache, const struct password_file *file, struct slice user,
			     struct slice password);

#endif
