/* Sessions of a shard that are on their way to or from another node (docs/decisions/0033-sessions-of-a-cluster.md), and
 * CONNECTs that wait for theirs. Exists only where the gateway is in a cluster. All of it is on the heap and ends
 * within its time limits; nothing of it lives through an upgrade. By the shard's thread. */
#ifndef RUNTIME_MOVES_H
#define RUNTIME_MOVES_H

#include "base/error.h"
#include "memory/bytes.h"
#include "net/stream.h"
#include "session/refs.h"
#include "store/deadline.h"

#include <stdbool.h>
#include <stdint.h>

struct admission;
struct shard;

#define MOVES_BUCKETS 1024u
/* How many sessions may be on their way to or from a shard, and how many CONNECTs may wait. */
#define MOVES_MAX 65536u
#define CLAIMS_MAX 65536u
/* Bytes of CONNECTs that wait: wills, and what clients sent behind them. */
#define CLAIMS_BYTES_MAX ((size_t)64 << 20)

enum pack_stage {
	PACK_WAITS, /* for a cleanup, or for acknowledgements of what the client has published -> HEAD */
	PACK_HEAD,
	PACK_QUEUE,
	PACK_RECEIVED,
	PACK_SUBSCRIPTIONS,
	PACK_REST,
	PACK_LATE, /* all that the session had is told: what still comes follows */
};

/* How far a session is told (lifecycle/packed/pack.h). */
struct pack {
	struct deadline_clock clock; /* its wall clock is 0 when the pack begins */
	uint64_t wait_until_ms;
	enum pack_stage stage;
	uint32_t entry;             /* of its flow, told last; 0: none. It stays, for nothing leaves the flow */
	struct message_ref message; /* told last: its neighbour may have it, too */
	uint32_t messages;          /* told: each is named by its number */
	uint32_t entries;           /* likewise */
	struct subscription_ref subscription; /* told next */
	uint32_t subscriptions;
	uint16_t received; /* packet identifier, told last */
};

/* How far a session is put together (lifecycle/packed/unpack.h). */
struct unpack {
	struct deadline_clock clock;
	bool has_head;
	bool is_merged;             /* into a session that is there already */
	bool is_whole;              /* what comes now came to the other node later */
	bool has_entry;             /* `entry_*` are of one that is not in the flow yet */
	bool has_unsent;            /* an entry that was never sent: no other kind may follow */
	struct message_ref message; /* the last one that came, by a reference of its own; and its name */
	uint32_t message_name;
	struct message_ref entry_message;
	uint32_t entry_identifier;
	uint16_t entry_packet_id;
	uint8_t entry_qos;
	bool entry_retain;
	bool entry_released;
	uint16_t packet_id; /* NUMBERED */
	uint32_t sent;      /* session/packet_ids.h: identifiers of its entries */
	uint32_t expiry_s;
	uint32_t will_delay_s;
	struct subscription_ref subscription; /* the last one that came */
};

enum move_kind {
	MOVE_AWAY, /* its session is a husk: OFFLINE, and nothing leaves it */
	MOVE_HERE,
};

/* One session on its way. */
struct move {
	struct move *next_number; /* in their buckets */
	struct move *next_client;
	struct move *next; /* of all, in a ring */
	struct move *previous;
	uint64_t number; /* of the home's decision: the same on both nodes */
	struct client_ref client;
	uint64_t hash;       /* of the client id */
	uint32_t id;         /* HERE: the session's, as in struct session: it names the session while it is there */
	uint16_t generation; /* of its place, which a session that ends gives away */
	bool is_last;        /* HERE: no more parts follow */
	enum move_kind kind;
	bool has_arrived;     /* AWAY: the other node has it safely; HERE: all of it has come */
	uint64_t until_ms;    /* AWAY: when it ends, or is an ordinary session again */
	uint32_t parts;       /* sent, or received */
	uint32_t parts_taken; /* AWAY: that the other node has dealt with */
	uint64_t commit;      /* HERE: the session is safe from this one on; 0: it is not told yet */
	struct pack pack;
	struct unpack unpack;
	struct node_mail *waiting; /* HERE: parts that are not dealt with yet, first in, first out */
	struct node_mail **waiting_end;
	uint32_t waiting_at; /* bytes of the first one that are */
};

/* A CONNECT that waits. */
struct claim {
	struct claim *next_bucket;
	struct claim *next; /* of all: those that are ready, then by `since_ms` */
	struct claim *previous;
	uint64_t number;
	uint64_t began_ms;
	uint64_t since_ms; /* something has come of its session last, or it began */
	bool is_ready;
	struct stream stream;
	struct admission *admission;
	size_t bytes;
};

struct moves {
	struct move *by_number[MOVES_BUCKETS];
	struct move *by_client[MOVES_BUCKETS];
	struct move *first; /* of the ring */
	struct move *next;  /* looked at next */
	uint32_t count;
	struct claim *claims[MOVES_BUCKETS]; /* by hash of the client id */
	struct claim *oldest;
	struct claim *newest;
	uint32_t claim_count;
	uint32_t ready_count;
	struct node_mail *asked; /* YIELDs that are not dealt with yet, first in, first out */
	struct node_mail **asked_end;
	size_t claim_bytes;
	uint64_t claims_begun; /* each has a number */
	/* What the nodes thread wants to hear: all sessions, beginning with this place; 0: nothing. */
	uint32_t announce_next;
	uint64_t announce_view;
	struct bytes ended; /* lengths and client ids of sessions that have ended in this turn */
	size_t ended_last;  /* where the last of them begins */
	bool is_busy;       /* something can go on at once */
};

/* NULL: no memory. */
struct moves *moves_new(void);
/* Nothing is on its way. moves may be NULL. */
void moves_free(struct moves *moves);

/* NULL: there is none. */
struct move *moves_find(const struct moves *moves, uint64_t number);
struct move *moves_of_client(const struct moves *moves, struct client_ref client);
/* The client is in no move. NULL: no memory, or there are MOVES_MAX. */
struct move *moves_add(struct moves *moves, uint64_t number, struct client_ref client, enum move_kind kind);
void moves_remove(struct moves *moves, struct move *move);

#endif
