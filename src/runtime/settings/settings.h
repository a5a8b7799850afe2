/* The gateway's settings, filled by the daemon. Immutable; a reload publishes a new copy
 * (runtime/settings/settings_feed.h). */
#ifndef RUNTIME_SETTINGS_H
#define RUNTIME_SETTINGS_H

#include "net/filter/prefix.h"
#include "net/listener.h"
#include "runtime/settings/access_settings.h"
#include "runtime/settings/address_limits.h"
#include "runtime/settings/cluster_settings.h"
#include "runtime/settings/drain_settings.h"
#include "runtime/settings/listener_settings.h"

#include <stdint.h>

#define SETTINGS_LISTENERS_MAX 16
_Static_assert(SETTINGS_LISTENERS_MAX <= UINT8_MAX, "the number of a listener is kept in a uint8_t");
/* Where the admin side stands among those that may have TLS. */
#define SETTINGS_ADMIN SETTINGS_LISTENERS_MAX
#define SETTINGS_TLS_MAX (SETTINGS_LISTENERS_MAX + 1)
#define SETTINGS_TEXT_BYTES_MAX 256
#define SETTINGS_NAME_BYTES_MAX 64

#define SETTINGS_NETWORKS_MAX 64

struct networks {
	struct network items[SETTINGS_NETWORKS_MAX];
	uint32_t count;
};

#define STORE_DIRECTORY_BYTES_MAX 1024u

/* For the store (store/store.h). */
struct store_options {
	char directory[STORE_DIRECTORY_BYTES_MAX]; /* "": sessions and messages end with the process */
	bool periodic;                             /* what was written counts as safe, and is synced later */
	bool full_holds;                           /* without room publishers wait, instead of being refused */
	uint32_t sync_interval_ms;                 /* only if periodic */
	uint32_t checkpoint_bytes;                 /* the log grows by so much between two checkpoints, at least */
};

/* For the keys of TLS session tickets (tls/tickets.h). */
struct tls_ticket_options {
	char file[STORE_DIRECTORY_BYTES_MAX]; /* "": they end with the process */
	uint32_t lifetime_s;
};

#define SETTINGS_OWN_QUEUES_MAX 16u
#define SETTINGS_OWN_ID_BYTES_MAX 72u

/* Bounds for the queue of one session of Roost's own. */
struct own_queue {
	char client_id[SETTINGS_OWN_ID_BYTES_MAX];
	uint32_t messages_max; /* 0: as for all of Roost's own, here and below */
	uint32_t bytes_max;
	bool drops_oldest; /* when it is full; else the new message is not taken */
};

struct settings {
	struct listener listeners[SETTINGS_LISTENERS_MAX];
	uint32_t listener_count;
	struct listener_settings listener_settings[SETTINGS_LISTENERS_MAX]; /* listeners[n].settings is a place in it */
	struct listener_settings admin;                                     /* its certificates, where it has TLS */
	uint32_t gates;
	uint32_t shards;      /* 0: one per core, or more if `connections` needs them */
	uint32_t connections; /* at one time; 0: as many as the shards' descriptor tables hold */
	uint32_t connect_timeout_ms;
	uint32_t packet_bytes_max;    /* the server's Maximum Packet Size, fixed header included [3.2.2.3.6] */
	uint32_t connect_bytes_max;   /* of a CONNECT, fixed header included */
	uint32_t handshake_bytes_max; /* of a gate: incomplete CONNECTs; also admissions on their way to shards */
	uint32_t queue_bytes_max;     /* output that may wait for one client to read it */
	uint32_t grace_ms;            /* a silent client is marked suspect for this long before it is closed */
	uint32_t idle_probe_s;        /* TCP keepalive for clients without an MQTT keepalive; 0: off */
	uint32_t stuck_timeout_ms;    /* a client whose output makes no progress for this long is ended */
	uint32_t overload_refuse_ms;  /* the lag at which new connections are refused (runtime/overload.h) */
	uint32_t drain_ms;            /* the longest time that a stop may take */
	struct drain_settings drain;  /* asked for while the server runs; never in the configuration */
	bool disconnect_on_stop;      /* a stop sends DISCONNECT to version 5 clients */
	uint32_t client_id_bytes_max;
	uint32_t client_subscriptions_max;
	uint32_t client_subscription_bytes_max; /* bytes in the routing index for the filters of one client */
	uint32_t session_expiry_max_s; /* how long a session may outlive its connection; UINT32_MAX: for ever */
	uint32_t sessions_offline_max; /* sessions without a connection, in the whole gateway */
	uint32_t inflight_max;         /* unacknowledged QoS 1 and 2 messages to one client */
	uint32_t receive_max;          /* unreleased QoS 2 messages from one client (version 5) [3.2.2.3.3] */
	uint32_t topic_alias_max;      /* per connection and direction; 0: none [3.2.2.3.8] */
	uint32_t queue_messages_max;   /* QoS 1 and 2 messages that may wait for one session */
	/* The same for a session of Roost's own (control/internal.h), whose queue is a rule's backlog, and bytes of
	 * their packets, up to 2^31. 0: as for any session. */
	uint32_t internal_queue_messages_max;
	uint32_t internal_queue_bytes_max;
	struct own_queue own_queues[SETTINGS_OWN_QUEUES_MAX];
	uint32_t own_queue_count;
	uint64_t queue_memory_max; /* bytes of waiting messages, of all shards, above which those that the store has
				    * leave memory; 0: none does */
	uint32_t retained_max;     /* number of retained messages */
	uint32_t retained_bytes_max;
	uint32_t keepalive_max_s; /* version 5 clients with a larger keepalive, or none, get this; 0: no bound */
	uint32_t sys_interval_s;  /* between publications to $SYS; 0: none */
	char node[SETTINGS_NAME_BYTES_MAX];           /* this gateway's name among others; "": it has none */
	char presence_table[SETTINGS_NAME_BYTES_MAX]; /* prefix of keys in Redis (relay/table/table_writer.h); "": none
						       */
	char response_information[SETTINGS_TEXT_BYTES_MAX]; /* for version 5 clients that ask [3.2.2.3.15]; "": none */
	bool queue_drops_newest; /* a full queue drops the new message rather than the oldest */
	bool overlapping_one;    /* a client gets one copy of a message even if several filters match [3.3.4] */
	bool payload_format_check;
	struct store_options store;
	struct cluster_settings cluster;
	struct access_settings access;     /* access control */
	struct address_limits address;     /* per address or prefix */
	uint32_t address_bits_v4;          /* prefix length for the limits: 8..32 */
	uint32_t address_bits_v6;          /* 16..128 */
	struct networks address_exempt;    /* networks without limits */
	struct networks address_denied;    /* networks that may not connect */
	uint32_t client_messages_a_second; /* published by one client; 0: no limit */
	uint32_t client_bytes_a_second;
	bool rate_ends_client;   /* a client above its rate is ended, not slowed down */
	uint32_t handshakes_max; /* of one gate, at one time */
	/* Of one gate: TLS handshakes in progress, of some 50 KB each. Four times as many may wait for their turn. */
	uint32_t tls_handshakes_max;
	uint32_t tls_handshake_timeout_ms; /* from the accept to the end of a TLS handshake */
	struct tls_ticket_options tls_tickets;
	uint32_t backlog; /* of the listening sockets */
	bool defer_accept;
	bool private_tables;
	bool fixed_files; /* use io_uring's fixed files for sockets that exceed the descriptor tables */
};

#endif
