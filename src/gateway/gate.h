/* A gate: one thread that owns only sockets which have not signed in. It accepts, reads CONNECT, refuses or admits,
 * and passes the socket to the client's home shard. It pays for storms so that the shards do not: it runs at a lower
 * priority, and when it or the shards have no more room it stops accepting, so that new clients wait in the kernel's
 * queue at no cost to those already there. */
#ifndef GATEWAY_GATE_H
#define GATEWAY_GATE_H

#include "gateway/admission.h"
#include "gateway/counters.h"
#include "gateway/handshake.h"
#include "gateway/keep_out.h"
#include "gateway/overload.h"
#include "gateway/password_workers.h"
#include "gateway/settings.h"
#include "gateway/settings_feed.h"
#include "gateway/shard.h"
#include "net/fdpass.h"
#include "net/peer.h"
#include "net/waker.h"

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
	struct doorway doorway;
	struct sign_in sign_in;
	struct acl *acl;
	struct password_results verdicts;
	struct keep_out keep_out; /* of gate 0 */
	uint32_t access_version;  /* of the snapshot that the two have */
	struct counters counters;
	enum fdtable_kind table;
	clockid_t cpu_clock; /* what its thread has used; set before it says that it has started */

	struct settings_view settings_view;
	_Atomic bool look_again; /* set by another gate: connections may wait that nobody was woken for */
	_Atomic bool stopping;
	_Atomic bool started;
	_Atomic bool failed;
};

enum error gate_open(struct gate *gate);
void gate_close(struct gate *gate);
enum error gate_start(struct gate *gate);
/* Ends the thread: stops listening, drops handshakes, hands over what was admitted. Does not wait for it. */
void gate_stop(struct gate *gate);

#endif
