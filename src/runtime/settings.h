/* What the gateway is told at its start; immutable afterwards. Filled by the daemon. */
#ifndef RUNTIME_SETTINGS_H
#define RUNTIME_SETTINGS_H

#include "net/listener.h"
#include "net/filter/prefix.h"
#include "runtime/access_settings.h"
#include "runtime/address_limits.h"

#include <stdint.h>

#define SETTINGS_LISTENERS_MAX 16
#define SETTINGS_TEXT_BYTES_MAX 256

#define SETTINGS_NETWORKS_MAX 64

struct networks {
	struct network items[SETTINGS_NETWORKS_MAX];
	uint32_t count;
};

struct settings {
	struct listener listeners[SETTINGS_LISTENERS_MAX];
	uint32_t listener_count;
	uint32_t gates;
	uint32_t shards;      /* 0: one per core, or as many as `connections` needs */
	uint32_t connections; /* at one time; 0: as many as the shards' tables hold */
	uint32_t connect_timeout_ms;
	uint32_t packet_bytes_max;    /* of packets that clients send, fixed header included */
	uint32_t connect_bytes_max;   /* of a CONNECT, fixed header included */
	uint32_t handshake_bytes_max; /* of CONNECTs that came in part, of a gate; and of clients on their way to shards
				       */
	uint32_t queue_bytes_max;     /* output that may wait for one client */
	uint32_t grace_ms;            /* a client is marked so long before it is closed for its silence */
	uint32_t idle_probe_s; /* clients without a keepalive: TCP asks after so long whether they are there; 0: not */
	uint32_t stuck_timeout_ms; /* output that makes no progress for so long ends the client */
	uint32_t
		overload_refuse_ms; /* new connections are refused from a lag of so long; other grades follow from it */
	uint32_t drain_ms;          /* the longest that a stop may take */
	bool disconnect_on_stop;    /* version 5 clients are told of a stop, rather than just closed */
	uint32_t client_id_bytes_max;
	uint32_t client_subscriptions_max;
	uint32_t client_subscription_bytes_max; /* of the routing index, for the filters of one client */
	uint32_t session_expiry_max_s; /* a session may outlive its connection for so long; UINT32_MAX: for ever */
	uint32_t sessions_offline_max; /* sessions without a connection, of the whole gateway */
	uint32_t inflight_max;         /* QoS 1 and 2 messages under way to one client */
	uint32_t receive_max;          /* QoS 2 messages of one client that are not released yet (version 5) */
	uint32_t topic_alias_max;      /* of one connection, in each direction; 0: none */
	uint32_t queue_messages_max;   /* QoS 1 and 2 messages that may wait for one session */
	uint32_t retained_max;         /* retained messages */
	uint32_t retained_bytes_max;
	uint32_t keepalive_max_s; /* larger ones, and none, become this (version 5); 0: no bound */
	uint32_t sys_interval_s;  /* of what is published about the gateway itself; 0: nothing is */
	char response_information[SETTINGS_TEXT_BYTES_MAX]; /* told to version 5 clients that ask; "": none */
	bool queue_drops_newest; /* a full queue refuses the new message rather than forgetting the oldest */
	bool overlapping_one;    /* a client gets one copy of a message, however many of its filters match */
	bool payload_format_check;
	struct access_settings access; /* who may come in */
	struct address_limits address; /* of each address or prefix */
	uint32_t address_bits_v4;      /* how much of an address counts */
	uint32_t address_bits_v6;
	struct networks address_exempt;    /* no limits for these */
	struct networks address_denied;    /* and no connections for these */
	uint32_t client_messages_a_second; /* that one client may publish; 0: no limit */
	uint32_t client_bytes_a_second;
	bool rate_ends_client;   /* who publishes faster is ended, not slowed down */
	uint32_t handshakes_max; /* a gate's, at one time */
	uint32_t backlog;        /* of the listening sockets */
	bool defer_accept;
	bool private_tables;
	bool fixed_files; /* io_uring's tables for sockets that descriptor tables do not hold */
};

#endif
