/* Messages of the service that tells of filters (nodes/interest/interest.h). For the files of this folder. All numbers
 * are little-endian. */
#ifndef NODES_INTEREST_KINDS_H
#define NODES_INTEREST_KINDS_H

#include "cluster/wire/message.h"

/* Filters with wildcards and shared subscriptions that a node tells others of, or takes from one. With more it counts
 * as interested in everything, and members of further shared subscriptions get nothing from other nodes. */
#define INTEREST_OTHERS_MAX 65536u

enum interest_kind {
	/* All is told from here on; the receiver takes the sender for interested in everything until INTEREST_END. */
	INTEREST_BEGIN = MESSAGE_INTEREST,
	/* Range, 8 bits; then its fingerprints, 32 bits each, in ascending order. */
	INTEREST_RANGE,
	/* How many begin, 32 bits; fingerprints of those, and of those that end. */
	INTEREST_EXACT,
	/* A filter with wildcards or a shared subscription: the sender's name for it, 32 bits; generation, 16; enum
	 * index_kind, 8; connected members, 16, and free ones, 16; its text. */
	INTEREST_OTHER,
	/* Its name: it has no subscribers any more. */
	INTEREST_OTHER_ENDS,
	/* Of shared subscriptions: name, 32 bits; connected members, 16, and free ones, 16; any number of these. */
	INTEREST_MEMBERS,
	/* All was told. 8 bits: 1, the sender is interested in everything all the same. */
	INTEREST_END,
	/* Sums of all ranges of the digest, 32 bits each. */
	INTEREST_SUMS,
	/* Ranges whose sums differ, 8 bits each: to be sent once more. */
	INTEREST_AGAIN,
};

#endif
