#include "relay/session/copies.h"

void copies_init(struct copies *copies)
{
	*copies = (struct copies){.key = hash_key_random()};
}

static uint64_t message_hash(const struct copies *copies, const struct relay_message *message)
{
	const uint64_t parts[] = {
		hash_slice(&copies->key, message->topic),
		hash_slice(&copies->key, message->payload),
		hash_slice(&copies->key, message->client),
	};
	return hash_slice(&copies->key, slice_of(parts, sizeof(parts)));
}

bool copies_is_one(struct copies *copies, const struct topics *topics, const struct relay_message *message)
{
	if (message->subscription == 0 || !topics_has_identifier(topics, message->subscription)) {
		copies->last_subscription = 0;
		return false;
	}
	uint64_t hash = message_hash(copies, message);
	bool is_copy = copies->last_subscription != 0 && copies->last_subscription != message->subscription &&
		       copies->last_hash == hash;
	if (!is_copy) {
		copies->last_hash = hash;
		copies->last_subscription = message->subscription;
	}
	return is_copy;
}
