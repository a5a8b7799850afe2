/* The directory of a home: who holds which of the client ids that this node is home for, by 64-bit keyed hashes of the
 * ids. Two ids with one hash would be taken for one; with a million of them that happens once in some 40 million
 * clusters, and costs that one of the two finds no session.
 *
 * 16 bytes an entry at a load of 3/8 to 3/4. In 256 parts by hash, each of which grows by itself, so no insertion
 * copies more than a 256th. One thread; pure. */
#ifndef CLUSTER_DIRECTORY_H
#define CLUSTER_DIRECTORY_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DIRECTORY_PARTS 256u
/* So that a cluster that is out of its mind does not take all memory: 2^26 ids of 16 bytes are 1 to 3 GiB. */
#define DIRECTORY_MAX (1u << 26)

struct directory_entry {
	uint64_t hash;    /* 0: the place is free */
	uint32_t since_s; /* when the holder's last connection began, on this node's clock */
	uint8_t slot;     /* the holder */
	bool is_husk;     /* it has sent the session elsewhere, as it says */
	uint16_t reserved;
};
_Static_assert(sizeof(struct directory_entry) == 16, "the cost of a client id");

struct directory_part {
	struct directory_entry *entries;
	uint32_t places; /* a power of two, or 0 */
	uint32_t count;
};

struct directory {
	struct directory_part parts[DIRECTORY_PARTS];
	uint32_t count;
};

void directory_init(struct directory *directory);
void directory_fini(struct directory *directory);
/* Forgets all, and keeps the memory. */
void directory_clear(struct directory *directory);

/* NULL: nobody holds it. Valid until the next change. */
struct directory_entry *directory_find(struct directory *directory, uint64_t hash);
/* The entry, made where there is none. ERROR_LIMIT, ERROR_NO_MEMORY. */
enum error directory_set(struct directory *directory, uint64_t hash, uint8_t slot, uint32_t since_s, bool is_husk);
void directory_remove(struct directory *directory, uint64_t hash);

#endif
