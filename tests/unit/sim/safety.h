/* Whether what leaves is safe. It listens to the journals, and looks at each packet in the moment in which the server
 * writes it: an acknowledgement or an answer must not leave before the events that it confirms are in a commit that is
 * safe. Aborts otherwise. One play at a time. */
#ifndef TESTS_SIM_SAFETY_H
#define TESTS_SIM_SAFETY_H

#include "clients.h"

/* A play with commits begins: knows of nothing. */
void safety_begin(struct sim *sim);
/* It has ended: looks at nothing. */
void safety_end(void);
/* The gateway has crashed and was restored: what it has is safe, and its names are others. */
void safety_restart(void);
/* Some more becomes safe, or nothing, by the seed; all: everything that was told. Between two turns. */
void safety_commit(struct sim *sim, uint64_t seed, bool all);
/* How many packets were held to a commit, since the program began. */
uint64_t safety_checks(void);

/* The model's events, which this listens to as well. */
void safety_listen(struct journal_events *events);

#endif
