#include "commit/log/bodies.h"

#include "base/check.h"
#include "base/layout_root.h"
#include "memory/notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART_SLOTS_MIN 16u
/* Of address space: more messages than a shard has memory for. */
#define SHARD_BYTES_MAX ((size_t)8 << 30)

_Static_assert((BODIES_PARTS & (BODIES_PARTS - 1)) == 0, "a part is some bits of the hash");
_Static_assert(sizeof(struct body) == 16, "part of the cost of a queued message");

LAYOUT_ROOT(body);
LAYOUT_ROOT(bodies_part);

/* ---- opening and saving ---- */

static void bodies_name(char name[ROOT_NAME_BYTES], const char *what, uint16_t shard)
{
	int size = snprintf(name, ROOT_NAME_BYTES, "%s %u", what, shard);
	CHECK(size > 0 && (size_t)size < ROOT_NAME_BYTES);
}

static bool bodies_part_is_sound(const struct bodies_shard *shard, const struct bodies_part *part)
{
	if (part->slots == 0)
		return part->used == 0;
	uint64_t slots = (uint64_t)part->mask + 1, from = (uint64_t)part->slots * SLAB_UNIT_BYTES;
	return (slots & part->mask) == 0 && slots >= PART_SLOTS_MIN && part->used < slots &&
	       from + slots * sizeof(struct body) <= shard->slab.top_bytes;
}

static enum error bodies_find_parts(const struct bodies *bodies, uint16_t number)
{
	struct bodies_shard *shard = &bodies->shards[number];
	char name[ROOT_NAME_BYTES];
	bodies_name(name, "body parts", number);
	if (!arena_get_exact(bodies->arena, name, shard->parts, sizeof(shard->parts)))
		return ERROR_NOT_FOUND;
	for (uint32_t i = 0; i < BODIES_PARTS; i++) {
		if (!bodies_part_is_sound(shard, &shard->parts[i]))
			return ERROR_NOT_FOUND;
	}
	return ERROR_OK;
}

enum error commit_bodies_init(struct bodies *bodies, uint16_t shard_count, struct arena *arena)
{
	*bodies = (struct bodies){.shards = calloc(shard_count, sizeof(*bodies->shards)), .arena = arena};
	if (bodies->shards == NULL)
		return ERROR_NO_MEMORY;
	CHECK(pthread_mutex_init(&bodies->lock, NULL) == 0);
	enum error error = ERROR_OK;
	for (uint16_t i = 0; i < shard_count && error == ERROR_OK; i++) {
		char name[ROOT_NAME_BYTES];
		bodies_name(name, "bodies", i);
		error = slab_open_in(&bodies->shards[i].slab, arena, name, SHARD_BYTES_MAX);
		if (error != ERROR_OK)
			break;
		bodies->shard_count++;
		if (arena_is_adopted(arena))
			error = bodies_find_parts(bodies, i);
	}
	return error;
}

void commit_bodies_fini(struct bodies *bodies)
{
	if (bodies->shards == NULL)
		return;
	for (uint16_t i = 0; i < bodies->shard_count; i++)
		slab_close(&bodies->shards[i].slab);
	free(bodies->shards);
	CHECK(pthread_mutex_destroy(&bodies->lock) == 0);
	*bodies = (struct bodies){.shard_count = 0};
}

enum error commit_bodies_save(const struct bodies *bodies)
{
	enum error error = ERROR_OK;
	for (uint16_t i = 0; i < bodies->shard_count && error == ERROR_OK; i++) {
		const struct bodies_shard *shard = &bodies->shards[i];
		char name[ROOT_NAME_BYTES];
		bodies_name(name, "body parts", i);
		error = slab_save(&shard->slab, bodies->arena);
		if (error == ERROR_OK)
			error = arena_put(bodies->arena, name, shard->parts, sizeof(shard->parts));
	}
	return error;
}

/* ---- looking up ---- */

static uint32_t bodies_hash(uint32_t message)
{
	return message * 0x9e3779b1u;
}

static struct bodies_shard *bodies_shard(const struct bodies *bodies, uint16_t shard)
{
	CHECK_LT(shard, bodies->shard_count);
	return &bodies->shards[shard];
}

static struct bodies_part *bodies_part(struct bodies_shard *shard, uint32_t message)
{
	return &shard->parts[bodies_hash(message) % BODIES_PARTS];
}

static struct body *bodies_slots(const struct bodies_shard *shard, const struct bodies_part *part)
{
	return slab_at(&shard->slab, part->slots);
}

static uint32_t bodies_home(const struct bodies_part *part, uint32_t message)
{
	return (bodies_hash(message) / BODIES_PARTS) & part->mask;
}

/* The slot of this message, or the free one where it belongs. There always is a free one. */
static struct body *bodies_slot(const struct bodies_shard *shard, const struct bodies_part *part, uint32_t message)
{
	struct body *slots = bodies_slots(shard, part);
	for (uint32_t at = bodies_home(part, message);; at = (at + 1) & part->mask) {
		struct body *slot = &slots[at];
		if (slot->message == message || slot->message == 0)
			return slot;
	}
}

static bool bodies_resize(struct bodies_shard *shard, struct bodies_part *part, uint32_t slots)
{
	const struct bodies_part old = *part;
	uint32_t old_count = old.slots != 0 ? old.mask + 1 : 0;
	size_t bytes = slots * sizeof(struct body);
	uint32_t taken = bytes <= SLAB_BLOCK_BYTES_MAX ? slab_take_zeroed(&shard->slab, bytes) : 0;
	if (taken == 0)
		return false;
	part->slots = taken;
	part->mask = slots - 1;
	const struct body *before = old_count != 0 ? bodies_slots(shard, &old) : NULL;
	for (uint32_t i = 0; i < old_count; i++) {
		if (before[i].message != 0)
			*bodies_slot(shard, part, before[i].message) = before[i];
	}
	if (old_count != 0)
		slab_give(&shard->slab, old.slots, old_count * sizeof(struct body));
	return true;
}

/* Without memory a part fills up beyond three quarters. With its last slot the promise is broken: a message's place
 * cannot be forgotten. */
static void bodies_make_room(struct bodies_shard *shard, struct bodies_part *part)
{
	uint32_t slots = part->slots != 0 ? part->mask + 1 : 0;
	if (part->used + 1 > slots / 4 * 3 && !bodies_resize(shard, part, slots != 0 ? slots * 2 : PART_SLOTS_MIN))
		CHECK_LT(part->used + 1, slots);
}

struct body bodies_set(struct bodies *bodies, uint16_t number, struct body body)
{
	CHECK(body.message != 0 && body.segment != 0 && body.bytes != 0);
	struct bodies_shard *shard = bodies_shard(bodies, number);
	struct bodies_part *part = bodies_part(shard, body.message);
	bodies_make_room(shard, part);
	struct body *slot = bodies_slot(shard, part, body.message);
	struct body before = *slot;
	if (before.message == 0)
		part->used++;
	*slot = body;
	return before;
}

struct body bodies_remove(struct bodies *bodies, uint16_t number, uint32_t message)
{
	struct bodies_shard *shard = bodies_shard(bodies, number);
	struct bodies_part *part = bodies_part(shard, message);
	struct body *slot = part->slots != 0 && message != 0 ? bodies_slot(shard, part, message) : NULL;
	if (slot == NULL || slot->message == 0)
		return (struct body){.message = 0};
	struct body before = *slot;
	CHECK(part->used > 0);
	part->used--;
	/* Those behind it that were pushed on by it move up, so that a search still ends at the first free slot. */
	struct body *slots = bodies_slots(shard, part);
	uint32_t hole = (uint32_t)(slot - slots);
	for (uint32_t at = (hole + 1) & part->mask; slots[at].message != 0; at = (at + 1) & part->mask) {
		uint32_t home = bodies_home(part, slots[at].message);
		if (((at - home) & part->mask) < ((at - hole) & part->mask))
			continue;
		slots[hole] = slots[at];
		hole = at;
	}
	slots[hole] = (struct body){.message = 0};
	if (part->mask + 1 > PART_SLOTS_MIN && part->used < (part->mask + 1) / 8)
		bodies_resize(shard, part, (part->mask + 1) / 2);
	return before;
}

bool bodies_find(const struct bodies *bodies, uint16_t number, uint32_t message, struct body *body)
{
	struct bodies_shard *shard = bodies_shard(bodies, number);
	const struct bodies_part *part = bodies_part(shard, message);
	if (part->slots == 0 || message == 0)
		return false;
	*body = *bodies_slot(shard, part, message);
	return body->message != 0;
}
