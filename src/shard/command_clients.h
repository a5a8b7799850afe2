/* Commands about clients: to list some, to look at one, to end it. By the shard's thread; all memory is the asker's, so
 * that a shard allocates nothing. */
#ifndef SHARD_COMMAND_CLIENTS_H
#define SHARD_COMMAND_CLIENTS_H

#include "base/error.h"
#include "base/slice.h"
#include "net/peer.h"

struct shard;

/* Places of the shard's clients that one command looks at: some 50 us, with every one a miss of the cache. */
#define COMMAND_PLACES_MAX 1000u
/* A list's room for client ids must hold the longest one. */
#define COMMAND_ID_BYTES_MAX 65536u
#define COMMAND_SUBSCRIPTIONS_MAX 1000u

/* A client in short. */
struct client_row {
	uint32_t id_offset; /* in the command's room for ids */
	uint16_t id_bytes;
	uint16_t keepalive_s;
	/* enum client_state. ACTIVE, QUIET and SUSPECT are connected. CLOSING: its connection ended in this very turn.
	 * No command sees GREETING: a client is admitted in one go. */
	uint8_t state;
	uint8_t version;
	uint32_t connected_s; /* for how long it has been connected */
	uint32_t silent_ms;   /* for how long nothing came from it */
	uint32_t subscriptions;
	uint32_t inflight; /* messages under way to it */
	uint32_t queued;   /* messages that wait for it */
	uint32_t queued_bytes;
	uint32_t output_bytes; /* that it has not read yet */
	uint64_t dropped;      /* messages that it did not get: its queue or its output was full */
	union peer address;
};

/* Which states a list takes. */
enum list_states {
	LIST_CONNECTED = 1,
	LIST_OFFLINE = 2,
};

/* Some of the shard's clients, in no order that means anything. */
struct command_list {
	/* Asked. */
	struct slice prefix; /* of the client id */
	uint32_t states;     /* enum list_states */
	uint32_t row_max;
	struct client_row *rows;
	uint8_t *ids;
	size_t ids_capacity; /* at least COMMAND_ID_BYTES_MAX */
	/* Asked: where to begin, 0 at first. Answered: where to go on. */
	uint32_t cursor;
	/* Answered. */
	uint32_t row_count;
	size_t ids_used;
	bool ended; /* there are no more places */
};

struct subscription_row {
	uint32_t filter_offset; /* in the command's room for filters */
	uint32_t filter_bytes;
	uint32_t identifier;
	uint8_t qos;
	bool no_local;
	bool retain_as_published;
};

/* One client, by its id. Only `id` and `hash` are needed to end it. */
struct command_client {
	/* Asked. */
	struct slice id;
	uint64_t hash;
	struct subscription_row *subscriptions; /* COMMAND_SUBSCRIPTIONS_MAX of them */
	uint8_t *filters;
	size_t filters_capacity;
	/* Answered. */
	struct client_row row; /* id_offset and id_bytes are not set */
	uint32_t packet_bytes_max;
	uint32_t session_expiry_s; /* UINT32_MAX: never */
	uint32_t ends_in_s;        /* offline: the session; UINT32_MAX: never */
	uint32_t will_delay_s;     /* if has_will */
	uint32_t unreleased;       /* QoS 2 messages of the client */
	uint32_t subscription_rows;
	size_t filters_used;
	bool has_will;
	bool paused; /* it is not read from */
	/* What the kernel knows of the connection, if has_tcp. */
	bool has_tcp;
	uint32_t rtt_us;
	uint32_t unacknowledged; /* packets */
	uint32_t retransmits;
	uint32_t last_ack_ms; /* since the peer's last word of any kind */
};

/* Always ERROR_OK. */
enum error command_list_clients(struct shard *shard, struct command_list *list);
/* ERROR_NOT_FOUND: no such client here. */
enum error command_inspect_client(struct shard *shard, struct command_client *client);
/* Ends the connection, or the session with it. ERROR_NOT_FOUND; to end a connection that there is none of, too. */
enum error command_end_client(struct shard *shard, const struct command_client *client, bool session_too);

#endif
