#include "cluster/members/members.h"

#include "base/check.h"
#include "cluster/members/members_change.h"

#include <stdlib.h>

const char *members_refusal_name(enum members_refusal refusal)
{
	static const char *const NAMES[] = {
#define X(name, sentence) #name,
		MEMBERS_REFUSALS(X)
#undef X
	};
	CHECK_LT(refusal, MEMBERS_REFUSAL_COUNT);
	return NAMES[refusal];
}

const char *members_refusal_sentence(enum members_refusal refusal)
{
	static const char *const SENTENCES[] = {
#define X(name, sentence) sentence,
		MEMBERS_REFUSALS(X)
#undef X
	};
	CHECK_LT(refusal, MEMBERS_REFUSAL_COUNT);
	return SENTENCES[refusal];
}

struct members *members_new(const struct members_settings *settings, const struct members_observer *observer,
			    uint64_t now_ms)
{
	struct members *members = calloc(1, sizeof(*members));
	if (members == NULL)
		return NULL;
	CHECK(node_name_is_valid(settings->name) && settings->incarnation != 0);
	CHECK_GE(settings->timeout_ms, MEMBERS_HEARTBEAT_MS);
	members->settings = *settings;
	members->observer = *observer;
	memcpy(members->name, settings->name.data, settings->name.size);
	members->settings.name = slice_of(members->name, settings->name.size);
	members->born_ms = members->next_heartbeat_ms = now_ms;
	members_review(members);
	return members;
}

void members_free(struct members *members)
{
	if (members == NULL)
		return;
	bytes_free(&members->out);
	free(members);
}

void members_set_agreements(struct members *members, const struct agreement *agreements, uint32_t count)
{
	CHECK_LE(count, HEARTBEAT_AGREEMENTS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		struct slice name = agreements[i].name;
		CHECK_LE(name.size, MEMBERS_AGREEMENT_BYTES_MAX);
		memcpy(members->agreement_names[i], name.data, name.size);
		members->agreements[i].name = slice_of(members->agreement_names[i], name.size);
		members->agreements[i].hash = agreements[i].hash;
	}
	members->agreement_count = count;
	for (uint32_t i = 0; i < members->slot_count; i++)
		members->slots[i].disagreements = 0;
	members->is_urgent = true;
}

/* ---- runs that are over ---- */

void members_renew(struct members *members, uint64_t incarnation, uint64_t now_ms)
{
	CHECK(incarnation != 0);
	members_give_up(members, members->settings.incarnation);
	members->settings.incarnation = incarnation;
	members->born_ms = members->next_heartbeat_ms = now_ms;
	members->has_yielded = members->owes_goodbye = members->must_renew = false;
	members->namesake = 0;
	members->is_urgent = true;
	/* Their runs go on, and are met anew: the links to them are others. */
	for (uint32_t i = 0; i < members->slot_count; i++) {
		struct member *member = &members->slots[i];
		member->has_joined = false;
		if (member->state == MEMBER_ALIVE)
			member_set_state(member, MEMBER_HEARD, now_ms);
	}
	members_review(members);
}

void members_forget(struct members *members, uint32_t slot)
{
	CHECK_LT(slot, members->slot_count);
	struct member *member = &members->slots[slot];
	if (member->state != MEMBER_UNKNOWN && member->state != MEMBER_LEFT)
		members_give_up(members, member->incarnation);
	member->has_joined = false;
	member->incarnation = 0;
	member->state = MEMBER_UNKNOWN;
	members_review(members);
}

/* ---- states ---- */

static bool is_counted_down(const struct member *member)
{
	return member->state == MEMBER_HEARD || member->state == MEMBER_ALIVE;
}

void members_tick(struct members *members, uint64_t now_ms)
{
	uint32_t timeout_ms = members->settings.timeout_ms;
	if (members->must_renew)
		return;
	if (members->has_yielded && now_ms >= members->namesake_heard_ms + timeout_ms) {
		members_ask_for_renewal(members, members->settings.name);
		return;
	}
	for (uint32_t i = 0; i < members->slot_count; i++) {
		struct member *member = &members->slots[i];
		if (is_counted_down(member) && now_ms >= member->heard_ms + timeout_ms)
			members_lose(members, i, MEMBER_SILENT, now_ms);
	}
	members_review(members);
}

uint64_t members_next_deadline(const struct members *members)
{
	uint64_t deadline_ms = members->is_urgent ? 0 : members->next_heartbeat_ms;
	if (members->must_renew)
		return UINT64_MAX;
	if (members->has_yielded)
		return members->owes_goodbye ? 0 : members->namesake_heard_ms + members->settings.timeout_ms;
	for (uint32_t i = 0; i < members->slot_count; i++) {
		const struct member *member = &members->slots[i];
		uint64_t silent_ms = member->heard_ms + members->settings.timeout_ms;
		if (is_counted_down(member) && silent_ms < deadline_ms)
			deadline_ms = silent_ms;
	}
	return deadline_ms;
}

void members_bus_is_back(struct members *members, uint64_t now_ms)
{
	for (uint32_t i = 0; i < members->slot_count; i++) {
		if (is_counted_down(&members->slots[i]))
			members->slots[i].heard_ms = now_ms;
	}
	members->is_urgent = true;
}

/* ---- our own heartbeat ---- */

static struct slice write_heartbeat(struct members *members, uint8_t flags, uint64_t now_ms, uint64_t wall_ms)
{
	const struct members_settings *settings = &members->settings;
	/* Two in one millisecond: the second must not look as if it came late. */
	members->last_sent_ms = now_ms > members->last_sent_ms ? now_ms : members->last_sent_ms + 1;
	struct heartbeat heartbeat = {
		.flags = (uint8_t)(flags | (settings->has_store ? HEARTBEAT_STORE : 0)),
		.incarnation = settings->incarnation,
		.age_ms = now_ms - members->born_ms,
		.sent_ms = members->last_sent_ms,
		.wall_ms = wall_ms,
		.view_hash = members->view_hash,
		.protocol_min = settings->protocol_min,
		.protocol_max = settings->protocol_max,
		.name = settings->name,
		.version = slice_string(settings->version),
		.agreement_count = members->agreement_count,
	};
	memcpy(heartbeat.agreements, members->agreements, sizeof(heartbeat.agreements));
	for (uint32_t i = 0; i < members->slot_count; i++) {
		const struct member *member = &members->slots[i];
		if (!is_counted_down(member))
			continue;
		uint64_t held_ms = now_ms - member->heard_ms;
		heartbeat.heard[heartbeat.heard_count++] = (struct heard){
			.name = member_name(member),
			.incarnation = member->incarnation,
			.sent_ms = member->sent_ms,
			.held_ms = held_ms < UINT32_MAX ? (uint32_t)held_ms : UINT32_MAX,
		};
	}
	for (uint32_t i = 0; i < HEARTBEAT_GIVEN_UP_MAX; i++) {
		if (members->told[i].until_ms > now_ms)
			heartbeat.given_up[heartbeat.given_up_count++] = members->told[i].incarnation;
	}
	bytes_clear(&members->out, SIZE_MAX);
	heartbeat_write(&heartbeat, &members->out);
	members->is_urgent = false;
	members->last_heartbeat_ms = now_ms;
	members->next_heartbeat_ms = now_ms + MEMBERS_HEARTBEAT_MS;
	members->counters.heartbeats_sent += !members->out.failed;
	return members->out.failed ? slice_of(NULL, 0) : bytes_slice(&members->out);
}

struct slice members_heartbeat(struct members *members, uint64_t now_ms, uint64_t wall_ms)
{
	struct slice none = slice_of(NULL, 0);
	if (members->owes_goodbye) {
		members->owes_goodbye = false;
		return write_heartbeat(members, HEARTBEAT_LEAVING, now_ms, wall_ms);
	}
	if (members->must_renew || members->has_yielded)
		return none;
	bool is_due = members->is_urgent || now_ms >= members->next_heartbeat_ms;
	return is_due ? write_heartbeat(members, 0, now_ms, wall_ms) : none;
}

struct slice members_goodbye(struct members *members, uint64_t now_ms, uint64_t wall_ms)
{
	return write_heartbeat(members, HEARTBEAT_LEAVING, now_ms, wall_ms);
}

/* ---- the view ---- */

uint32_t members_view(const struct members *members, struct view_member view[NODES_MAX + 1])
{
	return members_list_view(members, view);
}

uint64_t members_view_hash(const struct members *members)
{
	return members->view_hash;
}

bool members_agree(const struct members *members)
{
	for (uint32_t i = 0; i < members->slot_count; i++) {
		const struct member *member = &members->slots[i];
		if (member->state == MEMBER_ALIVE && member->view_hash != members->view_hash)
			return false;
	}
	return true;
}

/* ---- what can be asked ---- */

uint32_t members_find(const struct members *members, struct slice name)
{
	for (uint32_t i = 0; i < members->slot_count; i++) {
		if (slice_equal(member_name(&members->slots[i]), name))
			return i;
	}
	return MEMBERS_NONE;
}

const struct member *members_at(const struct members *members, uint32_t slot)
{
	CHECK_LT(slot, members->slot_count);
	return &members->slots[slot];
}

uint32_t members_find_incarnation(const struct members *members, uint64_t incarnation)
{
	for (uint32_t i = 0; i < members->slot_count; i++) {
		if (members->slots[i].has_joined && members->slots[i].incarnation == incarnation)
			return i;
	}
	return MEMBERS_NONE;
}

uint32_t members_slot_count(const struct members *members)
{
	return members->slot_count;
}

struct slice members_own_name(const struct members *members)
{
	return members->settings.name;
}

uint64_t members_own_incarnation(const struct members *members)
{
	return members->settings.incarnation;
}

bool members_has_yielded(const struct members *members)
{
	return members->has_yielded;
}

const struct members_counters *members_counters(const struct members *members)
{
	return &members->counters;
}
