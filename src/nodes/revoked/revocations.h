/* The service of revocations: what is revoked or lifted on one node, by the API, ctl or a consumer, is so on all of
 * them (docs/REVOCATION.md), and as durable there. What Redis says is not passed on: each node follows Redis itself.
 *
 * Putting a revocation in force may wait for the disk, which the nodes thread must not. So there is a *worker*, a
 * thread that has the table of what is known (cluster/common/revoked.h) and talks to the access control; the nodes
 * thread only brings it what peers say, and sends what it has for them. Where either cannot keep up, what is left out
 * is counted, and found when the nodes compare: when they meet, and every REVOCATIONS_COMPARE_MS. */
#ifndef NODES_REVOCATIONS_H
#define NODES_REVOCATIONS_H

#include "nodes/revoked/revocations_parts.h"
#include "nodes/thread/service.h"

struct revocations_service;

/* Starts the worker, which from then on hears of each change. Main thread, before the nodes thread starts. NULL: no
 * memory, or no thread. */
struct revocations_service *revocations_service_start(const struct revocations_parts *parts);
/* Main thread, after the nodes thread has ended. service may be NULL. */
void revocations_service_stop(struct revocations_service *service);
/* The service; context: the struct revocations_service. */
extern const struct node_service REVOCATIONS_SERVICE;

#endif
