#include "shard/admissions.h"

#include "access/addresses.h"
#include "access/admission.h"
#include "base/log.h"
#include "lifecycle/admit.h"
#include "route/routing.h"
#include "state/shard.h"

#include <stdlib.h>

bool admissions_wait(const struct shard *shard)
{
	return shard->loop.arrivals.next != shard->loop.arrivals.count;
}

void admissions_fini(struct shard *shard)
{
	while (admissions_wait(shard))
		free(shard->loop.arrivals.admissions[shard->loop.arrivals.next++]);
}

/* Its socket was lost on its way. */
static void drop_admission(struct shard *shard, const struct admission *admission)
{
	addresses_leave(shard->env.addresses, admission->address, true);
	quota_give(shard->env.quota);
}

/* Takes the next batch from the gates. False when there is none. */
static bool receive_arrivals(struct shard *shard)
{
	struct arrivals *arrivals = &shard->loop.arrivals;
	size_t size = sizeof(arrivals->admissions);
	arrivals->next = 0;
	arrivals->count = 0;
	arrivals->fd_count = FDPASS_BATCH_MAX;
	enum error error = fdpass_receive(shard->env.admissions_fd, arrivals->fds, &arrivals->fd_count,
					  arrivals->admissions, &size);
	if (error == ERROR_MORE)
		return false;
	if (error != ERROR_OK)
		log_write(LOG_ERROR, "shard %u lost sockets on their way: %s", shard->env.number,
			  error_sentence(error));
	arrivals->count = (uint32_t)(size / sizeof(arrivals->admissions[0]));
	return arrivals->count != 0;
}

static void admit_next(struct shard *shard)
{
	struct arrivals *arrivals = &shard->loop.arrivals;
	uint32_t i = arrivals->next++;
	if (i < arrivals->fd_count)
		client_admit(shard, arrivals->fds[i], arrivals->admissions[i]);
	else
		drop_admission(shard, arrivals->admissions[i]);
	free(arrivals->admissions[i]);
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
