#include "base/check.h"
#include "cluster/wire/wire.h"
#include "nodes/interest/interest_kinds.h"
#include "nodes/interest/interest_state.h"

#include <stdlib.h>
#include <string.h>

#define LOOKS_PER_TURN 2048u
#define OTHER_HEAD_BYTES 11u
_Static_assert(OTHER_HEAD_BYTES == 4 + 2 + 1 + 2 + 2, "name, generation, kind, members that are live and free");
/* Of the link's room so much is left to messages while all is told. */
#define ROOM_LEFT_BYTES (1u << 20)
_Static_assert(LOOKS_PER_TURN * 8u <= EXACT_PER_MESSAGE * sizeof(uint32_t), "what they may find fits into the buffer");

_Static_assert(DIGEST_RANGES == 1u + UINT8_MAX, "a range is told in a byte, and any byte names one");
_Static_assert(DIGEST_RANGES <= EXACT_PER_MESSAGE, "the sums fit into the buffer");

struct interest_peer *interest_next_peer(const struct interest *interest, const struct interest_peer *last)
{
	uint32_t slot = last != NULL ? last->filters.slot + 1u : 0;
	while (slot < NODES_MAX && interest->peers[slot] == NULL)
		slot++;
	return slot < NODES_MAX ? interest->peers[slot] : NULL;
}

/* ---- telling all ---- */

static bool may_send(const struct interest_peer *to)
{
	return peer_is_reachable(to->peer) && peer_room(to->peer) > ROOM_LEFT_BYTES;
}

bool interest_send_head(struct interest_peer *to, uint8_t kind, const uint8_t *head, const uint8_t *end)
{
	return peer_send(to->peer, kind, slice_of(head, (size_t)(end - head)), slice_of(NULL, 0));
}

static bool send_range(struct interest *interest, struct interest_peer *to, uint32_t range)
{
	CHECK_LT(range, DIGEST_RANGES);
	uint32_t count;
	const uint32_t *list = digest_list(&interest->own.digest, range, &count);
	if (list == NULL)
		return false;
	uint8_t *body = malloc(1 + count * sizeof(uint32_t));
	if (body == NULL)
		return false;
	uint8_t *at = wire_put_u8(body, (uint8_t)range);
	for (uint32_t i = 0; i < count; i++)
		at = wire_put_u32(at, list[i]);
	bool sent = interest_send_head(to, INTEREST_RANGE, body, at);
	free(body);
	return sent;
}

bool interest_send_other(struct interest_peer *to, const struct own_filter *filter)
{
	CHECK_LE(filter->members.live, (uint32_t)UINT16_MAX);
	CHECK_LE(filter->members.free, (uint32_t)UINT16_MAX);
	uint8_t head[OTHER_HEAD_BYTES];
	uint8_t *at = wire_put_u32(head, filter->note->name);
	at = wire_put_u16(at, filter->generation);
	at = wire_put_u8(at, filter->note->kind);
	at = wire_put_u16(at, (uint16_t)filter->members.live);
	at = wire_put_u16(at, (uint16_t)filter->members.free);
	return peer_send(to->peer, INTEREST_OTHER, slice_of(head, (size_t)(at - head)),
			 slice_of(filter->note->text, filter->note->text_bytes));
}

bool interest_is_all(const struct interest *interest)
{
	return interest->own.is_all || digest_is_broken(&interest->own.digest);
}

/* Sends the next piece. */
static bool tell_next(struct interest *interest, struct interest_peer *to)
{
	uint8_t end[1];
	switch (to->telling) {
	case TELLING_BEGIN:
		to->next = 0;
		to->telling = TELLING_RANGES;
		return interest_send_head(to, INTEREST_BEGIN, end, end);
	case TELLING_RANGES:
		if (to->next < DIGEST_RANGES)
			return send_range(interest, to, to->next++);
		to->next = 0;
		to->telling = TELLING_OTHERS;
		return true;
	case TELLING_OTHERS:
		if (to->next < interest->own.count)
			return interest_send_other(to, &interest->own.items[to->next++]);
		to->telling = TELLING_DONE;
		wire_put_u8(end, interest_is_all(interest));
		return interest_send_head(to, INTEREST_END, end, end + 1);
	default:
		return true;
	}
}

void interest_tell_all(struct interest *interest, struct interest_peer *to)
{
	while (interest->is_whole && to->telling != TELLING_NOTHING && to->telling != TELLING_DONE && may_send(to)) {
		if (!tell_next(interest, to))
			to->telling = TELLING_BEGIN;
	}
	for (uint32_t range = 0; to->is_lacking && range < DIGEST_RANGES && may_send(to); range++) {
		if (to->lacks[range] && send_range(interest, to, range))
			to->lacks[range] = 0;
	}
	to->is_lacking = to->is_lacking && memchr(to->lacks, 1, sizeof(to->lacks)) != NULL;
}

void interest_check_sent(struct interest_peer *to, bool sent)
{
	if (!sent)
		to->telling = TELLING_BEGIN;
}

/* ---- members of shared subscriptions ---- */

struct members_look {
	struct interest *interest;
	const struct own_filter *filter;
	struct index_members members;
	bool is_good;
};

/* With the part locked. The name is good if no note of the part is left that could end it. */
static void look_at_members(void *context)
{
	struct members_look *look = context;
	uint32_t name = look->filter->note->name;
	look->is_good = interest_filters(look->interest)->notes[index_part_of_name(name)].other_count == 0;
	if (look->is_good)
		look->members = index_local_members(index_slot_of(look->interest->parts.index, name));
}

static uint32_t limited(uint32_t members)
{
	return members < UINT16_MAX ? members : UINT16_MAX;
}

/* Whether they are others than were told; they are taken for told then. */
static bool members_changed(struct interest *interest, struct own_filter *filter)
{
	struct members_look look = {.interest = interest, .filter = filter};
	index_with_part(interest->parts.index, index_part_of_name(filter->note->name), look_at_members, &look);
	struct index_members members = {limited(look.members.live), limited(look.members.free)};
	if (!look.is_good || (members.live == filter->members.live && members.free == filter->members.free))
		return false;
	filter->members = members;
	return true;
}

static void send_members(struct interest *interest, uint32_t bytes)
{
	CHECK_LE(bytes, sizeof(interest->buffer));
	for (struct interest_peer *to = NULL; (to = interest_next_peer(interest, to)) != NULL;) {
		if (bytes != 0 && (to->telling == TELLING_OTHERS || to->telling == TELLING_DONE))
			interest_check_sent(to, interest_send_head(to, INTEREST_MEMBERS, interest->buffer,
								   interest->buffer + bytes));
	}
}

/* Looks at some of the shared subscriptions, in turns. */
void interest_tell_members(struct interest *interest)
{
	uint8_t *at = interest->buffer;
	for (uint32_t looks = 0; looks < LOOKS_PER_TURN && looks < interest->own.count; looks++) {
		if (interest->next_look >= interest->own.count)
			interest->next_look = 0;
		struct own_filter *filter = &interest->own.items[interest->next_look++];
		if (filter->note->kind != INDEX_GROUP || !members_changed(interest, filter))
			continue;
		at = wire_put_u32(at, filter->note->name);
		at = wire_put_u16(at, (uint16_t)filter->members.live);
		at = wire_put_u16(at, (uint16_t)filter->members.free);
	}
	send_members(interest, (uint32_t)(at - interest->buffer));
}

void interest_tell_sums(struct interest *interest)
{
	uint8_t *at = interest->buffer;
	for (uint32_t range = 0; range < DIGEST_RANGES; range++)
		at = wire_put_u32(at, interest->own.digest.sums[range]);
	for (struct interest_peer *to = NULL; (to = interest_next_peer(interest, to)) != NULL;) {
		if (to->telling == TELLING_DONE && !interest_is_all(interest) && may_send(to))
			interest_send_head(to, INTEREST_SUMS, interest->buffer, at);
	}
}
