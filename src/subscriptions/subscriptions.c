#include "subscriptions/subscriptions.h"
#include "base/layout_root.h"

#include "memory/notes.h"
#include "mqtt/field/topic.h"
#include "subscriptions/subscriber_lists.h"

LAYOUT_ROOT(subscription);

#define REVIEW_NOTE "subscriptions review"

enum error subscriptions_open(struct subscriptions *subscriptions, struct arena *arena, struct index *index,
			      uint16_t shard, uint32_t limit)
{
	CHECK_LT(shard, INDEX_SHARDS_MAX);
	*subscriptions = (struct subscriptions){
		.index = index, .client_max = UINT32_MAX, .client_bytes_max = UINT32_MAX, .shard = shard};
	enum error error =
		pool_open_in(&subscriptions->pool, arena, "subscriptions", sizeof(struct subscription), limit);
	if (error == ERROR_OK)
		error = pool_open_in(&subscriptions->lists, arena, "lists", sizeof(struct subscriber_list), limit);
	if (error == ERROR_OK)
		error = own_table_open(&subscriptions->own, arena, limit + limit / OWN_WALK_MAX);
	if (error == ERROR_OK && arena_is_adopted(arena) &&
	    (!arena_get_exact(arena, REVIEW_NOTE, &subscriptions->review, sizeof(subscriptions->review)) ||
	     subscriptions->review.index > subscriptions->pool.touched))
		error = ERROR_NOT_FOUND;
	return error;
}

enum error subscriptions_save(const struct subscriptions *subscriptions, const struct arena *arena)
{
	enum error error = arena_put(arena, REVIEW_NOTE, &subscriptions->review, sizeof(subscriptions->review));
	if (error == ERROR_OK)
		error = pool_save(&subscriptions->pool, arena);
	if (error == ERROR_OK)
		error = pool_save(&subscriptions->lists, arena);
	return error == ERROR_OK ? own_table_save(&subscriptions->own, arena) : error;
}

void subscriptions_close(struct subscriptions *subscriptions)
{
	pool_close(&subscriptions->pool);
	pool_close(&subscriptions->lists);
	own_table_close(&subscriptions->own);
}

static struct subscription *at(const struct subscriptions *subscriptions, struct subscription_ref ref)
{
	return subscription_at(&subscriptions->pool, ref);
}

/* Removes the subscription from the index and frees it. The caller has unlinked it from its client's list. */
static void end_subscription(struct subscriptions *subscriptions, struct subscription_ref ref)
{
	struct subscription *subscription = at(subscriptions, ref);
	CHECK(!client_ref_is_none(subscription->client)); /* it has not ended before */
	subscribers_detach(subscriptions, ref);
	subscription->generation++;
	subscription->client = client_ref_none();
	subscription_give(&subscriptions->pool, ref);
}

/* The client's own subscription to the node, or none. Takes a few steps, however many subscriptions the client has. */
static struct subscription_ref find_by_node(struct subscriptions *subscriptions, const struct session *session,
					    struct client_ref client, uint32_t node)
{
	subscriptions->looks++;
	if (session->is_keyed)
		return (struct subscription_ref){own_table_find(&subscriptions->own, client, node)};
	struct subscription_ref ref = session->subscription;
	for (; !subscription_ref_is_none(ref) && at(subscriptions, ref)->node != node; subscriptions->looks++)
		ref = at(subscriptions, ref)->client_next;
	return ref;
}

/* The same for a locked node. Does not walk the filter's subscribers. */
static struct subscription_ref find_own(struct subscriptions *subscriptions, const struct session *session,
					struct client_ref client, struct index_slot slot)
{
	route_bits route = index_route(slot, subscriptions->shard);
	if (route_kind(route) == ROUTE_NONE)
		return subscription_ref_none();
	if (route_kind(route) == ROUTE_ONE)
		return client_ref_equal(at(subscriptions, subscription_of_route(route))->client, client)
			       ? subscription_of_route(route)
			       : subscription_ref_none();
	return find_by_node(subscriptions, session, client, index_name(slot));
}

/* Removes the session's subscriptions in front of `end` from the table. */
static void unkey(struct subscriptions *subscriptions, struct session *session, struct subscription_ref end)
{
	for (struct subscription_ref i = session->subscription; !subscription_ref_equal(i, end);
	     i = at(subscriptions, i)->client_next)
		own_table_remove(&subscriptions->own, at(subscriptions, i)->client, at(subscriptions, i)->node);
	session->is_keyed = 0;
}

static uint32_t filter_bytes(const struct subscriptions *subscriptions, const struct subscription *subscription)
{
	return index_filter_bytes(subscriptions->index, subscription->node);
}

/* The bytes that the filters of a keyed session take. */
static uint32_t subscriptions_sum_of(const struct subscriptions *subscriptions, struct client_ref client)
{
	return own_table_find(&subscriptions->own, client, OWN_SUM);
}

static void set_sum(struct subscriptions *subscriptions, struct client_ref client, uint32_t bytes)
{
	own_table_set(&subscriptions->own, client, OWN_SUM, bytes);
}

static enum error key_one_more(struct subscriptions *subscriptions, struct subscription_ref ref)
{
	const struct subscription *subscription = at(subscriptions, ref);
	struct client_ref client = subscription->client;
	enum error error = own_table_add(&subscriptions->own, client, subscription->node, ref.index);
	if (error == ERROR_OK)
		set_sum(subscriptions, client,
			subscriptions_sum_of(subscriptions, client) + filter_bytes(subscriptions, subscription));
	return error;
}

/* The session's first subscription is new. From OWN_WALK_MAX on, this moves all of them into the table. */
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
	struct subscription_ref i = session->subscription;
	for (; !subscription_ref_is_none(i) && error == ERROR_OK;
	     i = error == ERROR_OK ? subscription->client_next : i) {
		subscription = at(subscriptions, i);
		bytes += filter_bytes(subscriptions, subscription);
		error = own_table_add(own, client, subscription->node, i.index);
	}
	if (error == ERROR_OK)
		error = own_table_add(own, client, OWN_SUM, bytes);
	if (error == ERROR_OK)
		session->is_keyed = 1;
	else
		unkey(subscriptions, session, i);
	return error;
}

static void client_link(struct subscriptions *subscriptions, struct session *session, struct subscription_ref ref)
{
	struct subscription *subscription = at(subscriptions, ref);
	CHECK_EQ(session->subscription_count == 0, subscription_ref_is_none(session->subscription));
	subscription->client_next = session->subscription;
	subscription->client_previous = subscription_ref_none();
	if (!subscription_ref_is_none(session->subscription))
		at(subscriptions, session->subscription)->client_previous = ref;
	session->subscription = ref;
	session->subscription_count++;
}

static void client_unlink_unkeyed(struct subscriptions *subscriptions, struct session *session,
				  struct subscription_ref ref)
{
	const struct subscription *subscription = at(subscriptions, ref);
	CHECK_GT(session->subscription_count, 0u);
	if (subscription_ref_equal(subscriptions->review, ref))
		subscriptions->review = subscription->client_next;
	if (!subscription_ref_is_none(subscription->client_previous))
		at(subscriptions, subscription->client_previous)->client_next = subscription->client_next;
	else
		session->subscription = subscription->client_next;
	if (!subscription_ref_is_none(subscription->client_next))
		at(subscriptions, subscription->client_next)->client_previous = subscription->client_previous;
	if (--session->subscription_count == 0)
		session->is_keyed = 0;
}

static void client_unlink(struct subscriptions *subscriptions, struct session *session, struct subscription_ref ref)
{
	const struct subscription *subscription = at(subscriptions, ref);
	if (session->is_keyed) {
		struct client_ref client = subscription->client;
		CHECK_GE(subscriptions_sum_of(subscriptions, client), filter_bytes(subscriptions, subscription));
		set_sum(subscriptions, client,
			subscriptions_sum_of(subscriptions, client) - filter_bytes(subscriptions, subscription));
		own_table_remove(&subscriptions->own, client, subscription->node);
		if (session->subscription_count == 1) {
			CHECK_EQ(subscriptions_sum_of(subscriptions, client), 0u);
			own_table_remove(&subscriptions->own, client, OWN_SUM);
		}
	}
	client_unlink_unkeyed(subscriptions, session, ref);
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

static struct subscription_ref subscription_new(struct subscriptions *subscriptions, const struct session *session,
						struct client_ref client, uint32_t node)
{
	if (!may_have(subscriptions, session, client, node))
		return subscription_ref_none();
	struct subscription_ref ref = subscription_take(&subscriptions->pool);
	if (subscription_ref_is_none(ref))
		return ref;
	struct subscription *subscription = at(subscriptions, ref);
	subscription->client = client;
	subscription->node = node;
	subscription->options = 0;
	return ref;
}

/* Links a new subscription into the session's list and the locked node's. Frees it if that fails. */
static enum error link_new(struct subscriptions *subscriptions, struct session *session, struct index_slot slot,
			   struct subscription_ref ref)
{
	client_link(subscriptions, session, ref);
	enum error error = key_first(subscriptions, session);
	if (error == ERROR_OK) {
		error = subscribers_attach(subscriptions, slot, ref);
		if (error == ERROR_OK)
			return ERROR_OK;
		client_unlink(subscriptions, session, ref);
	} else {
		client_unlink_unkeyed(subscriptions, session, ref);
	}
	at(subscriptions, ref)->client = client_ref_none();
	subscription_give(&subscriptions->pool, ref);
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

static void tell_subscribed(const struct subscriptions *subscriptions, struct client_ref client,
			    struct subscription_ref ref, const struct subscription_wanted *wanted)
{
	struct journal_subscription told = {
		.filter = wanted->filter,
		.identifier = wanted->identifier,
		.options = wanted->options & SUBSCRIPTION_OPTIONS_ASKED,
	};
	journal_tell(subscriptions->journal)->subscribed(subscriptions->journal->context, client, ref, &told);
}

void subscriptions_tell(const struct subscriptions *subscriptions, struct subscription_ref ref, struct slice filter)
{
	const struct subscription *subscription = at(subscriptions, ref);
	struct subscription_wanted told = {
		.filter = filter, .identifier = subscription->identifier, .options = subscription->options};
	tell_subscribed(subscriptions, subscription->client, ref, &told);
}

enum error subscriptions_add(struct subscriptions *subscriptions, struct session *session, struct client_ref client,
			     const struct subscription_wanted *wanted, struct subscription_made *made)
{
	bool shared;
	struct index_slot slot = find_node(subscriptions, wanted->filter, true, &shared);
	enum error error = slot.node == 0 ? ERROR_NO_MEMORY : ERROR_OK;
	struct subscription_ref ref =
		error == ERROR_OK ? find_own(subscriptions, session, client, slot) : subscription_ref_none();
	made->replaced = !subscription_ref_is_none(ref);
	if (error == ERROR_OK && subscription_ref_is_none(ref)) {
		ref = subscription_new(subscriptions, session, client, index_name(slot));
		if (!subscription_ref_is_none(ref))
			at(subscriptions, ref)->takes_origin = wanted->takes_origin;
		if (!subscription_ref_is_none(ref) && shared)
			at(subscriptions, ref)->options = SUBSCRIPTION_SHARED | SUBSCRIPTION_LIVE;
		error = !subscription_ref_is_none(ref) ? link_new(subscriptions, session, slot, ref) : ERROR_LIMIT;
	}
	if (error == ERROR_OK) {
		struct subscription *subscription = at(subscriptions, ref);
		subscription->options = (uint8_t)((subscription->options & ~SUBSCRIPTION_OPTIONS_ASKED) |
						  (wanted->options & SUBSCRIPTION_OPTIONS_ASKED));
		subscription->identifier = wanted->identifier;
		session->has_shared |= shared;
		made->ref = ref;
	}
	index_leave(slot);
	if (error == ERROR_OK && session->journaled)
		tell_subscribed(subscriptions, client, made->ref, wanted);
	return error;
}

struct subscription_ref subscriptions_remove(struct subscriptions *subscriptions, struct session *session,
					     struct client_ref client, struct slice filter)
{
	bool shared;
	struct index_slot slot = find_node(subscriptions, filter, false, &shared);
	struct subscription_ref ref =
		slot.node != 0 ? find_own(subscriptions, session, client, slot) : subscription_ref_none();
	index_leave(slot);
	if (!subscription_ref_is_none(ref))
		subscriptions_end(subscriptions, session, ref);
	return ref;
}

bool subscriptions_set_live_some(struct subscriptions *subscriptions, const struct session *session, bool live,
				 struct subscription_ref *cursor, uint32_t most)
{
	struct subscription_ref ref = *cursor;
	/* If the one at the cursor has ended, this begins again, and passes quickly over those that are right already.
	 */
	if (subscription_ref_is_none(ref) || subscription_ref_is_none(session->subscription) ||
	    !client_ref_equal(at(subscriptions, ref)->client, at(subscriptions, session->subscription)->client))
		ref = session->subscription;
	for (uint32_t i = 0; i < most && !subscription_ref_is_none(ref); i++) {
		const struct subscription *subscription = at(subscriptions, ref);
		bool is_live = (subscription->options & SUBSCRIPTION_LIVE) != 0;
		if ((subscription->options & SUBSCRIPTION_SHARED) != 0 && is_live != live)
			subscribers_set_live(subscriptions, ref, live);
		ref = subscription->client_next;
	}
	*cursor = ref;
	return !subscription_ref_is_none(ref);
}

route_bits subscriptions_other_member(const struct subscriptions *subscriptions, struct subscription_ref ref,
				      struct routes *turns)
{
	struct index_slot slot = index_enter(subscriptions->index, at(subscriptions, ref)->node);
	route_bits route = index_pick_live(slot, turns);
	index_leave(slot);
	return route;
}

void subscriptions_end(struct subscriptions *subscriptions, struct session *session, struct subscription_ref ref)
{
	struct client_ref client = at(subscriptions, ref)->client;
	client_unlink(subscriptions, session, ref);
	end_subscription(subscriptions, ref);
	if (session->journaled)
		journal_tell(subscriptions->journal)->unsubscribed(subscriptions->journal->context, client, ref);
}

bool subscriptions_clear(struct subscriptions *subscriptions, struct session *session, uint32_t most)
{
	for (uint32_t i = 0; i < most && !subscription_ref_is_none(session->subscription); i++)
		subscriptions_end(subscriptions, session, session->subscription);
	return !subscription_ref_is_none(session->subscription);
}

void subscriptions_review_begin(struct subscriptions *subscriptions, const struct session *session)
{
	subscriptions->review = session->subscription;
}

struct subscription_ref subscriptions_review_next(struct subscriptions *subscriptions)
{
	struct subscription_ref ref = subscriptions->review;
	if (!subscription_ref_is_none(ref))
		subscriptions->review = at(subscriptions, ref)->client_next;
	return ref;
}

uint32_t subscriptions_node(const struct subscriptions *subscriptions, struct subscription_ref ref)
{
	return at(subscriptions, ref)->node;
}

struct subscription_ref subscriptions_ref(const struct subscriptions *subscriptions,
					  const struct subscription *subscription)
{
	size_t offset = (size_t)((const uint8_t *)subscription - subscriptions->pool.region.base);
	return (struct subscription_ref){(uint32_t)(offset / sizeof(*subscription))};
}

const struct subscription *subscriptions_at(const struct subscriptions *subscriptions, struct subscription_ref ref)
{
	return at(subscriptions, ref);
}

const struct subscription *subscriptions_of_client(const struct subscriptions *subscriptions,
						   struct subscription_ref ref, struct client_ref client)
{
	const struct subscription *subscription = !subscription_ref_is_none(ref) ? at(subscriptions, ref) : NULL;
	return subscription != NULL && client_ref_equal(subscription->client, client) ? subscription : NULL;
}

const struct subscription *subscriptions_own(struct subscriptions *subscriptions, const struct session *session,
					     struct client_ref client, route_bits route)
{
	struct subscription_ref ref = subscription_ref_none();
	if (subscriptions_count(subscriptions, route) != 0 && route_kind(route) == ROUTE_ONE) {
		ref = subscription_of_route(route);
	} else if (subscriptions_count(subscriptions, route) != 0) {
		struct subscription_ref first = subscribers_first(subscriptions, route);
		ref = find_by_node(subscriptions, session, client, at(subscriptions, first)->node);
	}
	if (subscription_ref_is_none(ref) || !client_ref_equal(at(subscriptions, ref)->client, client) ||
	    (at(subscriptions, ref)->options & SUBSCRIPTION_SHARED) != 0)
		return NULL;
	return at(subscriptions, ref);
}
