/* A short measurement of what a client, a connection and a message cost on this machine: a server of our own, some
 * thousand real clients, and readings of its memory, of its processor time and of the kernel's objects. Takes some
 * seconds, bounded in each step; main thread. */
#ifndef DOCTOR_CALIBRATE_H
#define DOCTOR_CALIBRATE_H

#include "doctor/predict.h"

#include <stdbool.h>

/* What it was measured on, beside the costs. */
struct calibration {
	struct cost cost;
	uint32_t at_once;     /* messages that were under way at the same time */
	uint32_t subscribers; /* of each: fewer than asked for where there are not enough clients */
	double others_cores;  /* what other processes took of the machine meanwhile */
	bool by_objects;      /* kernel memory from slabinfo; else from the sum of all slabs, which others change too */
};

/* shards: that so many connections get, and that `serve` starts where few are asked for. False: says on stderr why not.
 */
bool calibrate(const struct load *load, uint32_t shards, uint32_t shards_least, struct calibration *out);

#endif
