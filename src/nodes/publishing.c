#include "nodes/publishing.h"

#include "base/check.h"
#include "base/log.h"
#include "cluster/wire.h"
#include "nodes/interest.h"
#include "nodes/nodes_thread.h"
#include "nodes/to_peer.h"
#include "relay/session/session_asker.h"
#include "runtime/node_mail.h"

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
		.run = nodes_new_incarnation(),
	};
	if (inbound_init(&publishing->inbound, &thread->parts, interest) == ERROR_OK) {
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

/* Batches for peers, and notes to publishers on other nodes, which nobody reads yet. */
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

static bool on_received(void *context, struct node_peer *peer, uint8_t kind, struct slice body)
{
	struct publishing *publishing = context;
	switch (kind) {
	case PUBLISHING_MESSAGE:
		return inbound_receive(&publishing->inbound, peer->slot, body);
	case PUBLISHING_SAFE:
		return take_safe(publishing, &publishing->peers[peer->slot], body);
	default:
		return false;
	}
}

static void on_joined(void *context, struct node_peer *peer)
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

static void on_remembered(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	if (!to_peer_remembered(&publishing->scene, &publishing->peers[peer->slot], peer,
				count_waiting(publishing->thread, peer)))
		log_write(LOG_ERROR, "node %s: there can be no spool of that name", peer->name);
}

static void on_forgotten(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	to_peer_forget(&publishing->scene, &publishing->peers[peer->slot]);
}

static void on_away(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	to_peer_away(&publishing->scene, &publishing->peers[peer->slot]);
}

static void on_back(void *context, struct node_peer *peer)
{
	struct publishing *publishing = context;
	to_peer_back(&publishing->scene, &publishing->peers[peer->slot]);
}

static void on_gone(void *context, struct node_peer *peer)
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

static bool on_turn(void *context, uint64_t now_ms)
{
	struct publishing *publishing = context;
	publishing->scene.now_ms = now_ms;
	publishing->scene.now_s = (uint32_t)(now_ms / 1000);
	inbound_run(&publishing->inbound, publishing->scene.now_s);
	/* What a client subscribed to before it published is told first. */
	receive_batches(publishing);
	interest_send_notes(publishing->interest);
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		struct to_peer *to = &publishing->peers[slot];
		if (to->peer == NULL)
			continue;
		to_peer_run(&publishing->scene, to);
		send_safe(publishing, to);
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

static bool on_has_mail(const void *context)
{
	const struct publishing *publishing = context;
	return outbox_has_mail(&publishing->inbound.outbox) || outbox_has_returns(&publishing->inbound.outbox);
}

static uint64_t on_deadline(const void *context)
{
	const struct publishing *publishing = context;
	return inbound_await_commits(&publishing->inbound) ? publishing->scene.now_ms + COMMITS_MS : UINT64_MAX;
}

static void on_status(const void *context, struct nodes_status *status)
{
	const struct publishing *publishing = context;
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		const struct to_peer *peer = &publishing->peers[slot];
		const struct inbound_peer *inbound = &publishing->inbound.peers[slot];
		status->peers[slot].messages_out = peer->messages;
		status->peers[slot].messages_in = inbound->messages;
		status->peers[slot].bytes_in = inbound->bytes;
		status->peers[slot].dropped = peer->dropped;
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

static void on_ended(void *context)
{
	struct publishing *publishing = context;
	for (uint32_t slot = 0; slot < NODES_MAX; slot++)
		to_peer_close(&publishing->peers[slot]);
}

const struct node_service PUBLISHING_SERVICE = {
	.name = "publishing",
	.kind_first = MESSAGE_PUBLISHING,
	.kind_last = MESSAGE_PUBLISHING + 15,
	.joined = on_joined,
	.remembered = on_remembered,
	.forgotten = on_forgotten,
	.received = on_received,
	.away = on_away,
	.back = on_back,
	.gone = on_gone,
	.poll = on_poll,
	.turn = on_turn,
	.has_mail = on_has_mail,
	.deadline_ms = on_deadline,
	.status = on_status,
	.is_done = on_is_done,
	.ended = on_ended,
};
