/* One thread's share of a group of clients: it sends what is due, on the schedule, and audits and times what comes.
 * Owned by one thread. */
#ifndef BENCH_RUN_GROUP_H
#define BENCH_RUN_GROUP_H

#include "bench/run/run_group_state.h"

/* spec, expectations, account, tally, plan.dial, plan.credentials, number, first and count are set; first_client is the
 * number of the first client among all clients of the run. Returns false without memory or descriptors. Close it in
 * either case. */
bool run_group_open(struct run_group *group, uint32_t first_client);
void run_group_close(struct run_group *group);

/* Begins a step: everything is due from begin_ns on. phase is 0..1 and differs from thread to thread. Returns false
 * without memory. */
bool run_group_begin(struct run_group *group, double load, uint64_t begin_ns, uint64_t measure_from_ns, double phase);
/* Nothing more becomes due. What is due already is still sent. */
void run_group_stop(struct run_group *group, uint64_t now_ns);
/* Nothing more is sent in this step. */
void run_group_stop_sending(struct run_group *group);

/* Does what is due, a bounded part of it at a time. Returns when to call it again, in ns. */
uint64_t run_group_tick(struct run_group *group, uint64_t now_ns);

/* Messages that are due in this step but not sent. */
uint64_t run_group_unsent(const struct run_group *group);
/* Messages that were sent and whose handshake has not ended. */
uint64_t run_group_unacknowledged(const struct run_group *group);
/* Its clients have sent all their loops; true for a group that does not publish. */
bool run_group_loops_done(const struct run_group *group);
/* Of its clients; those of a restart are not among them. */
const struct losses *run_group_losses(const struct run_group *group);

#endif
