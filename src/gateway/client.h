/* A client that is signed in, and its session, which may outlive the connection and take the next one. One cache line;
 * what it needs only at times is in the shard's slab while it exists (gateway/extras.h, net/io.h). Owned by its shard.
 */
#ifndef GATEWAY_CLIENT_H
#define GATEWAY_CLIENT_H

#include "net/io.h"
#include "net/wheel.h"
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

/* Why a client is not read from. */
enum client_pause {
	PAUSE_NONE,
	PAUSE_ROOM,       /* a message of its own is being routed: an inbox is full, or its match is long */
	PAUSE_READER,     /* its own answers wait for it to read */
	PAUSE_RATE,       /* it published more than it may: for a while */
	PAUSE_TURN,       /* this turn's scratch or work is used up: it goes on in the next one */
	PAUSE_FILTERS,    /* a SUBSCRIBE or UNSUBSCRIBE of its own goes on over several turns */
	PAUSE_SUBSCRIBER, /* the queue of a client that it publishes to is to fall first (gateway/congestion.h) */
};

/* So many reads are acknowledged at once after a client has published, or came. */
#define QUICK_ACKS 3u

struct client {
	struct session session; /* first: the registry finds it there */
	struct conn conn;
	struct wheel_node timer;
	uint32_t principal; /* slab reference (gateway/principal.h); 0: none */
	uint32_t extras;    /* slab reference (gateway/extras.h); 0: none */
	uint32_t address;   /* its place among the addresses that are counted, 0: none */
	uint32_t seen_tick; /* when a packet last came, in ticks of the wheel */
	uint16_t keepalive_s;
	uint16_t state : 3;      /* enum client_state */
	uint16_t version : 3;    /* enum mqtt_version */
	uint16_t pause : 3;      /* enum client_pause */
	uint16_t ready : 1;      /* in the shard's list of those with more to read */
	uint16_t hung_up : 1;    /* read on until the end */
	uint16_t broken : 1;     /* in the shard's list of those whose write failed */
	uint16_t bounded : 1;    /* it takes packets up to a size, which is in its extras */
	uint16_t quick_acks : 2; /* reads that TCP will be asked to acknowledge at once (client_packet.c) */
	uint16_t slowed : 1;     /* it looks before each message whether a queue is full that it publishes to */
};
_Static_assert(sizeof(struct client) == 64, "a client is one cache line: part of the memory contract");

/* Signed in, and nobody has ended it yet. */
static inline bool client_state_is_connected(unsigned state)
{
	return state >= CLIENT_ACTIVE && state <= CLIENT_SUSPECT;
}

static inline bool client_is_connected(const struct client *client)
{
	return client_state_is_connected(client->state);
}

struct shard;
struct admission;

void client_set_state(struct shard *shard, struct client *client, enum client_state next);

/* Makes a client of an admission: takes over from an older connection with the same id, goes on with its session or
 * begins a new one, greets the client and reads what came behind CONNECT. Owns fd. The admission is still the caller's.
 */
void client_admit(struct shard *shard, struct stream stream, const struct admission *admission);
/* Reads once and handles every whole packet, or as many as the turn has work left for; the others wait for the next
 * turn. */
void client_read(struct shard *shard, uint32_t index);
/* The same where it cannot wait: at least one packet is handled. */
void client_read_now(struct shard *shard, uint32_t index);
/* There is room again: goes on where it paused. */
void client_resume(struct shard *shard, uint32_t index);
/* The socket takes output again. */
void client_write(struct shard *shard, uint32_t index);
/* Ends the connection for this reason: its last words are sent where the protocol has some and the connection stands;
 * its will is published, or waits, as the standard says; the session ends too unless it outlives its connections; the
 * socket is closed at the end of the turn. */
void client_end(struct shard *shard, uint32_t index, enum error reason);
/* At the end of the turn: closes the socket; the client is free, or a session without a connection. */
void client_finish(struct shard *shard, uint32_t index);

#endif
