#include "cluster/members/members_change.h"

#include "base/check.h"

#include <endian.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

bool members_is_given_up(const struct members *members, uint64_t incarnation)
{
	uint32_t count =
		members->given_up_count < MEMBERS_GIVEN_UP_MAX ? members->given_up_count : MEMBERS_GIVEN_UP_MAX;
	for (uint32_t i = 0; i < count; i++) {
		if (members->given_up[i] == incarnation)
			return true;
	}
	return false;
}

void members_give_up(struct members *members, uint64_t incarnation)
{
	CHECK_LT(members->given_up_count, 2u * MEMBERS_GIVEN_UP_MAX);
	members->given_up[members->given_up_count++ % MEMBERS_GIVEN_UP_MAX] = incarnation;
	/* Counted on from a place that keeps both the remainder and that the table is full. */
	if (members->given_up_count == 2 * MEMBERS_GIVEN_UP_MAX)
		members->given_up_count = MEMBERS_GIVEN_UP_MAX;
}

void members_end_run(struct members *members, uint32_t slot, bool said_goodbye)
{
	CHECK_LT(slot, members->slot_count);
	struct member *member = &members->slots[slot];
	members_give_up(members, member->incarnation);
	if (!member->has_joined)
		return;
	member->has_joined = false;
	members->counters.ended++;
	members->observer.on_ended(members->observer.context, slot, member->incarnation, said_goodbye);
}

void members_ask_for_renewal(struct members *members, struct slice by)
{
	members->must_renew = true;
	members->observer.on_renew(members->observer.context, by);
}

/* ---- states ---- */

void members_refuse(struct members *members, struct slice name, enum members_refusal refusal, uint64_t now_ms)
{
	CHECK_LT(refusal, MEMBERS_REFUSAL_COUNT);
	members->counters.refused[refusal]++;
	if (now_ms < members->refusal_told_ms[refusal])
		return;
	members->refusal_told_ms[refusal] = now_ms + MEMBERS_TELL_MS;
	members->observer.on_refused(members->observer.context, name, refusal);
}

void member_set_state(struct member *member, enum member_state state, uint64_t now_ms)
{
	member->state = state;
	member->since_ms = now_ms;
}

void members_lose(struct members *members, uint32_t slot, enum away_reason reason, uint64_t now_ms)
{
	CHECK_LT(slot, members->slot_count);
	struct member *member = &members->slots[slot];
	bool was_alive = member->state == MEMBER_ALIVE;
	member_set_state(member, MEMBER_AWAY, now_ms);
	members->is_urgent = true;
	if (!was_alive)
		return;
	members->counters.away++;
	members->observer.on_away(members->observer.context, slot, reason);
}

/* ---- the view ---- */

static int compare_names(struct slice a, struct slice b)
{
	int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
	return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static void insert_member(struct view_member *view, uint32_t count, struct view_member member)
{
	uint32_t at = count;
	for (; at > 0 && compare_names(view[at - 1].name, member.name) > 0; at--)
		view[at] = view[at - 1];
	view[at] = member;
}

uint32_t members_list_view(const struct members *members, struct view_member view[NODES_MAX + 1])
{
	CHECK_LE(members->slot_count, NODES_MAX);
	uint32_t count = 0;
	insert_member(view, count++,
		      (struct view_member){members->settings.name, members->settings.incarnation, MEMBERS_NONE});
	for (uint32_t i = 0; i < members->slot_count; i++) {
		const struct member *member = &members->slots[i];
		if (member->state == MEMBER_ALIVE)
			insert_member(view, count++, (struct view_member){member_name(member), member->incarnation, i});
	}
	return count;
}

static uint64_t hash_view(const struct members *members)
{
	struct view_member view[NODES_MAX + 1];
	uint32_t count = members_list_view(members, view);
	uint64_t hash = 0;
	for (uint32_t i = 0; i < count; i++) {
		hash = XXH3_64bits_withSeed(view[i].name.data, view[i].name.size, hash);
		hash = XXH3_64bits_withSeed(&(uint64_t){htole64(view[i].incarnation)}, sizeof(uint64_t), hash);
	}
	return hash;
}

void members_review(struct members *members)
{
	uint64_t hash = hash_view(members);
	bool is_first = members->view_hash == 0;
	if (hash == members->view_hash)
		return;
	members->view_hash = hash;
	members->is_urgent = true;
	if (is_first)
		return;
	members->counters.views++;
	members->observer.on_view(members->observer.context);
}
