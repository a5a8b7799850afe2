/* What should be alike on all nodes of a cluster, as names and hashes that heartbeats carry
 * (cluster/members/members.h): so that a client finds the same rules wherever it connects. A node where something
 * differs is named; nothing is refused.
 */
#ifndef NODES_AGREEMENT_H
#define NODES_AGREEMENT_H

#include "cluster/members/heartbeat.h"
#include "runtime/settings/settings.h"

#define AGREEMENTS 6u
_Static_assert(AGREEMENTS <= HEARTBEAT_AGREEMENTS_MAX, "a heartbeat has room for them");

/* Of settings, and of the files that they name, which it reads: it may block on the disk. A file that cannot be read
 * counts as empty; the access control has said so. Names are in static storage. */
void agreement_of(const struct settings *settings, struct agreement agreements[AGREEMENTS]);

#endif
