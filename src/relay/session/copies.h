/* Copies of one publish: where several filters of a session match a message it comes once for each, one behind the
 * other. All of them are of one publish; two of the same content come by the same subscription each. What came by a
 * filter that is there no more is never taken for a copy, nor anything for a copy of it. Their times may differ by a
 * moment. Owned by one thread. */
#ifndef RELAY_SESSION_COPIES_H
#define RELAY_SESSION_COPIES_H

#include "base/hash.h"
#include "relay/entry/message.h"
#include "relay/item/topics.h"

struct copies {
	struct hash_key key;
	uint64_t last_hash;         /* of the last message that came by a subscription with an identifier */
	uint32_t last_subscription; /* 0: there is none */
};

void copies_init(struct copies *copies);
/* Whether this message, the next one of the session, is a copy of the one before. topics: the session's filters. */
bool copies_is_one(struct copies *copies, const struct topics *topics, const struct relay_message *message);

#endif
