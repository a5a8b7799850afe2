/* Who of a shared subscription's members got how much, and in which order. What is lost or doubled is the whole
 * group's (bench/audit.h); order is promised to each member alone. Pure; owned by one thread. */
#ifndef BENCH_MEMBERS_H
#define BENCH_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

/* How evenly a group was served; NAN where there is no group, or it got nothing. */
struct spread {
	double least; /* messages of the member that got the fewest */
	double most;
	double deviation_percent; /* of the member that is farthest from even, in percent of even */
};

struct members {
	uint64_t *received; /* of each member, doubles too */
	uint64_t *next;     /* of each member and publisher: one above the last number that came */
	uint64_t reordered;
	uint32_t count;
	uint32_t publishers;
};

/* False without memory. count 0: no group. */
bool members_open(struct members *members, uint32_t count, uint32_t publishers);
void members_close(struct members *members);

/* A member got a publisher's message. is_new: not one that the group had already. */
void members_receive(struct members *members, uint32_t member, uint32_t publisher, uint64_t number, bool is_new);

struct spread members_spread(const struct members *members);

/* No group yet; the one of several that is farthest from even. */
struct spread spread_none(void);
void spread_merge(struct spread *into, const struct spread *from);

#endif
