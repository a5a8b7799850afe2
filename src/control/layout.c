#include "control/layout.h"

#include "base/log.h"
#include "control/plan.h"

/* Descriptors of a shard's table that are no client's: 0, 1, 2, its poller, its waker's peers, QUOTA_SPARE_OF_A_TABLE
 * for clients that come again before their older connection is closed, and a reserve for what libraries open. */
#define TABLE_RESERVE 24u
/* Of these, for each thread that shares a table. */
#define SHARED_PER_SHARD 5u
#define SHARED_PER_GATE 3u
#define PLACES_MAX (1u << 24)
/* With fixed files: places of a table for sockets on their way there. */
#define TRANSIT_PLACES 256u
/* The kernel has an array with so many places for each ring. */
#define RING_SLOTS_MAX 32768u

/* In one shard's table. Each holds the wakers of all shards, so more shards leave less room in each. */
static uint32_t private_places(uint64_t table, uint32_t shards)
{
	uint64_t others = shards + TABLE_RESERVE;
	uint64_t places = table > others ? table - others : 0;
	return places < PLACES_MAX ? (uint32_t)places : PLACES_MAX;
}

/* 0: there is no number of shards that would do. */
static uint32_t choose_shards(const struct settings *settings, uint64_t table, uint32_t cores)
{
	if (settings->shards != 0)
		return settings->shards;
	if (settings->connections == 0 || !settings->private_tables || settings->fixed_files)
		return cores; /* more of them would not have more room, or need none */
	/* More shards have more wakers, which leave less room in each table: until it comes out even. */
	uint32_t shards = cores;
	for (;;) {
		uint32_t needed = plan_shards(settings->connections, private_places(table, shards), cores);
		if (needed <= shards)
			return needed == 0 ? 0 : shards;
		shards = needed;
	}
}

static enum error plan_private(struct layout *layout, struct settings *settings, uint32_t cores)
{
	uint32_t least = layout->shards != 0 ? layout->shards : cores;
	if (private_places(layout->table, least) == 0) {
		log_write(LOG_ERROR, "a limit of %lu descriptors is too low for %u shards: at least %u are needed",
			  layout->table, least, least + TABLE_RESERVE + 1);
		return ERROR_LIMIT;
	}
	if (layout->shards == 0) {
		log_write(LOG_ERROR, "%u connections need more than %u shards with tables of %lu descriptors",
			  settings->connections, PLAN_SHARDS_MAX, layout->table);
		return ERROR_LIMIT;
	}
	uint64_t others = TABLE_RESERVE + layout->shards * 2u;
	uint64_t room = layout->table > others ? layout->table - others : 1;
	if (settings->handshakes_max > room)
		settings->handshakes_max = (uint32_t)room;
	layout->places = private_places(layout->table, layout->shards);
	layout->capacity = plan_capacity(layout->shards, layout->places);
	return ERROR_OK;
}

/* One table for all: its places are shared too. Handshakes have places of their own, so that those at the door cannot
 * take them all. */
static enum error plan_shared(struct layout *layout, struct settings *settings)
{
	uint64_t others = TABLE_RESERVE + SHARED_PER_SHARD * layout->shards + settings->listener_count +
			  SHARED_PER_GATE * settings->gates;
	uint64_t places = layout->table > others ? layout->table - others : 0;
	uint64_t handshakes = places / 4 / settings->gates;
	if (handshakes == 0) {
		log_write(LOG_ERROR, "one table of %lu descriptors is too small: at least %lu are needed",
			  layout->table, others + 4u * settings->gates);
		return ERROR_LIMIT;
	}
	if (settings->handshakes_max > handshakes)
		settings->handshakes_max = (uint32_t)handshakes;
	layout->places = (uint32_t)(places - (uint64_t)settings->handshakes_max * settings->gates);
	layout->capacity = layout->places;
	return ERROR_OK;
}

/* A shard has seats for all clients that may fall on it, and may fix the files of all of them: in a shared table others
 * may have taken the places. A ring is a descriptor itself: they take a quarter of the places at most. */
static void plan_fixed(struct layout *layout, const struct settings *settings)
{
	uint32_t sharing = settings->private_tables ? 1 : layout->shards;
	uint32_t ring_slots = (uint32_t)(layout->table < RING_SLOTS_MAX ? layout->table : RING_SLOTS_MAX);
	uint64_t sockets_most = (uint64_t)(layout->places / 4 / sharing) * ring_slots;
	uint32_t wanted = plan_seats(settings->connections, layout->shards);
	uint32_t sockets = wanted < sockets_most ? wanted : (uint32_t)sockets_most;
	uint64_t capacity = sockets == wanted ? settings->connections : plan_capacity(layout->shards, sockets);
	if (capacity <= layout->capacity)
		return; /* a table so small has no room for rings */
	uint32_t rings = (sockets + ring_slots - 1) / ring_slots * sharing;
	uint32_t transit = layout->places / 4 < TRANSIT_PLACES ? layout->places / 4 : TRANSIT_PLACES;
	layout->fixed = (struct fixed_plan){
		.sockets = sockets,
		.ring_slots = ring_slots,
		.first_descriptor = (int)(layout->places - transit - rings),
	};
	layout->capacity = capacity;
	layout->quota = settings->private_tables ? sockets : (uint32_t)capacity;
}

static void warn(const struct layout *layout, const struct settings *settings)
{
	if (settings->private_tables)
		log_write(LOG_WARNING,
			  "%u shards hold %lu connections, not %u: give more shards, leave --shards out, or raise the "
			  "limit of descriptors",
			  layout->shards, layout->capacity, settings->connections);
	else
		log_write(LOG_WARNING, "one table of %lu descriptors holds %lu connections, not %u", layout->table,
			  layout->capacity, settings->connections);
}

enum error layout_plan(struct layout *layout, struct settings *settings, uint64_t table, uint32_t cores)
{
	*layout = (struct layout){.table = table, .shards = choose_shards(settings, table, cores)};
	enum error error =
		settings->private_tables ? plan_private(layout, settings, cores) : plan_shared(layout, settings);
	if (error != ERROR_OK)
		return error;
	layout->quota = layout->places;
	if (settings->connections > layout->capacity && settings->fixed_files)
		plan_fixed(layout, settings);
	if (settings->connections > layout->capacity)
		warn(layout, settings);
	else if (settings->connections != 0)
		layout->capacity = settings->connections;
	return ERROR_OK;
}
