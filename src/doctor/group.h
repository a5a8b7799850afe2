/* The control groups that this process is in, of version 1 and 2: their bounds on memory, tasks and processor time.
 * A group is bounded by those above it too, so the tightest on the way up to the root counts. Main thread. */
#ifndef DOCTOR_GROUP_H
#define DOCTOR_GROUP_H

#include "doctor/reading.h"
#include "doctor/root.h"

struct group {
	struct reading memory_max;  /* bytes; sockets in the kernel are charged to it too */
	struct reading memory_used; /* of the same group, without page cache that can be dropped */
	struct reading tasks_max;
	struct reading tasks_used;
	struct reading cpu_milli; /* thousandths of a core */
};

/* ABSENT where there is no such group. buffer: as root_read()'s. */
void group_read(const struct root *root, uint8_t *buffer, struct group *out);

/* The path of the group in the text of /proc/self/cgroup: of a version 1 controller, or with "" of version 2. Pure. */
bool group_path(struct slice text, const char *controller, struct slice *path);

#endif
