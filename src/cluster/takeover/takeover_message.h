/* What nodes say to each other about who holds which client id (cluster/takeover/takeover.h). All kinds have the same
 * form. Bytes come from other nodes: nothing is asserted on them. Pure; any thread. */
#ifndef CLUSTER_TAKEOVER_MESSAGE_H
#define CLUSTER_TAKEOVER_MESSAGE_H

#include "base/slice.h"
#include "cluster/wire/message.h"

#include <stdbool.h>
#include <stdint.h>

/* In the range MESSAGE_SESSIONS; the numbers never change. What a kind does not name is 0 or empty. */
enum takeover_kind {
	TAKEOVER_CLAIM = MESSAGE_SESSIONS, /* to the home: view, claim, flags, id, user */
	TAKEOVER_GRANT,                    /* to a claimant: nobody holds it. view, number, claim, id */
	TAKEOVER_YIELD,                    /* to a holder: view, number, claim, flags, node (the claimant), id, user */
	TAKEOVER_MERGE,                    /* to a second holder: view, number, node (the first), id */
	TAKEOVER_PART,                     /* of the session: view, number, claim, sequence, flags, id, body */
	TAKEOVER_ROOM,                     /* to who gives: parts up to `sequence` are dealt with: number */
	TAKEOVER_NOTHING,                  /* to a claimant: there is none. view, number, claim, id */
	TAKEOVER_TAKEN,                    /* to the home: it is here now. view, number (0: a time limit), id */
	TAKEOVER_DONE,                     /* to the home: there was nothing to do. view, number, id */
	TAKEOVER_ACCEPTED,                 /* to who gave: it is safe here. number */
	TAKEOVER_REFUSED,                  /* to who gives: it is not taken. number */
	TAKEOVER_HELD,                     /* to the home: view; body: struct takeover_held and its id, for each */
	TAKEOVER_ANNOUNCED,                /* to the home: view, number (of its PLEASE): that were all */
	TAKEOVER_BACK,                     /* to the home: what was given has come back. view, number, age_s, id */
	TAKEOVER_ENDED,                    /* to the home: view; body: uint16_t and its id, for each */
	TAKEOVER_WHO,                      /* to the home: who holds it? claim, id */
	TAKEOVER_HOLDER,                   /* the answer: claim, node; empty: nobody */
	TAKEOVER_PLEASE,                   /* from a home that begins anew: what of its ids is held? view, number */
	TAKEOVER_KIND_LIMIT,
};

/* Flags, also between shards and the nodes thread (runtime/nodes/session_mail.h). Of a claim and a YIELD: */
#define SESSION_CLEAN 0x01u  /* the session that is there ends */
#define SESSION_MERGES 0x02u /* YIELD: it goes to a session that is there already */
/* Of a part: */
#define SESSION_WHOLE 0x10u /* with it the session is whole */
#define SESSION_LAST 0x20u  /* no more follow */

struct takeover_message {
	uint64_t view;
	uint64_t number;
	uint64_t claim;
	uint32_t age_s;
	uint32_t sequence;
	uint8_t flags;
	struct slice node;
	struct slice user;
	struct slice id;
	struct slice body;
};

/* In the body of HELD. Little-endian, as all numbers here. */
#define TAKEOVER_HELD_BYTES 7u /* age_s 4, is_husk 1, bytes of the id 2 */

/* Everything but the body, which follows. Returns how many bytes; `to` has room for takeover_head_bytes(). */
size_t takeover_encode(const struct takeover_message *message, uint8_t *to);
static inline size_t takeover_head_bytes(const struct takeover_message *message)
{
	return 8u * 3 + 4u * 2 + 1 + 1 + 2 + 2 + message->node.size + message->user.size + message->id.size;
}
/* Slices point into the bytes. False: it is none. */
bool takeover_decode(struct slice bytes, struct takeover_message *message);

/* One of HELD's body; *at moves behind it. False: there is no more, or what is there is none (*at is as before). */
bool takeover_held_next(struct slice body, size_t *at, uint32_t *age_s, bool *is_husk, struct slice *id);
/* The same of ENDED's. */
bool takeover_ended_next(struct slice body, size_t *at, struct slice *id);
size_t takeover_held_put(uint8_t *to, uint32_t age_s, bool is_husk, struct slice id);

#endif
