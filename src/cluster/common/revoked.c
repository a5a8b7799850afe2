#include "cluster/common/revoked.h"

#include "base/check.h"
#include "memory/slab.h"
#include "memory/table.h"

#include <endian.h>
#include <stdlib.h>

_Static_assert(REVOKED_PARTS == 64, "a part is the upper six bits of a hash, and a bit of a word");
#define IDS_BYTES_MAX ((size_t)1 << 32)
/* A clock that steps back a little does not bring back what is over. */
#define MS_PER_S 1000u

struct revoked_entry {
	struct table_node table; /* first: the pool's link may overwrite the hash */
	uint64_t hash;
	int64_t until_s;
	struct stamp stamp; /* none: from before the node started */
	uint32_t id;        /* in the slab; 0: empty */
	uint32_t lifted_s;  /* when it was; seconds since 1970; 0: it is in force */
	uint16_t id_bytes;
	uint8_t kind;
	bool is_used;
	uint32_t zero;
};

struct revoked {
	struct hash_key key;
	struct stamp_clock clock;
	struct pool entries;
	struct table table;
	struct slab ids;
	uint32_t limit;
	uint32_t lifted;
};

static struct revoked_entry *revoked_entry_at(const struct revoked *revoked, uint32_t index)
{
	return pool_at(&revoked->entries, index);
}

static struct slice revoked_id_of(const struct revoked *revoked, const struct revoked_entry *entry)
{
	return slice_of(entry->id != 0 ? slab_at(&revoked->ids, entry->id) : NULL, entry->id_bytes);
}

struct revoked *revoked_new(const struct hash_key *key, uint64_t node, uint32_t limit)
{
	struct revoked *revoked = calloc(1, sizeof(*revoked));
	if (revoked == NULL)
		return NULL;
	revoked->key = *key;
	revoked->clock.node = node;
	revoked->limit = limit;
	uint32_t entries = limit < UINT32_MAX / 4 ? limit + REVOKED_LIFTED_MAX : UINT32_MAX / 4;
	enum error error = pool_open(&revoked->entries, sizeof(struct revoked_entry), entries);
	if (error != ERROR_OK) {
		free(revoked);
		return NULL;
	}
	error = table_open(&revoked->table, &revoked->entries, offsetof(struct revoked_entry, table), entries);
	if (error == ERROR_OK) {
		error = slab_open(&revoked->ids, IDS_BYTES_MAX);
		if (error != ERROR_OK)
			table_close(&revoked->table);
	}
	if (error == ERROR_OK)
		return revoked;
	pool_close(&revoked->entries);
	free(revoked);
	return NULL;
}

void revoked_free(struct revoked *revoked)
{
	if (revoked == NULL)
		return;
	slab_close(&revoked->ids);
	table_close(&revoked->table);
	pool_close(&revoked->entries);
	free(revoked);
}

uint32_t revoked_count(const struct revoked *revoked)
{
	return revoked->entries.used;
}

/* ---- entries ---- */

static uint64_t revoked_hash_of(const struct revoked *revoked, uint8_t kind, struct slice id)
{
	/* The id's, and a different one for each kind. */
	return hash_slice(&revoked->key, id) ^ (uint64_t)kind * 0x9E3779B97F4A7C15u;
}

static uint32_t revoked_find(const struct revoked *revoked, uint64_t hash, const struct revoked_item *item)
{
	uint32_t index = table_first(&revoked->table, (uint32_t)hash);
	for (; index != 0; index = table_next(&revoked->table, index)) {
		const struct revoked_entry *entry = revoked_entry_at(revoked, index);
		if (entry->hash == hash && entry->kind == item->kind &&
		    slice_equal(revoked_id_of(revoked, entry), item->id))
			return index;
	}
	return 0;
}

static void revoked_forget(struct revoked *revoked, uint32_t index)
{
	struct revoked_entry *entry = revoked_entry_at(revoked, index);
	table_remove(&revoked->table, index);
	if (entry->id != 0)
		slab_give(&revoked->ids, entry->id, entry->id_bytes);
	if (entry->lifted_s != 0)
		revoked->lifted--;
	entry->is_used = false;
	pool_give(&revoked->entries, index);
}

static uint32_t revoked_add(struct revoked *revoked, uint64_t hash, const struct revoked_item *item)
{
	uint32_t index = pool_take(&revoked->entries);
	if (index == 0)
		return 0;
	struct revoked_entry *entry = revoked_entry_at(revoked, index);
	*entry = (struct revoked_entry){
		.hash = hash, .kind = item->kind, .id_bytes = (uint16_t)item->id.size, .is_used = true};
	if (item->id.size != 0) {
		entry->id = slab_take(&revoked->ids, item->id.size);
		if (entry->id == 0) {
			entry->is_used = false;
			pool_give(&revoked->entries, index);
			return 0;
		}
		memcpy(slab_at(&revoked->ids, entry->id), item->id.data, item->id.size);
	}
	table_insert(&revoked->table, index, (uint32_t)hash);
	return index;
}

static bool revoked_set(struct revoked *revoked, uint64_t hash, uint32_t index, const struct revoked_item *item,
			uint64_t wall_ms)
{
	bool lifts = item->until_s == REVOKED_LIFTED_S;
	uint32_t in_force = revoked->entries.used - revoked->lifted;
	if (index == 0 && (lifts ? revoked->lifted >= REVOKED_LIFTED_MAX : in_force >= revoked->limit))
		return false;
	if (index == 0)
		index = revoked_add(revoked, hash, item);
	if (index == 0)
		return false;
	struct revoked_entry *entry = revoked_entry_at(revoked, index);
	revoked->lifted -= entry->lifted_s != 0;
	entry->until_s = item->until_s;
	entry->stamp = item->stamp;
	entry->lifted_s = lifts ? (uint32_t)(wall_ms / MS_PER_S) | 1u : 0;
	revoked->lifted += entry->lifted_s != 0;
	return true;
}

static bool revoked_is_over(const struct revoked_entry *entry, uint64_t wall_ms)
{
	int64_t now_s = (int64_t)(wall_ms / MS_PER_S);
	return entry->lifted_s != 0 ? now_s - (int64_t)entry->lifted_s >= (int64_t)REVOKED_LIFTED_FOR_S
				    : entry->until_s <= now_s;
}

/* ---- changes ---- */

bool revoked_change(struct revoked *revoked, const struct revoked_item *item, uint64_t wall_ms, struct stamp *stamp)
{
	uint64_t hash = revoked_hash_of(revoked, item->kind, item->id);
	uint32_t index = revoked_find(revoked, hash, item);
	struct revoked_item changed = *item;
	struct stamp before = index != 0 ? revoked_entry_at(revoked, index)->stamp : (struct stamp){0};
	*stamp = changed.stamp = stamp_next(&revoked->clock, wall_ms, before);
	return revoked_set(revoked, hash, index, &changed, wall_ms);
}

bool revoked_found(struct revoked *revoked, const struct revoked_item *item, uint64_t wall_ms)
{
	uint64_t hash = revoked_hash_of(revoked, item->kind, item->id);
	struct revoked_item found = *item;
	found.stamp = (struct stamp){0};
	return revoked_find(revoked, hash, item) != 0 || revoked_set(revoked, hash, 0, &found, wall_ms);
}

bool revoked_take(struct revoked *revoked, const struct revoked_item *item, uint64_t wall_ms)
{
	uint64_t hash = revoked_hash_of(revoked, item->kind, item->id);
	uint32_t index = revoked_find(revoked, hash, item);
	bool lifts = item->until_s == REVOKED_LIFTED_S;
	stamp_hear(&revoked->clock, item->stamp, wall_ms);
	if (index != 0) {
		const struct revoked_entry *entry = revoked_entry_at(revoked, index);
		int order = stamp_compare(item->stamp, entry->stamp);
		if (order < 0 || (order == 0 && item->until_s <= entry->until_s))
			return false;
	}
	/* One that finds no room here is done all the same, as far as there is room for it elsewhere. */
	revoked_set(revoked, hash, index, item, wall_ms);
	return !lifts || index != 0;
}

void revoked_expire(struct revoked *revoked, uint64_t wall_ms)
{
	for (uint32_t index = 1; index <= revoked->entries.touched; index++) {
		const struct revoked_entry *entry = revoked_entry_at(revoked, index);
		if (entry->is_used && revoked_is_over(entry, wall_ms))
			revoked_forget(revoked, index);
	}
}

/* ---- what there is ---- */

static uint32_t revoked_part_of(uint64_t hash)
{
	return (uint32_t)(hash >> 58);
}

/* The end counts, and not the stamp: what is alike need not be sent. */
void revoked_digest(const struct revoked *revoked, uint64_t wall_ms, uint64_t digest[REVOKED_PARTS])
{
	memset(digest, 0, REVOKED_PARTS * sizeof(*digest));
	for (uint32_t index = 1; index <= revoked->entries.touched; index++) {
		const struct revoked_entry *entry = revoked_entry_at(revoked, index);
		if (entry->is_used && entry->lifted_s == 0 && !revoked_is_over(entry, wall_ms))
			digest[revoked_part_of(entry->hash)] ^=
				stamp_digest(entry->hash, (struct stamp){.time = (uint64_t)entry->until_s});
	}
}

size_t revoked_list(const struct revoked *revoked, uint64_t parts, uint32_t *next, uint8_t *to, size_t size)
{
	CHECK_GE(size, REVOKED_ITEM_BYTES_MAX);
	size_t bytes = 0;
	uint32_t index = *next != 0 ? *next : 1;
	for (; index <= revoked->entries.touched && size - bytes >= REVOKED_ITEM_BYTES_MAX; index++) {
		const struct revoked_entry *entry = revoked_entry_at(revoked, index);
		if (!entry->is_used || (parts >> revoked_part_of(entry->hash) & 1) == 0)
			continue;
		const struct revoked_item item = {.kind = entry->kind,
						  .until_s = entry->until_s,
						  .stamp = entry->stamp,
						  .id = revoked_id_of(revoked, entry)};
		bytes += revoked_item_write(&item, to + bytes);
	}
	*next = index <= revoked->entries.touched ? index : 0;
	return bytes;
}

/* ---- bytes ---- */

size_t revoked_item_write(const struct revoked_item *item, uint8_t *to)
{
	uint64_t until = htole64((uint64_t)item->until_s);
	to[0] = item->kind;
	memcpy(to + 1, &until, sizeof(until));
	stamp_put(item->stamp, to + 9);
	to[25] = (uint8_t)item->id.size;
	to[26] = (uint8_t)(item->id.size >> 8);
	if (item->id.size != 0)
		memcpy(to + REVOKED_ITEM_HEAD_BYTES, item->id.data, item->id.size);
	return REVOKED_ITEM_HEAD_BYTES + item->id.size;
}

bool revoked_item_read(struct slice *bytes, struct revoked_item *item)
{
	if (bytes->size < REVOKED_ITEM_HEAD_BYTES)
		return false;
	const uint8_t *at = bytes->data;
	uint64_t until;
	size_t id_bytes = at[25] | (size_t)at[26] << 8;
	memcpy(&until, at + 1, sizeof(until));
	item->kind = at[0];
	item->until_s = (int64_t)le64toh(until);
	if (item->kind >= REVOKED_KINDS || item->until_s < 0 || !stamp_get(at + 9, &item->stamp) ||
	    bytes->size - REVOKED_ITEM_HEAD_BYTES < id_bytes)
		return false;
	item->id = slice_of(at + REVOKED_ITEM_HEAD_BYTES, id_bytes);
	*bytes = slice_of(at + REVOKED_ITEM_HEAD_BYTES + id_bytes, bytes->size - REVOKED_ITEM_HEAD_BYTES - id_bytes);
	return true;
}

void revoked_digest_write(const uint64_t digest[REVOKED_PARTS], uint8_t to[REVOKED_DIGEST_BYTES])
{
	for (uint32_t i = 0; i < REVOKED_PARTS; i++) {
		uint64_t value = htole64(digest[i]);
		memcpy(to + 8 * i, &value, sizeof(value));
	}
}

bool revoked_digest_read(struct slice body, const uint64_t digest[REVOKED_PARTS], uint64_t *parts)
{
	*parts = 0;
	if (body.size != REVOKED_DIGEST_BYTES)
		return false;
	for (uint32_t i = 0; i < REVOKED_PARTS; i++) {
		uint64_t value;
		memcpy(&value, body.data + 8 * i, sizeof(value));
		*parts |= (uint64_t)(le64toh(value) != digest[i]) << i;
	}
	return true;
}
