/* What an outside authority says of a client: a user's record in Redis, or the JSON of an HTTP server. Immutable once
 * it is made, and shared by reference: a thousand clients that wait for the same question get the same answer. Pure;
 * any thread.
 *
 * What cannot be read exactly is no answer: a member with a slip in its name, permissions that are none or a hash that
 * is none must not let anyone in with other rights than were meant. */
#ifndef AUTH_OUTSIDE_ANSWER_H
#define AUTH_OUTSIDE_ANSWER_H

#include "auth/text/fault.h"
#include "base/slice.h"

#include <stdatomic.h>

/* JSON as a whole, and of permissions. */
#define OUTSIDE_JSON_BYTES_MAX ((size_t)32 << 10)
#define OUTSIDE_TTL_S_MAX 86400u
/* Of an answer that does not say how long it is good. */
#define OUTSIDE_TTL_UNSAID UINT32_MAX

enum outside_verdict {
	OUTSIDE_DENIED,
	OUTSIDE_ALLOWED,
	OUTSIDE_BY_PASSWORD, /* whoever knows the password that the hash is of */
};

struct outside_answer {
	_Atomic uint32_t references;
	enum outside_verdict verdict;
	bool is_disabled; /* the user may not come in, whatever the verdict */
	bool has_rules;
	uint32_t ttl_s;    /* or OUTSIDE_TTL_UNSAID */
	int64_t expires_s; /* the session's latest end, in seconds since 1970; CLAIM_NEVER: none */
	uint32_t rules_bytes;
	uint32_t user_bytes;
	uint32_t hash_bytes;
	_Alignas(4) uint8_t bytes[]; /* rules, user, hash */
};

/* Rules for acl_check(); data is NULL where the answer has no permissions. */
static inline struct slice outside_answer_rules(const struct outside_answer *answer)
{
	return slice_of(answer->has_rules ? answer->bytes : NULL, answer->rules_bytes);
}

/* Whom the client is signed in as; size 0: it does not say. */
static inline struct slice outside_answer_user(const struct outside_answer *answer)
{
	return slice_of(answer->bytes + answer->rules_bytes, answer->user_bytes);
}

static inline struct slice outside_answer_hash(const struct outside_answer *answer)
{
	return slice_of(answer->bytes + answer->rules_bytes + answer->user_bytes, answer->hash_bytes);
}

static inline size_t outside_answer_bytes(const struct outside_answer *answer)
{
	return sizeof(*answer) + answer->rules_bytes + answer->user_bytes + answer->hash_bytes;
}

struct outside_answer *outside_answer_get(struct outside_answer *answer);
/* The last reference frees it. */
void outside_answer_put(struct outside_answer **answer);

/* All of these: with one reference, the caller's; NULL: *fault says why, or that memory is short. */

/* DENIED, and nothing else. */
struct outside_answer *outside_answer_denied(void);

/* {"result":"allow"|"deny","user":...,"permissions":{...},"ttl_s":...,"expires_s":...}; all but the result may be
 * missing. The text is changed. */
struct outside_answer *outside_answer_of_json(uint8_t *text, size_t size, struct fault *fault);

/* Fields of a user's record; data is NULL where it has none. */
struct outside_fields {
	struct slice password;    /* a hash, as a password file has it */
	struct slice permissions; /* JSON, as a token has it */
	struct slice disabled;    /* "1" or "true"; "0", "false" or "": no */
	struct slice expires_s;   /* seconds since 1970 */
	struct slice user;        /* whom its client is signed in as */
};

/* A record without any field is DENIED; with one it is BY_PASSWORD. named: whom the client is signed in as where the
 * record does not say. */
struct outside_answer *outside_answer_of_fields(const struct outside_fields *fields, struct slice named,
						struct fault *fault);

#endif
