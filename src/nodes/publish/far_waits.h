/* Publishers that wait for subscribers on another node: what deliver/congestion.h does between shards, over a link.
 *
 * On the subscriber's node. Each message of a peer gets a name for its publisher that leads back here, so that a shard
 * whose client is congested writes its note to the nodes thread. The peer is told of the publisher and of the place of
 * the client: the places of all shards' boards are folded into one row for the node. As long as it has been told of
 * any, it hears which of them are congested still, when that changes and once in FAR_AGAIN_MS.
 *
 * On the publisher's node. The nodes thread has a board of its own behind those of the shards, on which it counts the
 * places of all peers that are congested. A publisher that is told reads that board as it reads the others. The places
 * of a peer that is away, or says nothing for FAR_SILENT_MS, are lowered: nobody waits for them.
 *
 * What comes out of a spool has no publisher that could wait. So the spool itself waits while a place is congested that
 * its messages have met.
 *
 * Notes may be lost anywhere: the publisher's next message brings another one. By the nodes thread. */
#ifndef NODES_FAR_WAITS_H
#define NODES_FAR_WAITS_H

#include "base/error.h"
#include "base/slice.h"
#include "cluster/wire/message.h"
#include "deliver/record.h"
#include "state/routing.h"

#include <stdbool.h>

struct gateway_parts;
struct publish_message;

/* Publishers that have a name here. Of two that fall together, the one that published last has it. */
#define FAR_PUBLISHERS 16384u
/* How often the shards' boards are read while a peer waits for something on them. */
#define FAR_LOOK_MS 2u
#define FAR_AGAIN_MS 1000u
#define FAR_SILENT_MS 5000u
#define FAR_NOTE_BYTES 9u
#define FAR_PLACES_BYTES (CONGESTION_PLACES / 8u)

struct far_places {
	uint64_t bits[CONGESTION_PLACES / 64];
};

struct far_peer {
	struct far_places told; /* places of this node that the peer holds for congested */
	uint64_t told_ms;       /* when it last heard of them all */
	struct far_places heard;
	uint64_t heard_ms;
	struct far_places spooled; /* of those heard of, the ones that messages from the spool have met */
};

struct far_waits {
	struct congestion_board *boards; /* of the shards, and behind them this thread's */
	struct far_publisher *publishers;
	uint16_t shard_count;
	uint16_t self; /* the number of this thread as a sender */
	uint64_t looked_ms;
	struct far_peer peers[NODES_MAX];
};

/* ERROR_NO_MEMORY. */
enum error far_waits_init(struct far_waits *waits, const struct gateway_parts *parts);
void far_waits_fini(struct far_waits *waits);

/* A link with the peer begins, or it is away: nobody waits for anybody. */
void far_waits_begin(struct far_waits *waits, uint32_t slot);

/* ---- the subscriber's node ---- */

/* What shards call the publisher of this message. */
struct publisher_name far_waits_name(struct far_waits *waits, uint32_t slot, const struct publish_message *message);
/* A shard's note to such a publisher: sets *slot, and what is to be said to that peer. False: its name is
 * another's by now. */
bool far_waits_pass(const struct far_waits *waits, const struct record *note, uint32_t *slot,
		    uint8_t body[FAR_NOTE_BYTES]);
/* That was sent. */
void far_waits_have_passed(struct far_waits *waits, uint32_t slot, const uint8_t body[FAR_NOTE_BYTES], uint64_t now_ms);
/* Whether the boards are to be read in this turn. */
bool far_waits_look(struct far_waits *waits, uint64_t now_ms);
/* Whether the peer is to be told which places are congested, and what. */
bool far_waits_owe(const struct far_waits *waits, uint32_t slot, uint64_t now_ms, uint8_t body[FAR_PLACES_BYTES]);
void far_waits_have_told(struct far_waits *waits, uint32_t slot, const uint8_t body[FAR_PLACES_BYTES], uint64_t now_ms);

/* ---- the publisher's node ---- */

/* What far_waits_pass() has said there. of_spool: the peer gets messages from its spool now. Fills in the note for the
 * publisher's shard; its record_bytes is 0 where there is nobody to be told. False: it is no such message. */
bool far_waits_hear_note(struct far_waits *waits, uint32_t slot, struct slice body, bool of_spool, uint64_t now_ms,
			 struct record *note);
/* What far_waits_owe() has said there. False: it is no such message. */
bool far_waits_hear_places(struct far_waits *waits, uint32_t slot, struct slice body, uint64_t now_ms);
/* Whether what the peer's spool has is to wait. */
bool far_waits_hold_spool(const struct far_waits *waits, uint32_t slot);
/* Lowers what was not heard of again. */
void far_waits_expire(struct far_waits *waits, uint64_t now_ms);

/* When the thread has to look again; UINT64_MAX: no matter. */
uint64_t far_waits_deadline(const struct far_waits *waits);

#endif
