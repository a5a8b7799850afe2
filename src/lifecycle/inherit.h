/* Sessions of a node that is gone, which this node takes over from its copy of that node's store (nodes/
 * replica_takeover.h): what a shard does with them. They come in parts, as bytes (lifecycle/packed/unpack.h), one
 * session's parts in their order, and each part is answered, so that no more are on their way than the shard can deal
 * with. A client that is here already keeps what it has, and gets what waited for it there.
 *
 * By the shard's thread. */
#ifndef LIFECYCLE_INHERIT_H
#define LIFECYCLE_INHERIT_H

#include <stdbool.h>
#include <stdint.h>

struct node_mail;
struct shard;

/* Kinds of runtime/nodes/node_mail.h, in the range of replication. */
enum inherit_kind {
	/* To a shard: struct inherit_drop. The sessions that this node restored at its start were taken over by another
	 * one while it was gone: those that nobody has come for since end, without their wills. They come back as their
	 * clients do. */
	INHERIT_DROP = 0x8c,
	INHERIT_PROMISED = 0x8d, /* to a shard: struct inherit_promised, and behind it filter and KEPT record */
	INHERIT_PART = 0x8e,     /* to a shard: struct inherit_part, and behind it client id and bytes */
	INHERIT_TAKEN = 0x8f,    /* from a shard: struct inherit_taken, for each of these */
};

/* Numbers of moves that are no home's decision have this bit. */
#define INHERIT_NUMBER (UINT64_C(1) << 63)

struct inherit_part {
	uint64_t number; /* of the session, with INHERIT_NUMBER */
	uint64_t hash;   /* of its client id */
	uint32_t id_bytes;
	bool is_first;
	bool is_last;
};

struct inherit_drop {
	uint32_t next; /* client that is looked at next; 1 at first */
};

/* A message that the other node had promised to pass on: a will that was due, or a message of a shared subscription
 * (lifecycle/stored/promised.h). */
struct inherit_promised {
	uint64_t number;
	uint32_t filter_bytes; /* 0: a will */
	uint32_t expires_s;    /* from now; UINT32_MAX: never */
};

struct inherit_taken {
	uint64_t number;
	uint64_t commit; /* of the shard: what the part has brought is safe with this one */
	uint32_t error;  /* enum error: the session was refused, and the rest of its parts is dropped */
	bool is_last;
	bool is_merged; /* into a session that was here */
};

/* Deals with a part, and frees it. False: its share of the turn's work is over, and it comes again. */
bool inherit_take(struct shard *shard, struct node_mail *mail);

#endif
