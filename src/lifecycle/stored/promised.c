#include "lifecycle/stored/promised.h"

#include "mqtt/field/topic.h"
#include "route/routing.h"
#include "state/shard.h"

#include <stdlib.h>

struct promised {
	struct promised *next;
	struct message_ref message;
	size_t filter_bytes; /* 0: a will */
	uint8_t filter[];
};

enum error promised_add(struct shard *shard, struct message_ref message, struct slice filter)
{
	struct promised *promised = malloc(sizeof(*promised) + filter.size);
	if (promised == NULL)
		return ERROR_NO_MEMORY;
	*promised = (struct promised){.message = message, .filter_bytes = filter.size};
	if (filter.size != 0)
		memcpy(promised->filter, filter.data, filter.size);
	*shard->sessions.promised_end = promised;
	shard->sessions.promised_end = &promised->next;
	return ERROR_OK;
}

static struct promised *promised_take_first(struct shard *shard)
{
	struct promised *promised = shard->sessions.promised;
	shard->sessions.promised = promised->next;
	if (promised->next == NULL)
		shard->sessions.promised_end = &shard->sessions.promised;
	return promised;
}

/* A route to any member of the shared subscription; 0: it has none any more. */
static route_bits route_to_any(struct shard *shard, struct slice filter)
{
	struct slice group;
	struct slice topics;
	enum error fault;
	if (!mqtt_filter_share(filter, &group, &topics, &fault) || fault != ERROR_OK)
		return 0;
	struct index_slot slot = index_find_group(shard->env.index, group, topics, false);
	route_bits route = slot.node != 0 ? index_pick(slot, &shard->routing.routes) : 0;
	index_leave(slot);
	return route;
}

static void promised_pass_on(struct shard *shard, const struct promised *promised)
{
	if (promised->filter_bytes == 0) {
		COUNT(&shard->counters, wills_sent);
		routing_publish_again(shard, promised->message);
		return;
	}
	route_bits route = route_to_any(shard, slice_of(promised->filter, promised->filter_bytes));
	if (route != 0) {
		COUNT(&shard->counters, messages_handed_on);
		routing_hand_on(shard, promised->message, route);
	} else {
		messages_put(&shard->mem.messages, promised->message);
	}
}

/* One after the other, so that what waits for room waits here, and not among the routings. */
bool promised_can_go_on(const struct shard *shard)
{
	return shard->sessions.promised != NULL && shard->routing.routings.own == NULL;
}

void promised_run(struct shard *shard)
{
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_OWN);
	while (promised_can_go_on(shard) && !turn_work_is_spent(&shard->loop.work, until)) {
		struct promised *promised = promised_take_first(shard);
		turn_work_charge(&shard->loop.work, WORK_FILTER);
		promised_pass_on(shard, promised);
		free(promised);
	}
}

void promised_fini(struct shard *shard)
{
	while (shard->sessions.promised != NULL)
		free(promised_take_first(shard));
}
