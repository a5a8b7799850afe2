#include "layout/convert.h"

#include "base/check.h"
#include "layout/convert_state.h"
#include "memory/pool.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define STEP_BYTES ((uint64_t)1 << 20)
#define PAGE_BYTES 4096u

/* ---- objects ---- */

/* In one step bits of seven bytes, so that with what is beside them they lie in eight. */
#define STEP_BITS 56u

static uint64_t get_bits(const uint8_t *from, uint32_t bit, uint32_t bits)
{
	uint64_t word = 0;
	uint32_t bytes = (bit % 8 + bits + 7) / 8;
	CHECK(bits <= STEP_BITS && bytes <= sizeof(word));
	for (uint32_t i = 0; i < bytes; i++)
		word |= (uint64_t)from[bit / 8 + i] << 8 * i;
	return word >> bit % 8 & ((UINT64_C(1) << bits) - 1);
}

/* To where zeroes are. */
static void put_bits(uint8_t *to, uint32_t bit, uint32_t bits, uint64_t value)
{
	uint32_t bytes = (bit % 8 + bits + 7) / 8;
	value <<= bit % 8;
	for (uint32_t i = 0; i < bytes; i++)
		to[bit / 8 + i] |= (uint8_t)(value >> 8 * i);
}

static void convert_bits(const struct convert_move *move, const uint8_t *from, uint8_t *to)
{
	for (uint32_t done = 0; done < move->bits; done += STEP_BITS) {
		uint32_t bits = move->bits - done < STEP_BITS ? move->bits - done : STEP_BITS;
		put_bits(to, move->to_bit + done, bits, get_bits(from, move->from_bit + done, bits));
	}
}

/* Most members have one of these sizes, for which nothing is called. A million objects are converted while their
 * clients wait. */
static void convert_bytes(const struct convert_move *move, const uint8_t *from, uint8_t *to)
{
	from += move->from_bit / 8;
	to += move->to_bit / 8;
	switch (move->bits) {
	case 16:
		memcpy(to, from, 2);
		break;
	case 32:
		memcpy(to, from, 4);
		break;
	case 64:
		memcpy(to, from, 8);
		break;
	default:
		memcpy(to, from, move->bits / 8);
	}
}

void convert_object(const struct convert_type *type, const void *from, void *to)
{
	for (uint32_t i = 0; i < type->move_count; i++) {
		const struct convert_move *move = &type->moves[i];
		CHECK((uint64_t)move->from_bit + move->bits <= type->from_bytes * (uint64_t)8 &&
		      (uint64_t)move->to_bit + move->bits <= type->to_bytes * (uint64_t)8);
		if (((move->from_bit | move->to_bit | move->bits) & 7u) == 0)
			convert_bytes(move, from, to);
		else
			convert_bits(move, from, to);
	}
}

/* ---- rules ---- */

/* "#" in the pattern stands for a number. */
static bool convert_name_is(const char *pattern, const char *name)
{
	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '#') {
			if (*name++ != *pattern)
				return false;
			continue;
		}
		if (!isdigit((unsigned char)*name))
			return false;
		while (isdigit((unsigned char)*name))
			name++;
	}
	return *name == '\0';
}

static const struct convert_rule *convert_rule_of(const struct conversion *conversion, enum convert_kind kind,
						  const char *name)
{
	for (uint32_t i = 0; i < conversion->rule_count; i++) {
		const struct convert_rule *rule = &conversion->rules[i];
		if (rule->kind == kind && convert_name_is(rule->name, name))
			return rule;
	}
	return NULL;
}

/* ---- regions ---- */

enum error convert_move_region(const struct converting *converting, struct root_region *place, uint64_t bytes,
			       struct region *made)
{
	struct arena in = {.root = converting->to, .number = place->arena, .adopted = true};
	uint64_t reserved = (bytes + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
	enum error error = arena_reserve(&in, reserved, &place->offset);
	if (error != ERROR_OK)
		return error;
	place->reserved_bytes = reserved;
	place->usable_bytes = 0;
	return region_adopt(made, &in, place->name);
}

void convert_populate(const uint8_t *base, size_t bytes, bool is_written)
{
	CHECK((uintptr_t)base % PAGE_BYTES == 0);
	/* A kernel that refuses, or does not know it, lets pages come as they are used. */
	(void)madvise((void *)(uintptr_t)base, bytes, is_written ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

/* The free list's link takes an object's first four bytes, whatever is there otherwise. */
static bool convert_free_list(const struct convert_type *type, const struct pool_note *note, const uint8_t *from,
			      uint8_t *to)
{
	uint32_t left = note->touched;
	for (uint32_t at = note->free; at != 0; left--) {
		if (at > note->touched || left == 0)
			return false;
		uint32_t next;
		memcpy(&next, from + (size_t)at * type->from_bytes, sizeof(next));
		memcpy(to + (size_t)at * type->to_bytes, &next, sizeof(next));
		at = next;
	}
	return true;
}

static enum error convert_pool_objects(const struct convert_type *type, const struct pool_note *note,
				       const struct region *from, struct region *to)
{
	if (note->touched == 0)
		return ERROR_OK;
	size_t from_bytes = ((size_t)note->touched + 1) * type->from_bytes;
	size_t to_bytes = ((size_t)note->touched + 1) * type->to_bytes;
	enum error error = region_grow(to, to_bytes);
	if (error == ERROR_OK) {
		convert_populate(from->base, from_bytes, false);
		convert_populate(to->base, to_bytes, true);
	}
	for (size_t i = 1; i <= note->touched && error == ERROR_OK; i++)
		convert_object(type, from->base + i * type->from_bytes, to->base + i * type->to_bytes);
	if (error == ERROR_OK && !convert_free_list(type, note, from->base, to->base))
		error = ERROR_NOT_FOUND;
	return error;
}

bool convert_get_pool_note(const struct converting *converting, const struct convert_type *type,
			   const struct root_region *place, struct pool_note *note)
{
	const char *arena = converting->from->block->arenas[place->arena].name;
	return notes_get_exact(converting->from->notes, arena, place->name, note, sizeof(*note)) &&
	       note->object_bytes == type->from_bytes && note->touched <= note->limit &&
	       ((uint64_t)note->limit + 1) * type->from_bytes <= place->reserved_bytes &&
	       (note->touched == 0 || ((uint64_t)note->touched + 1) * type->from_bytes <= place->usable_bytes);
}

static enum error convert_pool(const struct converting *converting, const struct convert_rule *rule, uint32_t number)
{
	const struct convert_type *type = &converting->conversion->types[rule->type];
	struct root_region *old_place = &converting->from->block->regions[number];
	struct pool_note note;
	struct region from, to;
	if (!convert_get_pool_note(converting, type, old_place, &note))
		return ERROR_NOT_FOUND;
	struct arena in = {
		.root = (struct memory_root *)(uintptr_t)converting->from, .number = old_place->arena, .adopted = true};
	enum error error = region_adopt(&from, &in, old_place->name);
	if (error != ERROR_OK)
		return error;
	error = convert_move_region(converting, &converting->to->block->regions[number],
				    ((uint64_t)note.limit + 1) * type->to_bytes, &to);
	if (error == ERROR_OK) {
		error = convert_pool_objects(type, &note, &from, &to);
		region_close(&to);
	}
	region_close(&from);
	return error;
}

static enum error convert_pools(const struct converting *converting)
{
	enum error error = ERROR_OK;
	for (uint32_t i = 0; i < converting->from->block->region_count && error == ERROR_OK; i++) {
		const char *name = converting->from->block->regions[i].name;
		const struct convert_rule *rule =
			name[0] != '\0' ? convert_rule_of(converting->conversion, CONVERT_POOL, name) : NULL;
		if (rule != NULL)
			error = convert_pool(converting, rule, i);
	}
	return error;
}

/* ---- notes ---- */

static enum error convert_put_pool_note(const struct converting *converting, const struct convert_rule *rule,
					const char *scope, const char *name, struct slice data)
{
	struct pool_note note;
	if (data.size != sizeof(note))
		return ERROR_NOT_FOUND;
	memcpy(&note, data.data, sizeof(note));
	note.object_bytes = converting->conversion->types[rule->type].to_bytes;
	return notes_put(converting->to_notes, scope, name, &note, sizeof(note));
}

static enum error convert_put_object(const struct converting *converting, const struct convert_rule *rule,
				     const char *scope, const char *name, struct slice data)
{
	const struct convert_type *type = &converting->conversion->types[rule->type];
	if (data.size != type->from_bytes)
		return ERROR_NOT_FOUND;
	void *room = notes_put_room(converting->to_notes, scope, name, type->to_bytes);
	if (room == NULL)
		return ERROR_NO_MEMORY;
	convert_object(type, data.data, room);
	return ERROR_OK;
}

static enum error convert_put_offset(const struct converting *converting, const struct convert_rule *rule,
				     const char *scope, const char *name, struct slice data)
{
	if (data.size < sizeof(rule->offset))
		return ERROR_NOT_FOUND;
	void *room = notes_put_room(converting->to_notes, scope, name, data.size);
	if (room == NULL)
		return ERROR_NO_MEMORY;
	memcpy(room, data.data, data.size);
	memcpy(room, &rule->offset, sizeof(rule->offset));
	return ERROR_OK;
}

static bool convert_note(void *context, const char *scope, const char *name, struct slice data)
{
	struct converting *converting = context;
	const struct conversion *conversion = converting->conversion;
	const struct convert_rule *rule;
	if (conversion->block_count != 0 && strcmp(name, conversion->blocks_slab) == 0)
		return true; /* convert_blocks() puts it */
	if ((rule = convert_rule_of(conversion, CONVERT_POOL, name)) != NULL)
		converting->error = convert_put_pool_note(converting, rule, scope, name, data);
	else if ((rule = convert_rule_of(conversion, CONVERT_NOTE, name)) != NULL)
		converting->error = convert_put_object(converting, rule, scope, name, data);
	else if ((rule = convert_rule_of(conversion, CONVERT_OFFSET, name)) != NULL)
		converting->error = convert_put_offset(converting, rule, scope, name, data);
	else
		converting->error = notes_put(converting->to_notes, scope, name, data.data, data.size);
	return converting->error == ERROR_OK;
}

static enum error convert_notes(struct converting *converting)
{
	struct arena arena;
	struct region region;
	enum error error = arena_find(&arena, converting->to, NOTES_ARENA);
	struct root_region *place = error == ERROR_OK ? arena_region(&arena, NOTES_REGION) : NULL;
	if (place == NULL)
		return ERROR_NOT_FOUND;
	error = convert_move_region(converting, place, NOTES_BYTES_MAX, &region);
	if (error != ERROR_OK)
		return error;
	error = region_grow(&region, STEP_BYTES);
	if (error != ERROR_OK) {
		region_close(&region);
		return error;
	}
	notes_make_in(converting->to_notes, converting->to, &arena, &region);
	if (!notes_each(converting->from->notes, convert_note, converting)) {
		notes_close(converting->to_notes);
		return converting->error;
	}
	return ERROR_OK;
}

/* ---- all of it ---- */

enum error memory_convert(const struct conversion *conversion, const struct memory_root *from, uint64_t layout_hash,
			  struct memory_root *to, struct notes *to_notes)
{
	CHECK(from->notes != NULL);
	enum error error = memory_root_copy(to, from, layout_hash);
	if (error != ERROR_OK)
		return error;
	struct converting converting = {.conversion = conversion, .from = from, .to = to, .to_notes = to_notes};
	error = convert_pools(&converting);
	if (error == ERROR_OK)
		error = convert_notes(&converting);
	if (error == ERROR_OK && conversion->block_count != 0) {
		error = convert_blocks(&converting);
		if (error != ERROR_OK)
			notes_close(to_notes);
	}
	if (error != ERROR_OK)
		memory_root_close_block(to);
	return error;
}

void memory_convert_finish(struct memory_root *from, const struct memory_root *to)
{
	for (uint32_t i = 0; i < from->block->region_count; i++) {
		const struct root_region *old = &from->block->regions[i];
		if (old->name[0] == '\0' || to->block->regions[i].offset == old->offset)
			continue;
		/* A kernel that refuses costs memory, and nothing else. */
		(void)fallocate(from->block->arenas[old->arena].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)old->offset, (off_t)old->reserved_bytes);
	}
	notes_close(from->notes);
	memory_root_close_block(from);
}
