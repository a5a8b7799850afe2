#include "doctor/sizing.h"

/* Descriptors of a shard's table that are no client's, beside the wakers of all shards. */
#define TABLE_RESERVE 24u
#define SEATS_MAX ((uint64_t)1 << 24)
/* While they start, one table holds a waker and a pair of sockets for each shard. */
#define START_EACH 3u
/* Clients fall on shards by hash: a table is planned for the mean and five standard deviations. */
#define DEVIATIONS 5u
#define HANDSHAKES_MAX 8192u
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
#define SHARD_ADDRESS_BYTES ((uint64_t)14 << 30)
#define PROCESS_ADDRESS_BYTES ((uint64_t)40 << 30)
/* Eight regions of two mappings each, a stack and its guard, a heap of the allocator. */
#define SHARD_MAPPINGS 22u
#define PROCESS_MAPPINGS 300u

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

uint32_t sizing_shards(const struct machine *machine, uint64_t connections)
{
	uint64_t table = reading_bound(machine->facts[FACT_DESCRIPTORS_HARD]);
	uint64_t cores = core_count(machine);
	uint64_t shards = cores;
	if (!tables_are_private(machine))
		return (uint32_t)cores;
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

static uint64_t shared_table(const struct machine *machine, uint64_t connections)
{
	/* A quarter of the places, but no more than HANDSHAKES_MAX, is kept for those who have not signed in. */
	uint64_t handshakes = divide_up(connections, 3);
	uint64_t fixed = TABLE_RESERVE + 5 * core_count(machine) + 16;
	return fixed + connections + (handshakes < HANDSHAKES_MAX ? handshakes : HANDSHAKES_MAX);
}

uint64_t sizing_table(const struct machine *machine, uint64_t connections)
{
	if (!tables_are_private(machine))
		return shared_table(machine, connections);
	uint64_t smallest = UINT64_MAX;
	for (uint64_t shards = core_count(machine);; shards *= 2) {
		if (shards > SIZING_SHARDS_MAX)
			shards = SIZING_SHARDS_MAX;
		uint64_t seats = shards == 1 ? connections : seats_for_mean(divide_up(connections, shards));
		uint64_t table = seats + shards + TABLE_RESERVE;
		if (table < table_to_start(shards))
			table = table_to_start(shards);
		smallest = table < smallest ? table : smallest;
		if (shards == SIZING_SHARDS_MAX)
			return smallest;
	}
}

static uint64_t shards_at_most(const struct machine *machine, uint64_t connections)
{
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
	return PROCESS_MAPPINGS + shards_at_most(machine, connections) * SHARD_MAPPINGS;
}
