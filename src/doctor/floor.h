/* The least that a message through any server costs on this machine. */
#ifndef DOCTOR_FLOOR_H
#define DOCTOR_FLOOR_H

#include <stdint.h>

/* Processor time of one send and one receive of so many bytes (8 KiB at most: more does not wait in a socket's buffer
 * for sure) over loopback TCP, in ns, measured for a fifth of a second. NAN where no pair of sockets can be made. */
double floor_ns(uint32_t bytes);

#endif
