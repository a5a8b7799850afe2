/* Sessions of items, such as rules, that are gone: they must not take messages for ever, and what waits in them must
 * not be lost because one was taken out of the configuration by mistake. */
#ifndef RELAY_SESSION_ORPHANS_H
#define RELAY_SESSION_ORPHANS_H

#include "base/slice.h"

struct gateway;

/* Sessions of one kind of items. */
struct orphans_kind {
	const char *prefix;   /* of their client ids */
	const char *name;     /* what an item is called */
	const char *receiver; /* who does not have yet what waits in a session */
	const void *items;
	bool (*has)(const void *items, struct slice name);
};

/* Ends each session that has no item and nothing that waits in it. Others stay, without subscriptions, and are logged.
 * Main thread, while the gateway runs and the items' sessions have no connections. Blocks for some milliseconds for
 * each, and for one turn of a shard in each thousand sessions. */
void orphans_tend(struct gateway *gateway, const struct orphans_kind *kind);

#endif
