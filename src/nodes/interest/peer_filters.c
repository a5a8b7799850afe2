#include "nodes/interest/peer_filters.h"

#include "base/check.h"
#include "cluster/wire/wire.h"
#include "mqtt/field/topic.h"
#include "nodes/interest/interest_kinds.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS_MIN 32u

void peer_filters_init(struct peer_filters *peer, uint8_t slot, struct index *index, struct node_filters *filters,
		       uint16_t shard_count)
{
	CHECK_LT(slot, NODES_MAX);
	*peer = (struct peer_filters){.index = index, .filters = filters, .shard_count = shard_count, .slot = slot};
}

static struct digest *digest_of(const struct peer_filters *peer)
{
	return &peer->filters->digests[peer->slot];
}

/* Says to shards what may be asked of the peer. */
static void publish(const struct peer_filters *peer, bool is_whole)
{
	const struct digest *digest = digest_of(peer);
	node_filters_set(&peer->filters->has_digest, peer->slot, digest_count(digest) != 0 || digest_is_broken(digest));
	node_filters_set(&peer->filters->unknown, peer->slot, !is_whole || peer->is_all);
}

/* ---- filters with wildcards and shared subscriptions ---- */

static void enter(const struct peer_filters *peer, struct index_slot slot, const struct peer_filter *filter,
		  enum error *error)
{
	if (filter->kind == INDEX_WILDCARD) {
		*error = index_set_peer(slot, peer->slot, true);
		return;
	}
	struct index_members members = peer->is_away ? (struct index_members){0} : filter->members;
	route_bits route =
		route_make(ROUTE_ONE, (uint16_t)(peer->shard_count + peer->slot), filter->generation, filter->name);
	*error = index_set_peer_group(slot, peer->slot, route, members);
}

static void withdraw(const struct peer_filters *peer, const struct peer_filter *filter)
{
	struct index_slot slot = index_enter(peer->index, filter->node);
	if (filter->kind == INDEX_WILDCARD)
		index_set_peer(slot, peer->slot, false);
	else
		index_set_peer_group(slot, peer->slot, 0, (struct index_members){0});
	index_leave(slot);
}

static void peer_filters_remove_at(struct peer_filters *peer, uint32_t at)
{
	withdraw(peer, &peer->items[at]);
	name_table_remove(&peer->places, peer->items[at].name);
	name_table_remove(&peer->by_node, peer->items[at].node);
	uint32_t last = --peer->count;
	if (at == last)
		return;
	peer->items[at] = peer->items[last];
	*name_table_find(&peer->places, peer->items[at].name) = at;
	*name_table_find(&peer->by_node, peer->items[at].node) = at;
}

void peer_filters_fini(struct peer_filters *peer)
{
	while (peer->count != 0)
		peer_filters_remove_at(peer, peer->count - 1);
	digest_clear(digest_of(peer));
	peer->is_all = false;
	publish(peer, true);
	free(peer->items);
	name_table_fini(&peer->places);
	name_table_fini(&peer->by_node);
}

static bool peer_filters_grow(struct peer_filters *peer)
{
	if (peer->count >= INTEREST_OTHERS_MAX)
		return false;
	if (peer->count < peer->capacity)
		return true;
	uint32_t capacity = peer->capacity == 0 ? ITEMS_MIN : peer->capacity * 2;
	struct peer_filter *items = realloc(peer->items, capacity * sizeof(*items));
	if (items == NULL)
		return false;
	peer->items = items;
	peer->capacity = capacity;
	return true;
}

/* The filter's place in the index, locked and made. Node 0: no memory. */
static struct index_slot peer_filters_find_place(const struct peer_filters *peer, uint8_t kind, struct slice text)
{
	struct slice group;
	struct slice rest;
	enum error fault;
	if (kind == INDEX_WILDCARD)
		return index_find(peer->index, text, true);
	mqtt_filter_share(text, &group, &rest, &fault);
	return index_find_group(peer->index, group, rest, true);
}

/* Both tables name the place. False: no memory, and neither does. */
static bool name_place(struct peer_filters *peer, const struct peer_filter *filter, uint32_t at)
{
	if (!name_table_set(&peer->places, filter->name, at))
		return false;
	if (name_table_set(&peer->by_node, filter->node, at))
		return true;
	name_table_remove(&peer->places, filter->name);
	return false;
}

/* The peer has told of this filter under another name: another run of it has, or it ended there and began again. */
static bool rename_place(struct peer_filters *peer, const struct peer_filter *filter, uint32_t at)
{
	if (!name_table_set(&peer->places, filter->name, at))
		return false;
	name_table_remove(&peer->places, peer->items[at].name);
	peer->items[at] = *filter;
	return true;
}

/* The filter is in the index: notes where. */
static bool note(struct peer_filters *peer, const struct peer_filter *filter)
{
	const uint32_t *place = name_table_find(&peer->by_node, filter->node);
	if (place != NULL)
		return rename_place(peer, filter, *place);
	if (!name_place(peer, filter, peer->count)) {
		withdraw(peer, filter);
		return false;
	}
	peer->items[peer->count++] = *filter;
	return true;
}

/* What cannot be entered makes the peer one that wants everything. */
static void add(struct peer_filters *peer, struct peer_filter *filter, struct slice text)
{
	bool has_room = peer_filters_grow(peer);
	struct index_slot slot = peer_filters_find_place(peer, filter->kind, text);
	enum error error = slot.node != 0 && has_room ? ERROR_OK : ERROR_NO_MEMORY;
	if (error == ERROR_OK) {
		filter->node = index_name(slot);
		enter(peer, slot, filter, &error);
	}
	index_leave(slot);
	if (error == ERROR_OK && note(peer, filter))
		return;
	peer->is_all = true;
	node_filters_set(&peer->filters->unknown, peer->slot, true);
}

/* Whether the text is a filter of that kind. */
static bool peer_filters_is_sound(uint8_t kind, struct slice text)
{
	struct slice group;
	struct slice rest;
	enum error fault = ERROR_OK;
	if (kind != INDEX_WILDCARD && kind != INDEX_GROUP)
		return false;
	if (text.size > UINT16_MAX || mqtt_filter_check_whole(text) != ERROR_OK)
		return false;
	bool is_shared = mqtt_filter_share(text, &group, &rest, &fault);
	if (kind == INDEX_GROUP)
		return is_shared && fault == ERROR_OK;
	return !is_shared && mqtt_filter_has_wildcard(text);
}

bool peer_filters_other(struct peer_filters *peer, struct slice body)
{
	struct wire_reader reader = wire_read(body);
	struct peer_filter filter = {.round = peer->round};
	filter.name = wire_get_u32(&reader);
	filter.generation = wire_get_u16(&reader);
	filter.kind = wire_get_u8(&reader);
	filter.members.live = wire_get_u16(&reader);
	filter.members.free = wire_get_u16(&reader);
	if (reader.failed || filter.name == 0 || filter.members.free > filter.members.live ||
	    !peer_filters_is_sound(filter.kind, reader.rest))
		return false;
	const uint32_t *place = name_table_find(&peer->places, filter.name);
	if (place != NULL)
		peer_filters_remove_at(peer, *place); /* the name may have another filter now */
	add(peer, &filter, reader.rest);
	return true;
}

bool peer_filters_other_ends(struct peer_filters *peer, struct slice body)
{
	struct wire_reader reader = wire_read(body);
	uint32_t name = wire_get_u32(&reader);
	if (!wire_is_done(&reader) || name == 0)
		return false;
	const uint32_t *place = name_table_find(&peer->places, name);
	if (place != NULL) /* else it was one of too many */
		peer_filters_remove_at(peer, *place);
	return true;
}

static void set_members(const struct peer_filters *peer, const struct peer_filter *filter)
{
	struct index_slot slot = index_enter(peer->index, filter->node);
	index_set_peer_members(slot, peer->slot, peer->is_away ? (struct index_members){0} : filter->members);
	index_leave(slot);
}

bool peer_filters_members(struct peer_filters *peer, struct slice body)
{
	struct wire_reader reader = wire_read(body);
	while (!reader.failed && reader.rest.size != 0) {
		uint32_t name = wire_get_u32(&reader);
		struct index_members members = {.live = wire_get_u16(&reader)};
		members.free = wire_get_u16(&reader);
		const uint32_t *place = name != 0 ? name_table_find(&peer->places, name) : NULL;
		if (reader.failed || place == NULL || peer->items[*place].kind != INDEX_GROUP ||
		    members.free > members.live)
			continue;
		peer->items[*place].members = members;
		set_members(peer, &peer->items[*place]);
	}
	return !reader.failed;
}

void peer_filters_set_away(struct peer_filters *peer, bool is_away)
{
	peer->is_away = is_away;
	for (uint32_t i = 0; i < peer->count; i++) {
		if (peer->items[i].kind == INDEX_GROUP)
			set_members(peer, &peer->items[i]);
	}
}

route_bits peer_filters_pick_other(const struct peer_filters *peer, uint32_t name, uint16_t generation,
				   struct routes *turns)
{
	const uint32_t *place = name_table_find(&peer->places, name);
	if (place == NULL || peer->items[*place].generation != generation || peer->items[*place].kind != INDEX_GROUP)
		return 0;
	struct index_slot slot = index_enter(peer->index, peer->items[*place].node);
	route_bits route = index_pick(slot, turns);
	index_leave(slot);
	return route_shard(route) != peer->shard_count + peer->slot ? route : 0;
}

/* ---- exact filters ---- */

static bool read_fingerprints(struct slice bytes, uint32_t **list, uint32_t *count)
{
	*count = (uint32_t)(bytes.size / sizeof(uint32_t));
	*list = bytes.size % sizeof(uint32_t) == 0 ? malloc(bytes.size + 1) : NULL;
	struct wire_reader reader = wire_read(bytes);
	for (uint32_t i = 0; *list != NULL && i < *count; i++)
		(*list)[i] = wire_get_u32(&reader);
	return *list != NULL;
}

/* In order, and all of the range. */
static bool is_of_range(const uint32_t *list, uint32_t count, uint32_t range)
{
	for (uint32_t i = 0; i < count; i++) {
		if (digest_range_of(list[i]) != range || (i != 0 && list[i] < list[i - 1]))
			return false;
	}
	return true;
}

bool peer_filters_range(struct peer_filters *peer, struct slice body)
{
	struct wire_reader reader = wire_read(body);
	uint32_t range = wire_get_u8(&reader);
	uint32_t *list;
	uint32_t count;
	if (reader.failed || !read_fingerprints(reader.rest, &list, &count))
		return false;
	bool is_good = is_of_range(list, count, range);
	if (is_good)
		digest_replace(digest_of(peer), range, list, count);
	free(list);
	node_filters_set(&peer->filters->has_digest, peer->slot, true);
	return is_good;
}

bool peer_filters_exact(struct peer_filters *peer, struct slice body)
{
	struct wire_reader reader = wire_read(body);
	uint32_t begins = wire_get_u32(&reader);
	uint32_t all = (uint32_t)(reader.rest.size / sizeof(uint32_t));
	if (reader.failed || reader.rest.size % sizeof(uint32_t) != 0 || begins > all)
		return false;
	/* Shards look at the bit first: it has to be there before the first one. */
	node_filters_set(&peer->filters->has_digest, peer->slot, true);
	for (uint32_t i = 0; i < all; i++) {
		uint32_t fingerprint = wire_get_u32(&reader);
		if (i < begins)
			digest_add(digest_of(peer), fingerprint);
		else
			digest_remove(digest_of(peer), fingerprint);
	}
	return true;
}

bool peer_filters_sums(const struct peer_filters *peer, struct slice body, uint8_t ranges[DIGEST_RANGES],
		       uint32_t *count)
{
	struct wire_reader reader = wire_read(body);
	const struct digest *digest = digest_of(peer);
	*count = 0;
	if (body.size != DIGEST_RANGES * sizeof(uint32_t))
		return false;
	for (uint32_t range = 0; range < DIGEST_RANGES; range++) {
		if (wire_get_u32(&reader) != digest->sums[range] && !digest_is_broken(digest))
			ranges[(*count)++] = (uint8_t)range;
	}
	return true;
}

/* ---- telling all ---- */

void peer_filters_begin(struct peer_filters *peer)
{
	if (++peer->round == 0)
		peer->round = 1;
	if (digest_is_broken(digest_of(peer)))
		digest_clear(digest_of(peer));
	peer->is_all = false;
	publish(peer, false);
}

bool peer_filters_end(struct peer_filters *peer, struct slice body)
{
	struct wire_reader reader = wire_read(body);
	bool is_all = wire_get_u8(&reader) != 0;
	if (!wire_is_done(&reader))
		return false;
	peer->is_all |= is_all;
	for (uint32_t at = peer->count; at-- != 0;) {
		if (peer->items[at].round != peer->round)
			peer_filters_remove_at(peer, at);
	}
	publish(peer, true);
	return true;
}
