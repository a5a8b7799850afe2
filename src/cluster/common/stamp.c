#include "cluster/common/stamp.h"

#include <endian.h>
#include <string.h>

/* Wall clocks beyond it count as standing there. */
#define WALL_MS_MAX (STAMP_TIME_MAX >> STAMP_COUNTER_BITS)

int stamp_compare(struct stamp a, struct stamp b)
{
	if (a.time != b.time)
		return a.time < b.time ? -1 : 1;
	return a.node == b.node ? 0 : a.node < b.node ? -1 : 1;
}

static uint64_t stamp_time_of_wall(uint64_t wall_ms)
{
	return (wall_ms < WALL_MS_MAX ? wall_ms : WALL_MS_MAX) << STAMP_COUNTER_BITS;
}

/* At the end of time it stands still, and the nodes' hashes decide. */
static uint64_t stamp_later_than(uint64_t time)
{
	return time < STAMP_TIME_MAX ? time + 1 : STAMP_TIME_MAX;
}

struct stamp stamp_next(struct stamp_clock *clock, uint64_t wall_ms, struct stamp above)
{
	uint64_t time = stamp_time_of_wall(wall_ms);
	if (time <= clock->last)
		time = stamp_later_than(clock->last);
	clock->last = time;
	/* One whose time was not taken over: this change is later all the same, and the clock does not follow. */
	if (time <= above.time)
		time = stamp_later_than(above.time);
	return (struct stamp){.time = time, .node = clock->node};
}

bool stamp_hear(struct stamp_clock *clock, struct stamp stamp, uint64_t wall_ms)
{
	if (stamp.time <= clock->last)
		return true;
	if (stamp.time >> STAMP_COUNTER_BITS > wall_ms + STAMP_AHEAD_MS_MAX) {
		clock->too_far_ahead++;
		return false;
	}
	clock->last = stamp.time;
	return true;
}

void stamp_put(struct stamp stamp, uint8_t to[STAMP_BYTES])
{
	uint64_t time = htole64(stamp.time), node = htole64(stamp.node);
	memcpy(to, &time, sizeof(time));
	memcpy(to + sizeof(time), &node, sizeof(node));
}

bool stamp_get(const uint8_t from[STAMP_BYTES], struct stamp *stamp)
{
	uint64_t time, node;
	memcpy(&time, from, sizeof(time));
	memcpy(&node, from + sizeof(time), sizeof(node));
	*stamp = (struct stamp){.time = le64toh(time), .node = le64toh(node)};
	return stamp->time <= STAMP_TIME_MAX && (stamp->time != 0 || stamp->node == 0);
}

/* SplitMix64's last steps: every bit of what goes in has a part in each that comes out. */
static uint64_t stamp_mixed(uint64_t value)
{
	value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
	value = (value ^ value >> 27) * 0x94D049BB133111EBu;
	return value ^ value >> 31;
}

uint64_t stamp_digest(uint64_t thing, struct stamp stamp)
{
	return stamp_mixed(stamp_mixed(stamp_mixed(thing) + stamp.time) + stamp.node);
}
