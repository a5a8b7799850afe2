/* How sessions follow their clients between nodes: this node as a claimant, as a holder, and as a home
 * (cluster/takeover/home.h, which says why it is as it is). Pure: what shards and other nodes say goes in, what to say
 * to them comes out.
 *
 *     claimant          home              holder
 *        | CLAIM ------->|                   |
 *        |               | YIELD ----------->|   its connection is told 0x8E, its session becomes a husk
 *        |<------------- PART, PART, ... ----|   or NOTHING; GRANT from the home where nobody holds it
 *        | TAKEN ------->|                   |   the client is admitted
 *        | ACCEPTED ------------------------>|   when it is safe here; the husk passes on what still comes, and ends
 *
 * Owned by the nodes thread. */
#ifndef CLUSTER_TAKEOVER_H
#define CLUSTER_TAKEOVER_H

#include "cluster/takeover/home.h"
#include "memory/bytes.h"

#define TAKEOVER_BUCKETS 4096u
#define TAKEOVER_CLAIMS_MAX 1000000u
#define TAKEOVER_MOVES_MAX 1000000u
/* How long it is remembered to whom a session went, and how many. */
#define TAKEOVER_GAVE_MS 10000u
#define TAKEOVER_GAVE_MAX 262144u
/* What came for a view that this node does not have yet. */
#define TAKEOVER_EARLY_BYTES_MAX ((size_t)64 << 20)
#define TAKEOVER_EARLY_MS 10000u
/* Ids gather to so many bytes before they are sent. */
#define TAKEOVER_GATHER_BYTES 16384u

/* What comes out. Nothing may call back into the take-over. */
struct takeover_actions {
	void *context;
	/* To another member. */
	void (*send)(void *context, uint8_t slot, enum takeover_kind kind, const struct takeover_message *message);
	/* To shards. id: which shard it is. */
	uint16_t (*shard_of)(void *context, struct slice id);
	void (*go_on)(void *context, uint16_t shard, uint64_t claim, struct slice id);
	void (*yield)(void *context, uint64_t number, uint8_t flags, struct slice id, struct slice user);
	void (*part)(void *context, uint64_t number, const struct takeover_message *part);
	void (*taken)(void *context, uint16_t shard, uint64_t number, uint32_t sequence);
	void (*arrived)(void *context, uint16_t shard, uint64_t number);
	void (*give_up)(void *context, uint16_t shard, uint64_t number);
	void (*announce)(void *context, uint64_t walk); /* to all shards: all that they hold */
	/* Who holds the id that takeover_ask() asked for; empty: nobody, or nobody knows. */
	void (*holder)(void *context, uint64_t question, struct slice node);
};

/* A client of this node that waits for its session. */
struct takeover_claim {
	struct takeover_claim *next;
	uint64_t hash;
	uint64_t number; /* the shard's */
	uint16_t shard;
	uint8_t flags;
	uint16_t id_bytes;
	uint16_t user_bytes;
	uint8_t bytes[]; /* id, user */
};

/* A YIELD or MERGE that waits until it is known what became of the session. */
struct takeover_next {
	uint64_t number;
	uint64_t claim;
	uint8_t flags;
	uint8_t slot; /* the claimant */
	uint16_t user_bytes;
	uint8_t user[];
};

enum takeover_role {
	TAKEOVER_AWAY,
	TAKEOVER_HERE,
};

struct takeover_move {
	struct takeover_move *next;      /* by number */
	struct takeover_move *next_hash; /* by hash */
	uint64_t number;
	uint64_t hash;
	uint64_t claim; /* AWAY: the claimant's */
	uint64_t view;  /* in which it was given */
	enum takeover_role role;
	uint8_t slot;     /* the other node */
	uint8_t flags;    /* AWAY: of the YIELD */
	uint16_t shard;   /* here */
	bool is_accepted; /* AWAY: safe there; HERE: safe here */
	bool is_whole;    /* HERE: all of it has come, and it counts as held */
	bool is_last;     /* HERE: nothing follows */
	struct takeover_next *then;
	uint16_t id_bytes;
	uint8_t id[];
};

struct takeover_gave {
	struct takeover_gave *next;
	struct takeover_gave *later; /* in the order of time */
	uint64_t hash;
	uint64_t at_ms;
	uint8_t slot;
};

struct takeover_early {
	struct takeover_early *next;
	uint64_t at_ms;
	size_t bytes;
	uint8_t kind;
	uint8_t slot;
	uint8_t body[];
};

struct takeover_local {
	struct takeover_local *next;
	uint8_t kind;
	size_t bytes;
	uint8_t body[];
};

struct takeover {
	struct home home;
	struct takeover_actions actions;
	uint16_t shard_count;
	uint64_t now_ms;
	bool has_view;
	struct takeover_claim *claims[TAKEOVER_BUCKETS]; /* by hash */
	struct takeover_move *moves[TAKEOVER_BUCKETS];   /* by number */
	struct takeover_move *by_hash[TAKEOVER_BUCKETS];
	struct takeover_gave *gave[TAKEOVER_BUCKETS];
	struct takeover_gave *gave_oldest;
	struct takeover_gave *gave_newest;
	uint32_t claim_count;
	uint32_t move_count;
	uint32_t gave_count;
	struct takeover_early *early;
	struct takeover_early **early_end;
	size_t early_bytes;
	struct takeover_local *local; /* to this node itself, first in, first out */
	struct takeover_local **local_end;
	bool is_running;
	/* A walk through all sessions of this node, for homes that have asked. */
	uint64_t walk; /* the number of the last one */
	bool is_walking;
	uint32_t shards_announced;
	uint64_t wanted[NODES_MAX + 1];   /* by slot: the question that no walk answers yet; 0: none */
	uint64_t served[NODES_MAX + 1];   /* the one that this walk answers */
	struct bytes held[NODES_MAX + 1]; /* gathered, by slot */
	struct bytes ended[NODES_MAX + 1];
	/* Figures. */
	uint64_t claims_begun;
	uint64_t moved_in;
	uint64_t moved_out;
	uint64_t late;
	uint64_t refused;
	uint64_t merged;
	uint64_t dropped; /* for lack of room or memory */
};

/* It is large: on the heap, or static. */
void takeover_init(struct takeover *takeover, const struct hash_key *key, uint64_t first_number, uint16_t shard_count,
		   const struct takeover_actions *actions);
void takeover_fini(struct takeover *takeover);

/* Others are alive now; `self` is among them. */
void takeover_view(struct takeover *takeover, const struct home_view *view, uint64_t now_ms);
/* From another member. */
void takeover_receive(struct takeover *takeover, uint8_t slot, enum takeover_kind kind,
		      const struct takeover_message *message, uint64_t now_ms);
/* What was on its way to or from that member is lost: its link is over. */
void takeover_lost(struct takeover *takeover, uint8_t slot, uint64_t now_ms);
/* Time limits, and what has gathered: once a turn. */
void takeover_tick(struct takeover *takeover, uint64_t now_ms);

/* ---- what shards say (runtime/nodes/session_mail.h) ---- */

void takeover_claim(struct takeover *takeover, uint16_t shard, uint64_t claim, uint8_t flags, struct slice id,
		    struct slice user);
void takeover_claim_late(struct takeover *takeover, struct slice id);
void takeover_gives(struct takeover *takeover, uint64_t number, uint32_t sequence, uint8_t flags, struct slice body);
void takeover_gives_nothing(struct takeover *takeover, uint64_t number);
void takeover_has_taken(struct takeover *takeover, uint64_t number, uint32_t sequence);
void takeover_is_safe(struct takeover *takeover, uint64_t number);
void takeover_failed(struct takeover *takeover, uint64_t number);
void takeover_is_back(struct takeover *takeover, uint64_t number, uint32_t age_s, struct slice id);
void takeover_session_ended(struct takeover *takeover, struct slice id);
void takeover_held(struct takeover *takeover, uint64_t walk, uint32_t age_s, bool is_husk, struct slice id);
void takeover_announced(struct takeover *takeover, uint64_t walk);

/* ---- for the API ---- */

/* Asks who holds an id; the answer comes by actions.holder(), soon or never. */
void takeover_ask(struct takeover *takeover, uint64_t question, struct slice id);

#endif
