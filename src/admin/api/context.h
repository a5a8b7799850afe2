/* What the API works with. Made by the main thread before the HTTP server's thread starts, which then uses it; what
 * both change is atomic or has its own lock. */
#ifndef ADMIN_API_CONTEXT_H
#define ADMIN_API_CONTEXT_H

#include "admin/api/guard.h"
#include "admin/metrics/snapshot.h"

#include <stdio.h>

/* What the daemon does for it. Called by the HTTP server's thread. */
struct admin_hooks {
	/* Reads the configuration again. True: done; what changed is in *report, a line each. False: nothing changed,
	 * and *report says why not. NULL: there is nothing to read. */
	bool (*reload)(void *context, FILE *report);
	void *context;
};

struct api {
	struct gateway *gateway;
	struct admin_hooks hooks;
	bool open_metrics; /* /metrics needs no token */
	struct guard guard;
	struct admin_counts counts;
	_Atomic bool draining; /* the gateway is going to stop */
};

#endif
