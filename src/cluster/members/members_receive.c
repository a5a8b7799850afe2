#include "cluster/members/members.h"

#include "base/check.h"
#include "cluster/members/members_change.h"

/* ---- two nodes with our name ---- */

/* Younger by more than a heartbeat can be late. */
#define CLEARLY_YOUNGER_MS 500u

/* The one that has run longer stays. Each hears how long the other had run a while ago, so of two that began together
 * each may take itself for the older; where neither has yielded for a while, their incarnations decide. */
static bool goes_before_us(const struct members *members, const struct heartbeat *heartbeat, uint64_t now_ms)
{
	if (now_ms >= members->namesake_since_ms + members->settings.timeout_ms)
		return heartbeat->incarnation > members->settings.incarnation;
	return heartbeat->age_ms > now_ms - members->born_ms + CLEARLY_YOUNGER_MS;
}

static void yield(struct members *members, uint64_t now_ms)
{
	members->has_yielded = true;
	members->owes_goodbye = true;
	for (uint32_t i = 0; i < members->slot_count; i++) {
		if (members->slots[i].state == MEMBER_ALIVE)
			members_lose(members, i, MEMBER_WE_YIELDED, now_ms);
	}
}

static void meet_namesake(struct members *members, const struct heartbeat *heartbeat, uint64_t now_ms)
{
	/* What comes late of an earlier run of our own is nobody's. One heartbeat alone may be that, of a run that this
	 * process does not know of. */
	bool is_known = heartbeat->incarnation == members->namesake && heartbeat->sent_ms > members->namesake_sent_ms;
	if (members_is_given_up(members, heartbeat->incarnation))
		return;
	if (heartbeat->incarnation != members->namesake)
		members->namesake_since_ms = now_ms;
	members->namesake = heartbeat->incarnation;
	members->namesake_sent_ms = heartbeat->sent_ms;
	if ((heartbeat->flags & HEARTBEAT_LEAVING) != 0) {
		members->namesake = 0;
		if (members->has_yielded && is_known)
			members_ask_for_renewal(members, members->settings.name);
		return;
	}
	if (!is_known)
		return;
	members_refuse(members, heartbeat->name, MEMBERS_REFUSED_OWN_NAME, now_ms);
	if (members->has_yielded || goes_before_us(members, heartbeat, now_ms)) {
		members->namesake_heard_ms = now_ms;
		if (!members->has_yielded)
			yield(members, now_ms);
	} else if (now_ms >= members->last_heartbeat_ms + MEMBERS_HEARTBEAT_MS_MIN) {
		members->is_urgent = true;
	}
}

/* ---- which run ---- */

/* In each heartbeat for a while, so that it begins anew. */
static void tell_run(struct members *members, uint64_t incarnation, uint64_t now_ms)
{
	struct told_run *place = &members->told[0];
	for (uint32_t i = 0; i < HEARTBEAT_GIVEN_UP_MAX; i++) {
		struct told_run *told = &members->told[i];
		if (told->incarnation == incarnation) {
			place = told;
			break;
		}
		if (told->until_ms < place->until_ms)
			place = told;
	}
	if ((place->incarnation != incarnation || place->until_ms <= now_ms) &&
	    now_ms >= members->last_heartbeat_ms + MEMBERS_HEARTBEAT_MS_MIN)
		members->is_urgent = true;
	*place = (struct told_run){incarnation, now_ms + members->settings.timeout_ms};
}

static void begin_run(struct members *members, uint32_t slot, const struct heartbeat *heartbeat, uint64_t now_ms)
{
	struct member *member = &members->slots[slot];
	member->incarnation = heartbeat->incarnation;
	member->has_joined = false;
	member->clock_differs = false;
	member->disagreements = 0;
	member->round_trip_ms = UINT32_MAX;
	member_set_state(member, MEMBER_HEARD, now_ms);
	members->is_urgent = true;
}

/* MEMBERS_NONE: there is no slot left. */
static uint32_t slot_for(struct members *members, struct slice name)
{
	uint32_t slot = members_find(members, name);
	if (slot != MEMBERS_NONE || members->slot_count == NODES_MAX)
		return slot;
	struct member *member = &members->slots[members->slot_count];
	*member = (struct member){.name_bytes = (uint8_t)name.size};
	memcpy(member->name, name.data, name.size);
	return members->slot_count++;
}

uint32_t members_remember(struct members *members, struct slice name)
{
	bool is_other = node_name_is_valid(name) && !slice_equal(name, members_own_name(members));
	return is_other ? slot_for(members, name) : MEMBERS_NONE;
}

static bool is_leaving(const struct heartbeat *heartbeat)
{
	return (heartbeat->flags & HEARTBEAT_LEAVING) != 0;
}

/* Another run of a name that is known, or the first of a new one. MEMBERS_REFUSAL_COUNT: it is accepted. */
static enum members_refusal meet_run(struct members *members, uint32_t slot, const struct heartbeat *heartbeat,
				     uint64_t now_ms)
{
	struct member *member = &members->slots[slot];
	bool is_first = member->state == MEMBER_UNKNOWN;
	if (members_is_given_up(members, heartbeat->incarnation)) {
		if (!is_leaving(heartbeat))
			tell_run(members, heartbeat->incarnation, now_ms);
		return MEMBERS_REFUSED_GIVEN_UP;
	}
	if (!is_first && member->state != MEMBER_LEFT && now_ms < member->heard_ms + MEMBERS_REPLACE_MS)
		return MEMBERS_REFUSED_TWO_RUNS;
	if (is_leaving(heartbeat))
		return MEMBERS_REFUSED_STALE;
	if (!is_first && member->state != MEMBER_LEFT)
		members_end_run(members, slot, false);
	begin_run(members, slot, heartbeat, now_ms);
	return MEMBERS_REFUSAL_COUNT;
}

static enum members_refusal meet(struct members *members, uint32_t slot, const struct heartbeat *heartbeat,
				 uint64_t now_ms)
{
	const struct member *member = &members->slots[slot];
	if (member->state == MEMBER_UNKNOWN || member->incarnation != heartbeat->incarnation)
		return meet_run(members, slot, heartbeat, now_ms);
	if (member->state == MEMBER_LEFT)
		return MEMBERS_REFUSED_GIVEN_UP;
	return heartbeat->sent_ms > member->sent_ms ? MEMBERS_REFUSAL_COUNT : MEMBERS_REFUSED_STALE;
}

/* ---- what it says ---- */

static const struct heard *find_us(const struct members *members, const struct heartbeat *heartbeat)
{
	for (uint32_t i = 0; i < heartbeat->heard_count; i++) {
		const struct heard *heard = &heartbeat->heard[i];
		if (heard->incarnation == members->settings.incarnation &&
		    slice_equal(heard->name, members->settings.name))
			return heard;
	}
	return NULL;
}

static void compare_agreements(struct members *members, uint32_t slot, const struct heartbeat *heartbeat)
{
	struct member *member = &members->slots[slot];
	for (uint32_t i = 0; i < members->agreement_count; i++) {
		const struct agreement *ours = &members->agreements[i];
		bool is_alike = true;
		for (uint32_t j = 0; j < heartbeat->agreement_count; j++) {
			const struct agreement *theirs = &heartbeat->agreements[j];
			if (slice_equal(ours->name, theirs->name))
				is_alike = ours->hash == theirs->hash;
		}
		if (is_alike == ((member->disagreements >> i & 1) == 0))
			continue;
		member->disagreements ^= (uint16_t)(1u << i);
		members->observer.on_agreement(members->observer.context, slot, ours->name, is_alike);
	}
}

static void compare_clocks(struct members *members, uint32_t slot, uint64_t theirs_ms, uint64_t ours_ms)
{
	struct member *member = &members->slots[slot];
	int64_t difference_ms = (int64_t)(theirs_ms - ours_ms);
	bool differs = difference_ms > (int64_t)MEMBERS_CLOCK_MS || difference_ms < -(int64_t)MEMBERS_CLOCK_MS;
	member->clock_difference_ms = difference_ms;
	if (differs == member->clock_differs)
		return;
	member->clock_differs = differs;
	members->observer.on_clock(members->observer.context, slot, difference_ms);
}

static void take_member_fields(struct members *members, uint32_t slot, const struct heartbeat *heartbeat,
			       uint64_t now_ms)
{
	struct member *member = &members->slots[slot];
	size_t version_bytes =
		heartbeat->version.size < NODE_VERSION_BYTES_MAX ? heartbeat->version.size : NODE_VERSION_BYTES_MAX;
	memcpy(member->version, heartbeat->version.data, version_bytes);
	member->version[version_bytes] = '\0';
	/* What a stranger writes is not to look like something else in a log. */
	for (size_t i = 0; i < version_bytes; i++) {
		if (member->version[i] < ' ' || member->version[i] > '~')
			member->version[i] = '?';
	}
	member->has_store = (heartbeat->flags & HEARTBEAT_STORE) != 0;
	member->protocol = heartbeat->protocol_max < members->settings.protocol_max ? heartbeat->protocol_max
										    : members->settings.protocol_max;
	member->heard_ms = now_ms;
	member->sent_ms = heartbeat->sent_ms;
	member->view_hash = heartbeat->view_hash;
}

static void measure_heartbeat(struct member *member, const struct heard *us, uint64_t now_ms)
{
	uint64_t round_trip_ms = now_ms - us->sent_ms - us->held_ms;
	/* A time of sending that we never wrote. */
	if (us->sent_ms > now_ms || round_trip_ms > now_ms || round_trip_ms >= UINT32_MAX)
		return;
	member->round_trip_ms = (uint32_t)round_trip_ms;
}

static void find_alive(struct members *members, uint32_t slot, uint64_t now_ms)
{
	CHECK_LT(slot, members->slot_count);
	struct member *member = &members->slots[slot];
	bool is_back = member->has_joined;
	CHECK_NE(member->state, MEMBER_ALIVE);
	member_set_state(member, MEMBER_ALIVE, now_ms);
	members->is_urgent = true;
	if (is_back) {
		members->counters.back++;
		members->observer.on_back(members->observer.context, slot);
	} else {
		member->has_joined = true;
		members->counters.joined++;
		members->observer.on_joined(members->observer.context, slot);
	}
}

static void follow_member(struct members *members, uint32_t slot, const struct heartbeat *heartbeat, uint64_t now_ms)
{
	struct member *member = &members->slots[slot];
	const struct heard *us = find_us(members, heartbeat);
	if (us != NULL)
		measure_heartbeat(member, us, now_ms);
	if (us != NULL && member->state != MEMBER_ALIVE) {
		find_alive(members, slot, now_ms);
	} else if (us == NULL && member->state == MEMBER_ALIVE) {
		members_lose(members, slot, MEMBER_DEAF, now_ms);
		/* It is heard all the same, and is to know that. */
		member_set_state(member, MEMBER_HEARD, now_ms);
	} else if (us == NULL && member->state == MEMBER_AWAY) {
		member_set_state(member, MEMBER_HEARD, now_ms);
		members->is_urgent = true;
	}
}

static void take_goodbye(struct members *members, uint32_t slot, uint64_t now_ms)
{
	members_end_run(members, slot, true);
	member_set_state(&members->slots[slot], MEMBER_LEFT, now_ms);
}

static void take_heartbeat(struct members *members, const struct heartbeat *heartbeat, uint64_t now_ms,
			   uint64_t wall_ms)
{
	for (uint32_t i = 0; i < heartbeat->given_up_count; i++) {
		if (heartbeat->given_up[i] == members->settings.incarnation) {
			members_ask_for_renewal(members, heartbeat->name);
			return;
		}
	}
	if (heartbeat->protocol_max < members->settings.protocol_min ||
	    heartbeat->protocol_min > members->settings.protocol_max) {
		members_refuse(members, heartbeat->name, MEMBERS_REFUSED_PROTOCOL, now_ms);
		return;
	}
	uint32_t slot = slot_for(members, heartbeat->name);
	enum members_refusal refusal =
		slot != MEMBERS_NONE ? meet(members, slot, heartbeat, now_ms) : MEMBERS_REFUSED_FULL;
	/* A node that was killed and has started again is not worth a word. */
	if (refusal == MEMBERS_REFUSED_TWO_RUNS && heartbeat->age_ms < 2 * MEMBERS_REPLACE_MS) {
		members->counters.refused[refusal]++;
		return;
	}
	if (refusal != MEMBERS_REFUSAL_COUNT) {
		members_refuse(members, heartbeat->name, refusal, now_ms);
		return;
	}
	members->counters.heartbeats_received++;
	take_member_fields(members, slot, heartbeat, now_ms);
	if (is_leaving(heartbeat)) {
		take_goodbye(members, slot, now_ms);
	} else {
		compare_agreements(members, slot, heartbeat);
		compare_clocks(members, slot, heartbeat->wall_ms, wall_ms);
		follow_member(members, slot, heartbeat, now_ms);
	}
	members_review(members);
}

static enum members_refusal refusal_of(enum heartbeat_fault fault)
{
	switch (fault) {
	case HEARTBEAT_FAULT_SHORT:
		return MEMBERS_REFUSED_SHORT;
	case HEARTBEAT_FAULT_MAGIC:
		return MEMBERS_REFUSED_FOREIGN;
	case HEARTBEAT_FAULT_FORMAT:
		return MEMBERS_REFUSED_FORMAT;
	case HEARTBEAT_FAULT_CHECK:
		return MEMBERS_REFUSED_CHECKSUM;
	case HEARTBEAT_FAULT_NAME:
		return MEMBERS_REFUSED_NAME;
	case HEARTBEAT_FAULT_MALFORMED:
	case HEARTBEAT_FAULT_NONE:
		break;
	}
	return MEMBERS_REFUSED_MALFORMED;
}

bool members_receive(struct members *members, struct slice bytes, uint64_t now_ms, uint64_t wall_ms)
{
	struct heartbeat heartbeat;
	enum heartbeat_fault fault = heartbeat_read(bytes, &heartbeat);
	if (fault != HEARTBEAT_FAULT_NONE) {
		members_refuse(members, slice_of("", 0), refusal_of(fault), now_ms);
		return false;
	}
	if (heartbeat.incarnation == members->settings.incarnation)
		return slice_equal(heartbeat.name, members->settings.name);
	if (members->must_renew)
		return false;
	if (slice_equal(heartbeat.name, members->settings.name)) {
		meet_namesake(members, &heartbeat, now_ms);
		if (!members->must_renew)
			members_review(members);
	} else if (!members->has_yielded) {
		take_heartbeat(members, &heartbeat, now_ms, wall_ms);
	}
	return false;
}
