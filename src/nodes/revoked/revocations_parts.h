/* What nodes/revoked/revocations.h is given, and its limits. */
#ifndef NODES_REVOCATIONS_PARTS_H
#define NODES_REVOCATIONS_PARTS_H

#include "base/slice.h"

struct node_peer;

#define REVOCATIONS_COMPARE_MS 60000u
/* What waits for the worker, and what waits for room on links. */
#define REVOCATIONS_QUEUE_BYTES_MAX (8u << 20)
#define REVOCATIONS_UNSENT_BYTES_MAX (1u << 20)

struct access;
struct node_port;

struct revocations_parts {
	struct access *access;
	struct node_port *port;
	struct node_peer *const *peers; /* by slot */
	struct slice cluster;           /* its name */
	struct slice node;              /* this one's */
};

#endif
