/* The control groups that this process is in, of version 1 and 2: their limits on memory, tasks and processor time. The
 * groups above limit a group too, so the tightest limit on the way up to the root counts. Main thread. */
#ifndef DOCTOR_MACHINE_CGROUP_H
#define DOCTOR_MACHINE_CGROUP_H

#include "doctor/machine/reading.h"
#include "doctor/machine/root.h"

struct cgroup {
	struct reading memory_max;  /* bytes; the kernel charges it for sockets too */
	struct reading memory_used; /* by the same group, without page cache that can be dropped */
	struct reading tasks_max;
	struct reading tasks_used;
	struct reading cpu_milli; /* thousandths of a core */
};

/* ABSENT where there is no such group. buffer: as for root_read(). */
void cgroup_read(const struct root *root, uint8_t *buffer, struct cgroup *out);

/* The group's path in the text of /proc/self/cgroup: for a controller of version 1, or with "" for version 2. Pure. */
bool cgroup_path(struct slice text, const char *controller, struct slice *path);

#endif
