/* Token ids (jti), users and client ids that are refused although their credentials are valid, each until a time of its
 * own. Any thread may look up, as every sign-in does, without a lock; the caller sees to it that there is one writer at
 * a time. The caller also ends the sessions that a revocation is about: revocations_add() says what changed. Pure: the
 * time, in seconds since 1970, comes in.
 *
 * A look-up compares 128 bits of a keyed hash, so that readers touch no memory that the writer frees; the ids
 * themselves are kept for the writer, to be listed and written down. */
#ifndef AUTH_REVOCATION_H
#define AUTH_REVOCATION_H

#include "base/error.h"
#include "base/hash.h"
#include "base/slice.h"

#define REVOKED_FOR_EVER INT64_MAX
#define REVOCATION_ID_BYTES_MAX 65535u

enum revocation_kind {
	REVOCATION_TOKEN,
	REVOCATION_USER,
	REVOCATION_CLIENT,
	REVOCATION_KIND_COUNT,
};

/* "token", "user", "client"; static storage. */
const char *revocation_kind_name(enum revocation_kind kind);
bool revocation_kind_parse(struct slice name, enum revocation_kind *kind);

struct revocation {
	enum revocation_kind kind;
	struct slice id;
	int64_t until_s; /* the first second at which it is no longer in force */
};

enum revocation_change {
	REVOCATION_UNCHANGED,
	REVOCATION_ADDED,   /* sessions may have to end */
	REVOCATION_RENEWED, /* it was there, and has another end now */
	REVOCATION_LIFTED,  /* it was there, and is no more */
};

/* What a session keeps of its token's id, of its user and of its client id, and what a revocation finds it by. A token
 * and a user of the same name differ; a client id's is hash_slice(), by which sessions are found too. Any thread. */
uint64_t revocation_hash(const struct hash_key *key, enum revocation_kind kind, struct slice id);

struct revocations;

/* limit: how many there may be at one time. key: of revocation_hash(), copied. NULL without memory. */
struct revocations *revocations_new(uint32_t limit, const struct hash_key *key);
/* No thread may look up any more. */
void revocations_free(struct revocations *revocations);

/* Any thread. */
bool revocations_has(const struct revocations *revocations, enum revocation_kind kind, struct slice id, int64_t now_s);

/* The rest is the writer's. */

/* Puts it in force, in place of one that is there for the same id. Where its end has passed, that one is lifted.
 * ERROR_LIMIT: as many as there may be are in force; nothing was changed. Also ERROR_NO_MEMORY. */
enum error revocations_add(struct revocations *revocations, const struct revocation *revocation, int64_t now_s,
			   enum revocation_change *change);
/* Frees those whose end has passed, and says how many. Looks at all of them: some milliseconds for 100,000. */
uint32_t revocations_expire(struct revocations *revocations, int64_t now_s);

/* A source that tells all it has, from the beginning: what was not added again between the two calls is lifted by the
 * second, which says how many were. */
void revocations_round_begin(struct revocations *revocations);
uint32_t revocations_round_end(struct revocations *revocations);

uint32_t revocations_count(const struct revocations *revocations);
/* The revocation at this place, 0..count-1, in no order; good until the next change. */
struct revocation revocations_at(const struct revocations *revocations, uint32_t place);

#endif
