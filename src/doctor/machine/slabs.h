/* The kernel's own account of its small objects, /proc/slabinfo: what a socket costs by the sizes of its objects, and
 * which objects grew in number while sockets were made. Pure: text in, figures out. Any thread. */
#ifndef DOCTOR_MACHINE_SLABS_H
#define DOCTOR_MACHINE_SLABS_H

#include "base/slice.h"

#define SLABS_MAX 512u
#define SLAB_NAME_BYTES 32u

struct slab_cache {
	char name[SLAB_NAME_BYTES];
	uint64_t objects;  /* in use */
	double bytes_each; /* its share of the pages, with what is left over in them */
};

struct slabs {
	uint32_t count;
	struct slab_cache caches[SLABS_MAX];
};

/* Skips lines that are not slabinfo's, a name's second line, and caches beyond SLABS_MAX. */
void slabs_parse(struct slabs *slabs, struct slice text, uint32_t page_bytes);

/* Bytes that an idle TCP socket of a server takes, by the sizes of its objects, one of each: socket, inode, directory
 * entry, file and what epoll keeps. 0 where the caches of the socket itself are not listed. */
uint64_t slabs_socket_bytes(const struct slabs *slabs);

/* Bytes by which caches grew that gained at least half an object for each of `sockets` (1 or more): those belong to the
 * sockets, the others to what else happened on the machine. */
double slabs_growth_bytes(const struct slabs *before, const struct slabs *after, uint64_t sockets);

#endif
