#include "replication_scene.h"

#include "base/check.h"
#include "base/hash.h"
#include "commit/log/trail.h"
#include "runtime/nodes/node_mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define UNTIL_TURNS 20000u
#define NAP_NS 500000

static const struct hash_key KEY = {.bytes = {1}};

/* ---- the link ---- */

bool peer_send(struct node_peer *peer, uint8_t kind, struct slice head, struct slice body)
{
	struct seen *seen = (struct seen *)(void *)peer;
	struct message *message = malloc(sizeof(*message) + head.size + body.size);
	*message = (struct message){.by = seen, .kind = kind, .bytes = (uint32_t)(head.size + body.size)};
	if (head.size != 0)
		memcpy(message->body, head.data, head.size);
	if (body.size != 0)
		memcpy(message->body + head.size, body.data, body.size);
	*seen->from->last = message;
	seen->from->last = &message->next;
	return true;
}

uint32_t peer_room(const struct node_peer *peer)
{
	const struct seen *seen = (const struct seen *)(const void *)peer;
	return (8u << 20) - seen->from->link_bytes;
}

static bool is_linked(const struct seen *seen)
{
	return seen->peer.link != NULL && peer_is_reachable(&seen->peer);
}

static void deliver(struct sides *sides, struct side *side)
{
	struct message *message = side->first;
	side->first = NULL;
	side->last = &side->first;
	while (message != NULL) {
		struct message *next = message->next;
		struct side *to = message->by->to;
		struct node_peer *peer = to->peers[side - sides->side];
		bool comes = to->replication != NULL && peer != NULL && is_linked(message->by) && peer->link != NULL &&
			     (sides->filter == NULL || sides->filter(message));
		if (comes) {
			to->delivered[message->kind]++;
			assert_true(REPLICATION_SERVICE.received(to->replication, peer, message->kind,
								 slice_of(message->body, message->bytes)));
		}
		free(message);
		message = next;
	}
}

static void drop_messages(struct side *side)
{
	while (side->first != NULL) {
		struct message *next = side->first->next;
		free(side->first);
		side->first = next;
	}
	side->last = &side->first;
}

/* ---- stores ---- */

static void tell_checkpoint(struct side *side)
{
	struct store_shard *shard = store_shard(side->store, 0);
	uint32_t wanted = store_wants_checkpoint(shard);
	if (wanted == 0)
		return;
	const struct journal_events *tell = &STORE_JOURNAL_EVENTS;
	tell->begin(shard, 7);
	store_checkpoint_begin(shard, wanted);
	store_checkpoint_again(shard, true);
	for (uint32_t name = 1; name <= side->named; name++) {
		char id[32];
		snprintf(id, sizeof(id), "%s-%u", side->name, name);
		tell->opened(shard, (struct client_ref){name}, slice_string(id));
		tell->connected(shard, (struct client_ref){name},
				&(struct journal_connected){.expiry_s = 1000, .generation = 1});
	}
	store_checkpoint_again(shard, false);
	store_checkpoint_end(shard);
	tell->end(shard);
}

uint64_t side_tell(struct side *side)
{
	struct store_shard *shard = store_shard(side->store, 0);
	const struct journal_events *tell = &STORE_JOURNAL_EVENTS;
	char id[32];
	tell_checkpoint(side);
	uint32_t name = ++side->named;
	snprintf(id, sizeof(id), "%s-%u", side->name, name);
	tell->begin(shard, 7);
	tell->opened(shard, (struct client_ref){name}, slice_string(id));
	tell->connected(shard, (struct client_ref){name},
			&(struct journal_connected){.expiry_s = 1000, .generation = 1});
	tell->end(shard);
	return STORE_JOURNAL_SAFETY.told(shard);
}

bool side_is_safe(const struct side *side, uint64_t told)
{
	return STORE_JOURNAL_SAFETY.safe(store_shard(side->store, 0), 0) >= told;
}

void side_start_store(struct side *side)
{
	const char *why;
	struct model *model;
	struct store_report report;
	struct store_settings settings = {.durability = STORE_ALWAYS,
					  .sync_interval_ms = 5,
					  .segment_bytes = 64u << 10,
					  .checkpoint_bytes = 128u << 10,
					  .buffer_bytes_max = 64u << 20,
					  .shard_count = 1,
					  .is_followed = true};
	assert_int_equal(disk_open_directory(&side->disk, side->scratch.directory, true, &why), 0);
	assert_int_equal(store_open(&side->store, &side->disk, &settings), ERROR_OK);
	assert_int_equal(store_recover(side->store, NULL, NULL, &model, &report), ERROR_OK);
	model_free(&model);
	assert_int_equal(store_start(side->store, side->wakers), ERROR_OK);
	tell_checkpoint(side);
}

void side_stop_store(struct side *side)
{
	store_stop(side->store);
	store_free(&side->store);
	disk_close_directory(&side->disk);
}

/* ---- sides ---- */

static bool is_connected(const void *context)
{
	const struct side *side = context;
	return !side->is_cut;
}

void side_start(struct sides *sides, struct side *side)
{
	struct replication_settings settings = {.node = side->name,
						.directory = side->scratch.directory,
						.trail = store_trail(side->store),
						.identity = *store_identity(side->store),
						.timeout_ms = 1000,
						.takeover_s = sides->takeover_s,
						.peers = side->peers,
						.is_connected = is_connected,
						.context = side,
						.port = side->port,
						.key = &KEY,
						.store = side->store};
	side->replication = replication_new(&settings);
	assert_non_null(side->replication);
	REPLICATION_SERVICE.turn(side->replication, sides->now_ms);
}

void side_stop(struct side *side)
{
	REPLICATION_SERVICE.ending(side->replication);
	replication_free(side->replication);
	side->replication = NULL;
	drop_messages(side);
}

void sides_open(struct sides *sides, uint32_t count)
{
	*sides = (struct sides){.count = count, .now_ms = 1000000, .takeover_s = 30};
	for (uint32_t i = 0; i < count; i++) {
		struct side *side = &sides->side[i];
		/* The second one is the nodes thread's, which it opens itself. */
		snprintf(side->name, sizeof(side->name), "node-%c", (int)('a' + i));
		side->scratch = scratch_open();
		side->last = &side->first;
		assert_int_equal(mailbox_open(&side->mailboxes[0]), ERROR_OK);
		side->wakers[0] = &side->mailboxes[0].waker;
		side->port = node_port_new(side->mailboxes, 1, "cluster");
		node_port_open(side->port);
		side_start_store(side);
		side_start(sides, side);
	}
}

void sides_close(struct sides *sides)
{
	for (uint32_t i = 0; i < sides->count; i++) {
		struct side *side = &sides->side[i];
		if (side->replication != NULL)
			side_stop(side);
		if (side->store != NULL)
			side_stop_store(side);
		node_port_close(side->port);
		node_port_free(side->port);
		mailbox_close(&side->mailboxes[0]);
		drop_messages(side);
		char command[128];
		snprintf(command, sizeof(command), "rm -rf %s/replicas", side->scratch.directory);
		assert_int_equal(system(command), 0);
		scratch_close(&side->scratch);
	}
}

static struct seen *seen_by(struct sides *sides, uint32_t a, uint32_t b)
{
	struct side *side = &sides->side[a];
	struct seen *seen = &side->seen[b];
	seen->from = side;
	seen->to = &sides->side[b];
	seen->peer.slot = (uint8_t)b;
	memcpy(seen->peer.name, seen->to->name, sizeof(seen->to->name));
	side->peers[b] = &seen->peer;
	return seen;
}

void sides_join(struct sides *sides, uint32_t a, uint32_t b)
{
	for (int i = 0; i < 2; i++) {
		struct seen *seen = i == 0 ? seen_by(sides, a, b) : seen_by(sides, b, a);
		seen->peer.link = (struct link *)seen;
		seen->peer.state = PEER_ALIVE;
	}
	for (int i = 0; i < 2; i++) {
		struct seen *seen = i == 0 ? seen_by(sides, a, b) : seen_by(sides, b, a);
		if (seen->from->replication != NULL)
			REPLICATION_SERVICE.joined(seen->from->replication, &seen->peer);
	}
}

static void side_away(struct seen *seen)
{
	seen->peer.state = PEER_AWAY;
	if (seen->from->replication != NULL)
		REPLICATION_SERVICE.away(seen->from->replication, &seen->peer);
}

void sides_away(struct sides *sides, uint32_t a, uint32_t b)
{
	side_away(seen_by(sides, a, b));
	side_away(seen_by(sides, b, a));
}

void sides_back(struct sides *sides, uint32_t a, uint32_t b)
{
	for (int i = 0; i < 2; i++) {
		struct seen *seen = i == 0 ? seen_by(sides, a, b) : seen_by(sides, b, a);
		seen->peer.state = PEER_ALIVE;
		REPLICATION_SERVICE.back(seen->from->replication, &seen->peer);
	}
}

void sides_gone(struct sides *sides, uint32_t a, uint32_t b)
{
	for (int i = 0; i < 2; i++) {
		struct seen *seen = i == 0 ? seen_by(sides, a, b) : seen_by(sides, b, a);
		if (seen->peer.link == NULL)
			continue;
		if (peer_is_reachable(&seen->peer))
			side_away(seen);
		if (seen->from->replication != NULL)
			REPLICATION_SERVICE.gone(seen->from->replication, &seen->peer);
		seen->peer.link = NULL;
	}
}

/* ---- time ---- */

static void turn(struct sides *sides)
{
	for (uint32_t i = 0; i < sides->count; i++) {
		if (sides->side[i].store != NULL)
			tell_checkpoint(&sides->side[i]);
		if (sides->side[i].replication != NULL)
			REPLICATION_SERVICE.turn(sides->side[i].replication, sides->now_ms);
	}
	for (uint32_t i = 0; i < sides->count; i++)
		deliver(sides, &sides->side[i]);
}

static void nap(void)
{
	static const struct timespec NAP = {.tv_nsec = NAP_NS};
	nanosleep(&NAP, NULL);
}

void sides_until(struct sides *sides, bool (*is_so)(struct sides *sides))
{
	for (uint32_t i = 0; i < UNTIL_TURNS; i++) {
		turn(sides);
		if (is_so(sides))
			return;
		sides->now_ms++;
		nap();
	}
	fail_msg("it did not come about");
}

void sides_pass(struct sides *sides, uint64_t ms)
{
	for (uint32_t i = 0; i < 20; i++) {
		sides->now_ms += ms / 20;
		turn(sides);
		nap();
	}
}

void side_status(const struct side *side, struct nodes_status *status)
{
	memset(status, 0, sizeof(*status));
	REPLICATION_SERVICE.status(side->replication, status);
}

enum replica_state side_state(const struct side *side)
{
	struct nodes_status status;
	side_status(side, &status);
	return status.replicas.own.state;
}
