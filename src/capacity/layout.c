#include "capacity/layout.h"

#include "base/check.h"

/* Descriptors of a shard's table that are no client's: 0, 1, 2, its poller, its waker's peers, some for clients that
 * come back before their older connection is closed, and a reserve for what libraries open. */
#define TABLE_RESERVE 24u
/* A waker and a pair of sockets. */
#define START_PER_SHARD 3u
/* Of a shared table, for each thread that shares it. */
#define SHARED_PER_SHARD 5u
#define SHARED_PER_GATE 3u
#define PLACES_MAX (1u << 24)
/* A share of a table's places, one in so many, that is not used up by what could take all of it: in a shared table
 * handshakes, and with fixed files the rings, which are descriptors themselves. */
#define SHARE 4u
/* With fixed files: places of a table for sockets on their way there. */
#define TRANSIT_PLACES 256u
/* The kernel keeps an array of so many places for each ring. */
#define RING_SLOTS_MAX 32768u

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What is left of a table beside so many others. */
static uint64_t room_beside(uint64_t table, uint64_t others)
{
	return table > others ? table - others : 0;
}

/* In one shard's table. Each holds the wakers of all shards, so more shards leave less room in each. */
static uint32_t private_places(uint64_t table, uint32_t shards)
{
	return (uint32_t)lesser(room_beside(table, shards + TABLE_RESERVE), PLACES_MAX);
}

/* 0: no number of shards would do. */
static uint32_t choose_shards(const struct layout_request *request)
{
	if (request->shards != 0)
		return request->shards;
	if (request->connections == 0 || !request->private_tables || request->fixed_files)
		return request->cores; /* more of them would not have more room, or need none */
	/* More shards have more wakers, which leave less room in each table: until it comes out even. */
	uint32_t shards = request->cores;
	for (;;) {
		uint32_t places = private_places(request->table, shards);
		uint32_t needed = spread_shards(request->connections, places, request->cores);
		if (needed <= shards)
			return needed == 0 ? 0 : shards;
		shards = needed;
	}
}

static enum layout_result place_private(const struct layout_request *request, struct layout *layout)
{
	uint32_t shards = layout->shards != 0 ? layout->shards : request->cores;
	layout->table_min = (uint64_t)shards + TABLE_RESERVE + 1;
	if (request->table < layout->table_min)
		return LAYOUT_TABLE_SMALL;
	if (layout->shards == 0)
		return LAYOUT_SHARDS_SHORT;
	uint64_t room = room_beside(request->table, TABLE_RESERVE + layout->shards * 2u);
	layout->handshakes_max = (uint32_t)lesser(request->handshakes_max, room > 0 ? room : 1);
	layout->places = private_places(request->table, layout->shards);
	layout->capacity = spread_capacity(layout->shards, layout->places);
	return LAYOUT_MADE;
}

/* One table for all: its places are shared too. Handshakes have places of their own, so that clients that have not
 * signed in cannot take them all. */
static enum layout_result place_shared(const struct layout_request *request, struct layout *layout)
{
	uint64_t others = TABLE_RESERVE + (uint64_t)SHARED_PER_SHARD * layout->shards + request->listeners +
			  (uint64_t)SHARED_PER_GATE * request->gates;
	layout->table_min = others + (uint64_t)SHARE * request->gates;
	if (request->table < layout->table_min)
		return LAYOUT_TABLE_SMALL;
	uint64_t places = room_beside(request->table, others);
	layout->handshakes_max = (uint32_t)lesser(request->handshakes_max, places / SHARE / request->gates);
	places -= (uint64_t)layout->handshakes_max * request->gates;
	layout->places = (uint32_t)lesser(places, UINT32_MAX);
	layout->capacity = layout->places;
	return LAYOUT_MADE;
}

/* A shard has quota for all clients that may fall on it, and may fix the files of all of them: in a shared table others
 * may have taken the places. */
static void add_fixed_files(const struct layout_request *request, struct layout *layout)
{
	uint32_t sharing = request->private_tables ? 1 : layout->shards;
	uint32_t ring_slots = (uint32_t)lesser(request->table, RING_SLOTS_MAX);
	uint64_t sockets_most = (uint64_t)(layout->places / SHARE / sharing) * ring_slots;
	uint32_t wanted = spread_places(request->connections, layout->shards);
	uint32_t sockets = (uint32_t)lesser(wanted, sockets_most);
	uint64_t capacity = sockets == wanted ? request->connections : spread_capacity(layout->shards, sockets);
	if (capacity <= layout->capacity)
		return; /* a table so small has no room for rings */
	CHECK(sockets > 0 && ring_slots > 0);
	uint32_t rings = (uint32_t)(((uint64_t)sockets + ring_slots - 1) / ring_slots) * sharing;
	uint32_t transit = (uint32_t)lesser(layout->places / SHARE, TRANSIT_PLACES);
	CHECK(transit + rings <= layout->places);
	layout->fixed = (struct layout_fixed){
		.sockets = sockets,
		.ring_slots = ring_slots,
		.first_descriptor = (int)(layout->places - transit - rings),
	};
	layout->capacity = capacity;
	layout->quota = request->private_tables ? sockets : (uint32_t)capacity;
}

enum layout_result layout_make(const struct layout_request *request, struct layout *layout)
{
	CHECK(request->cores > 0 && request->gates > 0);
	*layout = (struct layout){
		.table = request->table,
		.shards = choose_shards(request),
		.handshakes_max = request->handshakes_max,
	};
	enum layout_result result =
		request->private_tables ? place_private(request, layout) : place_shared(request, layout);
	if (result != LAYOUT_MADE)
		return result;
	CHECK(layout->shards > 0 && layout->places > 0);
	layout->quota = layout->places;
	if (request->connections > layout->capacity && request->fixed_files)
		add_fixed_files(request, layout);
	if (request->connections != 0 && request->connections < layout->capacity)
		layout->capacity = request->connections;
	return LAYOUT_MADE;
}

uint64_t layout_table_to_start(uint32_t shards)
{
	return (uint64_t)shards * START_PER_SHARD + TABLE_RESERVE;
}

uint32_t layout_rings(const struct layout *layout)
{
	const struct layout_fixed *fixed = &layout->fixed;
	return fixed->sockets == 0 ? 0
				   : (uint32_t)(((uint64_t)fixed->sockets + fixed->ring_slots - 1) / fixed->ring_slots);
}
