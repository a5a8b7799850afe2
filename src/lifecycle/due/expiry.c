#include "lifecycle/due/expiry.h"

#include "base/check.h"
#include "deliver/queue.h"
#include "state/ending.h"
#include "state/offline.h"
#include "state/shard.h"

uint64_t expiry_visit(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	struct extension *extension = extension_of(shard, client);
	CHECK(client->state == CLIENT_OFFLINE && extension != NULL);
	if (offline_is_over(shard, extension)) {
		COUNT(&shard->counters, sessions_expired);
		session_end(shard, ref, ERROR_NOT_FOUND);
		return 0;
	}
	if (offline_take_due_will(shard, extension))
		session_will_is_due(shard, ref);
	bool whole = queue_drop_expired(shard, client);
	uint64_t sweep_ms =
		extension->flow.queued == 0 ? WHEEL_NEVER : shard->loop.now_ms + (whole ? OFFLINE_SWEEP_MS : 1);
	uint64_t deadline = offline_deadline_ms(shard, extension);
	return sweep_ms < deadline ? sweep_ms : deadline;
}
