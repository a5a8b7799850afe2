/* A short measurement of what a client, a connection and a message cost on this machine: it starts a server, connects
 * some thousand real clients, and reads the server's memory and processor time and the kernel's objects. Takes some
 * seconds; each step has a time limit. Main thread. */
#ifndef DOCTOR_PLAN_CALIBRATE_H
#define DOCTOR_PLAN_CALIBRATE_H

#include "doctor/plan/predict.h"

#include <stdbool.h>

/* The costs, and what they were measured on. */
struct calibration {
	struct cost cost;
	uint32_t at_once;     /* messages that were in flight at the same time */
	uint32_t subscribers; /* of each message: fewer than asked for where there are not enough clients */
	double others_cores;  /* that other processes used meanwhile */
	bool by_objects; /* kernel memory is from slabinfo; else from the sum of all slabs, which others change too */
};

/* shards: as many as so many connections get; shards_least: as many as `serve` starts for a few. False: the reason is
 * on stderr. */
bool calibrate(const struct load *load, uint32_t shards, uint32_t shards_least, struct calibration *out);

#endif
