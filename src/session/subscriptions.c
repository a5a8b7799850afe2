#include "session/subscriptions.h"

#include "mqtt/field/topic.h"

/* Members of a shared subscription that are passed over for one message. */
#define BUSY_LOOKS 16u

enum error subscriptions_open(struct subscriptions *subscriptions, struct index *index, uint16_t shard, uint32_t limit)
{
	*subscriptions = (struct subscriptions){
		.index = index, .client_max = UINT32_MAX, .client_bytes_max = UINT32_MAX, .shard = shard};
	enum error error = pool_open(&subscriptions->pool, sizeof(struct subscription), limit);
	if (error == ERROR_OK)
		error = pool_open(&subscriptions->lists, sizeof(struct subscriber_list), limit);
	if (error == ERROR_OK)
		error = own_table_open(&subscriptions->own, limit + limit / OWN_WALK_MAX);
	return error;
}

void subscriptions_close(struct subscriptions *subscriptions)
{
	pool_close(&subscriptions->pool);
	pool_close(&subscriptions->lists);
	own_table_close(&subscriptions->own);
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

/* A member of a shared subscription goes to the front when it is connected, to the end otherwise. */
static void subscriptions_list_push(struct subscriptions *subscriptions, struct subscriber_list *list, uint32_t index)
{
	struct subscription *subscription = at(subscriptions, index);
	bool behind = (subscription->options & (SUBSCRIPTION_SHARED | SUBSCRIPTION_LIVE)) == SUBSCRIPTION_SHARED;
	subscription->options |= SUBSCRIPTION_LISTED;
	subscription->list_next = behind ? 0 : list->first;
	subscription->list_previous = behind ? list->last : 0;
	if (subscription->list_next != 0)
		at(subscriptions, subscription->list_next)->list_previous = index;
	else
		list->last = index;
	if (subscription->list_previous != 0)
		at(subscriptions, subscription->list_previous)->list_next = index;
	else
		list->first = index;
	list->count++;
	if ((subscription->options & SUBSCRIPTION_LIVE) != 0)
		list->live++;
	if ((subscription->options & SUBSCRIPTION_BUSY) != 0)
		list->busy++;
}

static void list_unlink(struct subscriptions *subscriptions, struct subscriber_list *list, uint32_t index)
{
	struct subscription *subscription = at(subscriptions, index);
	if (list->turn == index)
		list->turn = subscription->list_next;
	if (subscription->list_previous != 0)
		at(subscriptions, subscription->list_previous)->list_next = subscription->list_next;
	else
		list->first = subscription->list_next;
	if (subscription->list_next != 0)
		at(subscriptions, subscription->list_next)->list_previous = subscription->list_previous;
	else
		list->last = subscription->list_previous;
	list->count--;
	if ((subscription->options & SUBSCRIPTION_LIVE) != 0)
		list->live--;
	if ((subscription->options & SUBSCRIPTION_BUSY) != 0)
		list->busy--;
	subscription->options &= (uint8_t)~SUBSCRIPTION_LISTED;
}

/* The list of the locked node's subscribers here. */
static struct subscriber_list *list_of(const struct subscriptions *subscriptions, struct index_slot slot)
{
	return list_at(subscriptions, route_index(index_route(slot, subscriptions->shard)));
}

/* A second subscriber of the filter on this shard: the first one's route becomes a list. */
static enum error route_to_list(struct subscriptions *subscriptions, struct index_slot slot, uint32_t first,
				uint32_t second)
{
	uint32_t index = pool_take(&subscriptions->lists);
	if (index == 0)
		return ERROR_LIMIT;
	struct subscriber_list *list = list_at(subscriptions, index);
	*list = (struct subscriber_list){.generation = list->generation};
	subscriptions_list_push(subscriptions, list, first);
	subscriptions_list_push(subscriptions, list, second);
	/* Replacing this shard's own route needs no memory and so cannot fail. */
	return index_set_route(slot, subscriptions->shard,
			       route_make(ROUTE_LIST, subscriptions->shard, list->generation, index));
}

/* Tells the index how many connected members of a shared subscription there are here, and how many of them are free. A
 * member that is busy is connected. */
static void weigh(const struct subscriptions *subscriptions, struct index_slot slot)
{
	route_bits route = index_route(slot, subscriptions->shard);
	struct index_members members = {0};
	if (route_kind(route) == ROUTE_LIST) {
		const struct subscriber_list *list = list_at(subscriptions, route_index(route));
		members = (struct index_members){.live = list->live, .free = list->live - list->busy};
	} else if (route_kind(route) == ROUTE_ONE) {
		uint8_t options = at(subscriptions, route_index(route))->options;
		members.live = (options & SUBSCRIPTION_LIVE) != 0;
		members.free = (options & (SUBSCRIPTION_LIVE | SUBSCRIPTION_BUSY)) == SUBSCRIPTION_LIVE;
	}
	index_set_members(slot, subscriptions->shard, members);
}

static enum error subscriptions_attach(struct subscriptions *subscriptions, struct index_slot slot, uint32_t index)
{
	route_bits route = index_route(slot, subscriptions->shard);
	enum error error = ERROR_OK;
	if (route_kind(route) == ROUTE_ONE)
		error = route_to_list(subscriptions, slot, route_index(route), index);
	else if (route_kind(route) == ROUTE_LIST)
		subscriptions_list_push(subscriptions, list_at(subscriptions, route_index(route)), index);
	else
		error = index_set_route(slot, subscriptions->shard, route_of_one(subscriptions, index));
	if (error == ERROR_OK && (at(subscriptions, index)->options & SUBSCRIPTION_SHARED) != 0)
		weigh(subscriptions, slot);
	return error;
}

static void detach(struct subscriptions *subscriptions, struct index_slot slot, uint32_t index)
{
	const struct subscription *subscription = at(subscriptions, index);
	if ((subscription->options & SUBSCRIPTION_LISTED) == 0) {
		index_set_route(slot, subscriptions->shard, 0);
		return;
	}
	uint32_t list_index = route_index(index_route(slot, subscriptions->shard));
	struct subscriber_list *list = list_at(subscriptions, list_index);
	list_unlink(subscriptions, list, index);
	if (list->count == 0) {
		index_set_route(slot, subscriptions->shard, 0);
		list->generation++;
		pool_give(&subscriptions->lists, list_index);
	} else if ((subscription->options & SUBSCRIPTION_SHARED) != 0) {
		weigh(subscriptions, slot);
	}
}

static uint32_t after(const struct subscription *subscription)
{
	return (subscription->options & SUBSCRIPTION_LISTED) != 0 ? subscription->list_next : 0;
}

/* Ends the subscription in the index and frees it; its client's chain is the caller's. */
static void end_subscription(struct subscriptions *subscriptions, uint32_t index)
{
	struct subscription *subscription = at(subscriptions, index);
	if (subscriptions->cursor == index)
		subscriptions->cursor = subscriptions->cursor_is_last ? 0 : after(subscription);
	struct index_slot slot = index_enter(subscriptions->index, subscription->node);
	detach(subscriptions, slot, index);
	index_leave(slot);
	subscription->generation++;
	subscription->client = client_ref_none();
	pool_give(&subscriptions->pool, index);
}

/* The client's own subscription to the node, or 0: a few steps, however many subscriptions the client has. */
static uint32_t find_by_node(struct subscriptions *subscriptions, const struct session *session,
			     struct client_ref client, uint32_t node)
{
	subscriptions->looks++;
	if (session->is_keyed)
		return own_table_find(&subscriptions->own, client, node);
	uint32_t index = session->subscription;
	for (; index != 0 && at(subscriptions, index)->node != node; subscriptions->looks++)
		index = at(subscriptions, index)->client_next;
	return index;
}

/* The client's own subscription to the locked node, or 0, however many subscribers the filter has. */
static uint32_t find_own(struct subscriptions *subscriptions, const struct session *session, struct client_ref client,
			 struct index_slot slot)
{
	route_bits route = index_route(slot, subscriptions->shard);
	if (route_kind(route) == ROUTE_NONE)
		return 0;
	if (route_kind(route) == ROUTE_ONE)
		return client_ref_equal(at(subscriptions, route_index(route))->client, client) ? route_index(route) : 0;
	return find_by_node(subscriptions, session, client, index_name(slot));
}

/* Takes those of the session's subscriptions out of the table that stand in front of `end`. */
static void unkey(struct subscriptions *subscriptions, struct session *session, uint32_t end)
{
	for (uint32_t i = session->subscription; i != end; i = at(subscriptions, i)->client_next)
		own_table_remove(&subscriptions->own, at(subscriptions, i)->client, at(subscriptions, i)->node);
	session->is_keyed = 0;
}

static uint32_t filter_bytes(const struct subscriptions *subscriptions, const struct subscription *subscription)
{
	return index_filter_bytes(subscriptions->index, subscription->node);
}

/* What the filters of a session that is keyed take. */
static uint32_t subscriptions_sum_of(const struct subscriptions *subscriptions, struct client_ref client)
{
	return own_table_find(&subscriptions->own, client, OWN_SUM);
}

static void set_sum(struct subscriptions *subscriptions, struct client_ref client, uint32_t bytes)
{
	own_table_set(&subscriptions->own, client, OWN_SUM, bytes);
}

static enum error key_one_more(struct subscriptions *subscriptions, uint32_t index)
{
	const struct subscription *subscription = at(subscriptions, index);
	struct client_ref client = subscription->client;
	enum error error = own_table_add(&subscriptions->own, client, subscription->node, index);
	if (error == ERROR_OK)
		set_sum(subscriptions, client,
			subscriptions_sum_of(subscriptions, client) + filter_bytes(subscriptions, subscription));
	return error;
}

/* The session's first subscription is a new one: from a certain number on all of them are in the table. */
static enum error key_first(struct subscriptions *subscriptions, struct session *session)
{
	struct own_table *own = &subscriptions->own;
	if (session->is_keyed)
		return key_one_more(subscriptions, session->subscription);
	if (session->subscription_count <= OWN_WALK_MAX)
		return ERROR_OK;
	const struct subscription *subscription = at(subscriptions, session->subscription);
	struct client_ref client = subscription->client;
	uint32_t bytes = 0;
	enum error error = ERROR_OK;
	uint32_t i = session->subscription;
	for (; i != 0 && error == ERROR_OK; i = error == ERROR_OK ? subscription->client_next : i) {
		subscription = at(subscriptions, i);
		bytes += filter_bytes(subscriptions, subscription);
		error = own_table_add(own, client, subscription->node, i);
	}
	if (error == ERROR_OK)
		error = own_table_add(own, client, OWN_SUM, bytes);
	if (error == ERROR_OK)
		session->is_keyed = 1;
	else
		unkey(subscriptions, session, i);
	return error;
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

static void client_unlink_unkeyed(struct subscriptions *subscriptions, struct session *session, uint32_t index)
{
	const struct subscription *subscription = at(subscriptions, index);
	if (subscriptions->review == index)
		subscriptions->review = subscription->client_next;
	if (subscription->client_previous != 0)
		at(subscriptions, subscription->client_previous)->client_next = subscription->client_next;
	else
		session->subscription = subscription->client_next;
	if (subscription->client_next != 0)
		at(subscriptions, subscription->client_next)->client_previous = subscription->client_previous;
	if (--session->subscription_count == 0)
		session->is_keyed = 0;
}

static void client_unlink(struct subscriptions *subscriptions, struct session *session, uint32_t index)
{
	const struct subscription *subscription = at(subscriptions, index);
	if (session->is_keyed) {
		struct client_ref client = subscription->client;
		set_sum(subscriptions, client,
			subscriptions_sum_of(subscriptions, client) - filter_bytes(subscriptions, subscription));
		own_table_remove(&subscriptions->own, client, subscription->node);
		if (session->subscription_count == 1) {
			CHECK(subscriptions_sum_of(subscriptions, client) == 0);
			own_table_remove(&subscriptions->own, client, OWN_SUM);
		}
	}
	client_unlink_unkeyed(subscriptions, session, index);
}

/* Whether the session may have one more. */
static bool may_have(const struct subscriptions *subscriptions, const struct session *session, struct client_ref client,
		     uint32_t node)
{
	if (session->subscription_count >= subscriptions->client_max)
		return false;
	if (!session->is_keyed)
		return true;
	uint64_t bytes =
		(uint64_t)subscriptions_sum_of(subscriptions, client) + index_filter_bytes(subscriptions->index, node);
	return bytes <= subscriptions->client_bytes_max;
}

static uint32_t subscription_new(struct subscriptions *subscriptions, const struct session *session,
				 struct client_ref client, uint32_t node)
{
	if (!may_have(subscriptions, session, client, node))
		return 0;
	uint32_t index = pool_take(&subscriptions->pool);
	if (index == 0)
		return 0;
	struct subscription *subscription = at(subscriptions, index);
	subscription->client = client;
	subscription->node = node;
	subscription->options = 0;
	return index;
}

/* Gives the new subscription its places: among the session's, and among the locked node's. Without memory it is gone.
 */
static enum error make_own(struct subscriptions *subscriptions, struct session *session, struct index_slot slot,
			   uint32_t index)
{
	client_link(subscriptions, session, index);
	enum error error = key_first(subscriptions, session);
	if (error == ERROR_OK) {
		error = subscriptions_attach(subscriptions, slot, index);
		if (error == ERROR_OK)
			return ERROR_OK;
		client_unlink(subscriptions, session, index);
	} else {
		client_unlink_unkeyed(subscriptions, session, index);
	}
	at(subscriptions, index)->client = client_ref_none();
	pool_give(&subscriptions->pool, index);
	return error;
}

static struct index_slot find_node(struct subscriptions *subscriptions, struct slice filter, bool create, bool *shared)
{
	struct slice group;
	struct slice rest;
	enum error fault;
	*shared = mqtt_filter_share(filter, &group, &rest, &fault);
	CHECK(!*shared || fault == ERROR_OK);
	if (*shared)
		return index_find_group(subscriptions->index, group, rest, create);
	return index_find(subscriptions->index, filter, create);
}

static void tell_subscribed(const struct subscriptions *subscriptions, struct client_ref client, uint32_t index,
			    const struct subscription_wanted *wanted)
{
	struct journal_subscription told = {
		.filter = wanted->filter,
		.identifier = wanted->identifier,
		.options = wanted->options & SUBSCRIPTION_OPTIONS_ASKED,
	};
	journal_tell(subscriptions->journal)
		->subscribed(subscriptions->journal->context, client, (struct subscription_ref){index}, &told);
}

enum error subscriptions_add(struct subscriptions *subscriptions, struct session *session, struct client_ref client,
			     const struct subscription_wanted *wanted, struct subscription_made *made)
{
	bool shared;
	struct index_slot slot = find_node(subscriptions, wanted->filter, true, &shared);
	enum error error = slot.node == 0 ? ERROR_NO_MEMORY : ERROR_OK;
	uint32_t index = error == ERROR_OK ? find_own(subscriptions, session, client, slot) : 0;
	made->replaced = index != 0;
	if (error == ERROR_OK && index == 0) {
		index = subscription_new(subscriptions, session, client, index_name(slot));
		if (index != 0 && shared)
			at(subscriptions, index)->options = SUBSCRIPTION_SHARED | SUBSCRIPTION_LIVE;
		error = index != 0 ? make_own(subscriptions, session, slot, index) : ERROR_LIMIT;
	}
	if (error == ERROR_OK) {
		struct subscription *subscription = at(subscriptions, index);
		subscription->options = (uint8_t)((subscription->options & ~SUBSCRIPTION_OPTIONS_ASKED) |
						  (wanted->options & SUBSCRIPTION_OPTIONS_ASKED));
		subscription->identifier = wanted->identifier;
		session->has_shared |= shared;
		made->index = index;
	}
	index_leave(slot);
	if (error == ERROR_OK && session->journaled)
		tell_subscribed(subscriptions, client, made->index, wanted);
	return error;
}

uint32_t subscriptions_remove(struct subscriptions *subscriptions, struct session *session, struct client_ref client,
			      struct slice filter)
{
	bool shared;
	struct index_slot slot = find_node(subscriptions, filter, false, &shared);
	uint32_t index = slot.node != 0 ? find_own(subscriptions, session, client, slot) : 0;
	index_leave(slot);
	if (index == 0)
		return 0;
	subscriptions_end(subscriptions, session, index);
	return index;
}

static void set_live(struct subscriptions *subscriptions, uint32_t index, bool live)
{
	struct subscription *subscription = at(subscriptions, index);
	struct index_slot slot = index_enter(subscriptions->index, subscription->node);
	bool listed = (subscription->options & SUBSCRIPTION_LISTED) != 0;
	struct subscriber_list *list = listed ? list_of(subscriptions, slot) : NULL;
	if (subscriptions->cursor == index)
		subscriptions->cursor = subscriptions->cursor_is_last ? index : after(subscription);
	if (listed)
		list_unlink(subscriptions, list, index);
	if (live)
		subscription->options |= SUBSCRIPTION_LIVE;
	else
		subscription->options &= (uint8_t) ~(SUBSCRIPTION_LIVE | SUBSCRIPTION_BUSY);
	if (listed)
		subscriptions_list_push(subscriptions, list, index);
	weigh(subscriptions, slot);
	index_leave(slot);
}

void subscriptions_set_busy(struct subscriptions *subscriptions, uint32_t index, bool busy)
{
	struct subscription *subscription = at(subscriptions, index);
	bool is_busy = (subscription->options & SUBSCRIPTION_BUSY) != 0;
	if (busy == is_busy || (subscription->options & SUBSCRIPTION_LIVE) == 0)
		return;
	subscription->options ^= SUBSCRIPTION_BUSY;
	struct index_slot slot = index_enter(subscriptions->index, subscription->node);
	if ((subscription->options & SUBSCRIPTION_LISTED) != 0) {
		if (busy)
			list_of(subscriptions, slot)->busy++;
		else
			list_of(subscriptions, slot)->busy--;
	}
	weigh(subscriptions, slot);
	index_leave(slot);
}

void subscriptions_unset_live(struct subscriptions *subscriptions, uint32_t index)
{
	set_live(subscriptions, index, false);
}

bool subscriptions_set_live_some(struct subscriptions *subscriptions, const struct session *session, bool live,
				 uint32_t *cursor, uint32_t most)
{
	uint32_t index = *cursor;
	/* Where the one to go on with has ended it begins anew: those that are right already are passed quickly. */
	if (index == 0 || session->subscription == 0 ||
	    !client_ref_equal(at(subscriptions, index)->client, at(subscriptions, session->subscription)->client))
		index = session->subscription;
	for (uint32_t i = 0; i < most && index != 0; i++) {
		const struct subscription *subscription = at(subscriptions, index);
		bool is_live = (subscription->options & SUBSCRIPTION_LIVE) != 0;
		if ((subscription->options & SUBSCRIPTION_SHARED) != 0 && is_live != live)
			set_live(subscriptions, index, live);
		index = subscription->client_next;
	}
	*cursor = index;
	return index != 0;
}

route_bits subscriptions_other_member(const struct subscriptions *subscriptions, uint32_t index, struct routes *turns)
{
	struct index_slot slot = index_enter(subscriptions->index, at(subscriptions, index)->node);
	route_bits route = index_pick_live(slot, turns);
	index_leave(slot);
	return route;
}

void subscriptions_end(struct subscriptions *subscriptions, struct session *session, uint32_t index)
{
	struct client_ref client = at(subscriptions, index)->client;
	client_unlink(subscriptions, session, index);
	end_subscription(subscriptions, index);
	if (session->journaled)
		journal_tell(subscriptions->journal)
			->unsubscribed(subscriptions->journal->context, client, (struct subscription_ref){index});
}

bool subscriptions_clear(struct subscriptions *subscriptions, struct session *session, uint32_t most)
{
	for (uint32_t i = 0; i < most && session->subscription != 0; i++)
		subscriptions_end(subscriptions, session, session->subscription);
	return session->subscription != 0;
}

void subscriptions_review_begin(struct subscriptions *subscriptions, const struct session *session)
{
	subscriptions->review = session->subscription;
}

uint32_t subscriptions_review_next(struct subscriptions *subscriptions)
{
	uint32_t index = subscriptions->review;
	if (index != 0)
		subscriptions->review = at(subscriptions, index)->client_next;
	return index;
}

uint32_t subscriptions_node(const struct subscriptions *subscriptions, uint32_t index)
{
	return at(subscriptions, index)->node;
}

uint32_t subscriptions_index(const struct subscriptions *subscriptions, const struct subscription *subscription)
{
	size_t offset = (size_t)((const uint8_t *)subscription - subscriptions->pool.region.base);
	return (uint32_t)(offset / sizeof(*subscription));
}

const struct subscription *subscriptions_at(const struct subscriptions *subscriptions, uint32_t index)
{
	return at(subscriptions, index);
}

const struct subscription *subscriptions_of_client(const struct subscriptions *subscriptions, uint32_t index,
						   struct client_ref client)
{
	const struct subscription *subscription = index != 0 ? at(subscriptions, index) : NULL;
	return subscription != NULL && client_ref_equal(subscription->client, client) ? subscription : NULL;
}

static bool subscriptions_is_shared(const struct subscriptions *subscriptions, uint32_t index)
{
	return (at(subscriptions, index)->options & SUBSCRIPTION_SHARED) != 0;
}

uint32_t subscriptions_count(const struct subscriptions *subscriptions, route_bits route)
{
	uint32_t index = route_index(route);
	if (route_kind(route) == ROUTE_ONE)
		return at(subscriptions, index)->generation == route_generation(route) ? 1 : 0;
	const struct subscriber_list *list = list_at(subscriptions, index);
	if (list->generation != route_generation(route))
		return 0;
	return subscriptions_is_shared(subscriptions, list->first) ? 1 : list->count;
}

const struct subscription *subscriptions_own(struct subscriptions *subscriptions, const struct session *session,
					     struct client_ref client, route_bits route)
{
	uint32_t index = 0;
	if (subscriptions_count(subscriptions, route) != 0 && route_kind(route) == ROUTE_ONE) {
		index = route_index(route);
	} else if (subscriptions_count(subscriptions, route) != 0) {
		uint32_t first = list_at(subscriptions, route_index(route))->first;
		index = find_by_node(subscriptions, session, client, at(subscriptions, first)->node);
	}
	if (index == 0 || !client_ref_equal(at(subscriptions, index)->client, client) ||
	    subscriptions_is_shared(subscriptions, index))
		return NULL;
	return at(subscriptions, index);
}

/* The member whose turn it is. Connected ones stand in front; behind the last of them the round begins again. */
static uint32_t subscriptions_next_turn(const struct subscriptions *subscriptions, const struct subscriber_list *list,
					uint32_t index)
{
	if (index == 0)
		index = list->first;
	if (list->live != 0 && (at(subscriptions, index)->options & SUBSCRIPTION_LIVE) == 0)
		index = list->first;
	return index;
}

static uint32_t take_turn(const struct subscriptions *subscriptions, struct subscriber_list *list)
{
	uint32_t index = subscriptions_next_turn(subscriptions, list, list->turn);
	/* Past those who are busy, to one who is free; not far, and where all are the turns are as ever. */
	for (uint32_t looks = 0; list->busy != 0 && list->busy < list->live && looks < BUSY_LOOKS; looks++) {
		if ((at(subscriptions, index)->options & SUBSCRIPTION_BUSY) == 0)
			break;
		index = subscriptions_next_turn(subscriptions, list, at(subscriptions, index)->list_next);
	}
	list->turn = at(subscriptions, index)->list_next;
	return index;
}

void subscriptions_walk(struct subscriptions *subscriptions, route_bits route)
{
	subscriptions->cursor = 0;
	subscriptions->cursor_is_last = false;
	if (subscriptions_count(subscriptions, route) == 0)
		return;
	if (route_kind(route) == ROUTE_ONE) {
		subscriptions->cursor = route_index(route);
		return;
	}
	struct subscriber_list *list = list_at(subscriptions, route_index(route));
	subscriptions->cursor_is_last = subscriptions_is_shared(subscriptions, list->first);
	subscriptions->cursor = subscriptions->cursor_is_last ? take_turn(subscriptions, list) : list->first;
}

const struct subscription *subscriptions_next(struct subscriptions *subscriptions)
{
	if (subscriptions->cursor == 0)
		return NULL;
	const struct subscription *subscription = at(subscriptions, subscriptions->cursor);
	subscriptions->cursor = subscriptions->cursor_is_last ? 0 : after(subscription);
	if (subscriptions->cursor != 0)
		__builtin_prefetch(at(subscriptions, subscriptions->cursor));
	return subscription;
}

uint32_t subscriptions_picked(const struct subscriptions *subscriptions)
{
	return subscriptions->cursor_is_last ? subscriptions->cursor : 0;
}
