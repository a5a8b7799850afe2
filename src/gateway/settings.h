/* What the gateway is told at its start; immutable afterwards. Filled by the daemon. */
#ifndef GATEWAY_SETTINGS_H
#define GATEWAY_SETTINGS_H

#include "net/listener.h"

#include <stdint.h>

#define SETTINGS_LISTENERS_MAX 16

struct settings {
	struct listener listeners[SETTINGS_LISTENERS_MAX];
	uint32_t listener_count;
	uint32_t gates;
	uint32_t shards;      /* 0: one per core, or as many as `connections` needs */
	uint32_t connections; /* at one time; 0: as many as the shards' tables hold */
	uint32_t connect_timeout_ms;
	uint32_t packet_bytes_max; /* of packets that clients send, fixed header included */
	uint32_t queue_bytes_max;  /* output that may wait for one client */
	uint32_t stuck_timeout_ms; /* output that makes no progress for so long ends the client */
	uint32_t drain_ms;         /* the longest that a stop may take */
	uint32_t client_id_bytes_max;
	uint32_t client_subscriptions_max;
	uint32_t handshakes_max; /* a gate's, at one time */
	uint32_t backlog;        /* of the listening sockets */
	bool defer_accept;
	bool private_tables;
};

#endif
