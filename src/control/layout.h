/* What the process is made of: how many shards, and where their clients' sockets find places, from what is wished for
 * and what the machine allows. Each shard has a descriptor table, or all share one; what tables do not hold is kept in
 * fixed files (net/fixed_files.h) or, where there are none, on more shards. Used once, at the start. */
#ifndef CONTROL_LAYOUT_H
#define CONTROL_LAYOUT_H

#include "net/io.h"
#include "runtime/settings.h"

struct layout {
	uint64_t table;          /* descriptors that one table may hold */
	uint32_t shards;         /* 1..PLAN_SHARDS_MAX */
	uint32_t places;         /* for clients' sockets: in each shard's table, or in the one that all share */
	uint32_t quota;          /* clients that may be signed in: of each shard, or of all that share a table */
	uint64_t capacity;       /* how many the whole takes */
	struct fixed_plan fixed; /* of each shard; sockets 0: none is needed */
};

/* table: what a table may hold; cores: that the process may use. Lowers settings->handshakes_max where tables are too
 * small for it. ERROR_LIMIT: said in the log, with what would be enough. */
enum error layout_plan(struct layout *layout, struct settings *settings, uint64_t table, uint32_t cores);

#endif
