/* The worker: what it does with what others have revoked, and what it tells them. */
#include "access/access.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "cluster/common/key.h"
#include "nodes/revoked/revocations.h"
#include "nodes/revoked/revocations_state.h"
#include "runtime/nodes/node_mail.h"

#include <errno.h>
#include <stdlib.h>

/* Of what a node may know. */
#define KNOWN_MAX (1u << 22)
/* While shards have not caught up with revocations: this often, with pauses. */
#define FOLLOW_TRIES 400u
#define FOLLOW_PAUSE_MS 5u

_Static_assert(REVOKED_KINDS == REVOCATION_KIND_COUNT, "kinds are those of revocations");
_Static_assert(REVOKED_ID_BYTES_MAX == REVOCATION_ID_BYTES_MAX, "ids are those of revocations");
_Static_assert(REVOKED_LIFTED_S == REVOCATION_LIFTED_S, "so is what lifts");

static void worker_pause(uint32_t ms)
{
	struct timespec left = {.tv_nsec = (long)ms * 1000000};
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

/* ---- to other nodes ---- */

static void worker_send(struct revocations_service *service, uint8_t slot, uint8_t message, struct slice body)
{
	struct node_mail *mail =
		node_mail_new(REVOKED_SEND, (uint32_t)(sizeof(struct revocations_outgoing) + body.size));
	if (mail == NULL) {
		atomic_fetch_add(&service->left_out, 1);
		return;
	}
	struct revocations_outgoing *outgoing = (struct revocations_outgoing *)(void *)mail->body;
	*outgoing = (struct revocations_outgoing){.run = service->run, .slot = slot, .message = message};
	memcpy(outgoing->body, body.data, body.size);
	uint32_t bytes = mail->bytes;
	atomic_fetch_add(&service->unsent_bytes, bytes);
	if (node_port_send(service->parts.port, 0, mail))
		node_port_wake(service->parts.port);
	else
		atomic_fetch_sub(&service->unsent_bytes, bytes);
}

static void worker_send_digest(struct revocations_service *service, uint8_t slot)
{
	uint64_t digest[REVOKED_PARTS];
	uint8_t body[REVOKED_DIGEST_BYTES];
	revoked_digest(service->revoked, clock_wall_ms(), digest);
	revoked_digest_write(digest, body);
	worker_send(service, slot, REVOKED_DIGEST, slice_of(body, sizeof(body)));
}

static bool worker_is_stopping(struct revocations_service *service)
{
	pthread_mutex_lock(&service->lock);
	bool stopping = service->stopping;
	pthread_mutex_unlock(&service->lock);
	return stopping;
}

/* All that is here of these parts, as fast as the link takes it. */
static void worker_send_parts(struct revocations_service *service, uint8_t slot, uint64_t parts)
{
	uint32_t next = 0;
	do {
		size_t bytes = revoked_list(service->revoked, parts, &next, service->out, REVOCATIONS_OUT_BYTES);
		if (bytes != 0)
			worker_send(service, slot, REVOKED_CHANGES, slice_of(service->out, bytes));
		for (uint32_t i = 0; i < FOLLOW_TRIES && !worker_is_stopping(service) &&
				     atomic_load(&service->unsent_bytes) > REVOCATIONS_UNSENT_BYTES_MAX;
		     i++)
			worker_pause(FOLLOW_PAUSE_MS);
	} while (next != 0 && !worker_is_stopping(service));
}

/* ---- from other nodes ---- */

static void revocations_worker_worker_follow(struct revocations_service *service, const struct revoked_item *item)
{
	struct revocation revocation = {
		.kind = (enum revocation_kind)item->kind, .id = item->id, .until_s = item->until_s};
	enum error error = ERROR_MORE;
	for (uint32_t i = 0; i < FOLLOW_TRIES && error == ERROR_MORE && !worker_is_stopping(service); i++) {
		error = access_follow(service->parts.access, &revocation, clock_wall_s());
		if (error == ERROR_MORE)
			worker_pause(FOLLOW_PAUSE_MS);
	}
	if (error == ERROR_OK) {
		atomic_fetch_add(&service->taken, 1);
		return;
	}
	if (atomic_fetch_add(&service->failed, 1) == 0)
		log_write(LOG_ERROR, "cluster: what another node has revoked could not be put in force here: %s",
			  error_sentence(error));
}

static bool worker_take_changes(struct revocations_service *service, struct slice body)
{
	while (body.size != 0) {
		struct revoked_item item;
		if (!revoked_item_read(&body, &item))
			return false;
		if (revoked_take(service->revoked, &item, clock_wall_ms()))
			revocations_worker_worker_follow(service, &item);
	}
	return true;
}

static bool worker_take_message(struct revocations_service *service, const struct revocations_event *event)
{
	uint64_t digest[REVOKED_PARTS], parts;
	struct slice body = slice_of(event->body, event->bytes);
	if (event->message == REVOKED_CHANGES)
		return worker_take_changes(service, body);
	if (event->message != REVOKED_DIGEST)
		return true; /* of a later version */
	revoked_digest(service->revoked, clock_wall_ms(), digest);
	if (!revoked_digest_read(body, digest, &parts))
		return false;
	if (parts != 0)
		worker_send_parts(service, event->slot, parts);
	return true;
}

/* ---- from this node ---- */

/* struct access_observer, by any thread. */
static void revocations_changed_here(void *context, const struct revocation *revocation)
{
	uint8_t bytes[REVOKED_ITEM_HEAD_BYTES + REVOCATION_ID_BYTES_MAX];
	const struct revoked_item item = {
		.kind = (uint8_t)revocation->kind, .until_s = revocation->until_s, .id = revocation->id};
	size_t size = revoked_item_write(&item, bytes);
	revocations_push(context, REVOCATIONS_LOCAL, 0, 0, slice_of(bytes, size));
}

static void worker_take_local(struct revocations_service *service, struct slice body)
{
	struct revoked_item item;
	CHECK(revoked_item_read(&body, &item)); /* our own */
	revoked_change(service->revoked, &item, clock_wall_ms(), &item.stamp);
	size_t size = revoked_item_write(&item, service->out);
	worker_send(service, REVOCATIONS_TO_ALL, REVOKED_CHANGES, slice_of(service->out, size));
}

/* An access_visit callback. */
static void worker_find(void *context, const struct revocation *revocation)
{
	struct revocations_service *service = context;
	const struct revoked_item item = {
		.kind = (uint8_t)revocation->kind, .until_s = revocation->until_s, .id = revocation->id};
	revoked_found(service->revoked, &item, clock_wall_ms());
}

/* ---- the thread ---- */

static struct revocations_event *worker_await(struct revocations_service *service, uint64_t until_ms)
{
	struct timespec until = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};
	pthread_mutex_lock(&service->lock);
	int waited = 0;
	while (service->first == NULL && !service->stopping && waited == 0)
		waited = pthread_cond_timedwait(&service->woken, &service->lock, &until);
	struct revocations_event *event = service->first;
	if (event != NULL) {
		service->first = event->next;
		service->queued_bytes -= event->bytes;
		if (service->first == NULL)
			service->last = &service->first;
	}
	pthread_mutex_unlock(&service->lock);
	return event;
}

static void worker_deal_with(struct revocations_service *service, const struct revocations_event *event)
{
	switch (event->kind) {
	case REVOCATIONS_LOCAL:
		worker_take_local(service, slice_of(event->body, event->bytes));
		break;
	case REVOCATIONS_JOINED:
		worker_send_digest(service, event->slot);
		break;
	case REVOCATIONS_MESSAGE:
		if (!worker_take_message(service, event) && atomic_fetch_add(&service->faults, 1) == 0)
			log_write(LOG_WARNING,
				  "cluster: a node's message about revocations does not follow the protocol");
		break;
	}
}

static void *revocations_main(void *argument)
{
	struct revocations_service *service = argument;
	struct check_context check = {.thread = "revocations"};
	check_context_set(&check);
	access_list(service->parts.access, ACCESS_EMBEDDED, 0, UINT32_MAX, worker_find, service);
	uint64_t compare_ms = clock_now_ms() + REVOCATIONS_COMPARE_MS;
	while (!worker_is_stopping(service)) {
		struct revocations_event *event = worker_await(service, compare_ms);
		if (event != NULL)
			worker_deal_with(service, event);
		free(event);
		if (clock_now_ms() < compare_ms)
			continue;
		compare_ms = clock_now_ms() + REVOCATIONS_COMPARE_MS;
		revoked_expire(service->revoked, clock_wall_ms());
		worker_send_digest(service, REVOCATIONS_TO_ALL);
	}
	return NULL;
}

static void revocations_service_free(struct revocations_service *service)
{
	while (service->first != NULL) {
		struct revocations_event *next = service->first->next;
		free(service->first);
		service->first = next;
	}
	while (service->unsent != NULL) {
		struct node_mail *next = service->unsent->next;
		node_mail_free(service->unsent);
		service->unsent = next;
	}
	pthread_cond_destroy(&service->woken);
	pthread_mutex_destroy(&service->lock);
	revoked_free(service->revoked);
	free(service->out);
	free(service);
}

/* By the monotonic clock, so that a wall clock that is set does not hold up comparing. */
static void revocations_open_lock(struct revocations_service *service)
{
	pthread_condattr_t attributes;
	CHECK(pthread_condattr_init(&attributes) == 0 && pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
	      pthread_cond_init(&service->woken, &attributes) == 0 && pthread_mutex_init(&service->lock, NULL) == 0);
	pthread_condattr_destroy(&attributes);
}

struct revocations_service *revocations_service_start(const struct revocations_parts *parts)
{
	struct revocations_service *service = calloc(1, sizeof(*service));
	if (service == NULL)
		return NULL;
	service->parts = *parts;
	service->run = clock_now_ns();
	service->last = &service->first;
	service->retry_ms = UINT64_MAX;
	revocations_open_lock(service);
	struct hash_key key = cluster_key(parts->cluster, CLUSTER_KEY_REVOCATION);
	service->revoked = revoked_new(&key, cluster_node_hash(parts->cluster, parts->node), KNOWN_MAX);
	service->out = malloc(REVOCATIONS_OUT_BYTES);
	access_observe(parts->access,
		       (struct access_observer){.changed = revocations_changed_here, .context = service});
	if (service->revoked != NULL && service->out != NULL &&
	    pthread_create(&service->thread, NULL, revocations_main, service) == 0)
		return service;
	access_observe(parts->access, (struct access_observer){0});
	revocations_service_free(service);
	return NULL;
}

void revocations_service_stop(struct revocations_service *service)
{
	if (service == NULL)
		return;
	access_observe(service->parts.access, (struct access_observer){0});
	pthread_mutex_lock(&service->lock);
	service->stopping = true;
	pthread_cond_signal(&service->woken);
	pthread_mutex_unlock(&service->lock);
	pthread_join(service->thread, NULL);
	revocations_service_free(service);
}
