#include "shard/admissions.h"

#include "access/addresses.h"
#include "access/admission.h"
#include "base/log.h"
#include "lifecycle/admit.h"
#include "lifecycle/claim.h"
#include "route/routing.h"
#include "shard/freeze/freeze.h"
#include "state/shard.h"

#include <stdlib.h>

bool admissions_wait(const struct shard *shard)
{
	return shard->loop.arrivals.next != shard->loop.arrivals.count;
}

void admissions_fini(struct shard *shard)
{
	while (admissions_wait(shard)) {
		struct admission *admission = shard->loop.arrivals.admissions[shard->loop.arrivals.next++];
		stream_carry_drop(&shard->mem.io.streams, &admission->carry);
		free(admission);
	}
}

/* Its socket was lost in passing, or there is no memory for its stream. */
static void drop_admission(struct shard *shard, struct admission *admission)
{
	stream_carry_drop(&shard->mem.io.streams, &admission->carry);
	addresses_leave(shard->env.addresses, admission->address, true);
	quota_give(shard->env.quota);
}

/* Receives the next batch from the gates. False: there is none. */
static bool receive_arrivals(struct shard *shard)
{
	struct arrivals *arrivals = &shard->loop.arrivals;
	CHECK(!admissions_wait(shard)); /* else their sockets would leak */
	size_t size = sizeof(arrivals->admissions);
	arrivals->next = 0;
	arrivals->count = 0;
	arrivals->fd_count = FDPASS_BATCH_MAX;
	enum error error = fdpass_receive(shard->env.admissions_fd, arrivals->fds, &arrivals->fd_count,
					  arrivals->admissions, &size);
	if (error == ERROR_MORE)
		return false;
	if (error != ERROR_OK)
		log_write(LOG_ERROR, "shard %u lost sockets on the way from a gate: %s", shard->env.number,
			  error_sentence(error));
	CHECK(size % sizeof(arrivals->admissions[0]) == 0); /* the gates send whole batches */
	arrivals->count = (uint32_t)(size / sizeof(arrivals->admissions[0]));
	CHECK_LE(arrivals->fd_count, arrivals->count); /* one more socket than admissions would never be closed */
	return arrivals->count != 0;
}

static void admit_next(struct shard *shard)
{
	struct arrivals *arrivals = &shard->loop.arrivals;
	CHECK_LT(arrivals->next, arrivals->count);
	uint32_t i = arrivals->next++;
	struct admission *admission = arrivals->admissions[i];
	struct stream stream = STREAM_NONE;
	bool rests = atomic_load_explicit(&shard->shared.freeze.halt, memory_order_relaxed) >= SHARD_QUIETENS;
	if (i < arrivals->fd_count) {
		stream = stream_adopt(&shard->mem.io.streams, arrivals->fds[i], &admission->carry);
		if (!stream_exists(stream))
			stream_close_descriptor(arrivals->fds[i]);
	}
	if (stream_exists(stream) && claim_begin(shard, stream, admission, rests))
		return;
	if (stream_exists(stream))
		client_admit(shard, stream, admission);
	else
		drop_admission(shard, admission);
	free(admission);
}

bool admissions_take(struct shard *shard)
{
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ADMISSIONS);
	while (!turn_work_is_spent(&shard->loop.work, until)) {
		if (routings_own_are_many(&shard->routing.routings)) {
			COUNT(&shard->counters, admission_pauses);
			return true;
		}
		if (!admissions_wait(shard) && !receive_arrivals(shard))
			return false;
		turn_work_charge(&shard->loop.work, WORK_ADMISSION);
		admit_next(shard);
	}
	return true;
}
