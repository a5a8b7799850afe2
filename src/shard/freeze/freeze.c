#include "shard/freeze/freeze.h"

#include "base/check.h"
#include "deliver/bodies/bodies.h"
#include "lifecycle/due/revoke.h"
#include "lifecycle/moving.h"
#include "lifecycle/stored/promised.h"
#include "reactor/waker.h"
#include "route/route.h"
#include "runtime/command.h"
#include "session/commit_waits.h"
#include "session/pending_acks.h"
#include "state/shard.h"
#include "state/tell_nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Each costs one call of the kernel. */
#define PREPARED_PER_TURN 256u
/* Two calls each; nobody waits for it. */
#define RETURNED_PER_TURN 32u
/* Between two looks of a thread whether its descriptors were taken. */
#define TAKEN_NAP_NS 50000
/* PIDFD_THREAD of Linux 6.9, which the headers of Debian 12 do not name yet. */
#define PIDFD_OF_A_THREAD O_EXCL

void freeze_ask(struct shard *shard, enum shard_halt halt)
{
	struct shard_freeze *freeze = &shard->shared.freeze;
	if (halt <= SHARD_PREPARES) {
		atomic_store(&freeze->frozen, false);
		atomic_store(&freeze->taken, false);
	}
	/* What an earlier attempt found says nothing of this one. */
	atomic_store(&freeze->looked, false);
	atomic_store(&freeze->prepared, false);
	atomic_store(&freeze->immovable, 0);
	atomic_store_explicit(&freeze->halt, halt, memory_order_release);
	waker_wake(&shard->env.mailboxes[shard->env.number].waker);
}

bool freeze_is_prepared(const struct shard *shard)
{
	return atomic_load(&shard->shared.freeze.prepared);
}

uint64_t freeze_immovable(const struct shard *shard)
{
	return atomic_load(&shard->shared.freeze.immovable);
}

const char *freeze_unquiet(const struct shard *shard)
{
	if (!atomic_load(&shard->shared.freeze.looked))
		return "turns that were not taken yet";
	return atomic_load(&shard->shared.freeze.unquiet);
}

uint64_t freeze_activity(const struct shard *shard)
{
	return atomic_load(&shard->shared.freeze.activity);
}

bool freeze_is_frozen(const struct shard *shard)
{
	return atomic_load(&shard->shared.freeze.frozen);
}

/* Clients whose sockets are in the shard's own descriptor table. */
static uint64_t sockets_in_table(const struct shard *shard)
{
	static const enum counter CONNECTED[] = {COUNTER_clients_greeting, COUNTER_clients_active,
						 COUNTER_clients_quiet, COUNTER_clients_suspect,
						 COUNTER_clients_closing};
	uint64_t sockets = 0;
	for (size_t i = 0; i < sizeof(CONNECTED) / sizeof(CONNECTED[0]); i++)
		sockets += atomic_load_explicit(&shard->counters.values[CONNECTED[i]], memory_order_relaxed);
	uint64_t fixed = shard->env.fixed.sockets != 0 ? fixed_files_sockets(&shard->mem.io.fixed_files) : 0;
	CHECK_LE(fixed, sockets);
	return sockets - fixed;
}

void freeze_prepare_some(struct shard *shard)
{
	struct shard_freeze *freeze = &shard->shared.freeze;
	if (shard->loop.table == FDTABLE_SHARED || sockets_in_table(shard) == 0) {
		atomic_store(&freeze->prepared, true);
		return;
	}
	if (shard->env.fixed.sockets == 0) {
		atomic_store(&freeze->immovable, sockets_in_table(shard));
		return;
	}
	/* One that comes from now on leaves the table with its admission. */
	shard->mem.io.streams.first_descriptor = 0;
	if (!freeze->empties) {
		freeze->empties = true;
		freeze->returns = false;
		freeze->next = 0;
	}
	for (uint32_t i = 0; i < PREPARED_PER_TURN && freeze->next < shard->mem.clients.touched; i++) {
		struct client *client = shard_client(shard, (struct client_ref){++freeze->next});
		if (client->state != CLIENT_FREE && client->state != CLIENT_OFFLINE &&
		    stream_exists(client->conn.stream))
			io_settle(&shard->mem.io, &client->conn);
	}
	if (freeze->next < shard->mem.clients.touched)
		return;
	freeze->next = 0;
	atomic_store(&freeze->immovable, sockets_in_table(shard));
}

void freeze_resume(struct shard *shard)
{
	struct shard_freeze *freeze = &shard->shared.freeze;
	bool fixed = shard->env.fixed.sockets != 0;
	shard->mem.io.streams.first_descriptor = fixed ? shard->env.fixed.first_descriptor : INT_MAX;
	freeze->next = 0;
	freeze->returns = fixed && shard->loop.table == FDTABLE_PRIVATE;
	freeze->empties = false;
	freeze->resumes = false;
}

void freeze_return_some(struct shard *shard)
{
	struct shard_freeze *freeze = &shard->shared.freeze;
	struct streams *streams = &shard->mem.io.streams;
	if (freeze->empties)
		freeze_resume(shard); /* what was asked for was taken back */
	if (!freeze->returns)
		return;
	streams->to_table = true;
	for (uint32_t i = 0; i < RETURNED_PER_TURN && freeze->next < shard->mem.clients.touched; i++) {
		struct client *client = shard_client(shard, (struct client_ref){++freeze->next});
		if (client->state != CLIENT_FREE && client->state != CLIENT_OFFLINE &&
		    stream_exists(client->conn.stream))
			io_settle(&shard->mem.io, &client->conn);
	}
	/* It is over, or the table has no more room. */
	freeze->returns = streams->to_table && freeze->next < shard->mem.clients.touched;
	streams->to_table = false;
	if (!freeze->returns)
		freeze->next = 0;
}

bool freeze_wants_turn(const struct shard *shard)
{
	const struct shard_freeze *freeze = &shard->shared.freeze;
	uint32_t halt = atomic_load_explicit(&freeze->halt, memory_order_acquire);
	return halt > SHARD_PREPARES || freeze->returns ||
	       (halt == SHARD_PREPARES && !atomic_load_explicit(&freeze->prepared, memory_order_relaxed));
}

/* In the order in which they come to rest. */
static const char *in_transit(const struct shard *shard)
{
	const struct shard_routing *routing = &shard->routing;
	const struct shard_sessions *sessions = &shard->sessions;
	if (shard->shared.freeze.arriving || shard->loop.arrivals.next != shard->loop.arrivals.count)
		return "clients that are being let in";
	if (endings_waiting(&sessions->endings) != 0 || sessions->closing.count != 0)
		return "clients that are being ended";
	if (sessions->cleanups != NULL)
		return "sessions that are being cleaned up";
	if (sessions->filter_jobs != NULL)
		return "subscriptions that are being made";
	if (routing->routings.own != NULL || routing->routings.count != 0)
		return "messages that are being routed";
	if (route_has_mail(shard) || routing->outbox.out_batches != 0 || routing->outbox.open_count != 0 ||
	    routing->read_batches != NULL)
		return "messages between shards";
	if (pending_acks_any(&routing->acks))
		return "acknowledgements that wait for subscribers";
	if (routing->acks_awaited.count != 0)
		return "clients that wait for acknowledgements";
	if (commit_waits_any(&routing->commits))
		return "acknowledgements that wait for the store";
	if (shard->mem.loads.under_way != 0)
		return "messages that are being read from the store";
	if (promised_can_go_on(shard) || sessions->promised != NULL)
		return "messages that an earlier process had promised to pass on";
	if (moving_any(shard))
		return "sessions on their way between nodes";
	if (shard_has_node_mail(shard))
		return "pieces from other nodes";
	if (revoke_has_work(shard))
		return "revocations that are being carried out";
	/* Those that come later wait, for they might begin something that other shards no longer finish. */
	if (atomic_load(&shard->shared.freeze.halt) < SHARD_FREEZES && commands_waiting(&shard->shared.commands))
		return "requests of the admin side";
	return NULL;
}

bool freeze_look(struct shard *shard)
{
	struct shard_freeze *freeze = &shard->shared.freeze;
	const char *unquiet = in_transit(shard);
	if (unquiet != NULL)
		atomic_fetch_add(&freeze->activity, 1);
	atomic_store(&freeze->unquiet, unquiet);
	atomic_store(&freeze->looked, true);
	return unquiet == NULL;
}

void freeze_leave(struct shard *shard)
{
	shard->shared.freeze.leaves = true;
}

bool freeze_is_over(const struct shard *shard)
{
	return shard->shared.freeze.leaves;
}

/* Other threads may leave mail, revocations and requests at any moment, this one too. They wait for the next turn,
 * whoever takes it; what the shard itself has begun is over. */
bool freeze_wait_taken(struct shard *shard)
{
	struct shard_freeze *freeze = &shard->shared.freeze;
	static const struct timespec nap = {.tv_nsec = TAKEN_NAP_NS};
	CHECK(freeze->leaves && endings_waiting(&shard->sessions.endings) == 0);
	CHECK(shard->routing.outbox.out_batches == 0 && !pending_acks_any(&shard->routing.acks));
	freeze->leaves = false;
	atomic_store(&freeze->tid, (int32_t)gettid());
	atomic_store(&freeze->frozen, true);
	/* The main thread may have given up before this one came here. */
	while (!atomic_load(&freeze->taken) && atomic_load(&freeze->halt) == SHARD_FREEZES)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	if (atomic_load(&freeze->taken))
		return true;
	/* It asks for the next attempt's last step only after turns of this thread, so this comes before. */
	atomic_store(&freeze->frozen, false);
	return false;
}

/* ---- descriptors, by the main thread ---- */

size_t freeze_descriptors(const struct shard *shard, int *fds)
{
	uint32_t rings = shard->mem.io.fixed_files.ring_count;
	if (fds != NULL) {
		fds[0] = shard->loop.poller.fd;
		fixed_files_rings(&shard->mem.io.fixed_files, fds + 1);
	}
	return rings + 1u;
}

static void renumber(struct shard *shard, const int *fds)
{
	shard->loop.poller.fd = fds[0];
	fixed_files_renumber(&shard->mem.io.fixed_files, fds + 1);
}

/* Rings cannot be passed through a socket, as other descriptors can; a table may be looked into by its process. */
static enum error take_all(int thread, size_t count, const int *theirs, int *ours)
{
	for (size_t i = 0; i < count; i++) {
		ours[i] = (int)syscall(SYS_pidfd_getfd, thread, theirs[i], 0);
		if (ours[i] >= 0)
			continue;
		int failure = errno;
		while (i-- != 0)
			close(ours[i]);
		errno = failure;
		return failure == EMFILE ? ERROR_NO_DESCRIPTORS : ERROR_SYSTEM;
	}
	return ERROR_OK;
}

static int pidfd_of_thread(int32_t tid)
{
	return (int)syscall(SYS_pidfd_open, tid, PIDFD_OF_A_THREAD);
}

/* By taking a descriptor of the caller's own. */
bool freeze_can_take_descriptors(void)
{
	int copy = -1;
	int thread = pidfd_of_thread((int32_t)gettid());
	if (thread < 0)
		return false;
	bool can = take_all(thread, 1, &thread, &copy) == ERROR_OK;
	int failure = errno;
	if (can)
		close(copy);
	close(thread);
	errno = failure;
	return can;
}

static enum error take_private(struct shard *shard)
{
	size_t count = freeze_descriptors(shard, NULL);
	int *numbers = calloc(2 * count, sizeof(*numbers));
	if (numbers == NULL)
		return ERROR_NO_MEMORY;
	freeze_descriptors(shard, numbers);
	int thread = pidfd_of_thread(atomic_load(&shard->shared.freeze.tid));
	enum error error = thread < 0 ? ERROR_SYSTEM : take_all(thread, count, numbers, numbers + count);
	if (error == ERROR_OK)
		renumber(shard, numbers + count);
	int failure = errno;
	if (thread >= 0)
		close(thread);
	free(numbers);
	errno = failure;
	return error;
}

enum error freeze_take_descriptors(struct shard *shard)
{
	CHECK(freeze_is_frozen(shard));
	enum error error = shard->loop.table == FDTABLE_PRIVATE ? take_private(shard) : ERROR_OK;
	if (error != ERROR_OK)
		return error;
	shard->shared.freeze.resumes = true;
	atomic_store(&shard->shared.freeze.taken, true);
	return ERROR_OK;
}

void freeze_give_up(struct shard *shard)
{
	CHECK(!shard->shared.freeze.resumes && !atomic_load(&shard->shared.freeze.taken));
	freeze_ask(shard, SHARD_RUNS);
}

void freeze_close_copies(struct shard *shard)
{
	if (shard->loop.table != FDTABLE_PRIVATE)
		return;
	/* The thread has the same numbers, in a table of its own. */
	size_t count = freeze_descriptors(shard, NULL);
	int *fds = calloc(count, sizeof(*fds));
	CHECK(fds != NULL);
	freeze_descriptors(shard, fds);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	free(fds);
}
