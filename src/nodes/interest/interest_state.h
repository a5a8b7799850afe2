/* What the parts of the interest service (nodes/interest/interest.h) share: what was told to each peer, and how it is
 * told. Owned by the nodes thread; for nodes/interest alone. */
#ifndef NODES_INTEREST_STATE_H
#define NODES_INTEREST_STATE_H

#include "nodes/interest/interest.h"
#include "nodes/interest/own_filters.h"
#include "nodes/interest/peer_filters.h"
#include "nodes/thread/peer.h"
#include "runtime/nodes/node_filters.h"
#include "runtime/nodes/node_mail.h"

/* Fingerprints in one message at most. */
#define EXACT_PER_MESSAGE 4096u

enum telling {
	TELLING_NOTHING, /* there is no link, or this node does not know its own filters yet */
	TELLING_BEGIN,   /* INTEREST_BEGIN is to be sent -> RANGES */
	TELLING_RANGES,  /* -> OTHERS, BEGIN */
	TELLING_OTHERS,  /* -> DONE, BEGIN */
	TELLING_DONE,    /* changes are told as they come -> BEGIN, where one had no room */
};

struct interest_peer {
	struct peer_filters filters;
	struct node_peer *peer;
	enum telling telling;
	uint32_t next;   /* range or filter that is told next */
	bool is_lacking; /* a range is to be sent once more */
	uint8_t lacks[DIGEST_RANGES];
};

struct interest {
	struct gateway_parts parts;
	struct own_filters own;
	struct interest_peer *peers[NODES_MAX];
	bool has_begun; /* the index is telling, or has told, what is there */
	bool is_whole;  /* it has told all */
	bool was_all;   /* as it was told */
	uint32_t next_look;
	uint64_t members_ms;
	uint64_t sums_ms;
	uint64_t now_ms;
	uint8_t buffer[EXACT_PER_MESSAGE * sizeof(uint32_t) + 64];
};

static inline struct node_filters *interest_filters(const struct interest *interest)
{
	return interest->parts.nodes->filters;
}

/* The peer behind this one, by slot; of NULL the first. NULL: there is none. */
struct interest_peer *interest_next_peer(const struct interest *interest, const struct interest_peer *last);
/* Whether this node has too many filters for others to know each. */
bool interest_is_all(const struct interest *interest);

/* ---- nodes/interest/interest_tell.c; false: the link has no room, or there is no memory ---- */

bool interest_send_head(struct interest_peer *to, uint8_t kind, const uint8_t *head, const uint8_t *end);
bool interest_send_other(struct interest_peer *to, const struct own_filter *filter);
/* What has no room makes that all is told once more. */
void interest_check_sent(struct interest_peer *to, bool sent);
/* What the peer has not been told yet, as far as there is room. */
void interest_tell_all(struct interest *interest, struct interest_peer *to);
/* How many members some of the shared subscriptions have, where that has changed. */
void interest_tell_members(struct interest *interest);
/* The sums of all ranges of exact filters, by which peers find what they have wrong. */
void interest_tell_sums(struct interest *interest);

#endif
