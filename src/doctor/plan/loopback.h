/* The least that a message through any server costs on this machine: its way over loopback TCP. */
#ifndef DOCTOR_PLAN_LOOPBACK_H
#define DOCTOR_PLAN_LOOPBACK_H

#include <stdint.h>

/* Processor time in ns of one send and one receive of so many bytes (at most 8 KiB: more need not fit into a socket's
 * buffer), measured for a fifth of a second. NAN where no pair of sockets can be made. */
double loopback_ns(uint32_t bytes);

#endif
