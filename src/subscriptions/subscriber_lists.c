#include "subscriptions/subscriber_lists.h"
#include "base/layout_root.h"

LAYOUT_ROOT(subscriber_list);

/* Busy members of a shared subscription that one message passes over at most. */
#define BUSY_LOOKS 16u

static struct subscription *member_at(const struct subscriptions *subscriptions, struct subscription_ref ref)
{
	return subscription_at(&subscriptions->pool, ref);
}

static struct subscriber_list *list_at(const struct subscriptions *subscriptions, uint32_t index)
{
	return pool_at(&subscriptions->lists, index);
}

static route_bits route_of_one(const struct subscriptions *subscriptions, struct subscription_ref ref)
{
	const struct subscription *subscription = member_at(subscriptions, ref);
	bool own = subscription->takes_origin && index_is_watched(subscriptions->index);
	return route_make(ROUTE_ONE, subscriptions->shard, subscription->generation, ref.index) | (own ? ROUTE_OWN : 0);
}

/* Whether all members are Roost's own clients, of which there are few: the first that is none answers. */
static bool is_own_list(const struct subscriptions *subscriptions, const struct subscriber_list *list)
{
	struct subscription_ref ref = list->first;
	while (!subscription_ref_is_none(ref) && member_at(subscriptions, ref)->takes_origin)
		ref = member_at(subscriptions, ref)->list_next;
	return subscription_ref_is_none(ref);
}

/* Where the gateway is in a cluster: lets the route of a list that has changed say whether all its members are Roost's
 * own. It replaces the shard's own route, which cannot fail. */
static void mark_own_list(const struct subscriptions *subscriptions, struct index_slot slot)
{
	if (!index_is_watched(subscriptions->index))
		return;
	route_bits route = index_route(slot, subscriptions->shard);
	CHECK_EQ(route_kind(route), ROUTE_LIST);
	if (is_own_list(subscriptions, list_at(subscriptions, route_index(route))) != ((route & ROUTE_OWN) != 0))
		index_set_route(slot, subscriptions->shard, route ^ ROUTE_OWN);
}

/* A member of a shared subscription that is not connected goes to the end, everyone else to the front. */
static void list_push_member(struct subscriptions *subscriptions, struct subscriber_list *list,
			     struct subscription_ref ref)
{
	struct subscription *subscription = member_at(subscriptions, ref);
	bool behind = (subscription->options & (SUBSCRIPTION_SHARED | SUBSCRIPTION_LIVE)) == SUBSCRIPTION_SHARED;
	subscription->options |= SUBSCRIPTION_LISTED;
	subscription->list_next = behind ? subscription_ref_none() : list->first;
	subscription->list_previous = behind ? list->last : subscription_ref_none();
	if (!subscription_ref_is_none(subscription->list_next))
		member_at(subscriptions, subscription->list_next)->list_previous = ref;
	else
		list->last = ref;
	if (!subscription_ref_is_none(subscription->list_previous))
		member_at(subscriptions, subscription->list_previous)->list_next = ref;
	else
		list->first = ref;
	list->count++;
	if ((subscription->options & SUBSCRIPTION_LIVE) != 0)
		list->live++;
	if ((subscription->options & SUBSCRIPTION_BUSY) != 0)
		list->busy++;
}

static void list_unlink(struct subscriptions *subscriptions, struct subscriber_list *list, struct subscription_ref ref)
{
	struct subscription *subscription = member_at(subscriptions, ref);
	CHECK((subscription->options & SUBSCRIPTION_LISTED) != 0 && list->count > 0);
	if (subscription_ref_equal(list->turn, ref))
		list->turn = subscription->list_next;
	if (!subscription_ref_is_none(subscription->list_previous))
		member_at(subscriptions, subscription->list_previous)->list_next = subscription->list_next;
	else
		list->first = subscription->list_next;
	if (!subscription_ref_is_none(subscription->list_next))
		member_at(subscriptions, subscription->list_next)->list_previous = subscription->list_previous;
	else
		list->last = subscription->list_previous;
	list->count--;
	if ((subscription->options & SUBSCRIPTION_LIVE) != 0)
		list->live--;
	if ((subscription->options & SUBSCRIPTION_BUSY) != 0)
		list->busy--;
	subscription->options &= (uint8_t)~SUBSCRIPTION_LISTED;
}

/* The list of the locked node's subscribers on this shard. */
static struct subscriber_list *list_of(const struct subscriptions *subscriptions, struct index_slot slot)
{
	CHECK_EQ(route_kind(index_route(slot, subscriptions->shard)), ROUTE_LIST);
	return list_at(subscriptions, route_index(index_route(slot, subscriptions->shard)));
}

/* A second subscriber of the filter on this shard: the first one's route becomes a list. */
static enum error route_to_list(struct subscriptions *subscriptions, struct index_slot slot,
				struct subscription_ref first, struct subscription_ref second)
{
	uint32_t index = pool_take(&subscriptions->lists);
	if (index == 0)
		return ERROR_LIMIT;
	struct subscriber_list *list = list_at(subscriptions, index);
	*list = (struct subscriber_list){.generation = list->generation};
	list_push_member(subscriptions, list, first);
	list_push_member(subscriptions, list, second);
	/* This replaces the shard's own route, which needs no memory and so cannot fail. */
	bool own = index_is_watched(subscriptions->index) && is_own_list(subscriptions, list);
	return index_set_route(slot, subscriptions->shard,
			       route_make(ROUTE_LIST, subscriptions->shard, list->generation, index) |
				       (own ? ROUTE_OWN : 0));
}

/* Tells the index how many members of a shared subscription are connected here, and how many of these are free. A busy
 * member is connected. */
static void update_members(const struct subscriptions *subscriptions, struct index_slot slot)
{
	route_bits route = index_route(slot, subscriptions->shard);
	struct index_members members = {0};
	if (route_kind(route) == ROUTE_LIST) {
		const struct subscriber_list *list = list_at(subscriptions, route_index(route));
		CHECK(list->busy <= list->live && list->live <= list->count);
		members = (struct index_members){.live = list->live, .free = list->live - list->busy};
	} else if (route_kind(route) == ROUTE_ONE) {
		uint8_t options = member_at(subscriptions, subscription_of_route(route))->options;
		members.live = (options & SUBSCRIPTION_LIVE) != 0;
		members.free = (options & (SUBSCRIPTION_LIVE | SUBSCRIPTION_BUSY)) == SUBSCRIPTION_LIVE;
	}
	index_set_members(slot, subscriptions->shard, members);
}

enum error subscribers_attach(struct subscriptions *subscriptions, struct index_slot slot, struct subscription_ref ref)
{
	route_bits route = index_route(slot, subscriptions->shard);
	enum error error = ERROR_OK;
	if (route_kind(route) == ROUTE_ONE) {
		error = route_to_list(subscriptions, slot, subscription_of_route(route), ref);
	} else if (route_kind(route) == ROUTE_LIST) {
		list_push_member(subscriptions, list_at(subscriptions, route_index(route)), ref);
		mark_own_list(subscriptions, slot);
	} else {
		error = index_set_route(slot, subscriptions->shard, route_of_one(subscriptions, ref));
	}
	if (error == ERROR_OK && (member_at(subscriptions, ref)->options & SUBSCRIPTION_SHARED) != 0)
		update_members(subscriptions, slot);
	return error;
}

static void detach_locked(struct subscriptions *subscriptions, struct index_slot slot, struct subscription_ref ref)
{
	const struct subscription *subscription = member_at(subscriptions, ref);
	if ((subscription->options & SUBSCRIPTION_LISTED) == 0) {
		index_set_route(slot, subscriptions->shard, 0);
		return;
	}
	uint32_t list_index = route_index(index_route(slot, subscriptions->shard));
	struct subscriber_list *list = list_at(subscriptions, list_index);
	list_unlink(subscriptions, list, ref);
	if (list->count == 0) {
		index_set_route(slot, subscriptions->shard, 0);
		list->generation++;
		pool_give(&subscriptions->lists, list_index);
		return;
	}
	mark_own_list(subscriptions, slot);
	if ((subscription->options & SUBSCRIPTION_SHARED) != 0)
		update_members(subscriptions, slot);
}

static struct subscription_ref next_in_list(const struct subscription *subscription)
{
	return (subscription->options & SUBSCRIPTION_LISTED) != 0 ? subscription->list_next : subscription_ref_none();
}

void subscribers_detach(struct subscriptions *subscriptions, struct subscription_ref ref)
{
	const struct subscription *subscription = member_at(subscriptions, ref);
	if (subscription_ref_equal(subscriptions->cursor, ref))
		subscriptions->cursor =
			subscriptions->cursor_is_last ? subscription_ref_none() : next_in_list(subscription);
	struct index_slot slot = index_enter(subscriptions->index, subscription->node);
	detach_locked(subscriptions, slot, ref);
	index_leave(slot);
}

struct subscription_ref subscribers_first(const struct subscriptions *subscriptions, route_bits list)
{
	CHECK(route_kind(list) == ROUTE_LIST);
	return list_at(subscriptions, route_index(list))->first;
}

void subscribers_set_live(struct subscriptions *subscriptions, struct subscription_ref ref, bool live)
{
	struct subscription *subscription = member_at(subscriptions, ref);
	struct index_slot slot = index_enter(subscriptions->index, subscription->node);
	bool listed = (subscription->options & SUBSCRIPTION_LISTED) != 0;
	struct subscriber_list *list = listed ? list_of(subscriptions, slot) : NULL;
	if (subscription_ref_equal(subscriptions->cursor, ref))
		subscriptions->cursor = subscriptions->cursor_is_last ? ref : next_in_list(subscription);
	if (listed)
		list_unlink(subscriptions, list, ref);
	if (live)
		subscription->options |= SUBSCRIPTION_LIVE;
	else
		subscription->options &= (uint8_t) ~(SUBSCRIPTION_LIVE | SUBSCRIPTION_BUSY);
	if (listed)
		list_push_member(subscriptions, list, ref);
	update_members(subscriptions, slot);
	index_leave(slot);
}

void subscriptions_set_busy(struct subscriptions *subscriptions, struct subscription_ref ref, bool busy)
{
	struct subscription *subscription = member_at(subscriptions, ref);
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
	update_members(subscriptions, slot);
	index_leave(slot);
}

void subscriptions_unset_live(struct subscriptions *subscriptions, struct subscription_ref ref)
{
	subscribers_set_live(subscriptions, ref, false);
}

static bool is_shared_list(const struct subscriptions *subscriptions, struct subscription_ref ref)
{
	return (member_at(subscriptions, ref)->options & SUBSCRIPTION_SHARED) != 0;
}

uint32_t subscriptions_count(const struct subscriptions *subscriptions, route_bits route)
{
	if (route_kind(route) == ROUTE_ONE)
		return member_at(subscriptions, subscription_of_route(route))->generation == route_generation(route)
			       ? 1
			       : 0;
	const struct subscriber_list *list = list_at(subscriptions, route_index(route));
	if (list->generation != route_generation(route))
		return 0;
	return is_shared_list(subscriptions, list->first) ? 1 : list->count;
}

/* The member whose turn it is, from `ref` on. Connected ones are at the front; after the last it is the first again. */
static struct subscription_ref next_turn_of(const struct subscriptions *subscriptions,
					    const struct subscriber_list *list, struct subscription_ref ref)
{
	if (subscription_ref_is_none(ref))
		ref = list->first;
	if (list->live != 0 && (member_at(subscriptions, ref)->options & SUBSCRIPTION_LIVE) == 0)
		ref = list->first;
	return ref;
}

static struct subscription_ref take_turn(const struct subscriptions *subscriptions, struct subscriber_list *list)
{
	struct subscription_ref ref = next_turn_of(subscriptions, list, list->turn);
	/* Passes over a few busy members to a free one. If all are busy, the turns do not change. */
	for (uint32_t looks = 0; list->busy != 0 && list->busy < list->live && looks < BUSY_LOOKS; looks++) {
		if ((member_at(subscriptions, ref)->options & SUBSCRIPTION_BUSY) == 0)
			break;
		ref = next_turn_of(subscriptions, list, member_at(subscriptions, ref)->list_next);
	}
	list->turn = member_at(subscriptions, ref)->list_next;
	return ref;
}

void subscriptions_walk(struct subscriptions *subscriptions, route_bits route)
{
	subscriptions->cursor = subscription_ref_none();
	subscriptions->cursor_is_last = false;
	if (subscriptions_count(subscriptions, route) == 0)
		return;
	if (route_kind(route) == ROUTE_ONE) {
		subscriptions->cursor = subscription_of_route(route);
		return;
	}
	struct subscriber_list *list = list_at(subscriptions, route_index(route));
	subscriptions->cursor_is_last = is_shared_list(subscriptions, list->first);
	subscriptions->cursor = subscriptions->cursor_is_last ? take_turn(subscriptions, list) : list->first;
}

const struct subscription *subscriptions_next(struct subscriptions *subscriptions)
{
	if (subscription_ref_is_none(subscriptions->cursor))
		return NULL;
	const struct subscription *subscription = member_at(subscriptions, subscriptions->cursor);
	subscriptions->cursor = subscriptions->cursor_is_last ? subscription_ref_none() : next_in_list(subscription);
	if (!subscription_ref_is_none(subscriptions->cursor))
		__builtin_prefetch(member_at(subscriptions, subscriptions->cursor));
	return subscription;
}

struct subscription_ref subscriptions_picked(const struct subscriptions *subscriptions)
{
	return subscriptions->cursor_is_last ? subscriptions->cursor : subscription_ref_none();
}
