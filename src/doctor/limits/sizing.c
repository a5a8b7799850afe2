#include "doctor/limits/sizing.h"

#include "base/check.h"
#include "capacity/layout.h"

/* Listening sockets in a table that all threads share. How many there will be is not known here; a few descriptors more
 * or less decide nothing. */
#define LISTENERS 13u
#define GATES 1u
#define HANDSHAKES_MAX 8192u
/* main, a gate, and threads that libraries may start. */
#define THREADS_OTHER 8u

/* docs/ARCHITECTURE.md promises 168 bytes for a client with one subscription. Pages that are not full and tables that
 * double come on top. */
#define USER_BYTES_EACH 224u
/* An idle server socket in epoll, where /proc/slabinfo may not be read: measured as 3.85 KB on Linux 6.18. */
#define SOCKET_BYTES 4096u
/* Scratch memory, output and lists that a shard has written to once its clients send something. */
#define SHARD_RESIDENT_BYTES (128u << 10)
#define PROCESS_RESIDENT_BYTES (8u << 20)

/* Reserved by each shard: 8 GiB of blocks, 4 GiB of TLS sessions, 4 GiB of queue entries, and the pools of its clients,
 * their WebSockets and subscriptions. By the process: 17 parts of 2 GiB of the routing index, retained messages,
 * addresses, the TLS sessions of a gate, and 64 GiB for notes to the next program. */
#define SHARD_ADDRESS_BYTES ((uint64_t)20 << 30)
#define PROCESS_ADDRESS_BYTES ((uint64_t)108 << 30)
/* Some 15 regions of two mappings each, a stack and its guard page, a heap of the allocator. */
#define SHARD_MAPPINGS 36u
#define PROCESS_MAPPINGS 300u
/* A ring's queues, and its requests. */
#define RING_MAPPINGS 2u

#define STACK_BYTES_DEFAULT ((uint64_t)8 << 20)
/* A larger limit on stacks counts as none. */
#define STACK_BYTES_MAX ((uint64_t)1 << 40)

static uint64_t core_count(const struct machine *machine)
{
	uint64_t cores = reading_used(machine->facts[FACT_CORES]); /* 0: not known */
	return cores == 0 ? 1 : cores < SPREAD_SHARDS_MAX ? cores : SPREAD_SHARDS_MAX;
}

static bool tables_are_private(const struct machine *machine)
{
	return reading_used(machine->facts[FACT_PRIVATE_TABLES]) != 0;
}

static bool files_are_fixed(const struct machine *machine)
{
	return reading_used(machine->facts[FACT_FIXED_FILES]) != 0;
}

static struct layout_request request_of(const struct machine *machine, uint64_t table, uint64_t connections)
{
	return (struct layout_request){
		.connections = connections,
		.table = table < UINT32_MAX ? table : UINT32_MAX,
		.cores = (uint32_t)core_count(machine),
		.gates = GATES,
		.listeners = LISTENERS,
		.handshakes_max = HANDSHAKES_MAX,
		.private_tables = tables_are_private(machine),
		.fixed_files = files_are_fixed(machine),
	};
}

/* False: with tables so small the connections are not held, or the shards that would hold them do not start. If it is
 * true for a table, it is true for any larger one. */
static bool make_layout(const struct machine *machine, uint64_t table, uint64_t connections, struct layout *layout)
{
	struct layout_request request = request_of(machine, table, connections);
	if (layout_make(&request, layout) != LAYOUT_MADE || layout->capacity < connections)
		return false;
	return !request.private_tables || table >= layout_table_to_start(layout->shards);
}

bool sizing_tables_hold(const struct machine *machine, uint64_t connections)
{
	struct layout layout;
	uint64_t table = reading_bound(machine->facts[FACT_DESCRIPTORS_HARD]);
	struct layout_request request = request_of(machine, table, connections);
	request.shards = request.cores;
	request.fixed_files = false;
	return layout_make(&request, &layout) == LAYOUT_MADE && layout.capacity >= connections;
}

uint32_t sizing_shards(const struct machine *machine, uint64_t connections)
{
	struct layout layout;
	uint64_t table = reading_bound(machine->facts[FACT_DESCRIPTORS_HARD]);
	if (!tables_are_private(machine))
		return (uint32_t)core_count(machine);
	return make_layout(machine, table, connections, &layout) ? layout.shards : 0;
}

uint64_t sizing_table(const struct machine *machine, uint64_t connections)
{
	CHECK(connections <= SIZING_CONNECTIONS_MAX);
	struct layout layout;
	uint64_t low = 0;
	uint64_t high = UINT32_MAX;
	while (low < high) {
		uint64_t middle = (low + high) / 2;
		if (make_layout(machine, middle, connections, &layout))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Rings that each shard makes in the end. */
static uint64_t ring_count(const struct machine *machine, uint64_t connections)
{
	struct layout layout;
	struct layout_request request =
		request_of(machine, reading_bound(machine->facts[FACT_DESCRIPTORS_HARD]), connections);
	return layout_make(&request, &layout) == LAYOUT_MADE ? layout_rings(&layout) : 0;
}

static uint64_t shards_at_most(const struct machine *machine, uint64_t connections)
{
	if (files_are_fixed(machine))
		return core_count(machine);
	uint32_t shards = sizing_shards(machine, connections);
	CHECK(shards <= SPREAD_SHARDS_MAX);
	return shards != 0 ? shards : SPREAD_SHARDS_MAX;
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
	uint64_t kernel;
	/* What slabinfo says may be anything. So large a need is never met, and what is in use can still be added to
	 * it. */
	if (__builtin_mul_overflow(connections, sizing_socket_bytes(machine), &kernel) ||
	    kernel > READING_UNLIMITED_FROM)
		kernel = READING_UNLIMITED_FROM;
	return sizing_user_bytes(machine, connections) + kernel;
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
