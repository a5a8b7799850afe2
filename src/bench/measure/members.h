/* How much each member of a shared subscription got, and in which order. Loss and duplicates concern the whole group
 * (measure/audit.h); order is promised to each member only. Pure; owned by one thread. */
#ifndef BENCH_MEMBERS_H
#define BENCH_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

/* How evenly a group was served; NAN if there is no group, or if it got nothing. */
struct spread {
	double least; /* messages of the member that got the fewest */
	double most;
	double deviation_percent; /* of the member farthest from an even share, in percent of that share */
};

struct members {
	uint64_t *received; /* of each member, with duplicates */
	uint64_t *next;     /* of each member and publisher: one above the last number that arrived */
	uint64_t reordered;
	uint32_t count;
	uint32_t publishers;
};

/* Returns false without memory. count 0: no group. */
bool members_open(struct members *members, uint32_t count, uint32_t publishers);
void members_close(struct members *members);

/* A member got a publisher's message. is_new: the group did not have it yet. */
void members_take(struct members *members, uint32_t member, uint32_t publisher, uint64_t number, bool is_new);

struct spread members_spread(const struct members *members);

/* spread_none(): no group. spread_merge(): keeps the less even of two. */
struct spread spread_none(void);
void spread_merge(struct spread *into, const struct spread *from);

#endif
