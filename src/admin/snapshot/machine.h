/* What the kernel tells about this process and its sockets. Reads a few files of /proc whose size does not depend on
 * the number of clients. Any thread. */
#ifndef ADMIN_SNAPSHOT_MACHINE_H
#define ADMIN_SNAPSHOT_MACHINE_H

#include <stdint.h>
#include <time.h>

struct machine {
	double cpu_s;
	uint64_t resident_bytes;
	uint64_t virtual_bytes;
	uint64_t socket_buffer_bytes; /* of all TCP sockets of this network namespace */
	uint64_t tcp_sockets;         /* likewise, in use */
	uint64_t kernel_slab_bytes;   /* of the whole machine: the kernel's own structures, sockets among them */
};

struct machine machine_sample(void);
/* When the process started, in seconds since 1970. */
double machine_started_s(void);
/* The number of descriptors in the main thread's table. Only meaningful if clients have tables of their own. */
uint64_t machine_descriptors(void);
/* The processor time that a thread's clock tells, in seconds; 0 once the thread has ended. */
double machine_thread_cpu_s(clockid_t clock);

#endif
