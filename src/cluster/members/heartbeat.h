/* What a node says of itself on the cluster's common subject, twice a second and at once when something has changed
 * (cluster/members/members.h): in bytes and as a struct. Little-endian, like a datagram of a link:
 *
 *     0  "RH", version of the format, flags
 *     4  check: the lower 32 bits of XXH3 of all from offset 8 on, with the first four bytes as its seed
 *     8  incarnation; how long this run has lasted; monotonic time of sending; wall clock: 64 bits each, milliseconds
 *    40  hash of the sender's view: 64 bits
 *    48  lowest and highest version of the protocol between nodes: 16 bits each
 *    52  name; version of Roost: a length of one byte each, then the text
 *        count of one byte, then what should be alike everywhere: a name like those above, a hash of 64 bits
 *        count of one byte, then whom the sender hears: a name, an incarnation, the time of sending of the last
 *        heartbeat from there (64 bits), and how long ago it came (32 bits)
 *        count of one byte, then incarnations that the sender has given up: 64 bits each
 *
 * A later version of the format may append more, which is skipped. Pure; any thread. */
#ifndef CLUSTER_HEARTBEAT_H
#define CLUSTER_HEARTBEAT_H

#include "base/slice.h"
#include "cluster/wire/message.h"
#include "memory/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define NODE_NAME_BYTES_MAX 63u
#define NODE_VERSION_BYTES_MAX 32u
#define HEARTBEAT_FORMAT 1u
#define HEARTBEAT_HEARD_MAX NODES_MAX
#define HEARTBEAT_AGREEMENTS_MAX 16u
#define HEARTBEAT_GIVEN_UP_MAX 32u

#define HEARTBEAT_LEAVING 0x01u /* the last one of this run */
#define HEARTBEAT_STORE 0x02u   /* the node has a store */

/* Something that should be alike on all nodes, such as the rules of access: its name, and a hash of what it is here. */
struct agreement {
	struct slice name;
	uint64_t hash;
};

struct heard {
	struct slice name;
	uint64_t incarnation;
	uint64_t sent_ms; /* what the last heartbeat from there said */
	uint32_t held_ms; /* how long ago it came */
};

/* The slices point into what it was read from. */
struct heartbeat {
	uint8_t flags;
	uint64_t incarnation;
	uint64_t age_ms;
	uint64_t sent_ms;
	uint64_t wall_ms;
	uint64_t view_hash;
	uint16_t protocol_min;
	uint16_t protocol_max;
	struct slice name;
	struct slice version;
	uint32_t agreement_count;
	uint32_t heard_count;
	uint32_t given_up_count;
	struct agreement agreements[HEARTBEAT_AGREEMENTS_MAX];
	struct heard heard[HEARTBEAT_HEARD_MAX];
	uint64_t given_up[HEARTBEAT_GIVEN_UP_MAX];
};

enum heartbeat_fault {
	HEARTBEAT_FAULT_NONE,
	HEARTBEAT_FAULT_SHORT,
	HEARTBEAT_FAULT_MAGIC,
	HEARTBEAT_FAULT_FORMAT,
	HEARTBEAT_FAULT_CHECK,
	HEARTBEAT_FAULT_MALFORMED,
	HEARTBEAT_FAULT_NAME,
};

/* Appends it. The counts are within their limits. */
void heartbeat_write(const struct heartbeat *heartbeat, struct bytes *bytes);
enum heartbeat_fault heartbeat_read(struct slice bytes, struct heartbeat *heartbeat);

/* Whether it may be the name of a node: 1 to NODE_NAME_BYTES_MAX of A-Z a-z 0-9 . _ -. */
bool node_name_is_valid(struct slice name);

#endif
