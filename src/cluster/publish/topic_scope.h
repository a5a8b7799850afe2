/* Which topics and filters are known on other nodes. Pure; any thread. */
#ifndef CLUSTER_TOPIC_SCOPE_H
#define CLUSTER_TOPIC_SCOPE_H

#include "base/slice.h"

#include <stdbool.h>

static inline bool topic_begins(struct slice topic, const char *with)
{
	size_t size = strlen(with);
	return topic.size >= size && memcmp(topic.data, with, size) == 0;
}

/* Whether messages on the topic go to other nodes: all but what a node says of itself below $SYS, where presence is of
 * all nodes, and what parts of Roost say to each other. So it is with exact filters. */
static inline bool topic_leaves_node(struct slice topic)
{
	if (topic.size == 0 || topic.data[0] != '$')
		return true;
	if (topic_begins(topic, "$SYS/"))
		return topic_begins(topic, "$SYS/presence/");
	return !topic_begins(topic, "$roost/");
}

#endif
