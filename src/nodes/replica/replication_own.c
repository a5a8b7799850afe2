#include "base/check.h"
#include "base/log.h"
#include "commit/follow/follower.h"
#include "commit/log/trail.h"
#include "lifecycle/inherit.h"
#include "nodes/replica/replication_state.h"
#include "runtime/nodes/node_mail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* A commit that does not come in time is looked for so often. */
#define LOOK_MS 100u
/* Of the link's buffer (8 MiB) three quarters are for others: clients' messages go by the same link. */
#define ROOM_LEFT_BYTES (6u << 20)
/* But so many pieces go as long as there is any room, for which those messages leave some: acknowledgements wait for
 * them, and would wait for ever behind a flood at QoS 0. */
#define PIECES_ALWAYS 4u
_Static_assert(PIECES_ALWAYS *FOLLOW_PIECE_BYTES < PEER_ROOM_NOT_FOR_MESSAGES, "they find room");

static const char *own_name(const struct replication *replication, uint8_t slot)
{
	const struct node_peer *peer = slot != NO_SLOT ? replication->settings.peers[slot] : NULL;
	return peer != NULL ? peer->name : "";
}

/* ---- states ---- */

static void own_set_state(struct replication *replication, enum replica_state state)
{
	struct own_replica *own = &replication->own;
	if (own->state == state)
		return;
	own->state = state;
	own->since_ms = replication->now_ms;
}

static void own_forget_pieces(struct own_replica *own)
{
	while (own->pieces != NULL) {
		struct replica_work *next = own->pieces->next;
		replica_work_free(own->pieces);
		own->pieces = next;
	}
	own->pieces_last = NULL;
}

/* Nobody's word is waited for from now on. */
static void own_stop_waiting(struct replication *replication, const char *why)
{
	struct own_replica *own = &replication->own;
	if (own->is_awaited)
		trail_confirm(replication->settings.trail, TRAIL_NOT_AWAITED);
	own->is_awaited = false;
	snprintf(own->fault, sizeof(own->fault), "%s", why);
	if (own->state == REPLICA_IN_STEP || !own->was_alone)
		log_always(LOG_WARNING,
			   "replica%s%s: %s; PUBACK means this node's own store alone until a replica is in step",
			   own->slot != NO_SLOT ? " " : "", own_name(replication, own->slot), why);
	own->was_alone = true;
}

/* The stream is over. */
static void own_drop(struct replication *replication, const char *why)
{
	struct own_replica *own = &replication->own;
	own_stop_waiting(replication, why);
	own_forget_pieces(own);
	replication_give(replication, replica_work_new(REPLICA_UNFOLLOW, slice_of(NULL, 0), slice_of(NULL, 0)));
	if (own->state == REPLICA_CATCHING_UP || own->state == REPLICA_IN_STEP || own->state == REPLICA_AWAY) {
		own->last_slot = own->slot;
		own->last_since_ms = own->state == REPLICA_AWAY ? own->since_ms : replication->now_ms;
	}
	own->slot = NO_SLOT;
	own->behind_bytes = 0;
	own_set_state(replication, REPLICA_NONE);
}

static void own_refused(struct replication *replication, uint8_t slot, const char *why)
{
	struct own_replica *own = &replication->own;
	own->refusals++;
	own_drop(replication, why);
	own->refused_until_ms[slot] = replication->now_ms + REPLICATION_REFUSED_MS;
	own->last_slot = NO_SLOT;
}

/* ---- which one ---- */

static uint64_t own_weight(const struct replication *replication, const char *peer)
{
	uint64_t seed = XXH3_64bits(replication->settings.node, strlen(replication->settings.node));
	return XXH3_64bits_withSeed(peer, strlen(peer), seed);
}

/* NO_SLOT: nobody, or not yet. */
static uint8_t own_choose(const struct replication *replication)
{
	const struct own_replica *own = &replication->own;
	uint8_t best = NO_SLOT;
	uint64_t most = 0;
	if (own->last_slot != NO_SLOT) {
		bool is_late =
			replication->now_ms >= own->last_since_ms + (uint64_t)replication->settings.takeover_s * 1000;
		if (replication_is_reachable(replication, own->last_slot))
			return own->last_slot;
		if (!is_late)
			return NO_SLOT; /* it has nearly all */
	}
	for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
		if (!replication_is_reachable(replication, slot) || own->refused_until_ms[slot] > replication->now_ms)
			continue;
		uint64_t weight = own_weight(replication, own_name(replication, slot));
		if (best == NO_SLOT || weight > most) {
			best = slot;
			most = weight;
		}
	}
	return best;
}

static void own_offer(struct replication *replication, uint8_t slot)
{
	struct own_replica *own = &replication->own;
	const struct replication_settings *settings = &replication->settings;
	struct replication_offer offer = {
		.version = REPLICATION_VERSION, .stream = ++own->stream, .knows_taken = own->knows_taken[slot]};
	uint8_t bytes[REPLICATION_OFFER_BYTES];
	memcpy(offer.store_id, settings->identity.id, sizeof(offer.store_id));
	memcpy(offer.store_key, settings->identity.key, sizeof(offer.store_key));
	replication_put_offer(&offer, bytes);
	bool sent =
		peer_send(settings->peers[slot], REPLICATION_OFFER, slice_of(bytes, sizeof(bytes)), slice_of(NULL, 0));
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(&offer, sizeof(offer));
	if (!sent)
		return;
	own->slot = slot;
	own->confirmed = own->sent = 0;
	own->sent_commit = own->safe_commit = 0;
	own_set_state(replication, REPLICA_OFFERED);
}

/* ---- peers ---- */

/* Whoever was this node's replica before may still have a copy, and must not take over from it. */
static void own_release(const struct replication *replication, struct node_peer *peer)
{
	peer_send(peer, REPLICATION_RELEASED,
		  slice_of(replication->settings.identity.id, sizeof(replication->settings.identity.id)),
		  slice_of(NULL, 0));
}

/* Whether somebody has taken over what this process has begun with. */
static void own_ask(struct replication *replication, struct node_peer *peer)
{
	struct own_replica *own = &replication->own;
	struct replication_ask ask;
	uint8_t bytes[REPLICATION_ASK_BYTES];
	if (replication->settings.recovered_epoch == 0 || own->has_dropped)
		return;
	if (own->asked == 0)
		own->asked = ++replication->questions;
	ask.number = own->asked;
	memcpy(ask.store_id, replication->settings.identity.id, sizeof(ask.store_id));
	replication_put_ask(&ask, bytes);
	peer_send(peer, REPLICATION_ASK, slice_of(bytes, sizeof(bytes)), slice_string(replication->settings.node));
}

/* All that the log had when this process began was taken over. */
static void own_drop_taken(struct replication *replication, const char *name, uint64_t epoch, uint64_t commit)
{
	struct own_replica *own = &replication->own;
	const struct replication_settings *settings = &replication->settings;
	if (own->has_dropped || epoch == 0 || epoch != settings->recovered_epoch || commit < settings->recovered_commit)
		return;
	own->has_dropped = true;
	log_always(LOG_WARNING,
		   "node %s has taken this node's sessions over while it was gone: those that it was started with end "
		   "here, and come back with their clients",
		   name);
	for (uint16_t i = 0; i < settings->port->shard_count; i++) {
		struct inherit_drop drop = {.next = 1};
		struct node_mail *mail = node_mail_new(INHERIT_DROP, sizeof(drop));
		if (mail == NULL)
			continue; /* what both have is merged */
		memcpy(mail->body, &drop, sizeof(drop));
		node_port_post(settings->port, i, mail);
	}
}

void own_answered(struct replication *replication, const struct node_peer *peer,
		  const struct replication_answer *answer)
{
	if (answer->number == replication->own.asked && answer->copy == REPLICATION_HAS_TAKEN)
		own_drop_taken(replication, peer->name, answer->epoch, answer->commit);
}

void own_joined(struct replication *replication, struct node_peer *peer)
{
	struct own_replica *own = &replication->own;
	own_ask(replication, peer);
	own->refused_until_ms[peer->slot] = 0;
	if (own->state == REPLICA_IN_STEP)
		own_release(replication, peer);
}

void own_away(struct replication *replication, const struct node_peer *peer)
{
	if (peer->slot != replication->own.slot)
		return;
	if (replication->own.state == REPLICA_OFFERED) {
		own_drop(replication, "it is away");
		return;
	}
	own_stop_waiting(replication, "it is away");
	own_set_state(replication, REPLICA_AWAY);
}

void own_back(struct replication *replication, const struct node_peer *peer)
{
	struct own_replica *own = &replication->own;
	if (peer->slot != own->slot || own->state != REPLICA_AWAY)
		return;
	own->heard_ms = replication->now_ms;
	own_set_state(replication, REPLICA_CATCHING_UP);
}

void own_gone(struct replication *replication, const struct node_peer *peer)
{
	if (peer->slot == replication->own.slot)
		own_drop(replication, "it is gone");
}

/* ---- what it says ---- */

static bool own_take_held(struct replication *replication, struct slice body)
{
	struct own_replica *own = &replication->own;
	struct replication_held held;
	if (!replication_get_held(body, &held))
		return false;
	for (uint32_t i = 0; i < held.count; i++) {
		struct replication_segment segment;
		if (!replication_get_segment(body, i, &segment))
			return false;
	}
	if (held.stream != own->stream || own->state != REPLICA_OFFERED)
		return true;
	struct replica_work *job = replica_work_new(REPLICA_FOLLOW, body, slice_of(NULL, 0));
	if (job != NULL)
		job->stream = own->stream;
	if (!replication_give(replication, job)) {
		own_drop(replication, "there is no memory to follow the log");
		return true;
	}
	own->heard_ms = replication->now_ms;
	own->taken_pieces = 0;
	own->knows_taken[own->slot] = false;
	own_set_state(replication, REPLICA_CATCHING_UP);
	log_always(LOG_INFO, "replica %s: it has %" PRIu32 " segments of this node's store, and gets the rest",
		   own_name(replication, own->slot), held.count);
	return true;
}

/* It is near: the writer waits for it from now on, and once it has what is written already, it is in step. */
static void own_begin_waiting(struct replication *replication)
{
	struct own_replica *own = &replication->own;
	own->is_awaited = true;
	trail_confirm(replication->settings.trail, own->confirmed);
	own->target = trail_position(replication->settings.trail);
}

static void own_come_in_step(struct replication *replication)
{
	struct own_replica *own = &replication->own;
	own->fault[0] = '\0';
	own->was_alone = false;
	own_set_state(replication, REPLICA_IN_STEP);
	log_always(LOG_INFO,
		   "replica %s: in step; PUBACK means: on the device of two nodes, so that it survives the loss of one",
		   own_name(replication, own->slot));
	for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
		if (slot != own->slot && replication_is_reachable(replication, slot))
			own_release(replication, replication->settings.peers[slot]);
	}
}

static bool own_take_safe(struct replication *replication, struct slice body)
{
	struct own_replica *own = &replication->own;
	struct replication_safe safe;
	if (!replication_get_safe(body, &safe))
		return false;
	if (safe.stream != own->stream || (own->state != REPLICA_CATCHING_UP && own->state != REPLICA_IN_STEP))
		return true;
	if (safe.position > own->sent || safe.position < own->confirmed)
		return false; /* it was sent no such position */
	own->heard_ms = replication->now_ms;
	own->confirmed = safe.position;
	own->safe_commit = safe.last_commit;
	own->taken_pieces = safe.pieces;
	replica_worker_taken(replication->worker, safe.pieces);
	if (own->is_awaited)
		trail_confirm(replication->settings.trail, own->confirmed);
	else if (own->confirmed != 0 && own->behind_bytes <= REPLICATION_NEAR_BYTES && !replication->is_ending)
		own_begin_waiting(replication);
	if (own->is_awaited && own->state == REPLICA_CATCHING_UP && own->confirmed >= own->target)
		own_come_in_step(replication);
	return true;
}

static bool own_take_refused(struct replication *replication, const struct node_peer *peer, struct slice body)
{
	struct own_replica *own = &replication->own;
	struct replication_refused refused;
	struct slice words;
	char why[REPLICATION_WORDS_MAX + 64];
	if (!replication_get_refused(body, &refused, &words))
		return false;
	if (refused.stream != own->stream || own->state == REPLICA_NONE)
		return true;
	snprintf(why, sizeof(why), "it refuses: %.*s", (int)words.size, (const char *)words.data);
	if (refused.reason == REPLICATION_TAKES_OVER) {
		own->knows_taken[peer->slot] = true;
		own_drop_taken(replication, peer->name, refused.epoch, refused.commit);
		log_always(LOG_WARNING,
			   "replica %s: it has taken this node's sessions over, up to commit %" PRIu64
			   " of epoch %" PRIu64
			   ", while this node was away; of each that both have, the later connection wins",
			   peer->name, refused.commit, refused.epoch);
	}
	own_refused(replication, peer->slot, why);
	return true;
}

bool own_received(struct replication *replication, struct node_peer *peer, uint8_t kind, struct slice body)
{
	if (replication->settings.trail == NULL || peer->slot != replication->own.slot)
		return true; /* of an offer that is over */
	switch (kind) {
	case REPLICATION_HELD:
		return own_take_held(replication, body);
	case REPLICATION_SAFE:
		return own_take_safe(replication, body);
	default:
		return own_take_refused(replication, peer, body);
	}
}

/* ---- what the worker has read ---- */

void own_note(struct replication *replication, struct replica_work *note)
{
	struct own_replica *own = &replication->own;
	bool is_current = note->stream == own->stream && own->slot != NO_SLOT;
	if (is_current && note->kind == REPLICA_NOTE_PIECE) {
		note->next = NULL;
		if (own->pieces_last != NULL)
			own->pieces_last->next = note;
		else
			own->pieces = note;
		own->pieces_last = note;
		own->sent = note->position > own->sent ? note->position : own->sent;
		own->behind_bytes = note->behind_bytes;
		own->sent_commit = note->last_commit != 0 ? note->last_commit : own->sent_commit;
		return;
	}
	if (is_current && note->kind == REPLICA_NOTE_FAILED) {
		char why[NODES_TEXT_BYTES_MAX];
		snprintf(why, sizeof(why), "this node's log cannot be followed: %.*s", (int)note->body_bytes,
			 (const char *)note->body);
		own_refused(replication, own->slot, why);
	}
	replica_work_free(note);
}

static void own_send(struct replication *replication)
{
	struct own_replica *own = &replication->own;
	while (own->pieces != NULL && replication_is_reachable(replication, own->slot)) {
		struct replica_work *piece = own->pieces;
		struct node_peer *peer = replication->settings.peers[own->slot];
		bool is_more = piece->pieces > own->taken_pieces + PIECES_ALWAYS;
		if (peer_room(peer) < (is_more ? ROOM_LEFT_BYTES : 1u) ||
		    !peer_send(peer, piece->message, slice_of(piece->body, piece->body_bytes), slice_of(NULL, 0)))
			return;
		own->pieces = piece->next;
		if (own->pieces == NULL)
			own->pieces_last = NULL;
		replica_work_free(piece);
	}
}

/* ---- time ---- */

/* A replica that takes and does not confirm holds up every acknowledgement. */
static void own_look_for_silence(struct replication *replication)
{
	struct own_replica *own = &replication->own;
	if (own->confirmed >= own->sent || own->sent == 0) {
		own->heard_ms = replication->now_ms;
		return;
	}
	if (own->is_awaited && replication->now_ms - own->heard_ms > replication->settings.timeout_ms) {
		own_stop_waiting(replication, "it confirms nothing");
		own_set_state(replication, REPLICA_CATCHING_UP);
	}
}

void own_turn(struct replication *replication)
{
	struct own_replica *own = &replication->own;
	if (replication->settings.trail == NULL)
		return;
	own_send(replication);
	if (own->state == REPLICA_CATCHING_UP || own->state == REPLICA_IN_STEP)
		own_look_for_silence(replication);
	uint64_t late_ms = own->since_ms + (uint64_t)replication->settings.takeover_s * 1000;
	if (own->state == REPLICA_AWAY && replication->now_ms >= late_ms)
		own_drop(replication, "it has been away for long: another one is looked for");
	if (own->state == REPLICA_OFFERED && replication->now_ms >= own->since_ms + REPLICATION_OFFER_MS)
		own_refused(replication, own->slot, "it does not answer");
	if (own->state != REPLICA_NONE || replication->is_ending || replication->now_ms < own->next_ms)
		return;
	own->next_ms = replication->now_ms + LOOK_MS;
	uint8_t slot = own_choose(replication);
	if (slot != NO_SLOT)
		own_offer(replication, slot);
	else if (!own->was_alone && replication->now_ms >= replication->begun_ms + replication->settings.timeout_ms)
		own_stop_waiting(replication, "no other node can be one");
}

uint64_t own_deadline_ms(const struct replication *replication)
{
	const struct own_replica *own = &replication->own;
	switch (own->state) {
	case REPLICA_OFF:
		return UINT64_MAX;
	case REPLICA_NONE:
		return own->next_ms;
	default:
		return replication->now_ms + LOOK_MS;
	}
}

/* ---- its life ---- */

void own_prepare(struct replication *replication)
{
	struct own_replica *own = &replication->own;
	own->slot = own->last_slot = NO_SLOT;
	own->state = replication->settings.trail != NULL ? REPLICA_NONE : REPLICA_OFF;
}

void own_finish(struct replication *replication)
{
	struct own_replica *own = &replication->own;
	if (replication->settings.trail != NULL)
		trail_confirm(replication->settings.trail, TRAIL_NOT_AWAITED);
	own->is_awaited = false;
	own_forget_pieces(own);
}

void own_status(const struct replication *replication, struct replica_status *status)
{
	const struct own_replica *own = &replication->own;
	status->state = own->state;
	snprintf(status->name, sizeof(status->name), "%s", own_name(replication, own->slot));
	snprintf(status->fault, sizeof(status->fault), "%s", own->fault);
	status->state_s = (uint32_t)((replication->now_ms - own->since_ms) / 1000);
	status->behind_commits = own->sent_commit > own->safe_commit ? own->sent_commit - own->safe_commit : 0;
	status->behind_bytes = own->behind_bytes;
	status->refusals = own->refusals;
}
