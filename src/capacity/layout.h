/* How many shards there are, and where the sockets of their clients find places, for a number of connections and what a
 * machine allows. Each shard has a descriptor table, or all share one. What tables do not hold is kept in io_uring's
 * fixed files or, where the kernel refuses those, on more shards.
 *
 * The server lays itself out by this, and `roost doctor` says by it what would be enough: the arithmetic exists once.
 * Pure; any thread. */
#ifndef CAPACITY_LAYOUT_H
#define CAPACITY_LAYOUT_H

#include "capacity/spread.h"

#include <stdbool.h>

struct layout_request {
	uint64_t connections;    /* 0: as many as find places */
	uint64_t table;          /* descriptors that one table may hold, RLIMIT_NOFILE */
	uint32_t cores;          /* that the process may use, 1 or more: one shard each */
	uint32_t shards;         /* exactly so many; 0: to be chosen */
	uint32_t gates;          /* 1 or more */
	uint32_t listeners;      /* sockets in a shared table; a private one is not asked for these */
	uint32_t handshakes_max; /* of each gate */
	bool private_tables;     /* each shard may have a table of its own */
	bool fixed_files;        /* io_uring may be used */
};

/* What one shard keeps in fixed files. */
struct layout_fixed {
	uint32_t sockets;     /* at most so many; 0: none is needed */
	uint32_t ring_slots;  /* of them in one ring */
	int first_descriptor; /* a socket with this number or a higher one leaves the table */
};

struct layout {
	uint64_t table;          /* as in the request */
	uint64_t table_min;      /* the smallest table in which a client finds a place at all */
	uint32_t shards;         /* 1..SPREAD_SHARDS_MAX, or what was asked for */
	uint32_t places;         /* for clients' sockets: in each shard's table, or in the one that all share */
	uint32_t quota;          /* clients that may be signed in: on each shard, or on all that share a table */
	uint32_t handshakes_max; /* as in the request, or lower where a table is too small for it */
	uint64_t capacity;       /* connections that are held; what was asked for, where that is less */
	struct layout_fixed fixed;
};

enum layout_result {
	LAYOUT_MADE,         /* capacity may still be below what was asked for */
	LAYOUT_TABLE_SMALL,  /* table is below table_min */
	LAYOUT_SHARDS_SHORT, /* SPREAD_SHARDS_MAX shards with tables so small do not hold the connections */
};

/* A larger table never holds less where there is one gate; of several, each takes one place more for its handshakes at
 * a time. */
enum layout_result layout_make(const struct layout_request *request, struct layout *layout);

/* Descriptors that a table must hold while so many shards start: it then has the wakers and the socket pairs of all. */
uint64_t layout_table_to_start(uint32_t shards);

/* Rings that each shard makes at last. */
uint32_t layout_rings(const struct layout *layout);

#endif
