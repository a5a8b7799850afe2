/* How revocations are written in Redis.
 *
 * A key for each, which is the truth, with its time to live as the end of the revocation; its value says nothing:
 *	roost:revoked:token:ID   roost:revoked:user:NAME   roost:revoked:client:ID
 * Two channels, for speed. What changes the keys also publishes, after the change:
 *	roost:revoked  "KIND SECONDS ID"   SECONDS 0: for ever
 *	roost:lifted   "KIND ID"
 * An ID is any bytes. Pure; slices point into the text. */
#ifndef BRIDGE_REDIS_MESSAGE_H
#define BRIDGE_REDIS_MESSAGE_H

#include "auth/revocation/revocation.h"

#define REDIS_KEY_PREFIX "roost:revoked:"
#define REDIS_CHANNEL_REVOKED "roost:revoked"
#define REDIS_CHANNEL_LIFTED "roost:lifted"

/* False: it is no such key, and of no concern, or none that means something. */
bool redis_key_parse(struct slice key, enum revocation_kind *kind, struct slice *id);
/* Messages of the two channels. False: it cannot be read. */
bool redis_revoked_parse(struct slice text, int64_t now_s, struct revocation *revocation);
bool redis_lifted_parse(struct slice text, enum revocation_kind *kind, struct slice *id);

/* The end for an answer of PTTL, in seconds since 1970; rounded up, so that it is not over before the key is. -1: it
 * has none; less: the key is gone, and the result is now_s. */
int64_t redis_until_s(int64_t now_s, int64_t ttl_ms);

#endif
