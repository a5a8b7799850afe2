/* Two or three nodes that replicate to each other, without a NATS and without shards: each has a store of its own in a
 * directory, whose one shard the test is, and a link to each other that hands messages over as they are. */
#ifndef NODES_REPLICATION_SCENE_H
#define NODES_REPLICATION_SCENE_H

#include "nodes/replica/replication.h"
#include "nodes/thread/peer.h"
#include "reactor/mailbox.h"
#include "scratch.h"
#include "store/store.h"

#define SIDES_MAX 3u

struct side;

/* What a side has of another one. */
struct seen {
	struct node_peer peer; /* first */
	struct side *from;
	struct side *to;
};

struct message {
	struct message *next;
	struct seen *by;
	uint8_t kind;
	uint32_t bytes;
	uint8_t body[];
};

struct side {
	char name[16];
	struct scratch scratch;
	struct disk disk;
	struct store *store;
	struct mailbox mailboxes[2];
	struct waker *wakers[1];
	struct node_port *port;
	struct replication *replication;
	struct seen seen[SIDES_MAX];
	struct node_peer *peers[NODES_MAX];
	struct message *first; /* that it has sent */
	struct message **last;
	uint32_t named;      /* sessions that were told */
	bool is_cut;         /* it hears nobody */
	uint32_t link_bytes; /* that others have on its links, of 8 MiB */
	uint64_t delivered[256];
};

struct sides {
	struct side side[SIDES_MAX];
	uint32_t count;
	uint64_t now_ms;
	uint32_t takeover_s;
	/* Called for each message before it is delivered. False: it is lost. */
	bool (*filter)(struct message *message);
};

void sides_open(struct sides *sides, uint32_t count);
void sides_close(struct sides *sides);
/* Replication begins and ends; the store goes on. */
void side_start(struct sides *sides, struct side *side);
void side_stop(struct side *side);
/* The store is closed as it is, and opened again. */
void side_stop_store(struct side *side);
void side_start_store(struct side *side);
/* Links between them. */
void sides_join(struct sides *sides, uint32_t a, uint32_t b);
void sides_away(struct sides *sides, uint32_t a, uint32_t b);
void sides_back(struct sides *sides, uint32_t a, uint32_t b);
void sides_gone(struct sides *sides, uint32_t a, uint32_t b);
/* A session is told; the number of its commit. */
uint64_t side_tell(struct side *side);
bool side_is_safe(const struct side *side, uint64_t told);
/* Turns and messages until `is_so`, for some seconds at most. */
void sides_until(struct sides *sides, bool (*is_so)(struct sides *sides));
/* So many milliseconds pass, and all that is on its way comes. */
void sides_pass(struct sides *sides, uint64_t ms);
void side_status(const struct side *side, struct nodes_status *status);
enum replica_state side_state(const struct side *side);

#endif
