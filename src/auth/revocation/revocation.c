#include "auth/revocation/revocation.h"

#include "base/check.h"

#include <stdatomic.h>
#include <stdlib.h>

#define SLOTS_MIN 256u

/* What the writer keeps of each. */
struct revocation_record {
	int64_t until_s;
	uint64_t hash[2];
	uint32_t place; /* in the list of all */
	uint32_t round;
	uint16_t id_bytes;
	uint8_t kind;
	uint8_t id[];
};

/* What readers see of it. Open addressing, linear probing; hash[0] == 0: empty. */
struct revocation_slot {
	_Atomic uint64_t hash[2];
	_Atomic int64_t until_s;
	struct revocation_record *record; /* the writer's */
};

/* A table that has become too small is kept until the end: a reader may still be in it, and all outgrown tables
 * together are smaller than the one in use. */
struct revocation_table {
	struct revocation_table *smaller;
	uint32_t mask;
	struct revocation_slot slots[];
};

struct revocations {
	struct hash_key key, second_key; /* of the two halves of a hash */
	_Atomic(struct revocation_table *) table;
	_Atomic uint64_t changes; /* odd while slots are being written; a reader that sees it move looks again */
	struct revocation_record **records;
	uint32_t count;
	uint32_t capacity;
	uint32_t limit;
	uint32_t round;
};

_Static_assert(REVOCATION_ID_BYTES_MAX <= UINT16_MAX, "revocation_record.id_bytes");

static const char *const KIND_NAMES[REVOCATION_KIND_COUNT] = {"token", "user", "client"};

const char *revocation_kind_name(enum revocation_kind kind)
{
	CHECK(kind < REVOCATION_KIND_COUNT);
	return KIND_NAMES[kind];
}

bool revocation_kind_parse(struct slice name, enum revocation_kind *kind)
{
	for (unsigned i = 0; i < REVOCATION_KIND_COUNT; i++) {
		if (slice_equal(name, slice_string(KIND_NAMES[i]))) {
			*kind = (enum revocation_kind)i;
			return true;
		}
	}
	return false;
}

static struct revocation_table *revocation_table_new(uint32_t slots, struct revocation_table *smaller)
{
	CHECK(slots != 0 && (slots & (slots - 1)) == 0);
	struct revocation_table *table = calloc(1, sizeof(*table) + slots * sizeof(table->slots[0]));
	if (table == NULL)
		return NULL;
	table->mask = slots - 1;
	table->smaller = smaller;
	return table;
}

uint64_t revocation_hash(const struct hash_key *key, enum revocation_kind kind, struct slice id)
{
	/* Odd constants of SplitMix64 and xxHash; any that differ would do, for the hash is keyed. */
	static const uint64_t MARKS[REVOCATION_KIND_COUNT] = {
		[REVOCATION_TOKEN] = 0x9E3779B97F4A7C15u,
		[REVOCATION_USER] = 0xC2B2AE3D27D4EB4Fu,
		[REVOCATION_CLIENT] = 0,
	};
	CHECK(kind < REVOCATION_KIND_COUNT);
	return hash_slice(key, id) ^ MARKS[kind];
}

struct revocations *revocations_new(uint32_t limit, const struct hash_key *key)
{
	struct revocations *revocations = calloc(1, sizeof(*revocations));
	struct revocation_table *table = revocation_table_new(SLOTS_MIN, NULL);
	if (revocations == NULL || table == NULL) {
		free(table);
		free(revocations);
		return NULL;
	}
	revocations->key = *key;
	revocations->second_key = hash_key_random();
	atomic_store(&revocations->table, table);
	revocations->limit = limit;
	return revocations;
}

void revocations_free(struct revocations *revocations)
{
	if (revocations == NULL)
		return;
	for (uint32_t i = 0; i < revocations->count; i++)
		free(revocations->records[i]);
	free(revocations->records);
	for (struct revocation_table *table = atomic_load(&revocations->table), *smaller; table != NULL;
	     table = smaller) {
		smaller = table->smaller;
		free(table);
	}
	free(revocations);
}

/* 128 bits: a look-up compares no ids, and a false match would shut somebody out. 0 is an empty slot. */
static uint64_t revocations_first_hash(const struct revocations *revocations, enum revocation_kind kind,
				       struct slice id)
{
	uint64_t hash = revocation_hash(&revocations->key, kind, id);
	return hash != 0 ? hash : 1;
}

static uint64_t revocations_second_hash(const struct revocations *revocations, struct slice id)
{
	return hash_slice(&revocations->second_key, id);
}

/* The end of the id's revocation, 0 where there is none. Nearly no id is revoked: the second half of its hash is made
 * only where the first is found. Every load is an acquire, so that the second look at `changes` cannot move before
 * them. */
static int64_t revocations_until(const struct revocations *revocations, uint64_t hash, struct slice id)
{
	const struct revocation_table *table = atomic_load_explicit(&revocations->table, memory_order_acquire);
	/* Bounded, because a slot that moves under the reader could keep it going round for ever. */
	for (uint32_t i = 0; i <= table->mask; i++) {
		const struct revocation_slot *slot = &table->slots[(hash + i) & table->mask];
		uint64_t first = atomic_load_explicit(&slot->hash[0], memory_order_acquire);
		if (first == 0)
			return 0;
		if (first == hash && atomic_load_explicit(&slot->hash[1], memory_order_acquire) ==
					     revocations_second_hash(revocations, id))
			return atomic_load_explicit(&slot->until_s, memory_order_acquire);
	}
	return 0;
}

bool revocations_has(const struct revocations *revocations, enum revocation_kind kind, struct slice id, int64_t now_s)
{
	uint64_t hash = revocations_first_hash(revocations, kind, id);
	for (;;) {
		uint64_t before = atomic_load_explicit(&revocations->changes, memory_order_acquire);
		int64_t until_s = revocations_until(revocations, hash, id);
		if (before % 2 == 0 && atomic_load_explicit(&revocations->changes, memory_order_relaxed) == before)
			return until_s > now_s;
	}
}

/* The writer. Stores are releases, so that none moves before the one that made `changes` odd. */

static void revocations_change_begin(struct revocations *revocations)
{
	CHECK(atomic_fetch_add_explicit(&revocations->changes, 1, memory_order_acq_rel) % 2 == 0);
}

static void revocations_change_end(struct revocations *revocations)
{
	CHECK(atomic_fetch_add_explicit(&revocations->changes, 1, memory_order_release) % 2 == 1);
}

static struct revocation_table *revocations_writer_table(const struct revocations *revocations)
{
	return atomic_load_explicit(&revocations->table, memory_order_relaxed);
}

static uint64_t revocation_slot_hash(const struct revocation_slot *slot)
{
	return atomic_load_explicit(&slot->hash[0], memory_order_relaxed);
}

static void revocation_slot_set(struct revocation_slot *slot, struct revocation_record *record)
{
	atomic_store_explicit(&slot->hash[1], record == NULL ? 0 : record->hash[1], memory_order_release);
	atomic_store_explicit(&slot->until_s, record == NULL ? 0 : record->until_s, memory_order_release);
	atomic_store_explicit(&slot->hash[0], record == NULL ? 0 : record->hash[0], memory_order_release);
	slot->record = record;
}

/* Where the hash is, or where it belongs. */
static struct revocation_slot *revocation_slot_find(struct revocation_table *table, const uint64_t hash[2])
{
	uint32_t at = (uint32_t)hash[0] & table->mask;
	for (;; at = (at + 1) & table->mask) {
		struct revocation_slot *slot = &table->slots[at];
		if (slot->record == NULL || (slot->record->hash[0] == hash[0] && slot->record->hash[1] == hash[1]))
			return slot;
	}
}

/* At most three quarters full. */
static bool revocations_make_room(struct revocations *revocations)
{
	struct revocation_table *table = revocations_writer_table(revocations);
	if (revocations->count == revocations->capacity) {
		uint32_t capacity = revocations->capacity == 0 ? 64 : revocations->capacity * 2;
		struct revocation_record **records = realloc(revocations->records, capacity * sizeof(*records));
		if (records == NULL)
			return false;
		revocations->records = records;
		revocations->capacity = capacity;
	}
	if (revocations->count + 1 <= table->mask / 4 * 3)
		return true;
	struct revocation_table *larger = revocation_table_new((table->mask + 1) * 2, table);
	if (larger == NULL)
		return false;
	for (uint32_t i = 0; i < revocations->count; i++)
		revocation_slot_set(revocation_slot_find(larger, revocations->records[i]->hash),
				    revocations->records[i]);
	atomic_store_explicit(&revocations->table, larger, memory_order_release);
	return true;
}

static struct revocation_record *revocation_record_new(const struct revocation *revocation, const uint64_t hash[2])
{
	struct revocation_record *record = malloc(sizeof(*record) + revocation->id.size);
	if (record == NULL)
		return NULL;
	*record = (struct revocation_record){.until_s = revocation->until_s,
					     .hash = {hash[0], hash[1]},
					     .id_bytes = (uint16_t)revocation->id.size,
					     .kind = (uint8_t)revocation->kind};
	if (revocation->id.size != 0)
		memcpy(record->id, revocation->id.data, revocation->id.size);
	return record;
}

static enum error revocations_insert(struct revocations *revocations, const struct revocation *revocation,
				     const uint64_t hash[2])
{
	struct revocation_record *record = revocation_record_new(revocation, hash);
	if (record == NULL || !revocations_make_room(revocations)) {
		free(record);
		return ERROR_NO_MEMORY;
	}
	CHECK(revocations->count < revocations->capacity && revocations->count < revocations->limit);
	record->place = revocations->count;
	record->round = revocations->round;
	revocations->records[revocations->count++] = record;
	revocations_change_begin(revocations);
	revocation_slot_set(revocation_slot_find(revocations_writer_table(revocations), hash), record);
	revocations_change_end(revocations);
	return ERROR_OK;
}

/* Entries behind it in the same run of slots move up unless they are in their home slot already, so that no tombstones
 * are left to be cleaned out. */
static void revocation_slot_clear(struct revocation_table *table, struct revocation_slot *slot)
{
	CHECK(slot->record != NULL);
	uint32_t hole = (uint32_t)(slot - table->slots);
	for (uint32_t at = (hole + 1) & table->mask; revocation_slot_hash(&table->slots[at]) != 0;
	     at = (at + 1) & table->mask) {
		uint32_t home = (uint32_t)revocation_slot_hash(&table->slots[at]) & table->mask;
		if (((at - home) & table->mask) < ((at - hole) & table->mask))
			continue;
		revocation_slot_set(&table->slots[hole], table->slots[at].record);
		hole = at;
	}
	revocation_slot_set(&table->slots[hole], NULL);
}

static void revocations_remove(struct revocations *revocations, struct revocation_record *record)
{
	CHECK(record->place < revocations->count && revocations->records[record->place] == record);
	struct revocation_table *table = revocations_writer_table(revocations);
	revocations_change_begin(revocations);
	revocation_slot_clear(table, revocation_slot_find(table, record->hash));
	revocations_change_end(revocations);
	struct revocation_record *last = revocations->records[--revocations->count];
	revocations->records[record->place] = last;
	last->place = record->place;
	free(record);
}

static void revocations_renew(struct revocations *revocations, struct revocation_slot *slot, int64_t until_s)
{
	slot->record->until_s = until_s;
	revocations_change_begin(revocations);
	atomic_store_explicit(&slot->until_s, until_s, memory_order_release);
	revocations_change_end(revocations);
}

enum error revocations_add(struct revocations *revocations, const struct revocation *revocation, int64_t now_s,
			   enum revocation_change *change)
{
	CHECK(revocation->kind < REVOCATION_KIND_COUNT && revocation->id.size <= REVOCATION_ID_BYTES_MAX);
	const uint64_t hash[2] = {revocations_first_hash(revocations, revocation->kind, revocation->id),
				  revocations_second_hash(revocations, revocation->id)};
	struct revocation_slot *slot = revocation_slot_find(revocations_writer_table(revocations), hash);
	*change = REVOCATION_UNCHANGED;
	if (slot->record != NULL) {
		slot->record->round = revocations->round;
		if (revocation->until_s <= now_s) {
			*change = REVOCATION_LIFTED;
			revocations_remove(revocations, slot->record);
		} else if (slot->record->until_s != revocation->until_s) {
			*change = slot->record->until_s <= now_s ? REVOCATION_ADDED : REVOCATION_RENEWED;
			revocations_renew(revocations, slot, revocation->until_s);
		}
		return ERROR_OK;
	}
	if (revocation->until_s <= now_s)
		return ERROR_OK;
	if (revocations->count >= revocations->limit && revocations_expire(revocations, now_s) == 0)
		return ERROR_LIMIT;
	enum error error = revocations_insert(revocations, revocation, hash);
	if (error == ERROR_OK)
		*change = REVOCATION_ADDED;
	return error;
}

uint32_t revocations_expire(struct revocations *revocations, int64_t now_s)
{
	uint32_t count = revocations->count;
	for (uint32_t i = count; i-- > 0;)
		if (revocations->records[i]->until_s <= now_s)
			revocations_remove(revocations, revocations->records[i]);
	return count - revocations->count;
}

void revocations_round_begin(struct revocations *revocations)
{
	revocations->round++;
}

uint32_t revocations_round_end(struct revocations *revocations)
{
	uint32_t count = revocations->count;
	for (uint32_t i = count; i-- > 0;)
		if (revocations->records[i]->round != revocations->round)
			revocations_remove(revocations, revocations->records[i]);
	return count - revocations->count;
}

uint32_t revocations_count(const struct revocations *revocations)
{
	return revocations->count;
}

struct revocation revocations_at(const struct revocations *revocations, uint32_t place)
{
	CHECK(place < revocations->count);
	const struct revocation_record *record = revocations->records[place];
	return (struct revocation){.kind = (enum revocation_kind)record->kind,
				   .id = slice_of(record->id, record->id_bytes),
				   .until_s = record->until_s};
}
