/* The nodes thread's side, and the queue between it and the worker. */
#include "nodes/revoked/revocations.h"

#include "base/check.h"
#include "nodes/revoked/revocations_state.h"
#include "nodes/thread/peer.h"
#include "runtime/nodes/node_mail.h"

#include <stdlib.h>

/* ---- to the worker ---- */

bool revocations_push(struct revocations_service *service, enum revocations_event_kind kind, uint8_t slot,
		      uint8_t message, struct slice body)
{
	struct revocations_event *event = malloc(sizeof(*event) + body.size);
	if (event == NULL) {
		atomic_fetch_add(&service->left_out, 1);
		return false;
	}
	*event = (struct revocations_event){.kind = kind, .slot = slot, .message = message, .bytes = body.size};
	if (body.size != 0)
		memcpy(event->body, body.data, body.size);
	pthread_mutex_lock(&service->lock);
	bool fits = service->queued_bytes + body.size <= REVOCATIONS_QUEUE_BYTES_MAX;
	if (fits) {
		*service->last = event;
		service->last = &event->next;
		service->queued_bytes += body.size;
		pthread_cond_signal(&service->woken);
	}
	pthread_mutex_unlock(&service->lock);
	if (fits)
		return true;
	free(event);
	atomic_fetch_add(&service->left_out, 1);
	return false;
}

static void revocations_joined(void *context, struct node_peer *peer)
{
	revocations_push(context, REVOCATIONS_JOINED, peer->slot, 0, slice_of(NULL, 0));
}

/* A body that is not sound is found by the worker, which counts it. */
static bool revocations_received(void *context, struct node_peer *peer, uint8_t kind, struct slice body)
{
	revocations_push(context, REVOCATIONS_MESSAGE, peer->slot, kind, body);
	return true;
}

/* ---- from the worker ---- */

static bool revocations_send_to(const struct revocations_service *service, uint32_t slot, const struct node_mail *mail)
{
	const struct revocations_outgoing *outgoing = (const struct revocations_outgoing *)(const void *)mail->body;
	struct node_peer *peer = service->parts.peers[slot];
	if (peer == NULL || !peer_is_reachable(peer))
		return true; /* it hears of it when it is back */
	return peer_send(peer, outgoing->message, slice_of(outgoing->body, mail->bytes - sizeof(*outgoing)),
			 slice_of(NULL, 0));
}

/* False: there is no room yet. What is for all does not wait for one that is slow. */
static bool revocations_send(struct revocations_service *service, const struct node_mail *mail)
{
	const struct revocations_outgoing *outgoing = (const struct revocations_outgoing *)(const void *)mail->body;
	if (outgoing->slot != REVOCATIONS_TO_ALL)
		return revocations_send_to(service, outgoing->slot, mail);
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		if (!revocations_send_to(service, slot, mail))
			atomic_fetch_add(&service->left_out, 1);
	}
	return true;
}

static void revocations_mail(void *context, struct node_mail *mail)
{
	struct revocations_service *service = context;
	const struct revocations_outgoing *outgoing = (const struct revocations_outgoing *)(const void *)mail->body;
	CHECK_GE(mail->bytes, sizeof(*outgoing));
	if (outgoing->run != service->run) { /* of a worker before this one */
		node_mail_free(mail);
		return;
	}
	mail->next = NULL;
	if (service->unsent == NULL)
		service->unsent = mail;
	else
		service->unsent_last->next = mail;
	service->unsent_last = mail;
}

static bool revocations_turn(void *context, uint64_t now_ms)
{
	struct revocations_service *service = context;
	(void)now_ms;
	while (service->unsent != NULL && revocations_send(service, service->unsent)) {
		struct node_mail *mail = service->unsent;
		service->unsent = mail->next;
		atomic_fetch_sub(&service->unsent_bytes, mail->bytes);
		node_mail_free(mail);
	}
	service->retry_ms = service->unsent != NULL ? now_ms + 10 : UINT64_MAX;
	return false;
}

static uint64_t revocations_deadline_ms(const void *context)
{
	const struct revocations_service *service = context;
	return service->retry_ms;
}

static void revocations_fill_status(const void *context, struct nodes_status *status)
{
	const struct revocations_service *service = context;
	status->revocations = (struct nodes_revocations_status){
		.taken = atomic_load(&service->taken),
		.failed = atomic_load(&service->failed),
		.left_out = atomic_load(&service->left_out),
		.faults = atomic_load(&service->faults),
	};
}

static bool revocations_is_done(const void *context)
{
	const struct revocations_service *service = context;
	return service->unsent == NULL;
}

const struct node_service REVOCATIONS_SERVICE = {
	.name = "revocations",
	.kind_first = MESSAGE_REVOCATIONS,
	.kind_last = MESSAGE_REVOCATIONS + 15,
	.joined = revocations_joined,
	.received = revocations_received,
	.back = revocations_joined,
	.mail = revocations_mail,
	.turn = revocations_turn,
	.deadline_ms = revocations_deadline_ms,
	.status = revocations_fill_status,
	.is_done = revocations_is_done,
};
