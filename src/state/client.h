/* A client that is signed in, and its session, which may outlive the connection and be resumed by the next one. One
 * cache line. What a client needs only at times is in the shard's slab while it exists (state/extension.h,
 * state/principal.h, net/io.h). Owned by its shard. */
#ifndef STATE_CLIENT_H
#define STATE_CLIENT_H

#include "net/io.h"
#include "reactor/wheel.h"
#include "session/session.h"

/* Only client_set_state() changes the state. The arrows name the states that may follow. */
enum client_state {
	CLIENT_FREE,     /* -> GREETING, OFFLINE (restored after a restart) */
	CLIENT_GREETING, /* handed over by the gate, CONNACK not written yet -> ACTIVE, CLOSING */
	CLIENT_ACTIVE,   /* -> QUIET, SUSPECT, CLOSING */
	CLIENT_QUIET,    /* silent for longer than its keepalive -> ACTIVE, SUSPECT, CLOSING */
	CLIENT_SUSPECT,  /* closed after a grace period unless a packet comes -> ACTIVE, CLOSING */
	CLIENT_CLOSING,  /* its end is noted; its socket closes after a flush -> OFFLINE, FREE */
	CLIENT_OFFLINE,  /* a session without a connection -> GREETING, FREE */
	CLIENT_STATE_COUNT,
};
_Static_assert(CLIENT_STATE_COUNT <= 1 << 3, "a client keeps its state in 3 bits");

/* Why a client is not read from, and what ends the pause. Only client_pause() sets it, only client_resume() clears it.
 * A client has one reason at a time. A second one is found when the client is read again. */
enum client_pause {
	PAUSE_NONE,
	PAUSE_ROOM,       /* its own message is still being routed; until that is done (route/routing.h) */
	PAUSE_READER,     /* it does not read our answers to it; until it has read half of them (client_write()) */
	PAUSE_RATE,       /* it publishes faster than it may; until its timer fires (client/keepalive.h) */
	PAUSE_TURN,       /* this turn's scratch or work is used up; until the next turn */
	PAUSE_FILTERS,    /* its SUBSCRIBE or UNSUBSCRIBE takes several turns; until that is answered */
	PAUSE_SUBSCRIBER, /* a client that it publishes to has a full queue; until that has drained to the low mark
			     (deliver/congestion.h) */
	PAUSE_ACKS,       /* too many of its messages await our acknowledgement; until half are acknowledged
			     (client/acknowledge.h) */
	PAUSE_COUNT,
};
_Static_assert(PAUSE_COUNT <= 1 << 3, "a client keeps its pause in 3 bits");

/* How many reads TCP acknowledges at once after a client connects or publishes (client/packet.c). */
#define QUICK_ACKS 3u
_Static_assert(QUICK_ACKS < 1 << 2, "a client counts them in 2 bits");

struct client {
	struct session session; /* first: the registry's references are the client's */
	struct conn conn;
	struct wheel_node timer;
	struct principal_ref principal;
	struct extension_ref extension;
	uint32_t address;   /* its entry in the table of counted addresses; 0: none; or ADDRESSES_INTERNAL */
	uint32_t seen_tick; /* when the last packet came, in ticks of the wheel */
	uint16_t keepalive_s;
	uint16_t state : 3;      /* enum client_state */
	uint16_t version : 3;    /* enum mqtt_version */
	uint16_t pause : 3;      /* enum client_pause */
	uint16_t ready : 1;      /* in shard->loop.ready: there is more to read */
	uint16_t hung_up : 1;    /* the peer has hung up: read to the end of the stream */
	uint16_t bounded : 1;    /* it has a Maximum Packet Size, which is in its extension */
	uint16_t quick_acks : 2; /* reads that TCP is still to acknowledge at once (client/packet.c) */
	uint16_t held_acks : 1;  /* its place is in the shard's list acks_awaited */
	uint16_t slowed : 1;     /* before each PUBLISH, check whether a subscriber's queue is full */
};
_Static_assert(sizeof(struct client) == 64, "a client is one cache line: part of the memory contract");
_Static_assert(offsetof(struct client, session) == 0, "the registry's sessions are the pool's clients");
DEFINE_POOL_REF(client);

/* Signed in, and its end is not noted. */
static inline bool client_state_is_connected(unsigned state)
{
	return state >= CLIENT_ACTIVE && state <= CLIENT_SUSPECT;
}

static inline bool client_is_connected(const struct client *client)
{
	return client_state_is_connected(client->state);
}

#endif
