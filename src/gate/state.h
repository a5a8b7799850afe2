/* What a gate holds (gate/gate.h). Owned by its thread, but what says otherwise. */
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

/* Sockets on their way to one shard, sent together at the end of the turn. */
struct gate_batch {
	uint32_t count;
	size_t bytes; /* of the admissions */
	int fds[FDPASS_BATCH_MAX];
	struct admission *admissions[FDPASS_BATCH_MAX];
};

struct gate {
	/* Set before the thread starts. */
	const struct settings *settings;
	const struct hash_key *key;
	struct addresses *addresses;
	struct access *access;
	struct password_workers *password_workers; /* NULL: there are no passwords */
	struct shard *shards;
	struct gate *gates;       /* all of them */
	const int *admission_fds; /* the sending end for each shard */
	const int *keep_fds;
	size_t keep_count;
	struct waker waker;
	uint16_t shard_count;
	uint16_t gate_count;
	uint16_t number;

	/* Its own. */
	pthread_t thread;
	struct check_context check; /* what a broken promise prints */
	struct poller poller;
	struct slab slab;
	struct io io;
	struct pool handshakes;
	struct wheel wheel;
	struct gate_batch *batches; /* one a shard */
	uint32_t batched;           /* sockets in all batches */
	size_t batched_bytes;       /* of their admissions */
	bool accepting;             /* listeners are reported */
	uint64_t accept_again_ms;   /* while not accepting for want of descriptors */
	uint64_t now_ms;
	enum overload_grade grade; /* of the worst shard */
	struct sign_in_environment environment;
	struct sign_in sign_in;
	struct acl *acl;
	struct password_results verdicts;
	struct drop_list drop_list; /* of gate 0 */
	uint32_t access_version;    /* of the snapshot that the two have */
	struct counters counters;
	enum fdtable_kind table;
	clockid_t cpu_clock; /* what its thread has used; set before it says that it has started */

	struct settings_view settings_view;
	_Atomic bool look_again; /* set by another gate: connections may wait that nobody was woken for */
	_Atomic bool stopping;
	_Atomic bool started;
	_Atomic bool failed;
};

#endif
