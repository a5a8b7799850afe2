#include "bench/sessions/unreleased.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define BITS_BYTES ((UINT16_MAX + 1u) / 8u)
#define ROOM_FIRST 16u

void unreleased_close(struct unreleased *unreleased)
{
	free(unreleased->bits);
	free(unreleased->queue);
	*unreleased = (struct unreleased){0};
}

static bool is_there(const struct unreleased *unreleased, uint16_t packet_id)
{
	return unreleased->bits != NULL && (unreleased->bits[packet_id / 8] & 1u << packet_id % 8) != 0;
}

static struct unreleased_entry *entry_at(const struct unreleased *unreleased, uint32_t place)
{
	CHECK(place < unreleased->count);
	return &unreleased->queue[(unreleased->head + place) & (unreleased->room - 1)];
}

/* The place of an identifier that is there. */
static uint32_t place_of(const struct unreleased *unreleased, uint16_t packet_id)
{
	uint32_t place = 0;
	while (entry_at(unreleased, place)->packet_id != packet_id)
		place++;
	return place;
}

/* Makes room for one more. Returns false without memory. */
static bool grow(struct unreleased *unreleased)
{
	if (unreleased->bits == NULL)
		unreleased->bits = calloc(1, BITS_BYTES);
	if (unreleased->bits == NULL)
		return false;
	if (unreleased->count < unreleased->room)
		return true;
	uint32_t room = unreleased->room > 0 ? unreleased->room * 2 : ROOM_FIRST;
	struct unreleased_entry *queue = malloc(room * sizeof(*queue));
	if (queue == NULL)
		return false;
	for (uint32_t i = 0; i < unreleased->count; i++)
		queue[i] = *entry_at(unreleased, i);
	free(unreleased->queue);
	unreleased->queue = queue;
	unreleased->head = 0;
	unreleased->room = room;
	return true;
}

enum unreleased_answer unreleased_take(struct unreleased *unreleased, uint16_t packet_id, uint32_t publisher,
				       uint64_t number)
{
	struct unreleased_entry taken = {.number = number, .publisher = publisher, .packet_id = packet_id};
	if (is_there(unreleased, packet_id)) {
		struct unreleased_entry *entry = entry_at(unreleased, place_of(unreleased, packet_id));
		bool same = entry->publisher == publisher && entry->number == number;
		*entry = taken;
		return same ? UNRELEASED_AGAIN : UNRELEASED_REUSED;
	}
	if (!grow(unreleased))
		return UNRELEASED_NO_MEMORY;
	CHECK(unreleased->count < unreleased->room);
	unreleased->bits[packet_id / 8] |= (uint8_t)(1u << packet_id % 8);
	unreleased->count++;
	*entry_at(unreleased, unreleased->count - 1) = taken;
	return UNRELEASED_NEW;
}

void unreleased_release(struct unreleased *unreleased, uint16_t packet_id)
{
	if (!is_there(unreleased, packet_id))
		return;
	/* Those before it move up by one, so that the oldest stay in front. */
	for (uint32_t place = place_of(unreleased, packet_id); place > 0; place--)
		*entry_at(unreleased, place) = *entry_at(unreleased, place - 1);
	unreleased->head = (unreleased->head + 1) & (unreleased->room - 1);
	unreleased->count--;
	unreleased->bits[packet_id / 8] &= (uint8_t) ~(1u << packet_id % 8);
}

void unreleased_clear(struct unreleased *unreleased)
{
	if (unreleased->bits != NULL)
		memset(unreleased->bits, 0, BITS_BYTES);
	unreleased->head = unreleased->count = 0;
}
