/* Which node of a cluster has which keys: a key's slot, and the map of slots as CLUSTER SLOTS tells it. Pure; owned by
 * one thread. */
#ifndef REDIS_REDIS_SLOTS_H
#define REDIS_REDIS_SLOTS_H

#include "base/slice.h"
#include "redis/redis_url.h"

#include <hiredis/hiredis.h>

#define REDIS_SLOTS 16384u
/* Masters and replicas; those beyond are left out, and their slots with them. */
#define REDIS_NODES_MAX 256u
#define REDIS_NO_NODE UINT16_MAX

struct redis_slots {
	uint16_t node_of[REDIS_SLOTS]; /* its master; REDIS_NO_NODE: not covered */
	struct redis_place nodes[REDIS_NODES_MAX];
	uint32_t node_count;
	uint32_t covered; /* slots that have a master */
};

/* The CRC16 of the XMODEM kind that the cluster's specification uses. */
uint16_t redis_crc16(struct slice bytes);
/* The slot of a key: of its hash tag, where it has one. */
uint16_t redis_key_slot(struct slice key);

/* A map in which no slot is covered. */
void redis_slots_init(struct redis_slots *slots);
/* Replaces the map by an answer to CLUSTER SLOTS. asked: the server that gave it; a node without a host is on that
 * one's. false: it is no such answer, *why says in which way (static), and the map is as it was initialized. */
bool redis_slots_read(struct redis_slots *slots, const redisReply *reply, const struct redis_place *asked,
		      const char **why);
/* The node's number, for which it is added where it is new; REDIS_NO_NODE: there is no room. */
uint16_t redis_slots_node(struct redis_slots *slots, const struct redis_place *place);
/* Notes that a slot is at this place now. false: there is no room for one more node. */
bool redis_slots_move(struct redis_slots *slots, uint16_t slot, const struct redis_place *place);
/* Whether the node is a master that has slots. */
bool redis_slots_has(const struct redis_slots *slots, uint16_t node);

#endif
