#include "shard/timers.h"

#include "client/keepalive.h"
#include "lifecycle/due/expiry.h"
#include "shard/sys_topics.h"
#include "state/shard.h"
#include "topics/retained.h"

#define TIMERS_PER_TURN 1024u
#define TIMERS_PER_STEP 16u
_Static_assert(TIMERS_PER_TURN % TIMERS_PER_STEP == 0, "a turn is whole steps");
/* How many expired retained messages a turn takes away: a million are gone within seconds. */
#define RETAINED_EXPIRED_PER_TURN 256u

/* A retained_expired callback. */
static void tell_expired(void *context, const struct publication *publication, const uint8_t *packet, uint64_t change,
			 struct stamp stamp)
{
	if (change == 0)
		return;
	struct journal *journal = context;
	struct journal_retained told = {
		.number = change, .topic = publication_parts(publication, packet).topic, .stamp = stamp};
	journal_tell(journal)->retained(journal->context, &told);
}

/* A wheel_visit callback. The wheel runs on the shard's clock, so now_ms is not needed. */
static uint64_t timers_visit(void *context, uint32_t index, uint64_t now_ms)
{
	struct shard *shard = context;
	(void)now_ms;
	turn_work_charge(&shard->loop.work, WORK_NODE);
	struct client_ref ref = {index};
	const struct client *client = shard_client(shard, ref);
	CHECK(client->state == CLIENT_OFFLINE || client_is_connected(client)); /* an end takes it off the wheel */
	if (client->state == CLIENT_OFFLINE)
		return expiry_visit(shard, ref);
	return keepalive_visit(shard, ref);
}

void timers_run(struct shard *shard)
{
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_TIMERS);
	bool more = true;
	for (uint32_t i = 0; more && i < TIMERS_PER_TURN && !turn_work_is_spent(&shard->loop.work, until) &&
			     !endings_are_many(&shard->sessions.endings);
	     i += TIMERS_PER_STEP)
		more = wheel_turn(&shard->loop.wheel, shard->loop.now_ms, TIMERS_PER_STEP, timers_visit, shard);
	if (shard->env.number != 0)
		return;
	struct journal *journal = &shard->sessions.journal;
	counter_add(&shard->counters.values[COUNTER_retained_expired],
		    retained_expire(shard->env.retained, shard->loop.now_s, RETAINED_EXPIRED_PER_TURN,
				    journal_is_on(journal) ? tell_expired : NULL, journal));
	sys_topics_publish(shard);
}
