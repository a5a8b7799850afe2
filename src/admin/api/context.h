/* What the API's handlers work with. The main thread fills it before the HTTP server's thread starts; fields that
 * change later are atomic or have a lock of their own. */
#ifndef ADMIN_API_CONTEXT_H
#define ADMIN_API_CONTEXT_H

#include "admin/api/guard.h"
#include "admin/metrics/snapshot.h"

#include <stdio.h>

/* Callbacks into the daemon. The HTTP server's thread calls them. */
struct admin_hooks {
	/* Reads the configuration again. Returns true and writes one line per change to *report; or returns false,
	 * changes nothing and writes the reason. NULL if there is no configuration to read. */
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
