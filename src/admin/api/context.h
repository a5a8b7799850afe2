/* What the API's handlers work with. The main thread fills it before the HTTP server's thread starts; fields that
 * change later are atomic or have a lock of their own. */
#ifndef ADMIN_API_CONTEXT_H
#define ADMIN_API_CONTEXT_H

#include "admin/api/guard.h"
#include "admin/snapshot/snapshot.h"
#include "relay/bridging/bridge_status.h"
#include "relay/consumer/consumer_status.h"
#include "relay/hook/hook_status.h"
#include "relay/stream/stream_status.h"
#include "relay/table/table_status.h"
#include "runtime/settings/drain_settings.h"

#include <stdio.h>

struct nodes;

#define ADMIN_WHY_BYTES 512u

/* Upgrades of this process (upgrade/upgrade.h). */
struct admin_upgrade {
	const char *state;         /* "none", "asked", "done", "refused"; static storage */
	char why[ADMIN_WHY_BYTES]; /* refused */
	char from[64];             /* done: the version that was replaced */
	uint64_t number;           /* of the request */
	uint64_t clients;          /* done */
	uint64_t closed;           /* done: connections that had not signed in in time */
	uint64_t silent_us;        /* done: no client was served for so long */
	uint64_t done;             /* of all programs of this process */
	uint64_t refused;
};

/* Callbacks into the daemon. The HTTP server's thread calls them. */
struct admin_hooks {
	/* Reads the configuration again. Returns true and writes one line per change to *report; or returns false,
	 * changes nothing and writes the reason. NULL if there is no configuration to read. */
	bool (*reload)(void *context, FILE *report);
	/* Replaces the program by the one at this path, "" for the one that it was started from. Returns whether that
	 * was begun; if not, why says why not. */
	bool (*upgrade)(void *context, const char *path, char *why, size_t why_size);
	void (*upgrade_status)(void *context, struct admin_upgrade *status);
	/* Begins a drain, or ends the one that there is (number 0). Returns whether it did; if not, why says why not.
	 */
	bool (*drain)(void *context, const struct drain_settings *drain, char *why, size_t why_size);
	/* How the rules are doing. NULL: there are none. */
	void (*rules)(void *context, struct stream_status *status);
	/* Likewise, the table of who is online. */
	void (*presence_table)(void *context, struct table_status *status);
	/* Likewise the consumers. */
	void (*consumers)(void *context, struct consumers_status *status);
	/* Likewise, the hooks. */
	void (*hooks)(void *context, struct hooks_status *status);
	/* Likewise, the bridges. */
	void (*bridges)(void *context, struct bridges_status *status);
	/* Descriptors that `upgrade` and `reload` need, in the thread's own table; -1: none. */
	int upgrade_fd;
	int relay_fd;
	struct nodes *nodes; /* NULL: the gateway is in no cluster */
	void *context;
};

struct api {
	struct gateway *gateway;
	struct admin_hooks hooks;
	bool open_metrics; /* /metrics needs no token */
	struct guard guard;
	struct admin_counts counts;
	_Atomic bool starting;             /* the gateway does not run yet */
	_Atomic uint32_t recovery_percent; /* of its store, meanwhile */
	_Atomic bool draining;             /* the gateway is going to stop */
	_Atomic uint32_t answering;        /* requests served, of whose answers bytes may still be here */
};

#endif
