/* Blocks of a slab that become longer. A slab cannot be changed before the first turn, since its free lists lie in its
 * free blocks. So it is copied as a whole, and in the copy blocks are given back and taken as ever. */
#include "layout/convert_state.h"

#include "base/check.h"
#include "layout/convert.h"
#include "memory/slab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One arena's slab, and the pool whose objects lead to its blocks. */
struct block_converting {
	const struct conversion *conversion;
	struct slab slab;
	struct region objects;
	uint32_t object_bytes;
	struct pool_note note; /* of the old pool */
	uint8_t *is_free;      /* one bit for each object */
};

/* ---- copying ---- */

/* Only what was ever written: to read the rest would take memory. */
static enum error copy_data(int fd, const struct root_region *from, const struct region *old, struct region *copy)
{
	off_t begin = (off_t)from->offset;
	off_t end = begin + (off_t)from->usable_bytes;
	for (off_t at = begin; at < end;) {
		off_t data = lseek(fd, at, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? ERROR_OK : ERROR_SYSTEM;
		off_t hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return ERROR_SYSTEM;
		if (hole > end)
			hole = end;
		if (data < hole) {
			size_t bytes = (size_t)(hole - data);
			convert_populate(old->base + (data - begin), bytes, false);
			convert_populate(copy->base + (data - begin), bytes, true);
			memcpy(copy->base + (data - begin), old->base + (data - begin), bytes);
		}
		at = hole > data ? hole : end;
	}
	return ERROR_OK;
}

static enum error copy_slab(const struct converting *converting, uint32_t number)
{
	struct root_region *from = &converting->from->block->regions[number];
	struct arena in = {
		.root = (struct memory_root *)(uintptr_t)converting->from, .number = from->arena, .adopted = true};
	struct region old, copy;
	enum error error = region_adopt(&old, &in, from->name);
	if (error != ERROR_OK)
		return error;
	error = convert_move_region(converting, &converting->to->block->regions[number], from->reserved_bytes, &copy);
	if (error == ERROR_OK) {
		error = region_grow(&copy, from->usable_bytes);
		if (error == ERROR_OK)
			error = copy_data(arena_fd(&in), from, &old, &copy);
		region_close(&copy);
	}
	region_close(&old);
	return error;
}

/* ---- one block ---- */

/* The block of a reference, if so many bytes are there. NULL: the reference is wild. */
static uint8_t *block_at(const struct slab *slab, uint32_t ref, size_t bytes)
{
	uint64_t offset = (uint64_t)ref * SLAB_UNIT_BYTES;
	return ref != 0 && offset + bytes <= slab->top_bytes ? slab->region.base + offset : NULL;
}

/* Its bytes with the tail; 0: the reference is wild. */
static size_t old_block_bytes(const struct slab *slab, const struct convert_block *block,
			      const struct convert_type *type, uint32_t ref, size_t *tail_bytes)
{
	const uint8_t *old = block_at(slab, ref, type->from_bytes);
	uint16_t count = 0;
	*tail_bytes = 0;
	if (old == NULL)
		return 0;
	if (!block->has_tail)
		return type->from_bytes;
	CHECK_LE(block->tail_count_at + sizeof(count), type->from_bytes);
	memcpy(&count, old + block->tail_count_at, sizeof(count));
	*tail_bytes = count;
	size_t bytes = type->from_bytes + (size_t)count;
	return block_at(slab, ref, bytes) != NULL ? bytes : 0;
}

static enum error convert_one_block(struct slab *slab, const struct convert_block *block,
				    const struct convert_type *type, uint32_t *ref)
{
	size_t tail_bytes;
	size_t bytes = old_block_bytes(slab, block, type, *ref, &tail_bytes);
	if (bytes == 0)
		return ERROR_NOT_FOUND;
	/* The owner asks for a struct's size and its tail, whatever padding is at the struct's end. */
	size_t to_bytes = type->to_bytes + tail_bytes;
	CHECK_LE(block->from_tail, type->from_bytes);
	CHECK_LE(block->to_tail, type->to_bytes);
	uint32_t made = slab_take(slab, to_bytes);
	if (made == 0)
		return ERROR_NO_MEMORY;
	const uint8_t *old = slab_at(slab, *ref);
	uint8_t *fresh = slab_at(slab, made);
	memset(fresh, 0, to_bytes);
	convert_object(type, old, fresh);
	if (tail_bytes != 0)
		memcpy(fresh + block->to_tail, old + block->from_tail, tail_bytes);
	slab_give(slab, *ref, type->from_bytes + tail_bytes);
	*ref = made;
	return ERROR_OK;
}

static enum error convert_blocks_of(struct block_converting *converting, uint8_t *object)
{
	const struct conversion *conversion = converting->conversion;
	for (uint32_t i = 0; i < conversion->block_count; i++) {
		const struct convert_block *block = &conversion->blocks[i];
		uint8_t *holder = object;
		uint32_t ref;
		if (block->holder_at != CONVERT_IN_OBJECT) {
			memcpy(&ref, object + block->holder_at, sizeof(ref));
			if (ref == 0)
				continue;
			holder = block_at(&converting->slab, ref, block->at + sizeof(ref));
		}
		if (holder == NULL)
			return ERROR_NOT_FOUND;
		memcpy(&ref, holder + block->at, sizeof(ref));
		if (ref == 0)
			continue;
		enum error error = convert_one_block(&converting->slab, block, &conversion->types[block->type], &ref);
		if (error != ERROR_OK)
			return error;
		memcpy(holder + block->at, &ref, sizeof(ref));
	}
	return ERROR_OK;
}

/* ---- one arena ---- */

/* Objects that are free have references from when they were used. */
static bool mark_free(struct block_converting *converting)
{
	const struct pool_note *note = &converting->note;
	CHECK_LE(note->touched, note->limit);
	converting->is_free = calloc(note->touched / 8 + 1, 1);
	uint32_t left = note->touched;
	for (uint32_t at = note->free; converting->is_free != NULL && at != 0; left--) {
		if (at > note->touched || left == 0)
			return false;
		converting->is_free[at / 8] |= (uint8_t)(1u << at % 8);
		memcpy(&at, converting->objects.base + (size_t)at * converting->object_bytes, sizeof(at));
	}
	return converting->is_free != NULL;
}

static enum error convert_all_blocks(struct block_converting *converting)
{
	enum error error = mark_free(converting) ? ERROR_OK : ERROR_NOT_FOUND;
	for (uint32_t i = 1; i <= converting->note.touched && error == ERROR_OK; i++) {
		if (((uint32_t)converting->is_free[i / 8] >> i % 8 & 1u) == 0)
			error = convert_blocks_of(converting,
						  converting->objects.base + (size_t)i * converting->object_bytes);
	}
	free(converting->is_free);
	return error;
}

/* number: of the pool's region. */
static enum error convert_blocks_in(const struct converting *converting, const struct convert_type *type,
				    uint32_t number)
{
	const struct conversion *conversion = converting->conversion;
	struct block_converting blocks = {.conversion = conversion, .object_bytes = type->to_bytes};
	const struct root_region *place = &converting->from->block->regions[number];
	struct arena to = {.root = converting->to, .number = place->arena, .adopted = true};
	if (!convert_get_pool_note(converting, type, place, &blocks.note))
		return ERROR_NOT_FOUND;
	/* The copy is in the new root block, and its note among the old ones. */
	struct memory_root mixed = *converting->to;
	mixed.notes = converting->from->notes;
	struct arena mixed_arena = {.root = &mixed, .number = place->arena, .adopted = true};
	enum error error = slab_open_in(&blocks.slab, &mixed_arena, conversion->blocks_slab, 0);
	if (error != ERROR_OK)
		return error;
	error = region_adopt(&blocks.objects, &to, place->name);
	if (error == ERROR_OK) {
		error = convert_all_blocks(&blocks);
		region_close(&blocks.objects);
	}
	if (error == ERROR_OK)
		error = slab_save(&blocks.slab, &to);
	slab_close(&blocks.slab);
	return error;
}

static const struct convert_type *type_of_pool(const struct conversion *conversion, const char *name)
{
	for (uint32_t i = 0; i < conversion->rule_count; i++) {
		const struct convert_rule *rule = &conversion->rules[i];
		if (rule->kind == CONVERT_POOL && strcmp(rule->name, name) == 0)
			return &conversion->types[rule->type];
	}
	return NULL;
}

enum error convert_blocks(const struct converting *converting)
{
	const struct conversion *conversion = converting->conversion;
	const struct convert_type *type = type_of_pool(conversion, conversion->blocks_pool);
	const struct root_block *from = converting->from->block;
	CHECK(type != NULL);
	enum error error = ERROR_OK;
	for (uint32_t i = 0; i < from->region_count && error == ERROR_OK; i++) {
		if (strcmp(from->regions[i].name, conversion->blocks_slab) == 0)
			error = copy_slab(converting, i);
	}
	for (uint32_t i = 0; i < from->region_count && error == ERROR_OK; i++) {
		if (strcmp(from->regions[i].name, conversion->blocks_pool) == 0)
			error = convert_blocks_in(converting, type, i);
	}
	return error;
}
