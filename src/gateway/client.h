/* A signed-in client and its state machine: packets in, answers out. One cache line; whatever it needs only at times
 * (input that came in part, blocked output, a will) is in the shard's slab while it exists. Owned by its shard. */
#ifndef GATEWAY_CLIENT_H
#define GATEWAY_CLIENT_H

#include "net/io.h"
#include "net/wheel.h"
#include "session/session.h"

/* One function moves a client from state to state: client_set_state(). */
enum client_state {
	CLIENT_FREE,     /* -> GREETING */
	CLIENT_GREETING, /* handed over by the gate, CONNACK not written -> ACTIVE, CLOSING */
	CLIENT_ACTIVE,   /* -> CLOSING */
	CLIENT_CLOSING,  /* no longer routed to; its last words leave at the end of the turn -> FREE */
};

/* Why a client is not read from. */
enum client_pause {
	PAUSE_NONE,
	PAUSE_ROOM,   /* a message of its own has to wait for room in an inbox */
	PAUSE_READER, /* its own answers wait for it to read */
};

struct client {
	struct session session; /* first: the registry finds it there */
	struct conn conn;
	struct wheel_node timer;
	uint32_t packet_bytes_max; /* the client's limit */
	uint32_t will;             /* slab reference; 0: none */
	uint32_t seen_tick;        /* when a packet last came, in ticks of the wheel */
	uint16_t keepalive_s;
	uint8_t state;       /* enum client_state */
	uint8_t version : 3; /* enum mqtt_version */
	uint8_t pause : 2;   /* enum client_pause */
	uint8_t ready : 1;   /* in the shard's list of those with more to read */
	uint8_t hung_up : 1; /* read on until the end */
};
_Static_assert(sizeof(struct client) == 64, "a client is one cache line: part of the memory contract");

struct shard;
struct admission;

/* Makes a client of an admission: greets it, takes over from an older connection with the same id, and reads what came
 * behind CONNECT. Owns fd. The admission is still the caller's. */
void client_admit(struct shard *shard, int fd, const struct admission *admission);
/* Reads once and handles every whole packet. */
void client_read(struct shard *shard, uint32_t index);
/* There is room again: goes on where it paused. */
void client_resume(struct shard *shard, uint32_t index);
/* The socket takes output again. */
void client_write(struct shard *shard, uint32_t index);
/* Ends the client for this reason: its last words are sent where the protocol has some and the connection stands; its
 * will is published where the standard says so; the socket is closed at the end of the turn. */
void client_end(struct shard *shard, uint32_t index, enum error reason);
/* At the end of the turn: closes the socket and frees the client. */
void client_finish(struct shard *shard, uint32_t index);
/* Publishes a will and frees it. False: an inbox is full, and it has to wait in shard->wills. */
bool client_publish_will(struct shard *shard, uint32_t will);
/* wheel_visit: ends it when it has been silent or stuck for too long; otherwise its next deadline. */
uint64_t client_visit(void *shard, uint32_t index, uint64_t now_ms);
/* Output is blocked from now on: its deadline may have come nearer. */
void client_blocked(struct shard *shard, uint32_t index);

#endif
