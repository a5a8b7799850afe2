#include "session/subscriptions.h"

enum error subscriptions_open(struct subscriptions *subscriptions, struct index *index, uint16_t shard, uint32_t limit)
{
	*subscriptions = (struct subscriptions){.index = index, .client_max = UINT32_MAX, .shard = shard};
	enum error error = pool_open(&subscriptions->pool, sizeof(struct subscription), limit);
	if (error == ERROR_OK)
		error = pool_open(&subscriptions->lists, sizeof(struct subscriber_list), limit);
	return error;
}

void subscriptions_close(struct subscriptions *subscriptions)
{
	pool_close(&subscriptions->pool);
	pool_close(&subscriptions->lists);
}

static struct subscription *at(const struct subscriptions *subscriptions, uint32_t index)
{
	return pool_at(&subscriptions->pool, index);
}

static struct subscriber_list *list_at(const struct subscriptions *subscriptions, uint32_t index)
{
	return pool_at(&subscriptions->lists, index);
}

static route_bits route_of_one(const struct subscriptions *subscriptions, uint32_t index)
{
	return route_make(ROUTE_ONE, subscriptions->shard, at(subscriptions, index)->generation, index);
}

static void list_push(struct subscriptions *subscriptions, uint32_t list_index, uint32_t index)
{
	struct subscriber_list *list = list_at(subscriptions, list_index);
	struct subscription *subscription = at(subscriptions, index);
	subscription->list = list_index;
	subscription->list_next = list->first;
	subscription->list_previous = 0;
	if (list->first != 0)
		at(subscriptions, list->first)->list_previous = index;
	list->first = index;
	list->count++;
}

static void list_unlink(struct subscriptions *subscriptions, uint32_t index)
{
	struct subscription *subscription = at(subscriptions, index);
	struct subscriber_list *list = list_at(subscriptions, subscription->list);
	if (subscription->list_previous != 0)
		at(subscriptions, subscription->list_previous)->list_next = subscription->list_next;
	else
		list->first = subscription->list_next;
	if (subscription->list_next != 0)
		at(subscriptions, subscription->list_next)->list_previous = subscription->list_previous;
	list->count--;
	subscription->list = 0;
}

/* A second subscriber of the filter on this shard: the first one's route becomes a list. */
static enum error route_to_list(struct subscriptions *subscriptions, struct index_slot slot, uint32_t first,
				uint32_t second)
{
	uint32_t index = pool_take(&subscriptions->lists);
	if (index == 0)
		return ERROR_LIMIT;
	struct subscriber_list *list = list_at(subscriptions, index);
	list->first = 0;
	list->count = 0;
	list_push(subscriptions, index, first);
	list_push(subscriptions, index, second);
	/* Replacing this shard's own route needs no memory and so cannot fail. */
	return index_set_route(slot, subscriptions->shard,
			       route_make(ROUTE_LIST, subscriptions->shard, list->generation, index));
}

static enum error attach(struct subscriptions *subscriptions, struct index_slot slot, uint32_t index)
{
	route_bits route = index_route(slot, subscriptions->shard);
	switch (route_kind(route)) {
	case ROUTE_ONE:
		return route_to_list(subscriptions, slot, route_index(route), index);
	case ROUTE_LIST:
		list_push(subscriptions, route_index(route), index);
		return ERROR_OK;
	default:
		return index_set_route(slot, subscriptions->shard, route_of_one(subscriptions, index));
	}
}

static void detach(struct subscriptions *subscriptions, struct index_slot slot, uint32_t index)
{
	struct subscription *subscription = at(subscriptions, index);
	if (subscription->list == 0) {
		index_set_route(slot, subscriptions->shard, 0);
		return;
	}
	uint32_t list_index = subscription->list;
	struct subscriber_list *list = list_at(subscriptions, list_index);
	list_unlink(subscriptions, index);
	if (list->count == 0) {
		index_set_route(slot, subscriptions->shard, 0);
		list->generation++;
		pool_give(&subscriptions->lists, list_index);
	}
}

/* Ends the subscription in the index and frees it; its client's chain is the caller's. */
static void end_subscription(struct subscriptions *subscriptions, uint32_t index)
{
	struct subscription *subscription = at(subscriptions, index);
	if (subscriptions->cursor == index)
		subscriptions->cursor = subscription->list != 0 ? subscription->list_next : 0;
	struct index_slot slot = index_enter(subscriptions->index, subscription->node);
	detach(subscriptions, slot, index);
	index_leave(slot);
	subscription->generation++;
	pool_give(&subscriptions->pool, index);
}

/* The client's own subscription to the locked node, or 0. Looked for where it is shorter: among the filter's
 * subscribers on this shard, or among the client's subscriptions. */
static uint32_t find_own(const struct subscriptions *subscriptions, const struct session *session, uint32_t client,
			 struct index_slot slot)
{
	route_bits route = index_route(slot, subscriptions->shard);
	if (route_kind(route) == ROUTE_NONE)
		return 0;
	if (route_kind(route) == ROUTE_ONE)
		return at(subscriptions, route_index(route))->client == client ? route_index(route) : 0;

	const struct subscriber_list *list = list_at(subscriptions, route_index(route));
	uint32_t index;
	if (list->count < session->subscription_count) {
		index = list->first;
		while (index != 0 && at(subscriptions, index)->client != client)
			index = at(subscriptions, index)->list_next;
	} else {
		index = session->subscription;
		while (index != 0 && at(subscriptions, index)->node != index_name(slot))
			index = at(subscriptions, index)->client_next;
	}
	return index;
}

static void client_link(struct subscriptions *subscriptions, struct session *session, uint32_t index)
{
	struct subscription *subscription = at(subscriptions, index);
	subscription->client_next = session->subscription;
	subscription->client_previous = 0;
	if (session->subscription != 0)
		at(subscriptions, session->subscription)->client_previous = index;
	session->subscription = index;
	session->subscription_count++;
}

static void client_unlink(struct subscriptions *subscriptions, struct session *session, uint32_t index)
{
	const struct subscription *subscription = at(subscriptions, index);
	if (subscription->client_previous != 0)
		at(subscriptions, subscription->client_previous)->client_next = subscription->client_next;
	else
		session->subscription = subscription->client_next;
	if (subscription->client_next != 0)
		at(subscriptions, subscription->client_next)->client_previous = subscription->client_previous;
	session->subscription_count--;
}

static uint32_t subscription_new(struct subscriptions *subscriptions, struct session *session, uint32_t client,
				 uint32_t node, uint8_t options)
{
	if (session->subscription_count >= subscriptions->client_max)
		return 0;
	uint32_t index = pool_take(&subscriptions->pool);
	if (index == 0)
		return 0;
	struct subscription *subscription = at(subscriptions, index);
	subscription->client = client;
	subscription->node = node;
	subscription->list = 0;
	subscription->options = options;
	return index;
}

enum error subscriptions_add(struct subscriptions *subscriptions, struct session *session, uint32_t client,
			     struct slice filter, uint8_t options, bool *replaced)
{
	*replaced = false;
	struct index_slot slot = index_find(subscriptions->index, filter, true);
	enum error error = slot.node == 0 ? ERROR_NO_MEMORY : ERROR_OK;
	if (error == ERROR_OK) {
		uint32_t existing = find_own(subscriptions, session, client, slot);
		if (existing != 0) {
			at(subscriptions, existing)->options = options;
			*replaced = true;
			index_leave(slot);
			return ERROR_OK;
		}
		uint32_t index = subscription_new(subscriptions, session, client, index_name(slot), options);
		error = index != 0 ? attach(subscriptions, slot, index) : ERROR_LIMIT;
		if (error == ERROR_OK) {
			client_link(subscriptions, session, index);
		} else if (index != 0) {
			pool_give(&subscriptions->pool, index);
		}
	}
	index_leave(slot);
	return error;
}

bool subscriptions_remove(struct subscriptions *subscriptions, struct session *session, uint32_t client,
			  struct slice filter)
{
	struct index_slot slot = index_find(subscriptions->index, filter, false);
	uint32_t index = slot.node != 0 ? find_own(subscriptions, session, client, slot) : 0;
	index_leave(slot);
	if (index == 0)
		return false;
	client_unlink(subscriptions, session, index);
	end_subscription(subscriptions, index);
	return true;
}

void subscriptions_clear(struct subscriptions *subscriptions, struct session *session)
{
	while (session->subscription != 0) {
		uint32_t index = session->subscription;
		client_unlink(subscriptions, session, index);
		end_subscription(subscriptions, index);
	}
}

uint32_t subscriptions_count(const struct subscriptions *subscriptions, route_bits route)
{
	uint32_t index = route_index(route);
	if (route_kind(route) == ROUTE_ONE)
		return at(subscriptions, index)->generation == route_generation(route) ? 1 : 0;
	const struct subscriber_list *list = list_at(subscriptions, index);
	return list->generation == route_generation(route) ? list->count : 0;
}

void subscriptions_walk(struct subscriptions *subscriptions, route_bits route)
{
	subscriptions->cursor = 0;
	if (subscriptions_count(subscriptions, route) == 0)
		return;
	subscriptions->cursor =
		route_kind(route) == ROUTE_ONE ? route_index(route) : list_at(subscriptions, route_index(route))->first;
}

const struct subscription *subscriptions_next(struct subscriptions *subscriptions)
{
	if (subscriptions->cursor == 0)
		return NULL;
	const struct subscription *subscription = at(subscriptions, subscriptions->cursor);
	subscriptions->cursor = subscription->list != 0 ? subscription->list_next : 0;
	if (subscriptions->cursor != 0)
		__builtin_prefetch(at(subscriptions, subscriptions->cursor));
	return subscription;
}
