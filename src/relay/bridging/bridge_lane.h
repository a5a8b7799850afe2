/* A bridge at work: how its connections come to be and end. Its session in this gateway is opened once at first, so
 * that it takes messages whether or not the broker is there; then again whenever the broker is, with a window that the
 * broker takes. Owned by the bridges' thread, which never waits. */
#ifndef RELAY_BRIDGING_BRIDGE_LANE_H
#define RELAY_BRIDGING_BRIDGE_LANE_H

#include "reactor/pause.h"
#include "relay/bridging/exchange.h"
#include "relay/bridging/upstream_dial.h"
#include "relay/session/session_asker.h"

#include <poll.h>

/* From the connection to CONNACK, and from then until the session here is open. */
#define BRIDGE_GREETING_MS 10000u
/* A connection that was there for so long was a good one: the next try comes soon. */
#define BRIDGE_SETTLED_MS 10000u
/* A packet that the gateway does not take is read all the same up to this, and refused in words. */
#define BRIDGE_PACKET_BYTES_MAX ((size_t)16 << 20)
/* Faults are logged no more often than this. */
#define BRIDGE_TELL_MS 1000u

enum bridge_stage {
	BRIDGE_PRIMING,  /* the session here is opened, subscribes and closes -> AWAY */
	BRIDGE_AWAY,     /* until the pause is over -> DIALLING */
	BRIDGE_DIALLING, /* a thread connects -> GREETING, AWAY */
	BRIDGE_GREETING, /* CONNECT is sent -> OPENING, AWAY */
	BRIDGE_OPENING,  /* the broker is there, and the session here is opened -> BRIDGED, AWAY */
	BRIDGE_BRIDGED,  /* -> AWAY */
};

/* What is said to the broker, one after the other, where it does not know the one before. */
enum bridge_speech { BRIDGE_SPEAKS_5, BRIDGE_SPEAKS_3_1_1_AS_BRIDGE, BRIDGE_SPEAKS_3_1_1, BRIDGE_SPEECHES };

struct bridge_lane {
	const struct mqtt_bridge *bridge;
	const char *node; /* the gateway's name */
	struct gateway *gateway;
	struct session_asker *asker;
	enum bridge_stage stage;
	struct exchange exchange;
	struct upstream_dial dial;
	struct pause pause;
	enum bridge_speech speech;
	enum bridge_speech settled; /* those before it were refused in words */
	uint32_t silences;          /* connections in a row that ended without CONNACK */
	uint64_t until_ms;          /* what is under way has to be done by then */
	uint64_t connected_ms;
	uint64_t heard_ms;         /* from the broker */
	uint64_t said_ms;          /* to it */
	uint16_t receive_max;      /* this gateway's, as its last CONNACK has said */
	uint32_t packet_bytes_max; /* likewise */
	bool is_primed;
	char fault[BRIDGE_FAULT_BYTES]; /* the last one, in words */
	uint64_t fault_ms;
	char told[BRIDGE_FAULT_BYTES]; /* the fault that was logged last */
	uint64_t told_ms;
	bool says_when_well; /* one was since it was last said that all is well */
};

/* False: memory is short. The struct must not move from then on. done_fd: as upstream_dial_init() has it. */
bool bridge_lane_init(struct bridge_lane *lane, const struct mqtt_bridge *bridge, const char *node, int done_fd);
/* Connections have ended: bridge_lane_stop(). */
void bridge_lane_fini(struct bridge_lane *lane);

/* What is due: in each turn, before and after the sides were heard. */
void bridge_lane_tend(struct bridge_lane *lane, uint64_t now_ms);
/* When something is due; UINT64_MAX: nothing is. */
uint64_t bridge_lane_due_ms(const struct bridge_lane *lane);
/* For poll(): the session here, and the broker. */
void bridge_lane_poll(const struct bridge_lane *lane, struct pollfd polled[2]);
void bridge_lane_hear(struct bridge_lane *lane, const struct pollfd polled[2], uint64_t now_ms);
/* Sends what was made meanwhile. */
void bridge_lane_flush(struct bridge_lane *lane, uint64_t now_ms);
/* Ends what is under way with the broker; the session here is the caller's to close. */
void bridge_lane_stop(struct bridge_lane *lane);

/* All but what the gateway alone knows. */
void bridge_lane_status(const struct bridge_lane *lane, uint64_t now_ms, struct bridge_status *status);

#endif
