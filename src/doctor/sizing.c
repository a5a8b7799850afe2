#include "doctor/sizing.h"

/* Descriptors of a shard's table that are no client's, beside the wakers of all shards. */
#define TABLE_RESERVE 24u
/* In a table that all share: of these, for each shard; and for listeners, gates and their like. */
#define SHARED_A_SHARD 5u
#define SHARED_OTHERS 16u
#define SEATS_MAX ((uint64_t)1 << 24)
/* While they start, one table holds a waker and a pair of sockets for each shard. */
#define START_EACH 3u
/* Clients fall on shards by hash: a table is planned for the mean and five standard deviations. */
#define DEVIATIONS 5u
#define HANDSHAKES_MAX 8192u
/* A ring of io_uring keeps as many sockets as a table, or this many, and rings have one in so many of its places. */
#define RING_SLOTS_MAX 32768u
#define RINGS_SHARE 4u
/* main, a gate, and what libraries may start. */
#define THREADS_OTHER 8u

/* The contract of docs/ARCHITECTURE.md is 168 bytes a client with one subscription; what is rounded up to pages and to
 * the doubling of tables comes on top. */
#define USER_BYTES_EACH 224u
/* An idle server socket in epoll, where /proc/slabinfo may not be read: 3.85 KB were measured on Linux 6.18. */
#define SOCKET_BYTES 4096u
/* Scratch, output and lists that a shard has written to once clients talk. */
#define SHARD_RESIDENT_BYTES (128u << 10)
#define PROCESS_RESIDENT_BYTES (8u << 20)

/* Reserved: 8 GiB of blocks, 4 GiB of entries of queues and the pools of its clients and their subscriptions a shard;
 * 17 parts of 2 GiB of the routing index, retained messages, addresses. */
#define SHARD_ADDRESS_BYTES ((uint64_t)15 << 30)
#define PROCESS_ADDRESS_BYTES ((uint64_t)40 << 30)
/* Eight regions of two mappings each, a stack and its guard, a heap of the allocator. */
#define SHARD_MAPPINGS 22u
#define PROCESS_MAPPINGS 300u
/* The queues, and the requests. */
#define RING_MAPPINGS 2u

#define STACK_BYTES_DEFAULT ((uint64_t)8 << 20)
/* A limit on stacks beyond this is none. */
#define STACK_BYTES_MAX ((uint64_t)1 << 40)

static uint64_t core_count(const struct machine *machine)
{
	uint64_t cores = reading_used(machine->facts[FACT_CORES]);
	return cores == 0 ? 1 : cores < SIZING_SHARDS_MAX ? cores : SIZING_SHARDS_MAX;
}

static bool tables_are_private(const struct machine *machine)
{
	return reading_used(machine->facts[FACT_PRIVATE_TABLES]) != 0;
}

static bool files_are_fixed(const struct machine *machine)
{
	return reading_used(machine->facts[FACT_FIXED_FILES]) != 0;
}

static uint64_t square_root(uint64_t value)
{
	uint64_t low = 0;
	uint64_t high = UINT32_MAX;
	while (low < high) {
		uint64_t middle = (low + high + 1) / 2;
		if (middle * middle <= value)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Seats that a table needs where it holds `mean` clients on average. */
static uint64_t seats_for_mean(uint64_t mean)
{
	return mean + DEVIATIONS * (square_root(mean) + 1);
}

static uint64_t mean_for_seats(uint64_t seats)
{
	uint64_t low = 0;
	uint64_t high = seats;
	while (low < high) {
		uint64_t middle = (low + high + 1) / 2;
		if (seats_for_mean(middle) <= seats)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static uint64_t divide_up(uint64_t value, uint64_t by)
{
	return (value + by - 1) / by;
}

/* The fewest shards with so many seats each; beyond SIZING_SHARDS_MAX where they are not enough. */
static uint64_t shards_for_seats(uint64_t connections, uint64_t seats, uint64_t least)
{
	if (least == 1 && connections <= seats)
		return 1;
	uint64_t mean = mean_for_seats(seats);
	uint64_t needed = mean > 0 ? divide_up(connections, mean) : UINT64_MAX;
	return needed > least ? needed : least;
}

static uint64_t table_to_start(uint64_t shards)
{
	return shards * START_EACH + TABLE_RESERVE;
}

/* Seats of the fullest of so many shards. */
static uint64_t seats_wanted(uint64_t connections, uint64_t shards)
{
	return shards == 1 ? connections : seats_for_mean(divide_up(connections, shards));
}

/* ---- with one shard a core ---- */

/* For clients' sockets: in each shard's table, or in the one that all share. */
static uint64_t table_places(const struct machine *machine, uint64_t table)
{
	bool shared = !tables_are_private(machine);
	uint64_t others =
		TABLE_RESERVE + (shared ? SHARED_A_SHARD * core_count(machine) + SHARED_OTHERS : core_count(machine));
	uint64_t places = table > others ? table - others : 0;
	if (!shared)
		return places < SEATS_MAX ? places : SEATS_MAX;
	/* A quarter of them, but no more than HANDSHAKES_MAX, is kept for those who have not signed in. */
	uint64_t handshakes = places / 4;
	return handshakes == 0 ? 0 : places - (handshakes < HANDSHAKES_MAX ? handshakes : HANDSHAKES_MAX);
}

static uint64_t rings_most(const struct machine *machine, uint64_t table)
{
	uint64_t sharing = tables_are_private(machine) ? 1 : core_count(machine);
	return table_places(machine, table) / RINGS_SHARE / sharing;
}

static uint64_t ring_slots(uint64_t table)
{
	return table < RING_SLOTS_MAX ? table : RING_SLOTS_MAX;
}

static bool tables_hold(const struct machine *machine, uint64_t table, uint64_t connections)
{
	bool shared = !tables_are_private(machine);
	uint64_t seats = shared ? connections : seats_wanted(connections, core_count(machine));
	return seats <= table_places(machine, table);
}

static bool rings_hold(const struct machine *machine, uint64_t table, uint64_t connections)
{
	return seats_wanted(connections, core_count(machine)) <= rings_most(machine, table) * ring_slots(table);
}

/* Never false for a larger table if it is true for a smaller one. */
static bool is_enough(const struct machine *machine, uint64_t table, uint64_t connections)
{
	if (tables_are_private(machine) && table < table_to_start(core_count(machine)))
		return false;
	return tables_hold(machine, table, connections) ||
	       (files_are_fixed(machine) && rings_hold(machine, table, connections));
}

static uint64_t smallest_enough(const struct machine *machine, uint64_t connections)
{
	uint64_t low = 0;
	uint64_t high = UINT32_MAX;
	while (low < high) {
		uint64_t middle = (low + high) / 2;
		if (is_enough(machine, middle, connections))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* What each of the shards makes, at last. */
static uint64_t ring_count(const struct machine *machine, uint64_t connections)
{
	uint64_t table = reading_bound(machine->facts[FACT_DESCRIPTORS_HARD]);
	if (!files_are_fixed(machine) || table == 0 || tables_hold(machine, table, connections))
		return 0;
	uint64_t rings = divide_up(seats_wanted(connections, core_count(machine)), ring_slots(table));
	uint64_t most = rings_most(machine, table);
	return rings < most ? rings : most;
}

/* ---- what is asked ---- */

bool sizing_tables_hold(const struct machine *machine, uint64_t connections)
{
	return tables_hold(machine, reading_bound(machine->facts[FACT_DESCRIPTORS_HARD]), connections);
}

uint32_t sizing_shards(const struct machine *machine, uint64_t connections)
{
	uint64_t table = reading_bound(machine->facts[FACT_DESCRIPTORS_HARD]);
	uint64_t cores = core_count(machine);
	uint64_t shards = cores;
	if (!tables_are_private(machine))
		return (uint32_t)cores;
	if (files_are_fixed(machine))
		return is_enough(machine, table, connections) ? (uint32_t)cores : 0;
	/* Each table holds the wakers of all shards: more shards leave less room in each, until it comes out even. */
	for (;;) {
		uint64_t fixed = shards + TABLE_RESERVE;
		uint64_t seats = table > fixed ? table - fixed : 0;
		uint64_t needed = shards_for_seats(connections, seats < SEATS_MAX ? seats : SEATS_MAX, cores);
		if (needed > SIZING_SHARDS_MAX || table_to_start(shards) > table)
			return 0;
		if (needed <= shards)
			return (uint32_t)shards;
		shards = needed;
	}
}

uint64_t sizing_table(const struct machine *machine, uint64_t connections)
{
	if (!tables_are_private(machine) || files_are_fixed(machine))
		return smallest_enough(machine, connections);
	uint64_t smallest = UINT64_MAX;
	for (uint64_t shards = core_count(machine);; shards *= 2) {
		if (shards > SIZING_SHARDS_MAX)
			shards = SIZING_SHARDS_MAX;
		uint64_t table = seats_wanted(connections, shards) + shards + TABLE_RESERVE;
		if (table < table_to_start(shards))
			table = table_to_start(shards);
		smallest = table < smallest ? table : smallest;
		if (shards == SIZING_SHARDS_MAX)
			return smallest;
	}
}

static uint64_t shards_at_most(const struct machine *machine, uint64_t connections)
{
	if (files_are_fixed(machine))
		return core_count(machine);
	uint32_t shards = sizing_shards(machine, connections);
	return shards != 0 ? shards : SIZING_SHARDS_MAX;
}

uint64_t sizing_threads(const struct machine *machine, uint64_t connections)
{
	return shards_at_most(machine, connections) + THREADS_OTHER;
}

uint64_t sizing_user_bytes(const struct machine *machine, uint64_t connections)
{
	return PROCESS_RESIDENT_BYTES + shards_at_most(machine, connections) * SHARD_RESIDENT_BYTES +
	       connections * USER_BYTES_EACH;
}

uint64_t sizing_socket_bytes(const struct machine *machine)
{
	uint64_t bytes = reading_used(machine->facts[FACT_SOCKET_BYTES]);
	return bytes != 0 ? bytes : SOCKET_BYTES;
}

uint64_t sizing_memory_bytes(const struct machine *machine, uint64_t connections)
{
	return sizing_user_bytes(machine, connections) + connections * sizing_socket_bytes(machine);
}

uint64_t sizing_address_bytes(const struct machine *machine, uint64_t connections)
{
	return PROCESS_ADDRESS_BYTES + shards_at_most(machine, connections) * SHARD_ADDRESS_BYTES;
}

uint64_t sizing_commit_bytes(const struct machine *machine, uint64_t connections)
{
	struct reading limit = machine->facts[FACT_STACK];
	bool limited = limit.state == READING_KNOWN && limit.value <= STACK_BYTES_MAX;
	uint64_t stack = limited ? limit.value : STACK_BYTES_DEFAULT;
	return sizing_user_bytes(machine, connections) + sizing_threads(machine, connections) * stack;
}

uint64_t sizing_mappings(const struct machine *machine, uint64_t connections)
{
	uint64_t each = SHARD_MAPPINGS + ring_count(machine, connections) * RING_MAPPINGS;
	return PROCESS_MAPPINGS + shards_at_most(machine, connections) * each;
}
