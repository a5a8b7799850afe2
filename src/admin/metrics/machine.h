/* What the kernel says about this process and about its sockets. Reads a few files of /proc, none of which grows with
 * the clients. Any thread. */
#ifndef ADMIN_METRICS_MACHINE_H
#define ADMIN_METRICS_MACHINE_H

#include <stdint.h>
#include <time.h>

struct machine {
	double cpu_s;
	uint64_t resident_bytes;
	uint64_t virtual_bytes;
	uint64_t socket_buffer_bytes; /* of all TCP sockets of this network namespace */
	uint64_t tcp_sockets;         /* of the same, in use */
	uint64_t kernel_slab_bytes;   /* of the whole machine: the kernel's own structures, sockets among them */
};

struct machine machine_sample(void);
/* When the process began, in seconds of the real time clock. */
double machine_started_s(void);
/* Descriptors in the table of the process's first thread. Only where that is not the clients'. */
uint64_t machine_descriptors(void);
/* Processor time by a thread's clock; 0 when the thread has ended. */
double machine_thread_cpu_s(clockid_t clock);

#endif
