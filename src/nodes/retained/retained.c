#include "nodes/retained/retained.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "nodes/thread/peer.h"
#include "route/retained_mail.h"
#include "runtime/nodes/node_mail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct retained_service {
	struct retained_parts parts;
	struct retained_sync *sync;
	uint64_t run;   /* of this thread, by the time it began */
	size_t telling; /* bytes of changes that shards have and have not told */
	uint64_t taken; /* as messages */
	uint64_t refused;
	uint64_t ahead;
	uint64_t lost; /* changes that no journal hears of, for want of memory */
	uint16_t next_shard;
	retained_safe *safe;
	void *safe_context;
	bool has_said_full;
	bool has_said_ahead;
	bool was_caught_up;
};

/* ---- what shards tell the journal ---- */

static bool retained_tell(struct retained_service *service, const struct retained_mail *head, const uint8_t *packet)
{
	uint32_t packet_bytes = head->publication.packet_bytes;
	struct node_mail *mail = node_mail_new(RETAINED_TELL, (uint32_t)sizeof(*head) + packet_bytes);
	if (mail == NULL) {
		service->lost++;
		return false;
	}
	memcpy(mail->body, head, sizeof(*head));
	((struct retained_mail *)(void *)mail->body)->run = service->run;
	if (packet_bytes != 0)
		memcpy(mail->body + sizeof(*head), packet, packet_bytes);
	service->telling += mail->bytes;
	service->next_shard = (uint16_t)((service->next_shard + 1u) % service->parts.shard_count);
	node_port_post(service->parts.port, service->next_shard, mail);
	return true;
}

/* struct retained_sync_ends: a change that came by comparing. */
static void retained_tell_found(void *context, const struct publication *publication, const uint8_t *packet,
				struct stamp stamp, uint64_t number, bool clears)
{
	struct retained_service *service = context;
	if (!service->parts.has_store)
		return;
	struct retained_mail head = {.number = number, .stamp = stamp, .clears = clears};
	if (publication != NULL)
		head.publication = *publication;
	retained_tell(service, &head, packet);
}

static size_t retained_telling(const void *context)
{
	const struct retained_service *service = context;
	return service->telling;
}

static bool retained_send(void *context, uint8_t slot, uint8_t kind, struct slice head, struct slice body)
{
	const struct retained_service *service = context;
	struct node_peer *peer = service->parts.peers[slot];
	return peer != NULL && peer_is_reachable(peer) && peer_send(peer, kind, head, body);
}

/* ---- changes that come as messages ---- */

static void say_full(struct retained_service *service)
{
	if (service->has_said_full)
		return;
	service->has_said_full = true;
	log_always(LOG_WARNING,
		   "cluster: there is no room for retained messages that other nodes have: set retained-max "
		   "or retained-bytes-max as high as there");
}

static void say_ahead(struct retained_service *service)
{
	if (service->has_said_ahead)
		return;
	service->has_said_ahead = true;
	log_always(LOG_WARNING,
		   "cluster: a retained message has a time that is more than %u s ahead of this node's clock, and "
		   "wins over all others: set the clocks",
		   STAMP_AHEAD_MS_MAX / 1000u);
}

void retained_service_tells(struct retained_service *service, retained_safe *safe, void *context)
{
	service->safe = safe;
	service->safe_context = context;
}

bool retained_service_take(struct retained_service *service, const struct publication *publication,
			   const uint8_t *packet, struct stamp stamp, uint64_t ticket)
{
	struct retained_change change = {
		.wall_ms = clock_wall_ms(), .now_s = (uint32_t)(clock_now_ms() / 1000), .stamp = stamp};
	struct retained_result result;
	if (stamp_is_none(stamp))
		return false;
	service->taken++;
	enum error error = retained_apply(service->parts.retained, publication, packet, &change, &result);
	service->refused += error != ERROR_OK;
	service->ahead += result.is_ahead;
	if (error != ERROR_OK)
		say_full(service);
	if (result.is_ahead)
		say_ahead(service);
	if (result.number == 0 || !service->parts.has_store)
		return false;
	struct retained_mail head = {
		.number = result.number,
		.stamp = stamp,
		.ticket = ticket,
		.publication = *publication,
		.awaits = true,
	};
	return retained_tell(service, &head, packet);
}

/* ---- the service ---- */

struct retained_service *retained_service_new(const struct retained_parts *parts)
{
	struct retained_service *service = calloc(1, sizeof(*service));
	if (service == NULL)
		return NULL;
	const struct retained_sync_ends ends = {
		.send = retained_send, .changed = retained_tell_found, .telling = retained_telling, .context = service};
	service->parts = *parts;
	service->run = clock_now_ns();
	service->sync = retained_sync_new(parts->retained, &ends);
	if (service->sync != NULL)
		return service;
	free(service);
	return NULL;
}

void retained_service_free(struct retained_service *service)
{
	if (service == NULL)
		return;
	retained_sync_free(service->sync);
	free(service);
}

static struct retained_clocks retained_clocks_now(void)
{
	return (struct retained_clocks){.now_ms = clock_now_ms(), .wall_ms = clock_wall_ms()};
}

static void retained_joined(void *context, struct node_peer *peer)
{
	struct retained_service *service = context;
	retained_sync_joined(service->sync, peer->slot, clock_now_ms());
}

static void retained_away(void *context, struct node_peer *peer)
{
	struct retained_service *service = context;
	retained_sync_away(service->sync, peer->slot);
}

static bool retained_received(void *context, struct node_peer *peer, uint8_t kind, struct slice body)
{
	struct retained_service *service = context;
	return retained_sync_receive(service->sync, peer->slot, kind, body, retained_clocks_now());
}

static void retained_told_back(void *context, struct node_mail *mail)
{
	struct retained_service *service = context;
	const struct retained_mail *told = (const struct retained_mail *)(const void *)mail->body;
	if (told->run == service->run) {
		CHECK_GE(service->telling, mail->bytes);
		service->telling -= mail->bytes;
		if (told->awaits && service->safe != NULL)
			service->safe(service->safe_context, told->ticket);
	}
	node_mail_free(mail);
}

static bool retained_turn(void *context, uint64_t now_ms)
{
	struct retained_service *service = context;
	(void)now_ms;
	bool more = retained_sync_turn(service->sync, retained_clocks_now());
	struct retained_sync_figures figures = retained_sync_figures(service->sync);
	if (figures.refused != 0)
		say_full(service);
	if (figures.ahead != 0)
		say_ahead(service);
	bool is_caught_up = retained_sync_is_caught_up(service->sync);
	if (is_caught_up && !service->was_caught_up && figures.rounds != 0)
		log_write(LOG_INFO,
			  "cluster: has the retained messages that other nodes have: %" PRIu64 " came, %" PRIu64
			  " were taken away",
			  figures.taken, figures.cleared);
	service->was_caught_up = is_caught_up;
	return more;
}

static uint64_t retained_deadline_ms(const void *context)
{
	const struct retained_service *service = context;
	return retained_sync_deadline_ms(service->sync);
}

static bool retained_is_caught_up(const void *context)
{
	const struct retained_service *service = context;
	return retained_sync_is_caught_up(service->sync);
}

static void retained_fill_status(const void *context, struct nodes_status *status)
{
	const struct retained_service *service = context;
	struct retained_sync_figures figures = retained_sync_figures(service->sync);
	struct retained_state state = retained_state(service->parts.retained);
	status->retained = (struct nodes_retained_status){
		.taken = service->taken + figures.taken,
		.found = figures.taken,
		.cleared = figures.cleared,
		.dropped = figures.dropped,
		.refused = service->refused + figures.refused,
		.ahead = state.too_far_ahead,
		.collisions = state.collisions,
		.tombstones = state.cleared,
		.tombstones_early = state.cleared_early,
		.comparisons = figures.rounds,
	};
	if (status->retained.refused != 0 && status->fault[0] == '\0')
		snprintf(status->fault, sizeof(status->fault),
			 "there was no room for %" PRIu64 " retained messages that other nodes have",
			 status->retained.refused);
}

/* What shards were given is told. */
static bool retained_is_done(const void *context)
{
	const struct retained_service *service = context;
	return service->telling == 0;
}

const struct node_service RETAINED_SERVICE = {
	.name = "retained",
	.kind_first = MESSAGE_RETAINED,
	.kind_last = MESSAGE_RETAINED + 15,
	.joined = retained_joined,
	.received = retained_received,
	.away = retained_away,
	.back = retained_joined,
	.mail = retained_told_back,
	.turn = retained_turn,
	.deadline_ms = retained_deadline_ms,
	.is_caught_up = retained_is_caught_up,
	.status = retained_fill_status,
	.is_done = retained_is_done,
};
