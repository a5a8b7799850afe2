/* What the operating system knows about the server under test: which process listens on a port, what processor time
 * and memory it has used, and how much memory the kernel itself uses. Linux; main thread. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include "bench/dial/url.h"

#include <sys/types.h>

/* The process on this machine that listens at address, or 0 if none is found (it may be another user's). Looks at the
 * descriptors of every task, because Roost's threads have private tables. */
pid_t process_listening(const struct address *address);

/* User and system time of all its threads since its start, in ns; 0 where it cannot be read. */
uint64_t process_cpu_ns(pid_t pid);

/* Processor time between two readings in ns; NAN if either could not be read, for example because the process has
 * ended. */
double process_cpu_between_ns(uint64_t before, uint64_t after);

/* Resident memory in bytes: anonymous, shared and file pages; 0 where it cannot be read. */
uint64_t process_resident_bytes(pid_t pid);

/* Waits until the process uses less than 2 % of a core, for at most timeout_ms. */
void process_wait_idle(pid_t pid, uint32_t timeout_ms);

/* Processor time that all processes, interrupts and, on a virtual machine, others on the host have used since the
 * machine was started, in ns; steps of 10 ms. */
uint64_t machine_cpu_ns(void);

/* The kernel's slab memory in bytes: sockets, inodes, dentries, epoll items. */
uint64_t kernel_slab_bytes(void);

#endif
