#include "access/addresses.h"
#include "base/layout_root.h"

#include "base/check.h"
#include "memory/notes.h"
#include "memory/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS 16u
#define PART_BITS 4u
#define PLACES_MIN 4096u
/* Entries examined for each new address. Those that are idle and whose rate has recovered are freed. */
#define SWEEP_PER_INSERT 2u
/* The clock counts milliseconds, so up to one of them is not held against an address. */
#define CLOCK_STEP_US 1000u

_Static_assert(PARTS == 1u << PART_BITS, "a place holds the number of a part in its low bits");

struct address {
	struct table_node node; /* first: the pool's free list overwrites its hash */
	struct prefix prefix;
	uint64_t ready_us; /* when its token bucket is full again: GCRA keeps the rate as one point in time */
	uint32_t connections;
	uint32_t handshakes; /* of these connections */
	bool used;
};
_Static_assert(offsetof(struct address, node) == 0, "no other field may lie under the free list's link");
LAYOUT_ROOT(address);

struct part {
	_Alignas(64) pthread_mutex_t lock;
	struct pool pool;
	struct table table;
	uint32_t swept; /* index examined last */
};

struct addresses {
	struct hash_key key;
	_Atomic uint32_t count;
	struct part parts[PARTS];
};

struct addresses_names {
	char pool[ROOT_NAME_BYTES];
	char table[ROOT_NAME_BYTES];
	char swept[ROOT_NAME_BYTES];
};

static struct addresses_names addresses_names(uint32_t part)
{
	struct addresses_names names;
	snprintf(names.pool, sizeof(names.pool), "addresses %u", part);
	snprintf(names.table, sizeof(names.table), "addresses %u table", part);
	snprintf(names.swept, sizeof(names.swept), "addresses %u swept", part);
	return names;
}

static enum error addresses_open_part(struct part *part, struct arena *arena, uint32_t number, uint32_t limit)
{
	struct addresses_names names = addresses_names(number);
	CHECK(pthread_mutex_init(&part->lock, NULL) == 0);
	enum error error = pool_open_in(&part->pool, arena, names.pool, sizeof(struct address), limit);
	if (error == ERROR_OK)
		error = table_open_in(&part->table, arena, names.table, &part->pool, offsetof(struct address, node),
				      limit);
	if (error == ERROR_OK && arena_is_adopted(arena) &&
	    (!arena_get_exact(arena, names.swept, &part->swept, sizeof(part->swept)) ||
	     part->swept > part->pool.touched))
		error = ERROR_NOT_FOUND;
	return error;
}

enum error addresses_save(const struct addresses *addresses, const struct arena *arena)
{
	enum error error = ERROR_OK;
	for (uint32_t i = 0; i < PARTS && error == ERROR_OK; i++) {
		const struct part *part = &addresses->parts[i];
		error = pool_save(&part->pool, arena);
		if (error == ERROR_OK)
			error = table_save(&part->table, arena);
		if (error == ERROR_OK)
			error = arena_put(arena, addresses_names(i).swept, &part->swept, sizeof(part->swept));
	}
	return error;
}

struct addresses *addresses_new(const struct hash_key *key, uint32_t places, struct arena *arena)
{
	struct addresses *addresses = aligned_alloc(64, sizeof(*addresses));
	if (addresses == NULL)
		return NULL;
	memset(addresses, 0, sizeof(*addresses));
	addresses->key = *key;
	uint32_t each = (places < PLACES_MIN ? PLACES_MIN : places) / PARTS * 2;
	CHECK_LT(each, 1u << (32 - PART_BITS)); /* an index must fit into a place beside the part */
	for (uint32_t i = 0; i < PARTS; i++) {
		struct part *part = &addresses->parts[i];
		if (addresses_open_part(part, arena, i, each) != ERROR_OK)
			return NULL; /* the process exits, so nothing is freed */
		atomic_fetch_add_explicit(&addresses->count, part->table.count, memory_order_relaxed);
	}
	return addresses;
}

void addresses_free(struct addresses *addresses)
{
	for (uint32_t i = 0; i < PARTS; i++) {
		table_close(&addresses->parts[i].table);
		pool_close(&addresses->parts[i].pool);
		pthread_mutex_destroy(&addresses->parts[i].lock);
	}
	free(addresses);
}

uint32_t addresses_count(const struct addresses *addresses)
{
	return atomic_load_explicit(&addresses->count, memory_order_relaxed);
}

static struct address *address_at(const struct part *part, uint32_t index)
{
	return pool_at(&part->pool, index);
}

static uint32_t addresses_find(const struct part *part, uint32_t hash, const struct prefix *prefix)
{
	uint32_t index = table_first(&part->table, hash);
	while (index != 0 && memcmp(&address_at(part, index)->prefix, prefix, sizeof(*prefix)) != 0)
		index = table_next(&part->table, index);
	return index;
}

static void free_if_idle(struct addresses *addresses, struct part *part, uint32_t index, uint64_t now_ms)
{
	struct address *address = address_at(part, index);
	if (!address->used || address->connections != 0 || address->ready_us > now_ms * 1000)
		return;
	CHECK_EQ(address->handshakes, 0);
	table_remove(&part->table, index);
	address->used = false;
	pool_give(&part->pool, index);
	atomic_fetch_sub_explicit(&addresses->count, 1, memory_order_relaxed);
}

static uint32_t addresses_add(struct addresses *addresses, struct part *part, uint32_t hash,
			      const struct prefix *prefix, uint64_t now_ms)
{
	for (uint32_t i = 0; i < SWEEP_PER_INSERT && part->pool.touched != 0; i++) {
		part->swept = part->swept % part->pool.touched + 1;
		free_if_idle(addresses, part, part->swept, now_ms);
	}
	uint32_t index = pool_take(&part->pool);
	if (index == 0)
		return 0;
	*address_at(part, index) = (struct address){.prefix = *prefix, .used = true};
	table_insert(&part->table, index, hash);
	atomic_fetch_add_explicit(&addresses->count, 1, memory_order_relaxed);
	return index;
}

/* Each connection moves ready_us by 1 / rate. It may be ahead of now by the length of a burst. */
static bool addresses_within_rate(const struct address_limits *limits, struct address *address, uint64_t now_ms)
{
	if (limits->rate == 0)
		return true;
	uint64_t now_us = now_ms * 1000;
	uint64_t ready_us = address->ready_us > now_us ? address->ready_us : now_us;
	uint64_t allowed_us = ((uint64_t)limits->burst + 1) * 1000000 / limits->rate;
	uint64_t step_us = 1000000 / limits->rate;
	if (ready_us + step_us > now_us + CLOCK_STEP_US - 1 + allowed_us)
		return false;
	address->ready_us = ready_us + step_us;
	return true;
}

static enum error addresses_check(const struct address_limits *limits, struct address *address, uint64_t now_ms)
{
	if (limits->connections_max != 0 && address->connections >= limits->connections_max)
		return ERROR_ADDRESS_CONNECTIONS;
	if (limits->handshakes_max != 0 && address->handshakes >= limits->handshakes_max)
		return ERROR_ADDRESS_HANDSHAKES;
	return addresses_within_rate(limits, address, now_ms) ? ERROR_OK : ERROR_ADDRESS_RATE;
}

enum error addresses_enter(struct addresses *addresses, const struct address_limits *limits,
			   const struct prefix *prefix, uint64_t now_ms, uint32_t *place)
{
	uint64_t hash = hash_slice(&addresses->key, slice_of(prefix->bytes, sizeof(prefix->bytes)));
	uint32_t number = (uint32_t)(hash >> (64 - PART_BITS));
	struct part *part = &addresses->parts[number];
	pthread_mutex_lock(&part->lock);
	uint32_t index = addresses_find(part, (uint32_t)hash, prefix);
	if (index == 0)
		index = addresses_add(addresses, part, (uint32_t)hash, prefix, now_ms);
	enum error error = index != 0 ? addresses_check(limits, address_at(part, index), now_ms) : ERROR_OK;
	if (error == ERROR_OK && index != 0) {
		address_at(part, index)->connections++;
		address_at(part, index)->handshakes++;
	}
	pthread_mutex_unlock(&part->lock);
	*place = index << PART_BITS | number;
	if (index == 0 || error != ERROR_OK)
		*place = 0;
	return error;
}

static struct part *lock_part(struct addresses *addresses, uint32_t place)
{
	struct part *part = &addresses->parts[place & (PARTS - 1)];
	pthread_mutex_lock(&part->lock);
	return part;
}

static bool is_counted(uint32_t place)
{
	return place != 0 && place != ADDRESSES_INTERNAL;
}

void addresses_sign_in(struct addresses *addresses, uint32_t place)
{
	if (!is_counted(place))
		return;
	struct part *part = lock_part(addresses, place);
	struct address *address = address_at(part, place >> PART_BITS);
	CHECK(address->used);
	CHECK_GT(address->handshakes, 0);
	address->handshakes--;
	pthread_mutex_unlock(&part->lock);
}

void addresses_leave(struct addresses *addresses, uint32_t place, bool signed_in)
{
	if (!is_counted(place))
		return;
	struct part *part = lock_part(addresses, place);
	struct address *address = address_at(part, place >> PART_BITS);
	CHECK(address->used);
	CHECK_GT(address->connections, 0);
	CHECK(signed_in || address->handshakes > 0);
	address->connections--;
	address->handshakes -= !signed_in;
	CHECK_LE(address->handshakes, address->connections);
	/* An address with a rate is freed later, when the rate has recovered. */
	if (address->ready_us == 0)
		free_if_idle(addresses, part, place >> PART_BITS, 0);
	pthread_mutex_unlock(&part->lock);
}
