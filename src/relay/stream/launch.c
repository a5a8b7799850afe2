#include "relay/stream/launch.h"

#include "base/check.h"
#include "base/error.h"

#include <stdio.h>

/* How long entries wait that have no server to go to now, before it is looked for again; many cost more to look at. */
#define HELD_MS 5u
#define HELD_MANY_MS 20u
#define HELD_MANY 1024u
#define HELD_TOLD_MS 1000u

static void launch_whole(struct redis_side *side, struct lane *lane, uint64_t now_ms)
{
	struct flight *flight = lane_flight(lane, 0);
	if (flight != NULL && lane_load(lane, flight)) {
		redis_node_launch(side->nodes[0], flight, now_ms);
		return;
	}
	lane_note(lane, error_sentence(ERROR_NO_MEMORY), now_ms);
	if (flight != NULL)
		pause_begin(&flight->pause, now_ms);
}

/* ---- in a cluster ---- */

/* Slots of which entries are at Redis: what follows them to another node would overtake them. */
static void list_busy_slots(const struct lane *lane, uint8_t busy[REDIS_SLOTS / 8])
{
	memset(busy, 0, REDIS_SLOTS / 8);
	for (uint32_t i = 0; i < lane->flight_end; i++) {
		const struct flight *flight = lane->flights[i];
		for (uint32_t j = 0; flight != NULL && flight->batch.count != 0 && j < flight->parcel_count; j++)
			busy[flight->parcels[j].slot / 8] |= (uint8_t)(1u << flight->parcels[j].slot % 8);
	}
}

/* The node that a group goes to. REDIS_NO_NODE: there is none. One that it was asked to go to and that cannot be
 * reached is not waited for: that of its slot says what is true now. */
static uint16_t route_group(const struct redis_side *side, const struct lane *lane, const struct entry_group *group,
			    bool *asking)
{
	uint16_t asked = lane->pool.entries[group->sample].asked;
	const struct redis_node *there = asked != BATCH_NOT_ASKED ? side->nodes[asked] : NULL;
	*asking = there != NULL && (there->connected || there->fault[0] == '\0');
	if (*asking)
		return asked;
	uint16_t node = side->slots->node_of[group->slot];
	return node != REDIS_NO_NODE ? side->number_of[node] : (uint16_t)REDIS_NO_NODE;
}

/* What holds up some of a lane's entries. */
struct held {
	uint32_t entries;
	const struct redis_node *node; /* that is not there; NULL: none is known for a slot, where is_uncovered */
	bool is_uncovered;
};

/* Moves a group from the pool to the flight of its node, if that is there and nothing of the lane is at it. false:
 * memory is short. */
static bool move_group(struct redis_side *side, struct lane *lane, const struct entry_group *group, uint64_t now_ms,
		       struct held *held)
{
	bool asking;
	uint16_t number = route_group(side, lane, group, &asking);
	const struct redis_node *node = number != REDIS_NO_NODE ? side->nodes[number] : NULL;
	held->entries += group->count;
	if (node == NULL || !node->connected) {
		held->is_uncovered = held->is_uncovered || node == NULL;
		held->node = node != NULL ? node : held->node;
		return true;
	}
	struct flight *flight = lane_flight(lane, number);
	if (flight == NULL)
		return false;
	if (flight->is_at_redis || flight->is_kept || now_ms < flight->pause.until_ms)
		return true;
	const uint32_t *numbers = side->groups.order + group->first;
	if (!flight_add(flight, &lane->pool, numbers, group->count, group->slot, asking))
		return false;
	for (uint32_t i = 0; i < group->count; i++)
		entry_batch_heard(&lane->pool, numbers[i], BATCH_DONE); /* with the pool */
	held->entries -= group->count;
	return true;
}

/* Sends the flights that were loaded, or forgets them again. */
static void end_loading(struct redis_side *side, struct lane *lane, bool good, uint64_t now_ms)
{
	for (uint32_t i = 0; i < lane->flight_end; i++) {
		struct flight *flight = lane->flights[i];
		if (flight == NULL || flight->is_at_redis || flight->is_kept || flight->batch.count == 0)
			continue;
		if (good)
			redis_node_launch(side->nodes[i], flight, now_ms);
		else
			flight_clear(flight);
	}
}

static void note_held(struct lane *lane, const struct held *held, uint64_t now_ms)
{
	char text[STATUS_FAULT_BYTES];
	char place[REDIS_PLACE_BYTES];
	bool is_held = held->node != NULL || held->is_uncovered;
	if (held->node != NULL)
		snprintf(text, sizeof(text), "redis: %.100s: %.140s", redis_node_text(held->node, place),
			 held->node->fault[0] != '\0' ? held->node->fault : "it is being connected to");
	else if (held->is_uncovered)
		snprintf(text, sizeof(text), "redis: no master of the cluster has the slots of some streams");
	/* A node that is new is there at once. */
	if (is_held && (held->is_uncovered || held->node->fault[0] != '\0')) {
		/* Of several it is now this one, now that. */
		if (!lane->is_held || now_ms >= lane->fault_ms + HELD_TOLD_MS)
			lane_note(lane, text, now_ms);
		lane->is_held = true;
	} else if (!is_held) {
		lane->is_held = false;
	}
	lane->try_ms = now_ms + (held->entries < HELD_MANY ? HELD_MS : HELD_MANY_MS);
	if (lane->pool.count != 0)
		return;
	lane->try_ms = 0;
	lane_all_gone(lane);
}

/* Entries that stayed in a flight because memory was short. */
static void launch_kept(struct redis_side *side, struct lane *lane, uint64_t now_ms)
{
	for (uint32_t i = 0; i < lane->flight_end; i++) {
		struct flight *flight = lane->flights[i];
		if (flight != NULL && flight->is_kept && !flight->is_at_redis && now_ms >= flight->pause.until_ms &&
		    side->nodes[i] != NULL && side->nodes[i]->connected)
			redis_node_launch(side->nodes[i], flight, now_ms);
	}
}

static void launch_in_parts(struct redis_side *side, struct lane *lane, uint64_t now_ms)
{
	uint8_t busy[REDIS_SLOTS / 8];
	struct held held = {0};
	launch_kept(side, lane, now_ms);
	if (lane->pool.count == 0)
		return;
	list_busy_slots(lane, busy);
	bool good = entry_groups_make(&side->groups, &lane->pool);
	for (uint32_t i = 0; i < side->groups.count && good; i++) {
		const struct entry_group *group = &side->groups.items[i];
		if ((busy[group->slot / 8] & 1u << group->slot % 8) != 0)
			held.entries += group->count;
		else
			good = move_group(side, lane, group, now_ms, &held);
	}
	good = good && lane_drop_moved(lane);
	if (!good) {
		for (uint32_t i = 0; i < lane->pool.count; i++)
			lane->pool.entries[i].fate = BATCH_WAITS;
		lane_note(lane, error_sentence(ERROR_NO_MEMORY), now_ms);
	}
	end_loading(side, lane, good, now_ms);
	note_held(lane, &held, now_ms);
}

void launch_lane(struct redis_side *side, struct lane *lane, uint64_t now_ms)
{
	if (redis_side_is_cluster(side))
		launch_in_parts(side, lane, now_ms);
	else
		launch_whole(side, lane, now_ms);
}
