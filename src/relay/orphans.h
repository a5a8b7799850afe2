/* Sessions of rules that are gone: they must not take messages for ever, and what waits in them must not be lost
 * because a rule was taken out of the configuration by mistake. */
#ifndef RELAY_ORPHANS_H
#define RELAY_ORPHANS_H

#include "relay/entry/rule.h"

struct gateway;

/* Ends each session that has no rule and nothing that waits in it. Others stay, without subscriptions, and are logged.
 * Main thread, while the gateway runs and the rules' sessions have no connections. Blocks for some milliseconds for
 * each, and for one turn of a shard in each thousand sessions. */
void orphans_tend(struct gateway *gateway, const struct rules *rules);

#endif
