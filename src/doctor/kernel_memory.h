/* How much memory the kernel's own objects take, and by how much it grew while sockets were made. Main thread. */
#ifndef DOCTOR_KERNEL_MEMORY_H
#define DOCTOR_KERNEL_MEMORY_H

#include "doctor/slabs.h"

struct kernel_memory {
	struct slabs *slabs; /* on the heap; NULL where slabinfo may not be read */
	uint64_t slab_bytes; /* of all objects */
};

void kernel_memory_read(struct kernel_memory *memory);
void kernel_memory_free(struct kernel_memory *memory);

/* Bytes a socket that it grew by since then. *by_objects: counted by the kinds of objects, so that what others did
 * meanwhile is left out. */
double kernel_memory_growth(const struct kernel_memory *before, uint32_t sockets, bool *by_objects);

#endif
