#include "tool/store/retell.h"

#include "base/check.h"
#include "tool/store/body_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum message_state { MESSAGE_UNTOLD, MESSAGE_TOLD, MESSAGE_LOST };

struct retell {
	struct opened_store *store;
	struct retelling *result;
	struct body_reader bodies;
	uint8_t *messages; /* enum message_state, by number */
	uint32_t sessions; /* names given so far */
	uint32_t subscriptions;
	uint32_t entries;
	bool may_lose;
	bool failed;
};

/* Leaves numbers for the segments that are to be written; at a segment of 64 MiB a second it is reached in 60 years. */
#define SEGMENT_NUMBER_MAX 2000000000u

#define TELL(retell, ...) log_writer_add(&(retell)->result->log, &(const struct store_record){__VA_ARGS__})

/* ---- messages ---- */

static enum message_state tell_message(struct retell *retell, const struct model_message *message)
{
	uint32_t name = model_message_number(retell->store->model, message);
	CHECK_LE(name, model_message_limit(retell->store->model));
	uint8_t *packet;
	if (retell->messages[name] != MESSAGE_UNTOLD)
		return (enum message_state)retell->messages[name];
	if (body_reader_read(&retell->bodies, message, &packet) != ERROR_OK) {
		retell->result->lost_messages++;
		retell->failed = retell->failed || !retell->may_lose;
		retell->messages[name] = MESSAGE_LOST;
		return MESSAGE_LOST;
	}
	struct store_record record = {.kind = STORE_KEPT,
				      .message = name,
				      .expires_at_s = message->expires_at_s,
				      .body = slice_of(packet, message->publication.packet_bytes)};
	store_record_set_publication(&record, &message->publication);
	log_writer_add(&retell->result->log, &record);
	free(packet);
	retell->messages[name] = MESSAGE_TOLD;
	return MESSAGE_TOLD;
}

/* Its name; 0: it is lost. */
static uint32_t message_name(struct retell *retell, const struct model_message *message)
{
	if (tell_message(retell, message) == MESSAGE_TOLD)
		return model_message_number(retell->store->model, message);
	retell->result->lost_entries++;
	return 0;
}

/* ---- sessions ---- */

static void tell_who(struct retell *retell, uint32_t name, const struct model_session *session)
{
	TELL(retell, .kind = STORE_OPENED, .session = name, .text = session->client_id);
	TELL(retell, .kind = STORE_CONNECTED, .session = name, .expiry_s = session->expiry_s,
	     .flags = session->is_bridge ? STORE_FLAG_IS_BRIDGE : 0u);
	if (session->has_principal)
		TELL(retell, .kind = STORE_PRINCIPAL, .session = name, .expires_at_s = session->token_expires_at_s,
		     .flags = (session->uses_auth ? STORE_FLAG_USES_AUTH : 0u) |
			      (session->rules.data != NULL ? STORE_FLAG_HAS_RULES : 0u),
		     .token_hash = session->token_hash, .user_hash = session->user_hash, .text = session->user,
		     .body = session->rules);
	if (!session->connected)
		TELL(retell, .kind = STORE_LEFT, .session = name, .expiry_s = session->expiry_s,
		     .ends_at_s = session->ends_at_s, .will_at_s = session->will_at_s);
}

/* Their names follow each other, so that a place in the list is a name. Returns the one before the first. */
static uint32_t tell_subscriptions(struct retell *retell, uint32_t name, const struct model_session *session)
{
	uint32_t before = retell->subscriptions;
	for (const struct model_subscription *at = session->subscriptions; at != NULL; at = at->next) {
		uint32_t subscription = ++retell->subscriptions;
		TELL(retell, .kind = STORE_SUBSCRIBED, .session = name, .subscription = subscription,
		     .identifier = at->identifier, .count = at->options, .text = at->filter);
		if (at->owed != 0)
			TELL(retell, .kind = STORE_OWED, .session = name, .subscription = subscription,
			     .count = at->owed);
	}
	return before;
}

static void tell_entry(struct retell *retell, uint32_t name, const struct model_entry *entry, uint32_t before)
{
	uint32_t message = entry->message != NULL ? message_name(retell, entry->message) : 0;
	if (entry->message != NULL && message == 0)
		return;
	CHECK(entry->message != NULL || entry->released);
	uint32_t place = ++retell->entries;
	TELL(retell, .kind = STORE_QUEUED, .session = name, .entry = place, .message = message,
	     .subscription = entry->subscription != 0 ? before + entry->subscription : 0, .flags = entry->flags,
	     .identifier = entry->identifier);
	if (entry->packet_id != 0)
		TELL(retell, .kind = STORE_SENT, .entry = place, .packet_id = entry->packet_id);
	if (entry->released)
		TELL(retell, .kind = STORE_RELEASED, .entry = place);
}

static void tell_session(struct retell *retell, const struct model_session *session)
{
	uint32_t name = ++retell->sessions;
	tell_who(retell, name, session);
	uint32_t before = tell_subscriptions(retell, name, session);
	uint32_t will = session->will != NULL ? message_name(retell, session->will) : 0;
	if (will != 0)
		TELL(retell, .kind = STORE_WILL_SET, .session = name, .message = will, .delay_s = session->will_delay_s,
		     .expiry_s = session->will_expiry_s);
	for (const struct model_entry *at = session->queue; at != NULL; at = at->next)
		tell_entry(retell, name, at, before);
	TELL(retell, .kind = STORE_NUMBERED, .session = name, .packet_id = session->packet_id);
	for (uint32_t i = 0; i < session->received_count; i++)
		TELL(retell, .kind = STORE_RECEIVED, .session = name, .packet_id = session->received[i]);
	for (const struct model_claim *at = session->claims; at != NULL; at = at->next)
		TELL(retell, .kind = STORE_RECEIVED_FROM, .publisher = name, .packet_id = at->packet_id,
		     .flags = at->is_group ? STORE_FLAG_SHARED : 0u, .text = at->receiver);
}

static void tell_retained(struct retell *retell, const struct model_retained *retained)
{
	struct store_record record = {.kind = stamp_is_none(retained->stamp) ? STORE_RETAINED : STORE_RETAINED_STAMPED,
				      .stamp_time = retained->stamp.time,
				      .stamp_node = retained->stamp.node,
				      .number = retained->number,
				      .expires_at_s = retained->expires_at_s,
				      .text = retained->topic,
				      .body = slice_of(retained->packet, retained->publication.packet_bytes)};
	store_record_set_publication(&record, &retained->publication);
	log_writer_add(&retell->result->log, &record);
}

static void tell_cleared(struct retell *retell, const struct model_retained *cleared)
{
	TELL(retell, .kind = STORE_RETAINED_CLEARED, .number = cleared->number, .stamp_time = cleared->stamp.time,
	     .stamp_node = cleared->stamp.node, .text = cleared->topic);
}

/* By a session that was there for this alone, and has no client id, as no client's session has. */
static void tell_promised(struct retell *retell, const struct model_promised *promised)
{
	uint32_t message = message_name(retell, promised->message), name = ++retell->sessions;
	if (message == 0)
		return;
	TELL(retell, .kind = STORE_OPENED, .session = name);
	if (promised->filter.size == 0) {
		TELL(retell, .kind = STORE_WILL_SET, .session = name, .message = message);
		TELL(retell, .kind = STORE_WILL_PUBLISHED, .session = name,
		     .expires_at_s = promised->message->expires_at_s);
	} else {
		uint32_t subscription = ++retell->subscriptions, entry = ++retell->entries;
		TELL(retell, .kind = STORE_SUBSCRIBED, .session = name, .subscription = subscription,
		     .text = promised->filter);
		TELL(retell, .kind = STORE_QUEUED, .session = name, .entry = entry, .message = message,
		     .subscription = subscription, .flags = promised->message->publication.qos | STORE_FLAG_SHARED);
		TELL(retell, .kind = STORE_HANDED_ON, .entry = entry);
	}
	TELL(retell, .kind = STORE_ENDED, .session = name);
}

/* ---- all of it ---- */

static void tell_all(struct retell *retell)
{
	const struct model *model = retell->store->model;
	uint64_t done = 0, all = model->session_count + model->retained_count;
	for (const struct model_retained *at = model->retained; at != NULL && !retell->failed; at = at->next) {
		tell_retained(retell, at);
		store_progress_update(&retell->store->progress, ++done, all);
	}
	for (const struct model_retained *at = model->retained_cleared; at != NULL && !retell->failed; at = at->next)
		tell_cleared(retell, at);
	for (const struct model_session *at = model->sessions; at != NULL && !retell->failed; at = at->next) {
		tell_session(retell, at);
		store_progress_update(&retell->store->progress, ++done, all);
	}
	for (const struct model_promised *at = model->promised; at != NULL && !retell->failed; at = at->next)
		tell_promised(retell, at);
}

bool retell_store(struct opened_store *store, bool may_lose, struct retelling *retelling)
{
	const struct replay *replay = &store->replay;
	*retelling = (struct retelling){.lost_messages = 0};
	/* The new segments are numbered on from there. */
	if (replay->highest_segment > SEGMENT_NUMBER_MAX)
		return opened_complain(store, "a file has a segment's name with a number that no store comes to: "
					      "move it out of the directory");
	int failed = replay_sync_log(&store->disk, replay);
	if (failed != 0)
		return opened_complain_errno(store, failed);
	struct retell retell = {.store = store,
				.result = retelling,
				.bodies = {.disk = &store->disk},
				.messages = calloc((size_t)model_message_limit(store->model) + 1, 1),
				.may_lose = may_lose};
	if (retell.messages == NULL)
		return opened_complain(store, "out of memory");
	/* As of the last commit: what expires goes on from there. */
	log_writer_open(&retelling->log, &store->disk, &store->identity, replay->highest_segment, replay->highest_epoch,
			replay->last_commit, replay->wall_s);
	store->progress = store_progress_begin("writing");
	tell_all(&retell);
	store_progress_end(&store->progress);
	body_reader_close(&retell.bodies);
	free(retell.messages);
	int error = retell.failed ? -EIO : log_writer_end(&retelling->log, store->model->stopped);
	log_writer_close(&retelling->log, error != 0);
	if (retell.failed)
		return opened_complain(store, "bodies of messages cannot be read; `roost store repair` goes on "
					      "without them");
	return error == 0 || opened_complain_errno(store, error);
}

bool retell_remove_rest(struct opened_store *store, const struct retelling *retelling, bool keep_damaged)
{
	const struct disk *disk = &store->disk;
	for (uint32_t i = 0; i < store->replay.segment_count; i++) {
		const struct replay_segment *segment = &store->replay.segments[i];
		char name[STORE_SEGMENT_NAME_BYTES], kept[STORE_SEGMENT_NAME_BYTES + 16];
		CHECK_LT(segment->number, retelling->log.first_segment);
		store_segment_name(segment->number, name);
		snprintf(kept, sizeof(kept), "%s.damaged", name);
		int error = keep_damaged && segment->is_damaged ? disk->operations->rename(disk->context, name, kept)
								: disk->operations->remove(disk->context, name);
		if (error != 0)
			return opened_complain_errno(store, error);
		if (keep_damaged && segment->is_damaged)
			printf("kept as %s/%s\n", store->directory, kept);
	}
	int error = disk->operations->sync_names(disk->context);
	return error == 0 || opened_complain_errno(store, error);
}
