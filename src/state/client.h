/* A client that is signed in, and its session, which may outlive the connection and take the next one. One cache line;
 * what it needs only at times is in the shard's slab while it exists (state/extension.h, net/io.h). Owned by its shard.
 */
#ifndef STATE_CLIENT_H
#define STATE_CLIENT_H

#include "net/io.h"
#include "reactor/wheel.h"
#include "session/session.h"

/* One function moves a client from state to state: client_set_state(). */
enum client_state {
	CLIENT_FREE,     /* -> GREETING */
	CLIENT_GREETING, /* handed over by the gate, CONNACK not written -> ACTIVE, CLOSING */
	CLIENT_ACTIVE,   /* -> QUIET, SUSPECT, CLOSING */
	CLIENT_QUIET,    /* said nothing for longer than its keepalive -> ACTIVE, SUSPECT, CLOSING */
	CLIENT_SUSPECT,  /* marked: closed after a grace unless it is heard of -> ACTIVE, CLOSING */
	CLIENT_CLOSING,  /* its last words leave at the end of the turn -> OFFLINE, FREE */
	CLIENT_OFFLINE,  /* a session without a connection -> GREETING, FREE */
	CLIENT_STATE_COUNT,
};

/* Why a client is not read from. One function sets it, client_pause(), and one ends it, client_resume(); a client has
 * one reason at a time, and what it has to wait for besides is found when it is read again. */
enum client_pause {
	PAUSE_NONE,
	PAUSE_ROOM,       /* a message of its own is being routed -> until that is over (route/routing.h) */
	PAUSE_READER,     /* its own answers wait for it to read -> until it has read half of them (client_write()) */
	PAUSE_RATE,       /* it published more than it may -> for a while: its timer (client/keepalive.h) */
	PAUSE_TURN,       /* this turn's scratch or work is used up -> until the next one */
	PAUSE_FILTERS,    /* a SUBSCRIBE or UNSUBSCRIBE of its own goes on over several turns -> until it is answered */
	PAUSE_SUBSCRIBER, /* the queue of a client that it publishes to is full -> until it has fallen
			     (deliver/congestion.h) */
	PAUSE_ACKS,       /* too many messages are not acknowledged -> until half of them are (client/acknowledge.h) */
};

/* So many reads are acknowledged at once after a client has published, or came. */
#define QUICK_ACKS 3u

struct client {
	struct session session; /* first: the registry finds it there */
	struct conn conn;
	struct wheel_node timer;
	struct principal_ref principal;
	struct extension_ref extension;
	uint32_t address;   /* its place among the addresses that are counted, 0: none */
	uint32_t seen_tick; /* when a packet last came, in ticks of the wheel */
	uint16_t keepalive_s;
	uint16_t state : 3;      /* enum client_state */
	uint16_t version : 3;    /* enum mqtt_version */
	uint16_t pause : 3;      /* enum client_pause */
	uint16_t ready : 1;      /* in the shard's list of those with more to read */
	uint16_t hung_up : 1;    /* read on until the end */
	uint16_t bounded : 1;    /* it takes packets up to a size, which is in its extension */
	uint16_t quick_acks : 2; /* reads that TCP will be asked to acknowledge at once (client/packet.c) */
	uint16_t held_acks : 1;  /* its place is in the shard's list acks_awaited */
	uint16_t slowed : 1;     /* it looks before each message whether a queue is full that it publishes to */
};
_Static_assert(sizeof(struct client) == 64, "a client is one cache line: part of the memory contract");
DEFINE_POOL_REF(client);

/* Signed in, and nobody has ended it yet. */
static inline bool client_state_is_connected(unsigned state)
{
	return state >= CLIENT_ACTIVE && state <= CLIENT_SUSPECT;
}

static inline bool client_is_connected(const struct client *client)
{
	return client_state_is_connected(client->state);
}

#endif
