/* The format of revocations in Redis.
 *
 * Each has a key, which is the truth. The key's time to live is the end of the revocation; its value does not matter:
 *	roost:revoked:token:ID   roost:revoked:user:NAME   roost:revoked:client:ID
 * Two channels make changes known at once. Whoever changes a key publishes afterwards:
 *	roost:revoked  "KIND SECONDS ID"   SECONDS 0: for ever
 *	roost:lifted   "KIND ID"
 * An ID may contain any bytes. Pure; slices point into the text. */
#ifndef BRIDGE_REDIS_MESSAGE_H
#define BRIDGE_REDIS_MESSAGE_H

#include "auth/revocation/revocation.h"

#define REDIS_KEY_PREFIX "roost:revoked:"
#define REDIS_CHANNEL_REVOKED "roost:revoked"
#define REDIS_CHANNEL_LIFTED "roost:lifted"

/* Returns false for any other key. */
bool redis_key_parse(struct slice key, enum revocation_kind *kind, struct slice *id);
/* Parse messages of the two channels. Return false for a malformed one. */
bool redis_revoked_parse(struct slice text, int64_t now_s, struct revocation *revocation);
bool redis_lifted_parse(struct slice text, enum revocation_kind *kind, struct slice *id);

/* Converts an answer of PTTL to the revocation's end, in seconds since 1970. Rounded up: the revocation must not end
 * before the key. -1 means no end; below that the key is gone, and the result is now_s. */
int64_t redis_until_s(int64_t now_s, int64_t ttl_ms);

#endif
