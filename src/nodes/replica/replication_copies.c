#include "base/check.h"
#include "base/log.h"
#include "commit/follow/mark.h"
#include "nodes/replica/replication_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 200u

/* ---- which copy ---- */

/* NULL: there is none of this name. */
static struct copy *copy_find(struct replication *replication, const char *name)
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		if (strcmp(replication->copies[i].name, name) == 0)
			return &replication->copies[i];
	}
	return NULL;
}

static uint8_t copy_place(const struct replication *replication, const struct copy *copy)
{
	return (uint8_t)(copy - replication->copies);
}

/* NULL: there are copies of too many. */
static struct copy *copy_need(struct replication *replication, const char *name)
{
	struct copy *copy = copy_find(replication, name);
	if (copy != NULL)
		return copy;
	copy = copy_find(replication, "");
	if (copy == NULL)
		return NULL;
	*copy = (struct copy){.peer = NO_SLOT, .state = COPY_NONE};
	snprintf(copy->name, sizeof(copy->name), "%s", name);
	return copy;
}

static struct node_peer *copy_peer(const struct replication *replication, const struct copy *copy)
{
	return copy->peer != NO_SLOT && replication_is_reachable(replication, copy->peer)
		       ? replication->settings.peers[copy->peer]
		       : NULL;
}

static struct replica_work *copy_job(const struct replication *replication, const struct copy *copy, uint32_t kind,
				     struct slice body)
{
	struct replica_work *job = replica_work_new(kind, slice_of(NULL, 0), body);
	if (job == NULL)
		return NULL;
	job->slot = copy_place(replication, copy);
	job->stream = copy->stream;
	job->identity = copy->identity;
	snprintf(job->name, sizeof(job->name), "%s", copy->name);
	return job;
}

static void copy_let_go(struct replication *replication, struct copy *copy)
{
	if (copy->is_open)
		replication_give(replication, copy_job(replication, copy, REPLICA_LET_GO, slice_of(NULL, 0)));
	copy->is_open = copy->safe_waits = false;
	copy->queued = 0;
	if (copy->state == COPY_FOLLOWS)
		copy->state = COPY_HELD;
}

/* ---- refusing ---- */

static void copies_refuse(struct node_peer *peer, uint32_t stream, enum replication_refusal reason,
			  const struct copy *copy, struct slice words)
{
	struct replication_refused refused = {.stream = stream,
					      .reason = reason,
					      .epoch = copy != NULL ? copy->epoch : 0,
					      .commit = copy != NULL ? copy->last_commit : 0};
	uint8_t bytes[REPLICATION_REFUSED_BYTES];
	replication_put_refused(&refused, bytes);
	peer_send(peer, REPLICATION_REFUSED, slice_of(bytes, sizeof(bytes)), words);
}

static void copy_fail(struct replication *replication, struct copy *copy, enum replication_refusal reason,
		      struct slice words)
{
	struct node_peer *peer = copy_peer(replication, copy);
	copy->refusals++;
	snprintf(copy->fault, sizeof(copy->fault), "%.*s", (int)words.size, (const char *)words.data);
	log_write(LOG_WARNING, "copy of node %s: refused: %s", copy->name, copy->fault);
	if (peer != NULL)
		copies_refuse(peer, copy->stream, reason, copy, words);
	copy_let_go(replication, copy);
}

/* ---- offers ---- */

static bool copies_is_same_store(const struct copy *copy, const struct replication_offer *offer)
{
	return memcmp(copy->identity.id, offer->store_id, sizeof(offer->store_id)) == 0;
}

static void copy_open(struct replication *replication, struct copy *copy, const struct replication_offer *offer)
{
	copy->stream = offer->stream;
	memcpy(copy->identity.id, offer->store_id, sizeof(copy->identity.id));
	memcpy(copy->identity.key, offer->store_key, sizeof(copy->identity.key));
	copy->state = COPY_FOLLOWS;
	copy->is_open = true;
	copy->fault[0] = '\0';
	if (!replication_give(replication, copy_job(replication, copy, REPLICA_KEEP, slice_of(NULL, 0))))
		copy_fail(replication, copy, REPLICATION_REFUSES, slice_string("there is no memory for it"));
}

/* A node whose store is another one than before has lost that, and the copy is all that there is of it. */
static bool copy_must_be_taken(const struct copy *copy, const struct replication_offer *offer)
{
	return copy->state == COPY_TAKING_OVER || ((copy->state == COPY_HELD || copy->state == COPY_FOLLOWS) &&
						   copy->last_commit != 0 && !copies_is_same_store(copy, offer));
}

static bool copies_take_offer(struct replication *replication, struct node_peer *peer, struct slice body)
{
	struct replication_offer offer;
	if (!replication_get_offer(body, &offer))
		return false;
	struct copy *copy = replication->worker != NULL && replica_name_is_good(peer->name)
				    ? copy_need(replication, peer->name)
				    : NULL;
	if (offer.version != REPLICATION_VERSION) {
		copies_refuse(peer, offer.stream, REPLICATION_IS_OTHER_VERSION, NULL,
			      slice_string("this version of Roost cannot be a replica of that one"));
	} else if (copy == NULL) {
		copies_refuse(peer, offer.stream, REPLICATION_HAS_NO_STORE, NULL,
			      slice_string("it has no store, or copies of too many nodes"));
	} else if (!replication->is_listed) {
		copies_refuse(peer, offer.stream, REPLICATION_REFUSES, NULL,
			      slice_string("it is still looking for the copies that it has"));
	} else if (copy_must_be_taken(copy, &offer)) {
		bool is_other = copy->state != COPY_TAKING_OVER;
		copies_refuse(peer, offer.stream, REPLICATION_TAKES_OVER, copy,
			      slice_string("the sessions of its copy are being taken over"));
		copy_let_go(replication, copy);
		copy->away_ms = is_other ? 1 : copy->away_ms; /* for as long as one can be */
	} else if (copy->state == COPY_TAKEN_OVER && copies_is_same_store(copy, &offer) && offer.knows_taken == 0) {
		copies_refuse(peer, offer.stream, REPLICATION_TAKES_OVER, copy,
			      slice_string("the sessions of its copy were taken over"));
	} else {
		copy->peer = peer->slot;
		copy->away_ms = 0;
		copy->asked_ms = 0;
		copy_open(replication, copy, &offer);
	}
	explicit_bzero(&offer, sizeof(offer));
	return true;
}

/* ---- what a node sends ---- */

static bool copies_take_piece(struct replication *replication, const struct node_peer *peer, uint8_t kind,
			      struct slice body)
{
	struct replication_bytes head;
	struct slice bytes;
	struct copy *copy = copy_find(replication, peer->name);
	if (!replication_get_bytes(body, &head, &bytes) || (kind == REPLICATION_BYTES) != (bytes.size != 0))
		return false;
	if (copy == NULL || head.stream != copy->stream)
		return true; /* of an offer that is over */
	if (!copy->is_open) {
		bool is_taken = copy->state == COPY_TAKING_OVER || copy->state == COPY_TAKEN_OVER;
		copies_refuse(replication->settings.peers[peer->slot], head.stream,
			      is_taken ? REPLICATION_TAKES_OVER : REPLICATION_REFUSES, copy,
			      is_taken ? slice_string("the sessions of its copy were taken over")
				       : slice_string("the copy was closed"));
		return true;
	}
	if (copy->queued >= 2 * REPLICA_PIECES_MAX) {
		copy_fail(replication, copy, REPLICATION_REFUSES, slice_string("it sends more than it may"));
		return false;
	}
	struct replica_work *job = copy_job(replication, copy, REPLICA_APPLY, body);
	if (job != NULL)
		job->message = kind;
	copy->queued++;
	if (!replication_give(replication, job))
		copy_fail(replication, copy, REPLICATION_REFUSES, slice_string("there is no memory for it"));
	return true;
}

static bool copies_take_released(struct replication *replication, const struct node_peer *peer, struct slice body)
{
	struct copy *copy = copy_find(replication, peer->name);
	if (body.size != REPLICATION_ID_BYTES)
		return false;
	if (copy == NULL || memcmp(copy->identity.id, body.data, body.size) != 0 ||
	    (copy->state != COPY_HELD && copy->state != COPY_FOLLOWS))
		return true;
	copy_let_go(replication, copy);
	log_always(LOG_INFO, "copy of node %s: not needed any more, since another node has it", copy->name);
	replication_give(replication, copy_job(replication, copy, REPLICA_DROP, slice_of(NULL, 0)));
	*copy = (struct copy){.peer = NO_SLOT};
	return true;
}

/* ---- questions ---- */

static struct copy *copy_of_store(struct replication *replication, const uint8_t id[REPLICATION_ID_BYTES])
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		struct copy *copy = &replication->copies[i];
		if (copy->name[0] != '\0' && memcmp(copy->identity.id, id, REPLICATION_ID_BYTES) == 0)
			return copy;
	}
	return NULL;
}

static bool copies_sees_node(const struct replication *replication, struct slice name)
{
	for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
		if (replication_is_reachable(replication, slot) &&
		    slice_equal(slice_string(replication->settings.peers[slot]->name), name))
			return true;
	}
	return false;
}

static bool copies_take_ask(struct replication *replication, struct node_peer *peer, struct slice body)
{
	struct replication_ask ask;
	uint8_t bytes[REPLICATION_ANSWER_BYTES];
	struct slice name;
	if (!replication_get_ask(body, &ask, &name))
		return false;
	const struct copy *copy = copy_of_store(replication, ask.store_id);
	struct replication_answer answer = {.number = ask.number};
	if (!slice_equal(name, slice_string(peer->name)) && copies_sees_node(replication, name)) {
		answer.copy = REPLICATION_SEES_NODE;
	} else if (copy != NULL) {
		bool is_taken = copy->state == COPY_TAKEN_OVER || copy->state == COPY_TAKING_OVER;
		answer.copy = is_taken ? REPLICATION_HAS_TAKEN : REPLICATION_HOLDS;
		answer.epoch = copy->epoch;
		answer.commit = copy->last_commit;
	}
	replication_put_answer(&answer, bytes);
	peer_send(peer, REPLICATION_ANSWER, slice_of(bytes, sizeof(bytes)), slice_of(NULL, 0));
	return true;
}

/* Who hears the node itself has the best copy. Of two that have the same, the one goes whose name is lower. */
static bool copies_take_answer(struct replication *replication, const struct node_peer *peer, struct slice body)
{
	struct replication_answer answer;
	if (!replication_get_answer(body, &answer))
		return false;
	own_answered(replication, peer, &answer);
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		struct copy *copy = &replication->copies[i];
		if (copy->asked_ms == 0 || copy->asked != answer.number || answer.copy == REPLICATION_NO_COPY)
			continue;
		bool is_more =
			answer.commit > copy->last_commit ||
			(answer.commit == copy->last_commit && strcmp(peer->name, replication->settings.node) < 0);
		copy->has_better |= answer.copy != REPLICATION_HOLDS || is_more;
	}
	return true;
}

static bool copies_take_taken(struct replication *replication, const struct node_peer *peer, struct slice body)
{
	struct replication_taken taken;
	struct slice name;
	if (!replication_get_taken(body, &taken, &name))
		return false;
	log_always(LOG_INFO, "node %s has taken over %" PRIu64 " sessions of node %.*s", peer->name, taken.sessions,
		   (int)name.size, (const char *)name.data);
	struct copy *copy = copy_of_store(replication, taken.store_id);
	if (copy == NULL || copy->state != COPY_HELD)
		return true;
	/* Ours is older, and of no use any more. */
	replication_give(replication, copy_job(replication, copy, REPLICA_DROP, slice_of(NULL, 0)));
	*copy = (struct copy){.peer = NO_SLOT};
	return true;
}

bool copies_received(struct replication *replication, struct node_peer *peer, uint8_t kind, struct slice body)
{
	switch (kind) {
	case REPLICATION_OFFER:
		return copies_take_offer(replication, peer, body);
	case REPLICATION_BYTES:
	case REPLICATION_GONE:
	case REPLICATION_MARK:
		return copies_take_piece(replication, peer, kind, body);
	case REPLICATION_RELEASED:
		return copies_take_released(replication, peer, body);
	case REPLICATION_ASK:
		return copies_take_ask(replication, peer, body);
	case REPLICATION_ANSWER:
		return copies_take_answer(replication, peer, body);
	case REPLICATION_TAKEN:
		return copies_take_taken(replication, peer, body);
	default:
		return true; /* of a later version */
	}
}

/* ---- peers ---- */

void copies_joined(struct replication *replication, struct node_peer *peer)
{
	struct copy *copy = copy_find(replication, peer->name);
	if (copy == NULL)
		return;
	copy->peer = peer->slot;
	if (copy->state != COPY_TAKING_OVER && copy->state != COPY_TAKEN_OVER)
		copy->away_ms = 0;
}

void copies_away(struct replication *replication, const struct node_peer *peer)
{
	struct copy *copy = copy_find(replication, peer->name);
	if (copy != NULL && copy->away_ms == 0)
		copy->away_ms = replication->now_ms;
}

void copies_back(struct replication *replication, const struct node_peer *peer)
{
	struct copy *copy = copy_find(replication, peer->name);
	if (copy != NULL && copy->state != COPY_TAKING_OVER) {
		copy->away_ms = 0;
		copy->asked_ms = 0;
	}
}

void copies_gone(struct replication *replication, const struct node_peer *peer)
{
	struct copy *copy = copy_find(replication, peer->name);
	if (copy == NULL)
		return;
	copy_let_go(replication, copy);
	if (copy->away_ms == 0)
		copy->away_ms = replication->now_ms;
}

/* ---- what the worker has done ---- */

static void copy_held(struct replication *replication, struct copy *copy, const struct replica_work *note)
{
	struct node_peer *peer = copy_peer(replication, copy);
	copy->last_commit = note->last_commit;
	copy->bytes = note->bytes;
	copy->epoch = note->epoch;
	if (peer == NULL ||
	    !peer_send(peer, REPLICATION_HELD, slice_of(note->body, note->body_bytes), slice_of(NULL, 0)))
		copy_let_go(replication, copy); /* it offers again */
}

static void copy_safe(struct copy *copy, const struct replica_work *note)
{
	uint64_t done = note->pieces - copy->safe.pieces;
	copy->queued -= done < copy->queued ? (uint32_t)done : copy->queued;
	copy->last_commit = note->last_commit;
	copy->bytes = note->bytes;
	copy->epoch = note->epoch;
	copy->safe = (struct replication_safe){.stream = note->stream,
					       .position = note->position,
					       .pieces = note->pieces,
					       .last_commit = note->last_commit,
					       .bytes = note->bytes};
	copy->safe_waits = true;
}

/* A copy from before this process began. */
static void copy_found(struct replication *replication, const struct replica_work *note)
{
	if (note->name[0] == '\0') {
		replication->is_listed = true;
		return;
	}
	struct copy *copy = copy_need(replication, note->name);
	if (copy == NULL || copy->state != COPY_NONE)
		return;
	copy->state = note->sessions == REPLICA_NOT_TAKEN ? COPY_HELD
		      : note->sessions == MARK_UNDERWAY   ? COPY_TAKING_OVER
							  : COPY_TAKEN_OVER;
	copy->sessions = copy->state == COPY_TAKEN_OVER ? note->sessions : 0;
	copy->identity = note->identity;
	copy->epoch = note->epoch;
	copy->last_commit = note->last_commit;
	copy->bytes = note->bytes;
	copy->away_ms = replication->begun_ms;
	log_always(LOG_INFO, "copy of node %s: up to commit %" PRIu64 "%s", copy->name, copy->last_commit,
		   copy->state == COPY_TAKEN_OVER ? ", taken over" : "");
	for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
		if (replication_is_reachable(replication, slot) &&
		    strcmp(replication->settings.peers[slot]->name, copy->name) == 0)
			copies_joined(replication, replication->settings.peers[slot]);
	}
}

void copies_note(struct replication *replication, const struct replica_work *note)
{
	if (note->kind == REPLICA_NOTE_FOUND) {
		copy_found(replication, note);
		return;
	}
	struct copy *copy = &replication->copies[note->slot];
	if (!copy->is_open || note->stream != copy->stream)
		return;
	if (note->kind == REPLICA_NOTE_HELD) {
		copy->safe = (struct replication_safe){.stream = note->stream};
		copy_held(replication, copy, note);
	} else if (note->kind == REPLICA_NOTE_SAFE) {
		copy_safe(copy, note);
	} else {
		copy_fail(replication, copy, (enum replication_refusal)note->reason,
			  slice_of(note->body, note->body_bytes));
	}
}

/* ---- taking over ---- */

static void copy_ask(struct replication *replication, struct copy *copy)
{
	struct replication_ask ask = {.number = ++replication->questions};
	uint8_t bytes[REPLICATION_ASK_BYTES];
	memcpy(ask.store_id, copy->identity.id, sizeof(ask.store_id));
	replication_put_ask(&ask, bytes);
	copy->asked = ask.number;
	copy->asked_ms = replication->now_ms;
	copy->has_better = false;
	for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
		if (replication_is_reachable(replication, slot))
			peer_send(replication->settings.peers[slot], REPLICATION_ASK, slice_of(bytes, sizeof(bytes)),
				  slice_string(copy->name));
	}
}

/* Of a copy from before this process only wall clocks know. */
static uint32_t copy_away_s(const struct replication *replication, const struct copy *copy)
{
	if (copy->peer == NO_SLOT || copy->away_ms <= replication->begun_ms)
		return UINT32_MAX;
	return (uint32_t)((replication->now_ms - copy->away_ms + replication->settings.timeout_ms) / 1000);
}

static void copy_take_over(struct replication *replication, struct copy *copy)
{
	struct replica_takeover_settings settings = {.directory = replication->settings.directory,
						     .name = copy->name,
						     .away_s = copy_away_s(replication, copy),
						     .port = replication->settings.port,
						     .key = replication->settings.key,
						     .store = replication->settings.store};
	copy_let_go(replication, copy);
	replication->takeover = replica_takeover_start(&settings);
	copy->asked_ms = 0;
	if (replication->takeover == NULL) {
		copy->away_ms = replication->now_ms; /* after another such time */
		return;
	}
	copy->state = COPY_TAKING_OVER;
	replication->takeover_place = copy_place(replication, copy);
	log_always(LOG_WARNING, "copy of node %s: the node is gone, and its sessions are taken over", copy->name);
}

static void copy_is_over(struct replication *replication)
{
	struct copy *copy = &replication->copies[replication->takeover_place];
	struct replica_takeover_report report;
	if (!replica_takeover_is_over(replication->takeover, &report))
		return;
	replica_takeover_free(replication->takeover);
	replication->takeover = NULL;
	copy->sessions = report.sessions;
	copy->epoch = report.epoch;
	copy->last_commit = report.commit;
	if (report.fault[0] != '\0') {
		snprintf(copy->fault, sizeof(copy->fault), "%s", report.fault);
		copy->state = report.is_marked ? COPY_TAKING_OVER : COPY_HELD;
		copy->away_ms = replication->now_ms; /* it is tried again, after another such time */
		log_always(LOG_ERROR, "copy of node %s: its sessions cannot be taken over: %s", copy->name,
			   copy->fault);
		return;
	}
	copy->state = COPY_TAKEN_OVER;
	copy->fault[0] = '\0';
	if (report.refused != 0)
		snprintf(copy->fault, sizeof(copy->fault),
			 "%" PRIu64 " sessions or messages were not taken (%s); they are in the copy", report.refused,
			 error_sentence(report.refused_why));
	if (report.refused != 0)
		log_always(LOG_ERROR, "copy of node %s: %s", copy->name, copy->fault);
	log_always(LOG_INFO, "copy of node %s: %" PRIu64 " sessions taken over, with %" PRIu64 " messages", copy->name,
		   report.sessions, report.messages);
	struct replication_taken taken = {
		.epoch = copy->epoch, .commit = copy->last_commit, .sessions = copy->sessions};
	uint8_t bytes[REPLICATION_TAKEN_BYTES];
	memcpy(taken.store_id, copy->identity.id, sizeof(taken.store_id));
	replication_put_taken(&taken, bytes);
	for (uint8_t slot = 0; slot < NODES_MAX; slot++) {
		if (replication_is_reachable(replication, slot))
			peer_send(replication->settings.peers[slot], REPLICATION_TAKEN, slice_of(bytes, sizeof(bytes)),
				  slice_string(copy->name));
	}
}

/* Whether the node is gone, and this one is not the one that is cut off. */
static bool copy_is_due(const struct replication *replication, const struct copy *copy)
{
	bool may_be = (copy->state == COPY_HELD || copy->state == COPY_FOLLOWS || copy->state == COPY_TAKING_OVER) &&
		      copy->away_ms != 0;
	return may_be && replication->settings.is_connected(replication->settings.context) &&
	       replication->now_ms >= copy->away_ms + (uint64_t)replication->settings.takeover_s * 1000;
}

static void copy_look(struct replication *replication, struct copy *copy)
{
	if (!copy_is_due(replication, copy)) {
		copy->asked_ms = 0;
	} else if (copy->asked_ms == 0) {
		copy_ask(replication, copy);
	} else if (replication->now_ms < copy->asked_ms + REPLICATION_ASK_MS) {
		return;
	} else if (copy->has_better && copy->state != COPY_TAKING_OVER) {
		log_always(LOG_INFO, "copy of node %s: another node hears that one, or has more of it: not taken over",
			   copy->name);
		copy->asked_ms = 0;
		copy->away_ms = replication->now_ms;
	} else {
		copy_take_over(replication, copy);
	}
}

void copies_turn(struct replication *replication)
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		struct copy *copy = &replication->copies[i];
		struct node_peer *peer = copy->safe_waits ? copy_peer(replication, copy) : NULL;
		uint8_t bytes[REPLICATION_SAFE_BYTES];
		if (peer != NULL) {
			replication_put_safe(&copy->safe, bytes);
			copy->safe_waits =
				!peer_send(peer, REPLICATION_SAFE, slice_of(bytes, sizeof(bytes)), slice_of(NULL, 0));
		}
	}
	if (replication->takeover != NULL)
		copy_is_over(replication);
	for (uint32_t i = 0; i < NODES_MAX && !replication->is_ending && replication->is_listed; i++) {
		if (replication->takeover == NULL && replication->copies[i].name[0] != '\0')
			copy_look(replication, &replication->copies[i]);
	}
}

uint64_t copies_deadline_ms(const struct replication *replication)
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		const struct copy *copy = &replication->copies[i];
		if (copy->safe_waits || (copy->away_ms != 0 && copy->state != COPY_TAKEN_OVER))
			return replication->now_ms + LOOK_MS;
	}
	return UINT64_MAX;
}

void copies_status(const struct replication *replication, struct replicas_status *status)
{
	status->copy_count = 0;
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		const struct copy *copy = &replication->copies[i];
		if (copy->name[0] == '\0')
			continue;
		struct copy_status *to = &status->copies[status->copy_count++];
		memcpy(to->name, copy->name, sizeof(to->name));
		memcpy(to->fault, copy->fault, sizeof(to->fault));
		to->state = copy->state;
		to->last_commit = copy->last_commit;
		to->bytes = copy->bytes;
		to->sessions = copy->sessions;
		to->refusals = copy->refusals;
	}
}
