/* A set of packet identifiers. Owned by one thread. */
#ifndef RELAY_BRIDGING_PACKET_IDS_H
#define RELAY_BRIDGING_PACKET_IDS_H

#include <stdbool.h>
#include <stdint.h>

struct packet_ids {
	uint64_t words[(UINT16_MAX + 1) / 64];
};

static inline void packet_ids_note(struct packet_ids *ids, uint16_t id)
{
	ids->words[id / 64] |= UINT64_C(1) << id % 64;
}

static inline bool packet_ids_include(const struct packet_ids *ids, uint16_t id)
{
	return (ids->words[id / 64] >> id % 64 & 1) != 0;
}

/* Whether it was there. */
static inline bool packet_ids_take(struct packet_ids *ids, uint16_t id)
{
	bool had = packet_ids_include(ids, id);
	ids->words[id / 64] &= ~(UINT64_C(1) << id % 64);
	return had;
}

#endif
