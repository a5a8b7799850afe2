/* What goes to one peer (nodes/publish/publishing.h): directly while it is there, into its spool while it is away, and
 * in between what the spool has, before anything newer. By the nodes thread. */
#ifndef NODES_TO_PEER_H
#define NODES_TO_PEER_H

#include "nodes/publish/inbound.h"
#include "nodes/publish/outgoing_queue.h"
#include "nodes/publish/spool.h"

struct interest;
struct node_peer;

enum passage {
	PASSAGE_NONE,   /* never heard of in this run -> LAST */
	PASSAGE_DIRECT, /* to the link -> SPOOL */
	PASSAGE_SPOOL,  /* to the spool: the peer is away -> LAST */
	PASSAGE_DRAIN,  /* what the spool has goes to the link, and what comes to the spool -> LAST, SPOOL */
	PASSAGE_LAST,   /* the same, and what comes waits -> DIRECT, SPOOL, DRAIN if it takes too long */
};

/* What all of them share. */
struct to_peer_scene {
	struct gateway *gateway;
	struct interest *interest;
	struct inbound *inbound; /* its outbox */
	struct index *index;
	uint16_t shard_count;
	uint32_t spool_messages_max; /* the queue of a session of Roost's own takes no more */
	uint64_t run;                /* a random number of this thread */
	uint64_t now_ms;
	uint32_t now_s;      /* the gateway's clock */
	struct bytes origin; /* what stands in front of a message in a spool */
};

struct to_peer {
	struct node_peer *peer; /* NULL: never heard of */
	struct outgoing_queue queue;
	struct spool spool;
	enum passage passage;
	uint64_t passage_ms; /* since then */
	bool has_settled;  /* LAST: all that was written to the spool is there; then it is asked whether it is empty */
	uint64_t numbered; /* messages sent on this link */
	uint64_t safe;     /* of these, as the peer said */
	struct outgoing_runs runs; /* of the link */
	uint64_t messages;
	uint64_t bytes;
	uint64_t spooled;
	uint64_t refused; /* at QoS 1 and 2, for its spool was full: their publishers were told so */
	uint64_t dropped; /* at QoS 0, while the peer was away */
};

/* A link begins, for the first time or with another run of it. False: there cannot be a spool of such a name. */
bool to_peer_joined(struct to_peer_scene *scene, struct to_peer *to, struct node_peer *peer);
/* It has a spool from an earlier run, in which so many messages wait. False: likewise. */
bool to_peer_remembered(struct to_peer_scene *scene, struct to_peer *to, struct node_peer *peer, uint64_t waiting);
/* It is gone for good: its session is dropped. Until it joins anew it is one that was never heard of. */
void to_peer_forget(struct to_peer_scene *scene, struct to_peer *to);
void to_peer_away(struct to_peer_scene *scene, struct to_peer *to);
void to_peer_back(struct to_peer_scene *scene, struct to_peer *to);
void to_peer_gone(struct to_peer *to);
/* Closes the spool's connection: the last thing that the thread does with it. */
void to_peer_close(struct to_peer *to);
/* When the thread has ended. What could not be sent goes back as lost, so that its publishers send it again. */
void to_peer_fini(struct to_peer_scene *scene, struct to_peer *to);

/* The peer has all of this link's messages up to this number safe. False: it was not sent. */
bool to_peer_is_safe(struct to_peer_scene *scene, struct to_peer *to, uint64_t number);
/* A record of its own that to_peer_run() has written is safe: ticket is what it was given. */
uint32_t to_peer_slot_of(uint32_t ticket);
void to_peer_release(struct to_peer_scene *scene, struct to_peer *to, uint32_t ticket);
/* Sends what can be sent: once a turn. */
void to_peer_run(struct to_peer_scene *scene, struct to_peer *to);

#endif
