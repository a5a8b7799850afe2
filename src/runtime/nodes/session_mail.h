/* Pieces between a shard and the nodes thread about sessions that move (runtime/nodes/node_mail.h): who connects, who
 * has left, and sessions as bytes. All have the same form; what a kind does not name is 0. */
#ifndef RUNTIME_SESSION_MAIL_H
#define RUNTIME_SESSION_MAIL_H

#include "base/slice.h"
#include "cluster/takeover/takeover_message.h"
#include "runtime/nodes/node_mail.h"

/* From a shard. number: of a claim, which the shard gives; or of a move, which a home gives. */
enum session_says {
	SESSION_SAYS_CLAIM = MESSAGE_SESSIONS, /* a CONNECT waits: number of the claim, flags, id, user */
	SESSION_SAYS_LATE,                     /* it did not wait any longer: number of the claim, id */
	SESSION_SAYS_PART,                     /* of a session that moves away: number, sequence, flags, body */
	SESSION_SAYS_NOTHING,                  /* there is none to move: number */
	SESSION_SAYS_TAKEN,                    /* parts up to `sequence` are dealt with: number */
	SESSION_SAYS_SAFE,                     /* all of it has come and is safe: number */
	SESSION_SAYS_FAILED,                   /* what came is given up: number */
	SESSION_SAYS_BACK,                     /* a husk is an ordinary session again: number, age_s, id */
	SESSION_SAYS_ENDED,                    /* body: of each session that has ended, uint16_t and its client id */
	SESSION_SAYS_HELD,                     /* view; body: struct session_held and its client id, for each session */
	SESSION_SAYS_ANNOUNCED,                /* view: that were all */
};

/* To a shard. */
enum session_told {
	SESSION_TOLD_GO_ON = MESSAGE_SESSIONS, /* the claim is its own: number of the claim, hash, id */
	SESSION_TOLD_YIELD,                    /* number of the move, flags, hash, id, user */
	SESSION_TOLD_PART,                     /* number, sequence, flags, hash, id, body */
	SESSION_TOLD_TAKEN,                    /* number, sequence */
	SESSION_TOLD_ARRIVED,                  /* the other node has it safely: number */
	SESSION_TOLD_GIVE_UP,                  /* number */
	SESSION_TOLD_ANNOUNCE,                 /* view */
};

struct session_piece {
	uint64_t number;
	uint64_t view;
	uint64_t hash; /* of the id, by the gateway's key */
	uint32_t age_s;
	uint32_t sequence;
	uint32_t body_bytes;
	uint16_t id_bytes;
	uint16_t user_bytes;
	uint8_t flags;
	uint8_t bytes[]; /* id, user, body */
};

/* In the body of HELD; packed, and the id follows. */
struct session_held {
	uint32_t age_s; /* since its last connection began */
	uint16_t id_bytes;
	uint8_t is_husk;
	uint8_t reserved;
};
_Static_assert(sizeof(struct session_held) == 8, "without holes");

/* Copies `head`, whose lengths are set here. NULL: no memory. */
struct node_mail *session_mail_new(uint8_t kind, const struct session_piece *head, struct slice id, struct slice user,
				   struct slice body);

static inline struct session_piece *session_piece_of(struct node_mail *mail)
{
	return (struct session_piece *)(void *)mail->body;
}

static inline struct slice session_piece_id(const struct session_piece *piece)
{
	return slice_of(piece->bytes, piece->id_bytes);
}

static inline struct slice session_piece_user(const struct session_piece *piece)
{
	return slice_of(piece->bytes + piece->id_bytes, piece->user_bytes);
}

static inline struct slice session_piece_body(const struct session_piece *piece)
{
	return slice_of(piece->bytes + piece->id_bytes + piece->user_bytes, piece->body_bytes);
}

#endif
