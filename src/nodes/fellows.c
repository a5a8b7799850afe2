#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "nodes/publish/spool.h"
#include "nodes/thread/nodes_thread.h"
#include "relay/session/session_asker.h"

#include <stdlib.h>
#include <string.h>

#define KIND_FIGURES (MESSAGE_FRAME + 0u) /* uint64_t: connected clients */
#define FIGURES_MS 2000u
/* Of one peer's messages that did not follow the protocol, one in so many is logged. */
#define FAULTS_PER_LINE 1000u

static struct peer_entry *entry_of(struct node_peer *peer)
{
	return (struct peer_entry *)(void *)peer;
}

/* ---- what services are told ---- */

#define FOR_SERVICES(thread, call, ...)                                                                                \
	do {                                                                                                           \
		for (uint32_t service_ = 0; service_ < (thread)->service_count; service_++) {                          \
			const struct service_entry *told_ = &(thread)->services[service_];                             \
			if (told_->service->call != NULL)                                                              \
				told_->service->call(told_->context, ##__VA_ARGS__);                                   \
		}                                                                                                      \
	} while (0)

static const struct service_entry *service_of(const struct nodes_thread *thread, uint8_t kind)
{
	for (uint32_t i = 0; i < thread->service_count; i++) {
		const struct service_entry *entry = &thread->services[i];
		if (kind >= entry->service->kind_first && kind <= entry->service->kind_last)
			return entry;
	}
	return NULL;
}

static void set_state(struct peer_entry *entry, enum peer_state state)
{
	if (entry->peer.state == state)
		return;
	entry->peer.state = state;
	entry->state_since_ms = entry->thread->now_ms;
}

/* ---- messages ---- */

static bool take_figures(struct peer_entry *entry, struct slice body)
{
	if (body.size != sizeof(entry->clients))
		return false;
	memcpy(&entry->clients, body.data, sizeof(entry->clients));
	return true;
}

/* A kind that nobody here knows is of a newer version, and does not matter to this one. */
static bool fellows_take_message(struct peer_entry *entry, uint8_t kind, struct slice body)
{
	const struct service_entry *service = service_of(entry->thread, kind);
	if (kind == KIND_FIGURES)
		return take_figures(entry, body);
	return service == NULL || service->service->received == NULL ||
	       service->service->received(service->context, &entry->peer, kind, body);
}

static void fellows_message(void *context, uint8_t kind, struct slice body)
{
	struct peer_entry *entry = context;
	if (fellows_take_message(entry, kind, body))
		return;
	if (entry->faults++ % FAULTS_PER_LINE == 0)
		log_write(LOG_WARNING,
			  "node %s sent a message of kind 0x%02x that does not follow the protocol: ignored",
			  entry->peer.name, kind);
}

bool peer_send(struct node_peer *peer, uint8_t kind, struct slice head, struct slice body)
{
	const struct slice parts[] = {head, body};
	return peer->link != NULL && link_send(peer->link, kind, parts, 2) == ERROR_OK;
}

uint32_t peer_room(const struct node_peer *peer)
{
	return peer->link != NULL ? (uint32_t)link_room(peer->link) : 0;
}

/* ---- peers that come and go ---- */

static struct peer_entry *entry_at(const struct nodes_thread *thread, uint32_t slot)
{
	CHECK_LT(slot, NODES_MAX);
	return entry_of(thread->peers[slot]);
}

/* NULL: there is none, or no link with it. */
static struct peer_entry *linked_entry(const struct nodes_thread *thread, uint32_t slot)
{
	struct peer_entry *entry = thread->peers[slot] != NULL ? entry_at(thread, slot) : NULL;
	return entry != NULL && entry->peer.link != NULL ? entry : NULL;
}

static struct peer_entry *need_entry(struct nodes_thread *thread, uint32_t slot)
{
	const struct member *member = members_at(thread->members, slot);
	CHECK_LT(slot, NODES_MAX);
	if (thread->peers[slot] != NULL)
		return entry_at(thread, slot);
	struct peer_entry *entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return NULL;
	entry->thread = thread;
	entry->peer.slot = (uint8_t)slot;
	memcpy(entry->peer.name, member->name, member->name_bytes);
	bus_address_of(thread->bus, slice_string(entry->peer.name), &entry->address);
	thread->peers[slot] = &entry->peer;
	return entry;
}

/* Its link is over. */
static void end_link(struct nodes_thread *thread, struct peer_entry *entry, enum peer_state state)
{
	if (entry->peer.link == NULL)
		return;
	bool was_reachable = peer_is_reachable(&entry->peer);
	set_state(entry, state);
	if (was_reachable)
		FOR_SERVICES(thread, away, &entry->peer);
	FOR_SERVICES(thread, gone, &entry->peer);
	link_fini(&entry->link);
	entry->peer.link = NULL;
}

static void fellows_joined(void *context, uint32_t slot)
{
	struct nodes_thread *thread = context;
	const struct member *member = members_at(thread->members, slot);
	struct peer_entry *entry = need_entry(thread, slot);
	if (entry == NULL)
		return; /* nothing is sent there: for the other node this one is deaf */
	CHECK(entry->peer.link == NULL);
	entry->peer.incarnation = member->incarnation;
	link_init(&entry->link, members_own_incarnation(thread->members), member->incarnation, &LINK_LIMITS_DEFAULT,
		  (struct link_receiver){.on_message = fellows_message, .context = entry});
	entry->peer.link = &entry->link;
	set_state(entry, PEER_ALIVE);
	log_always(LOG_INFO, "node %s has joined, version %s", entry->peer.name, member->version);
	FOR_SERVICES(thread, joined, &entry->peer);
}

static void fellows_away(void *context, uint32_t slot, enum away_reason reason)
{
	static const char *const REASONS[] = {
		[MEMBER_SILENT] = "it is silent",
		[MEMBER_DEAF] = "it does not hear this node",
		[MEMBER_WE_YIELDED] = "another node has this one's name",
	};
	struct nodes_thread *thread = context;
	struct peer_entry *entry = linked_entry(thread, slot);
	if (entry == NULL)
		return;
	log_always(LOG_WARNING, "node %s is away: %s; what is for it waits", entry->peer.name, REASONS[reason]);
	CHECK_NE(entry->peer.state, PEER_NONE);
	set_state(entry, PEER_AWAY);
	link_suspend(&entry->link);
	FOR_SERVICES(thread, away, &entry->peer);
}

static void fellows_back(void *context, uint32_t slot)
{
	struct nodes_thread *thread = context;
	struct peer_entry *entry = linked_entry(thread, slot);
	if (entry == NULL)
		return;
	log_always(LOG_INFO, "node %s is back", entry->peer.name);
	set_state(entry, PEER_ALIVE);
	link_resume(&entry->link, thread->now_ms);
	FOR_SERVICES(thread, back, &entry->peer);
}

static void fellows_ended(void *context, uint32_t slot, uint64_t incarnation, bool said_goodbye)
{
	struct nodes_thread *thread = context;
	struct peer_entry *entry = linked_entry(thread, slot);
	if (entry == NULL || entry->peer.incarnation != incarnation)
		return;
	log_always(LOG_INFO, "node %s %s", entry->peer.name, said_goodbye ? "has left" : "has begun anew");
	end_link(thread, entry, said_goodbye ? PEER_LEFT : PEER_AWAY);
}

static void on_view(void *context)
{
	struct nodes_thread *thread = context;
	FOR_SERVICES(thread, view_changed);
}

static void on_refused(void *context, struct slice name, enum members_refusal refusal)
{
	(void)context;
	log_write(LOG_WARNING, "node %.*s is refused: %s", (int)name.size, (const char *)name.data,
		  members_refusal_sentence(refusal));
}

static void on_renew(void *context, struct slice by)
{
	struct nodes_thread *thread = context;
	thread->renews = true;
	log_always(LOG_WARNING, "this node begins anew in the cluster: node %.*s has given it up", (int)by.size,
		   (const char *)by.data);
}

static void on_agreement(void *context, uint32_t slot, struct slice name, bool is_alike)
{
	const struct nodes_thread *thread = context;
	log_always(is_alike ? LOG_INFO : LOG_WARNING, "node %s: %.*s %s", members_at(thread->members, slot)->name,
		   (int)name.size, (const char *)name.data,
		   is_alike ? "are the same here again" : "are not the same as here");
}

static void on_clock(void *context, uint32_t slot, int64_t difference_ms)
{
	const struct nodes_thread *thread = context;
	log_always(LOG_WARNING, "the clock of node %s is %ld ms ahead of this one's",
		   members_at(thread->members, slot)->name, difference_ms);
}

struct members *fellows_new(struct nodes_thread *thread, uint64_t incarnation)
{
	const struct members_observer observer = {
		.context = thread,
		.on_joined = fellows_joined,
		.on_away = fellows_away,
		.on_back = fellows_back,
		.on_ended = fellows_ended,
		.on_view = on_view,
		.on_refused = on_refused,
		.on_renew = on_renew,
		.on_agreement = on_agreement,
		.on_clock = on_clock,
	};
	const struct members_settings settings = {
		.name = slice_string(thread->node),
		.incarnation = incarnation,
		.version = ROOST_VERSION,
		.protocol_min = NODES_PROTOCOL,
		.protocol_max = NODES_PROTOCOL,
		.has_store = thread->has_store,
		.timeout_ms = thread->settings->timeout_ms,
	};
	return members_new(&settings, &observer, thread->now_ms);
}

void fellows_agree(struct nodes_thread *thread)
{
	pthread_mutex_lock(&thread->lock);
	if (thread->has_agreed_anew)
		members_set_agreements(thread->members, thread->agreements, AGREEMENTS);
	thread->has_agreed_anew = false;
	pthread_mutex_unlock(&thread->lock);
}

/* ---- spools of nodes that are not here ---- */

static void remember(void *context, struct slice client_id)
{
	struct nodes_thread *thread = context;
	const size_t prefix = sizeof(SPOOL_ID_PREFIX) - 1;
	struct slice name = slice_of(client_id.data + prefix, client_id.size - prefix);
	uint32_t slot = members_remember(thread->members, name);
	struct peer_entry *entry = slot != MEMBERS_NONE ? need_entry(thread, slot) : NULL;
	if (entry == NULL || entry->peer.state != PEER_NONE)
		return;
	set_state(entry, PEER_AWAY);
	FOR_SERVICES(thread, remembered, &entry->peer);
}

void fellows_remember(struct nodes_thread *thread)
{
	enum error error = session_asker_list(thread->asker, SPOOL_ID_PREFIX, remember, thread);
	if (error != ERROR_OK)
		log_write(LOG_ERROR, "cluster: what waits for other nodes cannot be looked up: %s",
			  error_sentence(error));
}

enum error fellows_forget(struct nodes_thread *thread, const char *name)
{
	char id[sizeof(SPOOL_ID_PREFIX) + CLUSTER_NAME_BYTES_MAX];
	uint32_t slot = members_find(thread->members, slice_string(name));
	struct node_peer *peer = slot != MEMBERS_NONE ? thread->peers[slot] : NULL;
	if (peer == NULL || peer->state == PEER_NONE)
		return ERROR_NOT_FOUND;
	if (peer_is_reachable(peer))
		return ERROR_LIMIT;
	end_link(thread, entry_of(peer), PEER_AWAY);
	members_forget(thread->members, slot);
	FOR_SERVICES(thread, forgotten, peer);
	snprintf(id, sizeof(id), SPOOL_ID_PREFIX "%s", name);
	enum error error = session_asker_end(thread->asker, slice_string(id));
	set_state(entry_of(peer), PEER_NONE);
	log_always(LOG_INFO, "node %s is forgotten, and what waited for it is dropped", name);
	return error == ERROR_NOT_FOUND ? ERROR_OK : error;
}

void fellows_settle(struct nodes_thread *thread)
{
	if (!thread->renews)
		return;
	thread->renews = false;
	bus_send_all(thread->bus, members_goodbye(thread->members, thread->now_ms, clock_wall_ms()));
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		if (thread->peers[i] != NULL)
			end_link(thread, entry_at(thread, i), PEER_AWAY);
	}
	members_renew(thread->members, nodes_new_incarnation(), thread->now_ms);
	FOR_SERVICES(thread, view_changed);
}

void fellows_free(struct nodes_thread *thread)
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		if (thread->peers[i] == NULL)
			continue;
		end_link(thread, entry_at(thread, i), PEER_LEFT);
		free(entry_at(thread, i));
		thread->peers[i] = NULL;
	}
	members_free(thread->members);
	thread->members = NULL;
}

/* ---- datagrams ---- */

void fellows_receive(struct nodes_thread *thread, struct slice datagram)
{
	uint64_t from;
	uint64_t to;
	if (!link_peek(datagram, &from, &to) || to != members_own_incarnation(thread->members)) {
		thread->foreign_datagrams++;
		return;
	}
	/* One that is not known yet sends again. */
	uint32_t slot = members_find_incarnation(thread->members, from);
	struct peer_entry *entry = slot != MEMBERS_NONE ? linked_entry(thread, slot) : NULL;
	if (entry != NULL)
		link_receive(&entry->link, datagram, thread->now_ms);
}

static void send_of(struct nodes_thread *thread, struct peer_entry *entry)
{
	struct slice datagram;
	while (bus_has_room(thread->bus) && link_next_datagram(&entry->link, thread->now_ms, &datagram))
		bus_send(thread->bus, &entry->address, datagram);
}

void fellows_send(struct nodes_thread *thread)
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		struct peer_entry *entry = linked_entry(thread, i);
		if (entry != NULL)
			send_of(thread, entry);
	}
}

void fellows_tick(struct nodes_thread *thread)
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		struct peer_entry *entry = linked_entry(thread, i);
		if (entry != NULL)
			link_tick(&entry->link, thread->now_ms);
	}
}

void fellows_hurry(struct nodes_thread *thread)
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		struct peer_entry *entry = linked_entry(thread, i);
		if (entry == NULL || !peer_is_reachable(&entry->peer))
			continue;
		link_suspend(&entry->link);
		link_resume(&entry->link, thread->now_ms);
	}
}

uint64_t fellows_deadline(const struct nodes_thread *thread)
{
	uint64_t deadline_ms = thread->figures_ms;
	/* What is due cannot go; the bus says when it can. */
	if (!bus_has_room(thread->bus))
		return deadline_ms;
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		const struct peer_entry *entry = linked_entry(thread, i);
		uint64_t own_ms = entry != NULL ? link_next_deadline(&entry->link) : UINT64_MAX;
		deadline_ms = own_ms < deadline_ms ? own_ms : deadline_ms;
	}
	return deadline_ms;
}

/* ---- how it is doing ---- */

void fellows_tell_figures(struct nodes_thread *thread)
{
	if (thread->now_ms < thread->figures_ms)
		return;
	thread->figures_ms = thread->now_ms + FIGURES_MS;
	struct counters *sum = calloc(1, sizeof(*sum));
	if (sum == NULL)
		return;
	gateway_counters(thread->gateway, sum);
	uint64_t clients = counter_of(sum, COUNTER_connections_open);
	free(sum);
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		struct node_peer *peer = thread->peers[i];
		if (peer != NULL && peer_is_reachable(peer))
			peer_send(peer, KIND_FIGURES, slice_of(&clients, sizeof(clients)), slice_of(NULL, 0));
	}
}

/* "rules of access, token keys: not those of this node" */
static void describe_disagreements(const struct nodes_thread *thread, const struct member *member,
				   struct peer_status *status)
{
	size_t used = 0;
	for (uint32_t i = 0; i < AGREEMENTS && used < sizeof(status->fault); i++) {
		if ((member->disagreements >> i & 1u) == 0)
			continue;
		status->disagreements++;
		struct slice name = thread->agreements[i].name;
		used += (size_t)snprintf(status->fault + used, sizeof(status->fault) - used, "%s%.*s",
					 used != 0 ? ", " : "", (int)name.size, (const char *)name.data);
	}
	if (used != 0 && used < sizeof(status->fault))
		snprintf(status->fault + used, sizeof(status->fault) - used, ": not those of this node");
}

static void describe_peer(const struct nodes_thread *thread, const struct peer_entry *entry, struct peer_status *status)
{
	const struct member *member = members_at(thread->members, entry->peer.slot);
	memcpy(status->name, entry->peer.name, sizeof(status->name));
	memcpy(status->version, member->version, sizeof(member->version));
	status->state = entry->peer.state;
	status->has_store = member->has_store;
	status->state_s = (uint32_t)((thread->now_ms - entry->state_since_ms) / 1000);
	status->clock_ms = member->clock_difference_ms;
	status->clients = entry->clients;
	if (entry->peer.link != NULL) {
		status->rtt_us = entry->link.round_trip_8 * 125u;
		status->bytes_out = entry->link.counters.bytes_sent;
	}
	describe_disagreements(thread, member, status);
}

/* By slot, so that what services have for a slot finds its place. */
void fellows_status(const struct nodes_thread *thread, struct nodes_status *status)
{
	struct bus_status bus;
	bus_status(thread->bus, &bus);
	status->is_connected = bus.state == BUS_CONNECTED;
	snprintf(status->server, sizeof(status->server), "%s", status->is_connected ? bus.url : "");
	if (!status->is_connected)
		snprintf(status->fault, sizeof(status->fault), "NATS is away: %.200s",
			 bus.error[0] != '\0' ? bus.error : "not connected yet");
	else if (members_has_yielded(thread->members))
		snprintf(status->fault, sizeof(status->fault),
			 "another node has the name of this one: it serves alone");
	status->reconnects = bus.connects != 0 ? bus.connects - 1 : 0;
	status->view = members_view_hash(thread->members);
	status->foreign_datagrams = thread->foreign_datagrams;
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		if (thread->peers[i] != NULL)
			describe_peer(thread, entry_at(thread, i), &status->peers[i]);
	}
}
