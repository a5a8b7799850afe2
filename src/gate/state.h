/* The state of a gate (gate/gate.h). Owned by its thread except where a comment says otherwise. */
#ifndef GATE_STATE_H
#define GATE_STATE_H

#include "access/admission.h"
#include "access/drop_list.h"
#include "access/handshake.h"
#include "access/password_workers.h"
#include "net/peer.h"
#include "reactor/fdpass.h"
#include "reactor/waker.h"
#include "runtime/counters.h"
#include "runtime/overload.h"
#include "runtime/settings.h"
#include "runtime/settings_feed.h"
#include "state/shard.h"

/* Sockets for one shard, sent together at the end of the turn. */
struct gate_batch {
	uint32_t count;
	size_t bytes; /* of the admissions, texts included */
	int fds[FDPASS_BATCH_MAX];
	struct admission *admissions[FDPASS_BATCH_MAX];
};

struct gate {
	/* Set before the thread starts. */
	const struct settings *settings;
	const struct hash_key *key;
	struct addresses *addresses;
	struct access *access;
	struct password_workers *password_workers; /* NULL: no password file is configured */
	struct shard *shards;
	struct gate *gates;       /* all gates */
	const int *admission_fds; /* the sending end of each shard's pair */
	const int *keep_fds;      /* descriptors that the gate's private table keeps */
	size_t keep_count;
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
	struct drop_list drop_list; /* gate 0 only */
	uint32_t access_version;    /* of the snapshot that sign_in and acl are from */
	struct counters counters;
	enum fdtable_kind table;
	clockid_t cpu_clock; /* CPU time of the thread; set before `started` */

	struct settings_view settings_view;
	_Atomic bool rearm_listeners; /* set by another gate: connections may wait that no gate was woken for */
	_Atomic bool stopping;
	_Atomic bool started;
	_Atomic bool failed;
};

#endif
