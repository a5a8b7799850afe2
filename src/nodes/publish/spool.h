/* What waits for a peer that is away: a durable session of Roost's own, "$roost/node/NAME", subscribed to the topic of
 * the same name, on which nobody publishes. The nodes thread addresses records to the subscription itself, so that
 * messages of any topic are queued there, with what else the peer has to know of them in a User Property in front of
 * their own. So what waits is stored, bounded, visible and restored as what waits for any session is.
 *
 * The session is made when the peer is first heard of, and has a connection only while the peer is there to take what
 * waits. A message is acknowledged to the session when the peer has said that it is safe. By the nodes thread. */
#ifndef NODES_SPOOL_H
#define NODES_SPOOL_H

#include "cluster/publish/publish_message.h"
#include "memory/bytes.h"
#include "relay/session/session_link.h"
#include "topics/index/index.h"
#include "topics/publication.h"

struct gateway;
struct pollfd;

/* With so many bytes on their way to the peer nothing more is taken out: the peer keeps what its shards have no room
 * for. */
#define SPOOL_FLIGHT_BYTES_MAX ((uint64_t)8 << 20)

#define SPOOL_ID_PREFIX "$roost/node/"

enum spool_state {
	SPOOL_CLOSED,  /* -> OPENING */
	SPOOL_OPENING, /* connecting and subscribing -> READY, CLOSED */
	SPOOL_READY,   /* -> CLOSED */
};

/* A message that was sent to the peer and is not known to be safe there. */
struct spool_flight {
	uint64_t number; /* on the link */
	uint32_t bytes;
	uint16_t packet_id;
};

struct spool {
	struct gateway *gateway;
	struct session_link link;
	enum spool_state state;
	struct topics topics;
	char id[ITEM_CLIENT_BYTES_MAX];
	bool is_made;                 /* the session has its subscription */
	bool has_asked;               /* whether more is to come: a PINGREQ is on its way */
	bool is_empty;                /* nothing came since then */
	bool wants_more;              /* all that was read was taken out */
	uint64_t run;                 /* a random number of this thread's, for `written` */
	uint64_t written;             /* messages that were given to the session */
	uint64_t drained;             /* number of the last one of those that came back */
	uint64_t older;               /* messages of threads before this one that have not come out */
	uint64_t retry_ms;            /* no connection is opened before */
	struct spool_flight *flights; /* a ring */
	uint32_t first;
	uint32_t count;
	uint32_t capacity;
	uint64_t flight_bytes;
	struct bytes packet; /* of spool_next() */
};

/* False: the name cannot have one. name: of the peer. */
bool spool_init(struct spool *spool, struct gateway *gateway, const char *name, uint64_t run);
void spool_fini(struct spool *spool);

/* The subscription's route; 0: there is none (yet). */
route_bits spool_route(const struct spool *spool, struct index *index, uint16_t shards);
/* What stands in front of a message's properties in the spool: written into *out. */
void spool_origin(struct spool *spool, const struct publish_message *message, uint8_t qos, struct bytes *out);

/* Opens and closes the connection, reads and writes: once a turn. drains: the peer is there to take what waits. */
void spool_run(struct spool *spool, bool drains, uint64_t now_ms);
/* For poll(). False: nothing is waited for. */
bool spool_poll(const struct spool *spool, struct pollfd *fd);
/* The next message for the peer; its packet is valid until the next call. False: there is none now. */
bool spool_next(struct spool *spool, struct publish_message *message, uint16_t *packet_id);
/* It was sent with this number. False: no memory; the connection is closed, and it comes again. */
bool spool_sent(struct spool *spool, uint16_t packet_id, uint64_t number, size_t bytes);
/* Whether the next may be taken out. */
static inline bool spool_may_send(const struct spool *spool)
{
	return spool->flight_bytes < SPOOL_FLIGHT_BYTES_MAX;
}
/* Messages that wait in it, as far as this thread knows. */
static inline uint64_t spool_waiting(const struct spool *spool)
{
	return spool->older + spool->written - spool->drained;
}
/* The peer has all up to this number safe. */
void spool_is_safe(struct spool *spool, uint64_t number);
/* The link is over: what was on its way comes again. */
void spool_restart(struct spool *spool);
/* Nothing is in the session that has not been acknowledged, as far as can be seen while nothing is written to it. */
static inline bool spool_is_drained(const struct spool *spool)
{
	return spool->state == SPOOL_READY && spool->is_empty && spool->count == 0;
}
/* Nothing is in it: what has not come out has expired, or found no room there. */
static inline void spool_nothing_waits(struct spool *spool)
{
	spool->older = 0;
	spool->drained = spool->written;
}

#endif
