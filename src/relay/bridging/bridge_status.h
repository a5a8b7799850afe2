/* How the bridges are doing, as the admin side shows it. Copied under a lock; any thread. */
#ifndef RELAY_BRIDGING_BRIDGE_STATUS_H
#define RELAY_BRIDGING_BRIDGE_STATUS_H

#include "relay/item/mqtt_bridge.h"

#define BRIDGE_FAULT_BYTES 256u

enum bridge_state {
	BRIDGE_STARTING, /* its session in this gateway is not there yet */
	BRIDGE_WORKING,  /* it is connected */
	BRIDGE_WAITING,  /* the broker is away, or refuses: the fault says why */
};

/* What is counted since the process began, or its program was replaced. */
struct bridge_counts {
	uint64_t sent;           /* messages that the broker has acknowledged, or, at QoS 0, that were sent */
	uint64_t sent_bytes;     /* of topics and payloads that were sent, again or for the first time */
	uint64_t received;       /* messages that are safe in this gateway, or, at QoS 0, in its hands */
	uint64_t received_bytes; /* likewise */
	uint64_t dead;           /* messages that the broker refused, or that it can never take */
	uint64_t refused;        /* messages from the broker that this gateway refused, or can never take */
	uint64_t looped;         /* messages, both ways, that had passed too many bridges */
	uint64_t connections;    /* that came to be */
	uint64_t retries;        /* a connection that could not be made, or was lost */
};

struct bridge_status {
	char name[ITEM_NAME_BYTES_MAX];
	char url[MQTT_BRIDGE_URL_BYTES_MAX];
	enum bridge_state state;
	uint8_t version; /* enum mqtt_version that is spoken with the broker; 0: it is not connected */
	struct bridge_counts counts;
	/* Messages that the bridge has taken and the broker has not. */
	uint64_t backlog_messages;
	uint64_t backlog_bytes;
	uint64_t dropped;   /* messages that it missed because its queue was full */
	double connected_s; /* for how long; 0: it is not */
	double fault_age_s;
	char fault[BRIDGE_FAULT_BYTES]; /* the last one, in words; "": there was none */
};

struct bridges_status {
	uint32_t count;
	struct bridge_status bridges[MQTT_BRIDGES_MAX];
};

const char *bridge_state_name(enum bridge_state state);

#endif
