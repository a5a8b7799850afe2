/* The service of revocations: what is revoked or lifted on one node, by the API, ctl or a consumer, is so on all of
 * them (docs/REVOCATION.md), and as durable there. What Redis says is not passed on: each node follows Redis itself.
 *
 * Putting a revocation in force may wait for the disk, which the nodes thread must not. So there is a *worker*, a
 * thread that has the table of what is known (cluster/revoked.h) and talks to the access control; the nodes thread only
 * brings it what peers say, and sends what it has for them. Where either cannot keep up, what is left out is counted,
 * and found when the nodes compare: when they meet, and every REVOCATIONS_COMPARE_MS. */
#ifndef NODES_REVOCATIONS_H
#define NODES_REVOCATIONS_H

#include "cluster/revoked.h"
#include "nodes/service.h"

#define REVOCATIONS_COMPARE_MS 60000u
/* What waits for the worker, and what waits for room on links. */
#define REVOCATIONS_QUEUE_BYTES_MAX (8u << 20)
#define REVOCATIONS_UNSENT_BYTES_MAX (1u << 20)

struct access;
struct node_port;
struct revocations_service;

struct revocations_parts {
	struct access *access;
	struct node_port *port;
	struct node_peer *const *peers; /* by slot */
	struct slice cluster;           /* its name */
	struct slice node;              /* this one's */
};

/* Starts the worker, which from then on hears of each change. Main thread, before the nodes thread starts. NULL: no
 * memory, or no thread. */
struct revocations_service *revocations_service_start(const struct revocations_parts *parts);
/* Main thread, after the nodes thread has ended. service may be NULL. */
void revocations_service_stop(struct revocations_service *service);
/* The service; context: the struct revocations_service. */
extern const struct node_service REVOCATIONS_SERVICE;

#endif
