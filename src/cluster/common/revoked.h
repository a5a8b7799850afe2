/* What the nodes of a cluster have revoked, and lifted again: the same on all of them, by the stamp of the last change
 * (cluster/common/stamp.h). What a node knew when it started has no stamp, and then whatever revokes wins over what
 * does not: a lift that a node did not hear of, because it was off at the time and the others have been off since, is
 * undone rather than that somebody who was shut out gets in. What was lifted is remembered for a while, in bounded
 * number.
 *
 * Two nodes compare digests of REVOKED_PARTS parts; each sends the other what it has in the parts that differ. Items:
 * kind, end (seconds since 1970; 0: lifted), stamp, length of the id, id. Numbers lowest byte first.
 *
 * Pure; bytes and time come in. Owned by one thread. */
#ifndef CLUSTER_REVOKED_H
#define CLUSTER_REVOKED_H

#include "base/hash.h"
#include "cluster/common/stamp.h"
#include "cluster/wire/message.h"

#define REVOKED_PARTS 64u
#define REVOKED_KINDS 3u /* enum revocation_kind */
#define REVOKED_LIFTED_S 0
#define REVOKED_ID_BYTES_MAX 65535u
#define REVOKED_ITEM_HEAD_BYTES (1u + 8u + STAMP_BYTES + 2u)
#define REVOKED_ITEM_BYTES_MAX (REVOKED_ITEM_HEAD_BYTES + REVOKED_ID_BYTES_MAX)
/* What was lifted: so many, and for so long. */
#define REVOKED_LIFTED_MAX 100000u
#define REVOKED_LIFTED_FOR_S (7u * 24u * 60u * 60u)

enum revoked_message {
	REVOKED_CHANGES = MESSAGE_REVOCATIONS, /* items */
	REVOKED_DIGEST,                        /* REVOKED_PARTS digests: answered with what differs */
	/* Within a node (runtime/nodes/node_mail.h): */
	REVOKED_SEND = MESSAGE_REVOCATIONS + 8, /* for a peer: its slot, the kind, and the body */
};
#define REVOKED_DIGEST_BYTES (8u * REVOKED_PARTS)

struct revoked_item {
	uint8_t kind;
	int64_t until_s;
	struct stamp stamp; /* none: from before the node started */
	struct slice id;
};

struct revoked;

/* key: the cluster's. node: hash of this node's name. limit: of revocations. NULL: no memory. */
struct revoked *revoked_new(const struct hash_key *key, uint64_t node, uint32_t limit);
/* revoked may be NULL. */
void revoked_free(struct revoked *revoked);

/* A change that was made here. *stamp: its. False: no memory, or the limit: others are told all the same. */
bool revoked_change(struct revoked *revoked, const struct revoked_item *item, uint64_t wall_ms, struct stamp *stamp);
/* What is known at the start. */
bool revoked_found(struct revoked *revoked, const struct revoked_item *item, uint64_t wall_ms);
/* Another node's. True: it is newer, or shuts out for longer, than what is here, and is to be done here too. */
bool revoked_take(struct revoked *revoked, const struct revoked_item *item, uint64_t wall_ms);
/* Forgets what is over. Looks at all. */
void revoked_expire(struct revoked *revoked, uint64_t wall_ms);

/* In force, and lifts that are remembered. */
uint32_t revoked_count(const struct revoked *revoked);

/* Of what is in force. Looks at all. */
void revoked_digest(const struct revoked *revoked, uint64_t wall_ms, uint64_t digest[REVOKED_PARTS]);
/* Writes items of these parts (a bit each) from the place *next on, 0 at first, as many as fit; returns the bytes.
 * *next: 0: that was all. size: at least REVOKED_ITEM_BYTES_MAX. */
size_t revoked_list(const struct revoked *revoked, uint64_t parts, uint32_t *next, uint8_t *to, size_t size);

/* Writes an item; there is room for REVOKED_ITEM_HEAD_BYTES and the id. Returns its bytes. */
size_t revoked_item_write(const struct revoked_item *item, uint8_t *to);
/* Reads the first item, whose id points into the bytes. False: it is not sound. */
bool revoked_item_read(struct slice *bytes, struct revoked_item *item);
void revoked_digest_write(const uint64_t digest[REVOKED_PARTS], uint8_t to[REVOKED_DIGEST_BYTES]);
/* Parts in which the digest, which another node has sent, differs from this one; a bit each. False: it is not sound. */
bool revoked_digest_read(struct slice body, const uint64_t digest[REVOKED_PARTS], uint64_t *parts);

#endif
