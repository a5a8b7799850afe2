#include "lifecycle/packed/model_pack.h"

#include "lifecycle/packed/pack.h"

#include <stdlib.h>

/* The session's name. */
#define NAME 1u

static void model_put(struct bytes *out, const struct store_record *record)
{
	if (bytes_reserve(out, store_record_bytes_max(record)))
		out->size += store_record_encode(record, out->data + out->size);
	else
		out->failed = true;
}

void model_pack_begin(struct model_pack *pack, const struct model *model, const struct model_session *session,
		      int64_t now_s, model_pack_read read, void *context)
{
	*pack = (struct model_pack){.model = model,
				    .session = session,
				    .now_s = now_s,
				    .read = read,
				    .context = context,
				    .entry = session->queue};
}

/* What is past is due now. */
static int64_t model_left_s(const struct model_pack *pack, int64_t at_s)
{
	if (at_s == STORE_NEVER_S)
		return STORE_NEVER_S;
	return at_s > pack->now_s ? at_s - pack->now_s : 0;
}

static void model_head(const struct model_pack *pack, struct bytes *out)
{
	const uint8_t version = PACK_VERSION;
	const struct model_session *session = pack->session;
	bytes_append(out, &version, PACK_HEAD_BYTES);
	model_put(out, &(struct store_record){.kind = STORE_OPENED, .session = NAME, .text = session->client_id});
	model_put(out, &(struct store_record){.kind = STORE_CONNECTED,
					      .session = NAME,
					      .flags = session->is_bridge ? STORE_FLAG_IS_BRIDGE : 0,
					      .expiry_s = session->expiry_s});
	if (session->has_principal)
		model_put(out, &(struct store_record){.kind = STORE_PRINCIPAL,
						      .session = NAME,
						      .flags = session->uses_auth ? STORE_FLAG_USES_AUTH : 0,
						      .expires_at_s = model_left_s(pack, session->token_expires_at_s),
						      .text = session->user});
}

/* ---- messages ---- */

/* Tells the message, unless it was the last one told. ERROR_NOT_FOUND: it is lost. */
static enum error model_message_out(struct model_pack *pack, const struct model_message *message, int64_t expires_at_s,
				    struct bytes *out)
{
	uint8_t *packet;
	if (message == pack->message)
		return ERROR_OK;
	enum error error = pack->read(pack->context, message->place, &message->publication, &packet);
	if (error == ERROR_NOT_FOUND)
		pack->lost++;
	if (error != ERROR_OK)
		return error;
	struct store_record record = {
		.kind = STORE_KEPT, .message = ++pack->messages, .expires_at_s = model_left_s(pack, expires_at_s)};
	store_record_set_publication(&record, &message->publication);
	record.body = slice_of(packet, message->publication.packet_bytes);
	model_put(out, &record);
	free(packet);
	pack->message = message;
	return ERROR_OK;
}

/* A shared subscription's messages become the session's own, so the subscription's identifier does, too. */
static uint32_t model_identifier(const struct model_session *session, const struct model_entry *entry)
{
	if ((entry->flags & STORE_FLAG_SHARED) == 0)
		return entry->identifier;
	uint32_t place = 1;
	const struct model_subscription *subscription = session->subscriptions;
	while (subscription != NULL && place != entry->subscription) {
		subscription = subscription->next;
		place++;
	}
	return subscription != NULL ? subscription->identifier : 0;
}

static enum error model_entry_out(struct model_pack *pack, const struct model_entry *entry, struct bytes *out)
{
	const struct model_message *message = entry->released ? NULL : entry->message;
	if (message != NULL) {
		bool has_expired = message->expires_at_s != STORE_NEVER_S && message->expires_at_s <= pack->now_s;
		if (has_expired && entry->packet_id == 0)
			return ERROR_OK;
		enum error error = model_message_out(pack, message, message->expires_at_s, out);
		if (error != ERROR_OK)
			return error == ERROR_NOT_FOUND ? ERROR_OK : error;
	}
	uint32_t name = ++pack->entries;
	model_put(out, &(struct store_record){.kind = STORE_QUEUED,
					      .session = NAME,
					      .entry = name,
					      .message = message != NULL ? pack->messages : 0,
					      .flags = entry->flags & (STORE_FLAG_QOS | STORE_FLAG_RETAIN),
					      .identifier = model_identifier(pack->session, entry)});
	if (entry->packet_id != 0)
		model_put(out,
			  &(struct store_record){.kind = STORE_SENT, .entry = name, .packet_id = entry->packet_id});
	if (entry->released)
		model_put(out, &(struct store_record){.kind = STORE_RELEASED, .entry = name});
	return ERROR_OK;
}

static enum error model_queue(struct model_pack *pack, struct bytes *out, size_t bytes_max)
{
	enum error error = ERROR_OK;
	for (; pack->entry != NULL && out->size < bytes_max && error == ERROR_OK; pack->entry = pack->entry->next)
		error = model_entry_out(pack, pack->entry, out);
	return error;
}

/* ---- the rest ---- */

static void model_subscriptions(const struct model_session *session, struct bytes *out)
{
	uint32_t name = 0;
	for (const struct model_subscription *at = session->subscriptions; at != NULL; at = at->next) {
		model_put(out, &(struct store_record){.kind = STORE_SUBSCRIBED,
						      .session = NAME,
						      .subscription = ++name,
						      .identifier = at->identifier,
						      .count = at->options,
						      .text = at->filter});
		if (at->owed != 0)
			model_put(out, &(struct store_record){.kind = STORE_OWED,
							      .session = NAME,
							      .subscription = name,
							      .count = at->owed});
	}
}

/* Its expiry counts from when it is published. */
static enum error model_will(struct model_pack *pack, struct bytes *out)
{
	const struct model_session *session = pack->session;
	enum error error = model_message_out(pack, session->will, STORE_NEVER_S, out);
	if (error != ERROR_OK)
		return error == ERROR_NOT_FOUND ? ERROR_OK : error;
	model_put(out, &(struct store_record){.kind = STORE_WILL_SET,
					      .session = NAME,
					      .message = pack->messages,
					      .delay_s = session->will_delay_s,
					      .expiry_s = session->will_expiry_s});
	return ERROR_OK;
}

/* Whoever was connected lost that before the next commit was due; some seconds too many are no loss (as in
 * lifecycle/stored/restore.c). */
static void model_left(const struct model_pack *pack, bool has_will, struct bytes *out)
{
	const struct model_session *session = pack->session;
	int64_t lost_s = pack->model->wall_s + STORE_HEARTBEAT_S + 1;
	bool stays = session->expiry_s == UINT32_MAX;
	int64_t ends_at_s = session->connected ? lost_s + session->expiry_s : session->ends_at_s;
	int64_t will_at_s = session->connected ? lost_s + session->will_delay_s : session->will_at_s;
	model_put(out, &(struct store_record){.kind = STORE_LEFT,
					      .session = NAME,
					      .expiry_s = session->expiry_s,
					      .ends_at_s = stays ? STORE_NEVER_S : model_left_s(pack, ends_at_s),
					      .will_at_s = has_will ? model_left_s(pack, will_at_s) : STORE_NEVER_S});
}

static enum error model_rest(struct model_pack *pack, struct bytes *out)
{
	const struct model_session *session = pack->session;
	uint32_t messages = pack->messages;
	if (session->packet_id != 0)
		model_put(out, &(struct store_record){
				       .kind = STORE_NUMBERED, .session = NAME, .packet_id = session->packet_id});
	for (uint32_t i = 0; i < session->received_count; i++)
		model_put(out, &(struct store_record){
				       .kind = STORE_RECEIVED, .session = NAME, .packet_id = session->received[i]});
	model_subscriptions(session, out);
	enum error error = session->will != NULL ? model_will(pack, out) : ERROR_OK;
	if (error == ERROR_OK)
		model_left(pack, pack->messages != messages, out);
	return error;
}

enum error model_pack_some(struct model_pack *pack, struct bytes *out, size_t bytes_max)
{
	enum error error = ERROR_OK;
	while (error == ERROR_OK && pack->stage != MODEL_PACK_DONE && out->size < bytes_max) {
		switch (pack->stage) {
		case MODEL_PACK_HEAD:
			model_head(pack, out);
			pack->stage = MODEL_PACK_QUEUE;
			break;
		case MODEL_PACK_QUEUE:
			error = model_queue(pack, out, bytes_max);
			if (pack->entry == NULL)
				pack->stage = MODEL_PACK_REST;
			break;
		default:
			error = model_rest(pack, out);
			pack->stage = MODEL_PACK_DONE;
			break;
		}
	}
	return error;
}
