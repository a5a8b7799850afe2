/* How much memory the kernel's own objects take, and by how much that grew while sockets were made. Main thread. */
#ifndef DOCTOR_PLAN_KERNEL_MEMORY_H
#define DOCTOR_PLAN_KERNEL_MEMORY_H

#include "doctor/machine/slabs.h"

struct kernel_memory {
	struct slabs *slabs; /* on the heap; NULL where slabinfo may not be read */
	uint64_t slab_bytes; /* of all objects */
};

void kernel_memory_read(struct kernel_memory *memory);
void kernel_memory_free(struct kernel_memory *memory);

/* Bytes by which it has grown since, divided by the number of sockets (1 or more). *by_objects: counted by kinds of
 * objects, which leaves out what others did meanwhile. */
double kernel_memory_growth(const struct kernel_memory *before, uint32_t sockets, bool *by_objects);

#endif
