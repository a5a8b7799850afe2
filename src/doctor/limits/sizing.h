/* What Roost takes of a machine for a number of connections: threads, descriptors, memory, address space. Shards and
 * descriptors come from capacity/layout.h, by which the server lays itself out too. The other figures are the doctor's
 * own knowledge of the server (docs/ARCHITECTURE.md), and scenarios compare them with what a real server takes. Pure;
 * any thread. */
#ifndef DOCTOR_LIMITS_SIZING_H
#define DOCTOR_LIMITS_SIZING_H

#include "doctor/machine/machine.h"

/* More than any machine holds; nothing is computed beyond it. */
#define SIZING_CONNECTIONS_MAX ((uint64_t)1 << 30)

/* How many shards `serve --connections` starts here: one for each core, or, where sockets that tables do not hold
 * cannot go to io_uring's, as many as tables are needed. 0: the connections are not held; neither the most rings nor
 * the most shards are enough. */
uint32_t sizing_shards(const struct machine *machine, uint64_t connections);

/* Whether the tables of one shard for each core hold them, or the one that all share: nothing else is needed then. */
bool sizing_tables_hold(const struct machine *machine, uint64_t connections);

/* The smallest descriptor table with which they are held, the rest being in io_uring's tables or on more shards. */
uint64_t sizing_table(const struct machine *machine, uint64_t connections);

uint64_t sizing_threads(const struct machine *machine, uint64_t connections);
/* Bytes: of the process alone, and with what the kernel keeps for its sockets. */
uint64_t sizing_user_bytes(const struct machine *machine, uint64_t connections);
uint64_t sizing_memory_bytes(const struct machine *machine, uint64_t connections);
/* Bytes that are reserved, most of which are never touched. */
uint64_t sizing_address_bytes(const struct machine *machine, uint64_t connections);
/* Bytes that count against the commit limit: what is written to, and all of the threads' stacks. */
uint64_t sizing_commit_bytes(const struct machine *machine, uint64_t connections);
/* Entries of the process's memory map. */
uint64_t sizing_mappings(const struct machine *machine, uint64_t connections);

/* Bytes that the kernel takes for one idle socket of a server. */
uint64_t sizing_socket_bytes(const struct machine *machine);

#endif
