#include "session/messages.h"

#include "base/check.h"

void messages_init(struct messages *messages, struct slab *slab)
{
	*messages = (struct messages){.slab = slab};
}

struct message_ref messages_new(struct messages *messages, const struct publication *publication, const uint8_t *packet)
{
	struct message_ref ref = {slab_take(messages->slab, sizeof(struct message) + publication->packet_bytes)};
	if (message_ref_is_none(ref))
		return ref;
	struct message *message = message_at(messages, ref);
	message->references = 1;
	message->journaled = 0;
	message->publication = *publication;
	memcpy(message->packet, packet, publication->packet_bytes);
	messages->count++;
	messages->bytes += publication->packet_bytes;
	return ref;
}

void messages_tell(struct messages *messages, struct message_ref ref, int64_t expires_at_s)
{
	struct message *message = message_at(messages, ref);
	CHECK(message->references > 0);
	if (message->journaled)
		return;
	struct journal_message told = {
		.publication = message->publication,
		.packet = message->packet,
		.expires_at_s = expires_at_s,
	};
	told.publication.expires_s = 0;
	message->journaled = 1;
	journal_tell(messages->journal)->kept(messages->journal->context, ref, &told);
}

void messages_get(struct messages *messages, struct message_ref ref)
{
	struct message *message = message_at(messages, ref);
	CHECK(message->references > 0);
	message->references++;
}

void messages_put(struct messages *messages, struct message_ref ref)
{
	struct message *message = message_at(messages, ref);
	CHECK(message->references > 0);
	if (--message->references != 0)
		return;
	if (message->journaled)
		journal_tell(messages->journal)->forgotten(messages->journal->context, ref);
	messages->count--;
	messages->bytes -= message->publication.packet_bytes;
	slab_give(messages->slab, ref.index, sizeof(*message) + message->publication.packet_bytes);
}
