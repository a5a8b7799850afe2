#include "state/offline.h"

#include "base/check.h"
#include "runtime/nodes/moves.h"
#include "state/client_state.h"
#include "state/shard.h"
#include "state/tell_nodes.h"

/* Stands for a time when the end or the will is noted already. It is in the past whenever it is compared. */
#define NOTED_S 0u

static uint32_t later_s(const struct shard *shard, uint32_t delay_s)
{
	uint64_t at_s = (uint64_t)shard->loop.now_s + delay_s;
	/* Part of the current second is over, so the delay is rounded up. */
	return at_s + 1 < EXTENSION_NEVER_S ? (uint32_t)at_s + 1 : EXTENSION_NEVER_S;
}

/* Gives the wheel its deadline. */
static void file(struct shard *shard, struct client_ref ref, const struct extension *extension)
{
	uint64_t deadline = offline_deadline_ms(shard, extension);
	if (extension->flow.queued != 0 && deadline > shard->loop.now_ms + OFFLINE_SWEEP_MS)
		deadline = shard->loop.now_ms + OFFLINE_SWEEP_MS;
	if (deadline != WHEEL_NEVER)
		wheel_add(&shard->loop.wheel, ref.index, deadline);
}

static void begin_at(struct shard *shard, struct client_ref ref, uint32_t ends_at_s, uint32_t will_at_s)
{
	struct client *client = shard_client(shard, ref);
	struct extension *extension = extension_of(shard, client);
	CHECK(extension != NULL && extension->expiry_s != 0);
	CHECK(client->session.id != 0); /* without an id no connection would find the session */
	client_set_state(shard, client, CLIENT_OFFLINE);
	extension->ends_at_s = ends_at_s;
	extension->will_at_s = will_at_s;
	file(shard, ref, extension);
}

void offline_begin(struct shard *shard, struct client_ref ref)
{
	const struct extension *extension = extension_of(shard, shard_client(shard, ref));
	CHECK(extension != NULL);
	bool stays = extension->expiry_s == EXTENSION_NEVER_S;
	begin_at(shard, ref, stays ? EXTENSION_NEVER_S : later_s(shard, extension->expiry_s),
		 later_s(shard, extension->will_delay_s));
}

void offline_restore(struct shard *shard, struct client_ref ref, uint32_t ends_at_s, uint32_t will_at_s)
{
	CHECK(ends_at_s != NOTED_S && will_at_s != NOTED_S);
	begin_at(shard, ref, ends_at_s, will_at_s);
}

void offline_again(struct shard *shard, struct client_ref ref, uint32_t ends_at_s, uint32_t will_at_s)
{
	struct extension *extension = extension_of(shard, shard_client(shard, ref));
	CHECK(shard_client(shard, ref)->state == CLIENT_OFFLINE && extension != NULL);
	if (extension->ends_at_s == NOTED_S)
		return;
	extension->ends_at_s = ends_at_s;
	extension->will_at_s = will_at_s;
	wheel_remove(&shard->loop.wheel, ref.index);
	file(shard, ref, extension);
}

void offline_halt(struct shard *shard, struct client_ref ref)
{
	CHECK(shard_client(shard, ref)->state == CLIENT_OFFLINE);
	wheel_remove(&shard->loop.wheel, ref.index);
}

void offline_queue_begins(struct shard *shard, struct client_ref ref)
{
	const struct client *client = shard_client(shard, ref);
	const struct extension *extension = extension_of(shard, client);
	CHECK(client->state == CLIENT_OFFLINE && extension != NULL);
	if (extension->ends_at_s == NOTED_S || moving_away(shard, ref))
		return;
	uint64_t deadline = offline_deadline_ms(shard, extension);
	uint64_t sweep_ms = shard->loop.now_ms + OFFLINE_SWEEP_MS;
	wheel_remove(&shard->loop.wheel, ref.index);
	wheel_add(&shard->loop.wheel, ref.index, sweep_ms < deadline ? sweep_ms : deadline);
}

uint64_t offline_deadline_ms(const struct shard *shard, const struct extension *extension)
{
	uint32_t at_s = extension->ends_at_s;
	if (!message_ref_is_none(extension->will) && extension->will_at_s != NOTED_S && extension->will_at_s < at_s)
		at_s = extension->will_at_s;
	return at_s != EXTENSION_NEVER_S ? shard_clock_ms(shard, at_s) : WHEEL_NEVER;
}

bool offline_is_over(const struct shard *shard, const struct extension *extension)
{
	return extension->ends_at_s <= shard->loop.now_s;
}

bool offline_is_ending(const struct extension *extension)
{
	return extension->ends_at_s == NOTED_S;
}

bool offline_let_go(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	CHECK(client->state == CLIENT_OFFLINE);
	struct extension *extension = extension_of(shard, client);
	if (extension->ends_at_s == NOTED_S)
		return false;
	extension->ends_at_s = NOTED_S;
	return true;
}

bool offline_will_is_due(const struct shard *shard, const struct extension *extension)
{
	return !message_ref_is_none(extension->will) && extension->will_at_s <= shard->loop.now_s;
}

bool offline_take_due_will(struct shard *shard, struct extension *extension)
{
	if (!offline_will_is_due(shard, extension) || extension->will_at_s == NOTED_S)
		return false;
	extension->will_at_s = NOTED_S;
	return true;
}
