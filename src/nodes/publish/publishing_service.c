#include "nodes/publish/publishing.h"

#include "base/check.h"
#include "base/log.h"
#include "cluster/wire/wire.h"
#include "deliver/record.h"
#include "nodes/interest/interest.h"
#include "nodes/publish/publishing_kinds.h"
#include "nodes/publish/to_peer.h"
#include "nodes/thread/nodes_thread.h"
#include "relay/session/session_asker.h"
#include "runtime/nodes/node_mail.h"

#include <stdio.h>
#include <stdlib.h>

/* Commits of the store wake shards, and not this thread: it looks so often while it waits for some. */
#define COMMITS_MS 1u

struct publishing {
	struct nodes_thread *thread;
	struct interest *interest;
	struct inbound inbound;
	struct to_peer_scene scene;
	struct to_peer peers[NODES_MAX];
	struct batch *unsorted; /* that was received when memory was short; NULL: none */
};

static void release_other(void *context, uint32_t ticket);

/* As the session of a spool has it (deliver/outgoing.c). */
static uint32_t spool_messages_max(const struct settings *settings)
{
	return settings->internal_queue_messages_max != 0 ? settings->internal_queue_messages_max
							  : settings->queue_messages_max;
}

struct publishing *publishing_new(struct nodes_thread *thread, struct interest *interest)
{
	struct publishing *publishing = calloc(1, sizeof(*publishing));
	if (publishing == NULL)
		return NULL;
	publishing->thread = thread;
	publishing->interest = interest;
	publishing->scene = (struct to_peer_scene){
		.gateway = thread->gateway,
		.interest = interest,
		.inbound = &publishing->inbound,
		.index = thread->parts.index,
		.shard_count = thread->parts.shard_count,
		.spool_messages_max = spool_messages_max(gateway_settings(thread->gateway)),
		.run = nodes_new_incarnation(),
	};
	if (inbound_init(&publishing->inbound, &thread->parts, interest) == ERROR_OK) {
		outbox_set_run(&publishing->inbound.outbox, (uint32_t)publishing->scene.run | 1u);
		publishing->inbound.release_other = release_other;
		publishing->inbound.other_context = publishing;
		return publishing;
	}
	inbound_fini(&publishing->inbound);
	free(publishing);
	return NULL;
}

/* What shards sent when the thread had ended, or memory was short. */
static void lose_batches(struct publishing *publishing)
{
	struct outbox *outbox = &publishing->inbound.outbox;
	struct batch *batch = publishing->unsorted != NULL ? publishing->unsorted : outbox_receive(outbox);
	for (; batch != NULL; batch = outbox_receive(outbox)) {
		batch->commit = BATCH_LOST;
		outbox_return(outbox, batch);
	}
}

void publishing_free(struct publishing *publishing)
{
	if (publishing == NULL)
		return;
	lose_batches(publishing);
	for (uint32_t slot = 0; slot < NODES_MAX; slot++)
		to_peer_fini(&publishing->scene, &publishing->peers[slot]);
	bytes_free(&publishing->scene.origin);
	inbound_fini(&publishing->inbound);
	free(publishing);
}

void publishing_set_retain(struct publishing *publishing, inbound_retain *retain, void *context)
{
	publishing->inbound.retain = retain;
	publishing->inbound.retain_context = context;
}

void publishing_retained_is_safe(void *context, uint64_t ticket)
{
	struct publishing *publishing = context;
	inbound_release(&publishing->inbound, (uint32_t)ticket);
}

/* Says how far the peer's messages are safe here. */
static void send_safe(struct publishing *publishing, struct to_peer *to)
{
	uint8_t body[sizeof(uint64_t)];
	uint64_t number;
	uint32_t slot = to->peer->slot;
	if (!peer_is_reachable(to->peer) || !inbound_owe(&publishing->inbound, slot, &number))
		return;
	wire_put_u64(body, number);
	if (peer_send(to->peer, PUBLISHING_SAFE, slice_of(body, sizeof(body)), slice_of(NULL, 0)))
		inbound_have_told(&publishing->inbound, slot, number);
}

/* ---- from shards ---- */

/* Notes to publishers on other nodes. One that does not get through is written again. */
static void pass_notes(struct publishing *publishing, const struct batch *batch)
{
	struct far_waits *waits = &publishing->inbound.waits;
	uint8_t body[FAR_NOTE_BYTES];
	uint32_t slot;
	for (uint32_t offset = 0; offset < batch->used_bytes;) {
		const struct record *note = (const void *)(batch->bytes + offset);
		CHECK(note->record_bytes == sizeof(*note) && note->route_count == 0);
		offset += note->record_bytes;
		if (!far_waits_pass(waits, note, &slot, body))
			continue;
		struct node_peer *peer = publishing->peers[slot].peer;
		if (peer != NULL && peer_is_reachable(peer) &&
		    peer_send(peer, PUBLISHING_NOTE, slice_of(body, sizeof(body)), slice_of(NULL, 0)))
			far_waits_have_passed(waits, slot, body, publishing->scene.now_ms);
	}
}

/* Says which of the places that it waits for are congested still. */
static void send_places(struct publishing *publishing, struct node_peer *peer)
{
	uint8_t body[FAR_PLACES_BYTES];
	uint64_t now_ms = publishing->scene.now_ms;
	struct far_waits *waits = &publishing->inbound.waits;
	if (peer_is_reachable(peer) && far_waits_owe(waits, peer->slot, now_ms, body) &&
	    peer_send(peer, PUBLISHING_PLACES, slice_of(body, sizeof(body)), slice_of(NULL, 0)))
		far_waits_have_told(waits, peer->slot, body, now_ms);
}

/* Batches for peers, and notes to publishers on other nodes. */
static void receive_batches(struct publishing *publishing)
{
	struct outbox *outbox = &publishing->inbound.outbox;
	uint16_t shards = publishing->thread->parts.shard_count;
	for (;;) {
		struct batch *batch = publishing->unsorted != NULL ? publishing->unsorted : outbox_receive(outbox);
		publishing->unsorted = NULL;
		if (batch == NULL)
			return;
		uint32_t slot = (uint32_t)batch->receiver - shards;
		if (slot >= NODES_MAX) {
			pass_notes(publishing, batch);
			outbox_return(outbox, batch);
		} else if (publishing->peers[slot].peer == NULL) {
			/* It was forgotten while the message was on its way, or known to a thread before this one. */
			batch->commit = BATCH_LOST;
			outbox_return(outbox, batch);
		} else if (!outgoing_queue_push(&publishing->peers[slot].queue, batch)) {
			publishing->unsorted = batch;
			return;
		}
	}
}

/* ---- the service ---- */

static bool take_safe(struct publishing *publishing, struct to_peer *from, struct slice body)
{
	struct wire_reader reader = wire_read(body);
	uint64_t number = wire_get_u64(&reader);
	return wire_is_done(&reader) && to_peer_is_safe(&publishing->scene, from, number);
}

static bool publishing_service_take_note(struct publishing *publishing, struct to_peer *from, struct slice body)
{
	struct record note;
	struct outbox *outbox = &publishing->inbound.outbox;
	bool of_spool = from->passage != PASSAGE_DIRECT;
	if (!far_waits_hear_note(&publishing->inbound.waits, from->peer->slot, body, of_spool, publishing->scene.now_ms,
				 &note))
		return false;
	struct record *record =
		note.record_bytes != 0 ? outbox_write(outbox, note.publisher.shard, note.record_bytes) : NULL;
	if (record != NULL)
		*record = note;
	return true;
}

static bool publishing_service_received(void *context, struct node_peer *peer, uint8_t kind, struct slice body)
{
	struct publishing *publishing = context;
	switch (kind) {
	case PUBLISHING_MESSAGE:
		return inbound_receive(&publishing->inbound, peer->slot, body);
	case PUBLISHING_SAFE:
		return take_safe(publishing, &publishing->peers[peer->slot], body);
	case PUBLISHING_NOTE:
		return publishing_service_take_note(publishing, &publishing->peers[peer->slot], body);
	case PUBLISHING_PLACES:
		return far_waits_hear_places(&publishing->inbound.waits, peer->slot, body, publishing->scene.now_ms);
	default:
		return false;
	}
}

static void publishing_service_joined(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	if (!to_peer_joined(&publishing->scene, &publishing->peers[peer->slot], peer))
		log_write(LOG_ERROR, "node %s: there can be no spool of that name", peer->name);
	inbound_begin(&publishing->inbound, peer->slot, peer->link->own, peer->incarnation);
}

/* In the spool of a node that is not here; 0 where it cannot be found out. */
static uint64_t count_waiting(const struct nodes_thread *thread, const struct node_peer *peer)
{
	char id[sizeof(SPOOL_ID_PREFIX) + CLUSTER_NAME_BYTES_MAX];
	struct session_facts facts = {0};
	snprintf(id, sizeof(id), SPOOL_ID_PREFIX "%s", peer->name);
	enum error error = session_asker_inspect(thread->asker, slice_string(id), NULL, &facts);
	return error == ERROR_OK ? facts.messages : 0;
}

static void publishing_service_remembered(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	if (!to_peer_remembered(&publishing->scene, &publishing->peers[peer->slot], peer,
				count_waiting(publishing->thread, peer)))
		log_write(LOG_ERROR, "node %s: there can be no spool of that name", peer->name);
}

static void publishing_service_forgotten(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	to_peer_forget(&publishing->scene, &publishing->peers[peer->slot]);
}

static void publishing_service_away(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	to_peer_away(&publishing->scene, &publishing->peers[peer->slot]);
	far_waits_begin(&publishing->inbound.waits, peer->slot);
}

static void publishing_service_back(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	to_peer_back(&publishing->scene, &publishing->peers[peer->slot]);
}

static void publishing_service_gone(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	to_peer_gone(&publishing->peers[peer->slot]);
}

static void release_other(void *context, uint32_t ticket)
{
	struct publishing *publishing = context;
	struct to_peer *to = &publishing->peers[to_peer_slot_of(ticket)];
	to_peer_release(&publishing->scene, to, ticket);
}

static void begin_links_anew(struct publishing *publishing)
{
	if (!publishing->inbound.wants_new_links)
		return;
	publishing->inbound.wants_new_links = false;
	publishing->thread->renews = true;
	log_write(LOG_ERROR, "cluster: there was no room or no memory for a message of another node; this node begins "
			     "anew in the cluster, and gets it again");
}

static bool publishing_service_turn(void *context, uint64_t now_ms)
{
	struct publishing *publishing = context;
	publishing->scene.now_ms = now_ms;
	publishing->scene.now_s = (uint32_t)(now_ms / 1000);
	inbound_run(&publishing->inbound, publishing->scene.now_s);
	/* What a client subscribed to before it published is told first. */
	receive_batches(publishing);
	interest_send_notes(publishing->interest);
	far_waits_expire(&publishing->inbound.waits, now_ms);
	bool looks = far_waits_look(&publishing->inbound.waits, now_ms);
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		struct to_peer *to = &publishing->peers[slot];
		if (to->peer == NULL)
			continue;
		to_peer_run(&publishing->scene, to);
		send_safe(publishing, to);
		if (looks)
			send_places(publishing, to->peer);
	}
	inbound_send(&publishing->inbound);
	begin_links_anew(publishing);
	return false;
}

static uint32_t on_poll(void *context, struct pollfd *fds, uint32_t most)
{
	struct publishing *publishing = context;
	uint32_t count = 0;
	for (uint32_t slot = 0; slot < NODES_MAX && count < most; slot++)
		count +=
			publishing->peers[slot].peer != NULL && spool_poll(&publishing->peers[slot].spool, &fds[count]);
	return count;
}

static bool publishing_service_has_mail(const void *context)
{
	const struct publishing *publishing = context;
	return outbox_has_mail(&publishing->inbound.outbox) || outbox_has_returns(&publishing->inbound.outbox);
}

static uint64_t publishing_service_deadline(const void *context)
{
	const struct publishing *publishing = context;
	if (inbound_await_commits(&publishing->inbound))
		return publishing->scene.now_ms + COMMITS_MS;
	return far_waits_deadline(&publishing->inbound.waits);
}

static void publishing_service_status(const void *context, struct nodes_status *status)
{
	const struct publishing *publishing = context;
	const struct inbound_figures *figures = &publishing->inbound.figures;
	status->arrivals = (struct nodes_arrivals_status){
		.unwanted = figures->unwanted,
		.unsound = figures->unsound,
		.dropped = figures->dropped,
		.copies = figures->copies,
	};
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		const struct to_peer *peer = &publishing->peers[slot];
		const struct inbound_peer *inbound = &publishing->inbound.peers[slot];
		status->peers[slot].messages_out = peer->messages;
		status->peers[slot].messages_in = inbound->messages;
		status->peers[slot].bytes_in = inbound->bytes;
		status->peers[slot].spooled = peer->spooled;
		status->peers[slot].dropped = peer->dropped + peer->refused;
		status->peers[slot].waiting = spool_waiting(&peer->spool);
	}
}

/* All that went to peers is safe there or in their spools, and what came from peers is safe here. */
static bool on_is_done(const void *context)
{
	const struct publishing *publishing = context;
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		if (publishing->peers[slot].queue.count != 0)
			return false;
	}
	return inbound_are_done(&publishing->inbound) && publishing->inbound.outbox.out_batches == 0;
}

static void publishing_service_ended(void *context)
{
	struct publishing *publishing = context;
	for (uint32_t slot = 0; slot < NODES_MAX; slot++)
		to_peer_close(&publishing->peers[slot]);
}

const struct node_service PUBLISHING_SERVICE = {
	.name = "publishing",
	.kind_first = MESSAGE_PUBLISHING,
	.kind_last = MESSAGE_PUBLISHING + 15,
	.joined = publishing_service_joined,
	.remembered = publishing_service_remembered,
	.forgotten = publishing_service_forgotten,
	.received = publishing_service_received,
	.away = publishing_service_away,
	.back = publishing_service_back,
	.gone = publishing_service_gone,
	.poll = on_poll,
	.turn = publishing_service_turn,
	.has_mail = publishing_service_has_mail,
	.deadline_ms = publishing_service_deadline,
	.status = publishing_service_status,
	.is_done = on_is_done,
	.ended = publishing_service_ended,
};
