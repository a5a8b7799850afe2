/* The state of a gate (gate/gate.h). Owned by its thread except where a comment says otherwise. */
#ifndef GATE_HANDSHAKE_STATE_H
#define GATE_HANDSHAKE_STATE_H

#include "access/admission.h"
#include "access/authority.h"
#include "access/drop_list.h"
#include "access/handshake.h"
#include "access/password_workers.h"
#include "net/peer.h"
#include "reactor/fdpass.h"
#include "reactor/waker.h"
#include "runtime/counters.h"
#include "runtime/overload.h"
#include "runtime/settings/settings.h"
#include "runtime/settings/settings_feed.h"
#include "runtime/tls_contexts.h"
#include "state/shard.h"
#include "tls/handshake.h"
#include "transport/transports.h"

/* Sockets for one shard, sent together at the end of the turn. */
struct gate_batch {
	uint32_t count;
	size_t bytes; /* of the admissions, texts included */
	int fds[FDPASS_BATCH_MAX];
	struct admission *admissions[FDPASS_BATCH_MAX];
};

/* Handshakes of one kind that wait for their turn of TLS, the oldest first: numbers in the pool; 0: none. */
struct gate_tls_line {
	uint32_t first;
	uint32_t last;
};
#define GATE_TLS_LINES 5u /* one for each of enum gate_tls_wait; the first stays empty */

/* What gate/tls_queue.h keeps. */
struct gate_tls {
	struct gate_tls_line lines[GATE_TLS_LINES];
	uint32_t waiting;          /* that have not begun */
	uint32_t open;             /* in progress: each has an object of OpenSSL's */
	uint32_t peak;             /* of `open`, since memory was given back */
	uint64_t trim_ms;          /* when that may be again */
	uint64_t until_ns;         /* end of this turn's time for TLS */
	uint32_t resumed_in_a_row; /* begun since the last full one */
	bool began_full;           /* a full handshake has begun in this turn */
	bool served;               /* any has gone on in this turn */
	uint32_t version;          /* of `contexts` */
	struct tls_context_set contexts;
};

/* In the place of a listener's number: the connection is one of Roost's own (gate/accept.h). */
#define GATE_INTERNAL ((uint8_t)SETTINGS_LISTENERS_MAX)

struct gate {
	/* Set before the thread starts. */
	const struct settings *settings;
	const struct hash_key *key;
	struct addresses *addresses;
	struct access *access;
	struct password_workers *password_workers; /* NULL: there are no hashes to compare passwords with */
	struct authority *authority;               /* NULL: nobody outside is asked */
	struct tls_contexts *tls_contexts;         /* NULL: no listener has TLS */
	struct shard *shards;
	struct gate *gates;       /* all gates */
	const int *admission_fds; /* the sending end of each shard's pair */
	const int *keep_fds;      /* descriptors that the gate's private table keeps */
	size_t keep_count;
	int internal_fd; /* where Roost's own connections come from (reactor/fdpass.h); -1: another gate has them */
	struct waker waker;
	uint16_t shard_count;
	uint16_t gate_count;
	uint16_t number;

	/* The thread's own. */
	pthread_t thread;
	struct check_context check; /* printed by a failed assertion */
	struct poller poller;
	struct slab slab;
	struct io io;
	struct transports transports;
	struct gate_tls tls;
	bool write_failed; /* in the flush of this moment */
	struct pool handshakes;
	struct wheel wheel;
	struct gate_batch *batches; /* one per shard */
	uint32_t batched;           /* sockets in all batches */
	size_t batched_bytes;       /* of their admissions */
	bool accepting;             /* the listeners are in the poller */
	uint64_t accept_again_ms;   /* end of the pause for lack of descriptors */
	uint64_t now_ms;
	enum overload_grade grade; /* of the worst shard */
	struct sign_in_environment environment;
	struct sign_in sign_in;
	struct acl *acl;
	struct password_results verdicts;
	struct password_job **pending_passwords; /* by their marks (gate/passwords.h); NULL: none are checked */
	struct authority_results answers;
	struct drop_list drop_list; /* gate 0 only */
	uint32_t access_version;    /* of the snapshot that sign_in and acl are from */
	struct counters counters;
	enum fdtable_kind table;
	clockid_t cpu_clock; /* CPU time of the thread; set before `started` */

	struct settings_view settings_view;
	_Atomic bool rearm_listeners; /* set by another gate: connections may wait that no gate was woken for */
	_Atomic bool resting;
	_Atomic bool at_rest;
	_Atomic bool stopping;
	_Atomic bool started;
	_Atomic bool failed;
};

/* ---- handshakes (gate/handshake.h) ---- */

enum gate_stage { GATE_PROXY, GATE_TLS, GATE_WEBSOCKET, GATE_CONNECT };

/* What a TLS handshake waits for (gate/tls.h). */
enum gate_tls_wait {
	GATE_TLS_WAITS_NOT,
	GATE_TLS_GOES_ON,
	GATE_TLS_RESUMES,
	GATE_TLS_BEGINS,
	GATE_TLS_CLIENT, /* in progress: for what the client says next */
};

struct handshake {
	struct conn conn; /* first: conn.stream is where the pool keeps its link while it is free */
	struct wheel_node timer;
	uint64_t deadline_ms;
	uint64_t tls_deadline_ms; /* of the TLS stage; not after deadline_ms */
	union peer peer;          /* the client's own, once a PROXY head has named it */
	uint32_t address;         /* place in gate->addresses; 0: not counted */
	uint32_t tls_previous;    /* in its queue of gate->tls; 0: none */
	uint32_t tls_next;
	uint64_t tls_since_ms;     /* when it first came to wait for its client; 0: not yet */
	uint8_t listener;          /* its number, or GATE_INTERNAL */
	uint8_t version;           /* the client's protocol level, once its CONNECT has had to wait; else 0 */
	uint8_t stage;             /* enum gate_stage */
	uint8_t tls_wait;          /* enum gate_tls_wait; nothing is read meanwhile, but to go on */
	bool tls_turn;             /* it has waited, and its input is to be taken now */
	bool is_over;              /* the stage has nothing more to do, and its output is still on the way */
	bool is_proxied;           /* a PROXY head has come */
	bool is_named;             /* and has told the client's address, which is in `peer` */
	bool is_check;             /* it is the proxy's own connection, a health check */
	bool registered;           /* with the poller */
	struct tls_handshake *tls; /* in progress; else NULL */
	char *name;                /* in the client's certificate, where the listener uses it; on the heap; or NULL */
	char *server_name;         /* that the client asked for, by TLS or as the proxy says; on the heap; or NULL */
	struct password_job *password; /* the password being checked, or NULL; nothing is read meanwhile */
	struct authority_job *asked;   /* the question to the authority, or NULL; likewise */
	struct outside_answer *answer; /* a reference to what it said, for the next reading of CONNECT; or NULL */
};

static inline struct handshake *gate_handshake_at(const struct gate *gate, uint32_t index)
{
	return pool_at(&gate->handshakes, index);
}

/* What stands for a listener of Roost's own connections: plain MQTT, and no names. */
extern const struct listener GATE_INTERNAL_LISTENER;
extern const struct listener_settings GATE_INTERNAL_SETTINGS;

static inline const struct listener *gate_listener(const struct gate *gate, uint8_t listener)
{
	if (listener == GATE_INTERNAL)
		return &GATE_INTERNAL_LISTENER;
	CHECK(listener < gate->settings->listener_count);
	return &gate->settings->listeners[listener];
}

static inline const struct listener_settings *gate_listener_settings(const struct gate *gate, uint8_t listener)
{
	if (listener == GATE_INTERNAL)
		return &GATE_INTERNAL_SETTINGS;
	return &gate->settings->listener_settings[gate_listener(gate, listener)->settings];
}

/* Input that gates keep of strangers: of CONNECT and before, of records and of frames. */
static inline size_t gate_bytes_kept(const struct gate *gate)
{
	return gate->slab.used_bytes + gate->transports.tls.slab.used_bytes +
	       gate->transports.websockets.slab.used_bytes;
}

#endif
