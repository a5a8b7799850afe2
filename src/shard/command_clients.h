/* Commands about clients: list some, inspect one, end one. Carried out by the shard's thread. All memory belongs to the
 * caller of command_do(), so a shard allocates nothing. */
#ifndef SHARD_COMMAND_CLIENTS_H
#define SHARD_COMMAND_CLIENTS_H

#include "base/error.h"
#include "base/slice.h"
#include "net/peer.h"

struct shard;

/* How many of the shard's clients one command examines: some 50 us if each is a cache miss. */
#define COMMAND_PLACES_MAX 1000u
/* A list's buffer for client ids must hold the longest one. */
#define COMMAND_ID_BYTES_MAX 65536u
_Static_assert(COMMAND_ID_BYTES_MAX >= UINT16_MAX, "a client id has a length of 16 bits [1.5.4]");
#define COMMAND_SUBSCRIPTIONS_MAX 1000u
/* A longer subject is cut before (transport/stream_tls.h). */
#define COMMAND_SUBJECT_BYTES_MAX 256u

/* A summary of a client. */
struct client_row {
	uint32_t id_offset; /* in the command's buffer for ids */
	uint16_t id_bytes;
	uint16_t user_bytes; /* behind the id, with with_users; 0: the client has not signed in */
	uint16_t keepalive_s;
	/* enum client_state. ACTIVE, QUIET and SUSPECT are connected. CLOSING: its end is noted and is carried out
	 * soon. No command sees GREETING, since an admission is never interrupted. */
	uint8_t state;
	uint8_t version;
	uint8_t transport;    /* enum client_transport; of a client that is connected, as what follows */
	uint16_t tls_version; /* as on the wire; 0: no TLS */
	uint16_t tls_cipher;  /* IANA's number */
	uint32_t connected_s; /* since it connected; 0: unknown */
	uint32_t silent_ms;   /* since its last packet */
	uint32_t subscriptions;
	uint32_t inflight; /* messages sent to it and not acknowledged */
	uint32_t queued;   /* messages that wait for it */
	uint32_t queued_bytes;
	uint32_t output_bytes; /* that the kernel has not taken yet */
	uint64_t dropped;      /* messages that it missed because its queue or its output was full */
	union peer address;
};

/* Which states a list takes. */
enum list_states {
	LIST_CONNECTED = 1,
	LIST_OFFLINE = 2,
	LIST_CLOSING = 4, /* the connection's end is noted; the session may outlive it */
};

/* Some of the shard's clients, in no particular order. */
struct command_list {
	/* Request. */
	struct slice prefix; /* of the client id */
	uint32_t states;     /* enum list_states */
	bool with_users;     /* of a client who has signed in the user is wanted, too */
	uint32_t row_max;
	struct client_row *rows;
	uint8_t *ids;
	size_t ids_capacity; /* at least COMMAND_ID_BYTES_MAX; with users twice as much */
	/* Request: where to begin, 0 at first. Reply: where to continue. */
	uint32_t cursor;
	/* Reply. */
	uint32_t row_count;
	size_t ids_used;
	bool ended; /* all clients were examined */
};

struct subscription_row {
	uint32_t filter_offset; /* in the command's buffer for filters */
	uint32_t filter_bytes;
	uint32_t identifier;
	uint8_t qos;
	bool no_local;
	bool retain_as_published;
};

/* One client, by its id. To end it, only `id` and `hash` are needed. */
struct command_client {
	/* Request. */
	struct slice id;
	uint64_t hash;
	struct subscription_row *subscriptions; /* COMMAND_SUBSCRIPTIONS_MAX of them */
	uint8_t *filters;
	size_t filters_capacity;
	/* Reply. */
	struct client_row row; /* without id_offset and id_bytes */
	uint32_t packet_bytes_max;
	uint32_t session_expiry_s; /* UINT32_MAX: never */
	uint32_t ends_in_s;        /* offline: until the session expires; UINT32_MAX: never */
	uint32_t will_delay_s;     /* if has_will */
	uint32_t unreleased;       /* QoS 2 messages from the client that await its PUBREL */
	uint32_t subscription_rows;
	size_t filters_used;
	char subject[COMMAND_SUBJECT_BYTES_MAX]; /* of its certificate; "": it showed none */
	bool has_will;
	bool paused; /* it is not read (enum client_pause) */
	/* From the kernel's TCP_INFO, if has_tcp. */
	bool has_tcp;
	uint32_t rtt_us;
	uint32_t unacknowledged; /* segments */
	uint32_t retransmits;
	uint32_t last_ack_ms; /* since the peer's last ACK */
};

/* Always ERROR_OK. Without room for the next client's texts the reply ends early, with the cursor before that client.
 */
enum error command_list_clients(struct shard *shard, struct command_list *list);
/* ERROR_NOT_FOUND: this shard does not know the client id. */
enum error command_inspect_client(struct shard *shard, struct command_client *client);
/* Ends the connection, or the session with its connection. ERROR_NOT_FOUND: there is no such client, or it has no
 * connection to end. */
enum error command_end_client(struct shard *shard, const struct command_client *client, bool session_too);

#endif
