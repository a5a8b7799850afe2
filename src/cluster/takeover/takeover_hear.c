/* What other nodes and the shards say in the course of a take-over. */
#include "cluster/takeover/takeover_state.h"

#include "base/check.h"

#include <stdlib.h>

static struct slice id_of(const struct takeover_move *move)
{
	return slice_of(move->id, move->id_bytes);
}

static void takeover_hear_settle(struct takeover *takeover, struct takeover_move *move, uint8_t now);

/* ---- a claimant ---- */

void takeover_claim(struct takeover *takeover, uint16_t shard, uint64_t number, uint8_t flags, struct slice id,
		    struct slice user)
{
	uint64_t hash = home_hash(&takeover->home, id);
	struct takeover_claim *claim = takeover_claim_find(takeover, hash);
	if (claim != NULL)
		takeover_claim_remove(takeover, claim);
	takeover->claims_begun++;
	claim = takeover->claim_count < TAKEOVER_CLAIMS_MAX ? calloc(1, sizeof(*claim) + id.size + user.size) : NULL;
	if (claim == NULL) {
		takeover->dropped++; /* the shard has a time limit */
		return;
	}
	claim->hash = hash;
	claim->number = number;
	claim->shard = shard;
	claim->flags = flags;
	claim->id_bytes = (uint16_t)id.size;
	claim->user_bytes = (uint16_t)user.size;
	memcpy(claim->bytes, id.data, id.size);
	if (user.size != 0)
		memcpy(claim->bytes + id.size, user.data, user.size);
	struct takeover_claim **bucket = &takeover->claims[hash & (TAKEOVER_BUCKETS - 1)];
	claim->next = *bucket;
	*bucket = claim;
	takeover->claim_count++;
	if (takeover->has_view)
		takeover_send_claim(takeover, claim);
	takeover_run(takeover);
}

/* number: of the home's decision; 0: nobody decided. */
static void send_taken(struct takeover *takeover, uint64_t hash, struct slice id, uint64_t number)
{
	struct takeover_message message = {.view = takeover->home.view.number, .number = number, .id = id};
	takeover_gave_forget(takeover, hash);
	takeover_send_home(takeover, hash, TAKEOVER_TAKEN, &message);
}

void takeover_claim_late(struct takeover *takeover, struct slice id)
{
	uint64_t hash = home_hash(&takeover->home, id);
	struct takeover_claim *claim = takeover_claim_find(takeover, hash);
	if (claim != NULL)
		takeover_claim_remove(takeover, claim);
	takeover->late++;
	if (takeover->has_view)
		send_taken(takeover, hash, id, 0);
	takeover_run(takeover);
}

static void send_done(struct takeover *takeover, uint64_t hash, struct slice id, uint64_t number)
{
	struct takeover_message message = {.view = takeover->home.view.number, .number = number, .id = id};
	takeover_send_home(takeover, hash, TAKEOVER_DONE, &message);
}

/* GRANT or NOTHING: the client begins a session, or has one here. */
static void hear_nothing(struct takeover *takeover, const struct takeover_message *message)
{
	const struct takeover_actions *actions = &takeover->actions;
	uint64_t hash = home_hash(&takeover->home, message->id);
	struct takeover_claim *claim = takeover_claim_find(takeover, hash);
	struct takeover_move *move = takeover_move_find(takeover, message->number, TAKEOVER_HERE);
	if (message->view != takeover->home.view.number)
		return;
	if (move != NULL && !move->is_whole) {
		actions->give_up(actions->context, move->shard, move->number);
		takeover_move_remove(takeover, move);
	}
	if (claim == NULL || claim->number != message->claim) {
		send_done(takeover, hash, message->id, message->number); /* a time limit was over */
		return;
	}
	actions->go_on(actions->context, claim->shard, claim->number, message->id);
	takeover_claim_remove(takeover, claim);
	send_taken(takeover, hash, message->id, message->number);
}

static void takeover_hear_refuse(struct takeover *takeover, uint8_t slot, uint64_t number, struct slice id)
{
	struct takeover_message message = {.number = number, .id = id};
	takeover->refused++;
	takeover_send(takeover, slot, TAKEOVER_REFUSED, &message);
}

/* From now on it is held here: its shard has all of it, or is about to. */
static void takeover_hear_note_whole(struct takeover *takeover, struct takeover_move *move)
{
	struct takeover_claim *claim = takeover_claim_find(takeover, move->hash);
	CHECK(move->role == TAKEOVER_HERE && !move->is_whole);
	move->is_whole = true;
	takeover->moved_in++;
	if (claim != NULL)
		takeover_claim_remove(takeover, claim); /* the shard admits it */
	send_taken(takeover, move->hash, id_of(move), move->number);
}

static void hear_part(struct takeover *takeover, uint8_t slot, const struct takeover_message *message)
{
	const struct takeover_actions *actions = &takeover->actions;
	struct takeover_move *move = takeover_move_find(takeover, message->number, TAKEOVER_HERE);
	if (move == NULL && message->sequence != 0)
		return; /* it was given up */
	if (move == NULL && message->view == takeover->home.view.number)
		move = takeover_move_add(takeover, message->number, slot, message->id, TAKEOVER_HERE);
	if (move == NULL) {
		takeover_hear_refuse(takeover, slot, message->number, message->id);
		return;
	}
	if (move->slot != slot || !slice_equal(id_of(move), message->id))
		return;
	actions->part(actions->context, message->number, message);
	if ((message->flags & SESSION_WHOLE) != 0 && !move->is_whole)
		takeover_hear_note_whole(takeover, move);
	move->is_last = (message->flags & SESSION_LAST) != 0;
	if (move->is_last && move->is_accepted)
		takeover_move_remove(takeover, move);
}

void takeover_has_taken(struct takeover *takeover, uint64_t number, uint32_t sequence)
{
	const struct takeover_move *move = takeover_move_find(takeover, number, TAKEOVER_HERE);
	struct takeover_message message = {.number = number, .sequence = sequence};
	if (move != NULL)
		takeover_send(takeover, move->slot, TAKEOVER_ROOM, &message);
	takeover_run(takeover);
}

void takeover_is_safe(struct takeover *takeover, uint64_t number)
{
	struct takeover_move *move = takeover_move_find(takeover, number, TAKEOVER_HERE);
	if (move == NULL || move->is_accepted)
		return;
	move->is_accepted = true;
	takeover_gave_forget(takeover, move->hash); /* it may have gone and come while this one came */
	struct takeover_message message = {.number = number, .id = id_of(move)};
	takeover_send(takeover, move->slot, TAKEOVER_ACCEPTED, &message);
	takeover_hear_settle(takeover, move, HOME_SELF);
	if (move->is_last)
		takeover_move_remove(takeover, move);
	takeover_run(takeover);
}

void takeover_failed(struct takeover *takeover, uint64_t number)
{
	struct takeover_move *move = takeover_move_find(takeover, number, TAKEOVER_HERE);
	if (move == NULL)
		return;
	struct takeover_claim *claim = takeover_claim_find(takeover, move->hash);
	if (!move->is_accepted)
		takeover_hear_refuse(takeover, move->slot, number, id_of(move));
	if (!move->is_whole && claim != NULL)
		takeover_claim_remove(takeover, claim);
	if (!move->is_whole)
		send_done(takeover, move->hash, id_of(move), number);
	move->is_accepted = true;
	takeover_hear_settle(takeover, move, HOME_SELF);
	takeover_move_remove(takeover, move);
	takeover_run(takeover);
}

/* ---- a holder ---- */

static struct takeover_message nothing_of(const struct takeover *takeover, uint64_t number, uint64_t claim,
					  struct slice id)
{
	return (struct takeover_message){
		.view = takeover->home.view.number, .number = number, .claim = claim, .id = id};
}

/* A husk of this id of which it is not known yet what becomes; or a session that has come, and whose giver does not
 * know that yet. */
static struct takeover_move *unsettled(const struct takeover *takeover, uint64_t hash)
{
	struct takeover_move *move = takeover->by_hash[hash & (TAKEOVER_BUCKETS - 1)];
	while (move != NULL &&
	       (move->hash != hash || move->is_accepted || (move->role == TAKEOVER_HERE && !move->is_whole)))
		move = move->next_hash;
	return move;
}

static void keep_next(struct takeover *takeover, struct takeover_move *husk, uint8_t claimant,
		      const struct takeover_message *message)
{
	free(husk->then);
	husk->then = calloc(1, sizeof(*husk->then) + message->user.size);
	if (husk->then == NULL) {
		takeover->dropped++;
		return;
	}
	*husk->then = (struct takeover_next){.number = message->number,
					     .claim = message->claim,
					     .flags = message->flags,
					     .slot = claimant,
					     .user_bytes = (uint16_t)message->user.size};
	if (message->user.size != 0)
		memcpy(husk->then->user, message->user.data, message->user.size);
}

static void yield_to(struct takeover *takeover, uint8_t claimant, const struct takeover_message *message)
{
	CHECK_LT(claimant, HOME_SELF);
	const struct takeover_actions *actions = &takeover->actions;
	struct takeover_move *move = takeover_move_add(takeover, message->number, claimant, message->id, TAKEOVER_AWAY);
	if (move == NULL) {
		struct takeover_message nothing = nothing_of(takeover, message->number, message->claim, message->id);
		takeover_send(takeover, claimant, TAKEOVER_NOTHING, &nothing);
		return;
	}
	move->claim = message->claim;
	move->flags = message->flags;
	actions->yield(actions->context, message->number, message->flags, message->id, message->user);
}

static void hear_yield(struct takeover *takeover, const struct takeover_message *message)
{
	const struct home_member *claimant = home_member_named(&takeover->home.view, message->node);
	uint64_t hash = home_hash(&takeover->home, message->id);
	if (claimant == NULL)
		return; /* it is claimed anew */
	struct takeover_move *husk = unsettled(takeover, hash);
	uint8_t gave = takeover_gave_to(takeover, hash);
	struct takeover_message nothing = nothing_of(takeover, message->number, message->claim, message->id);
	if (husk != NULL)
		keep_next(takeover, husk, claimant->slot, message);
	else if (gave != HOME_NOBODY)
		takeover_send(takeover, gave, TAKEOVER_YIELD, message); /* follow it */
	else if (claimant->slot == HOME_SELF)
		takeover_send(takeover, HOME_SELF, TAKEOVER_NOTHING, &nothing);
	else
		yield_to(takeover, claimant->slot, message);
}

/* This node is the second holder of an id. */
static void hear_merge(struct takeover *takeover, const struct takeover_message *message)
{
	const struct home_member *first = home_member_named(&takeover->home.view, message->node);
	uint64_t hash = home_hash(&takeover->home, message->id);
	if (first == NULL || first->slot == HOME_SELF) {
		send_done(takeover, hash, message->id, message->number);
		return;
	}
	struct takeover_message yields = *message;
	yields.flags = SESSION_MERGES;
	yields.claim = 0;
	struct takeover_move *husk = unsettled(takeover, hash);
	if (husk != NULL) {
		keep_next(takeover, husk, first->slot, &yields);
		return;
	}
	takeover->merged++;
	yield_to(takeover, first->slot, &yields);
}

/* It is known now what became of the session: it is with node `now`, or here. Then the next one gets it. */
static void takeover_hear_settle(struct takeover *takeover, struct takeover_move *move, uint8_t now)
{
	struct takeover_next *then = move->then;
	if (then == NULL)
		return;
	CHECK(move->is_accepted);
	move->then = NULL;
	const struct home_member *claimant = home_member_at(&takeover->home.view, then->slot);
	struct takeover_message message = nothing_of(takeover, then->number, then->claim, id_of(move));
	if (claimant != NULL) {
		message.flags = then->flags;
		message.node = slice_of(claimant->name, claimant->name_bytes);
		message.user = slice_of(then->user, then->user_bytes);
	}
	bool merges = (then->flags & SESSION_MERGES) != 0;
	uint8_t to = home_member_at(&takeover->home.view, now) != NULL ? now : HOME_SELF;
	if (claimant != NULL && merges && to != HOME_SELF)
		send_done(takeover, move->hash, id_of(move), then->number);
	else if (claimant != NULL)
		takeover_send(takeover, to, merges ? TAKEOVER_MERGE : TAKEOVER_YIELD, &message);
	free(then);
}

static void hear_accepted(struct takeover *takeover, uint8_t slot, uint64_t number)
{
	const struct takeover_actions *actions = &takeover->actions;
	struct takeover_move *move = takeover_move_find(takeover, number, TAKEOVER_AWAY);
	if (move == NULL || move->slot != slot || move->is_accepted)
		return;
	move->is_accepted = true;
	takeover->moved_out++;
	takeover_gave_note(takeover, move->hash, slot);
	actions->arrived(actions->context, move->shard, number);
	takeover_hear_settle(takeover, move, slot);
}

/* The shard says when it is back. */
static void hear_refused(struct takeover *takeover, uint8_t slot, uint64_t number)
{
	const struct takeover_actions *actions = &takeover->actions;
	const struct takeover_move *move = takeover_move_find(takeover, number, TAKEOVER_AWAY);
	if (move != NULL && move->slot == slot && !move->is_accepted)
		actions->give_up(actions->context, move->shard, number);
}

static void hear_room(struct takeover *takeover, uint8_t slot, const struct takeover_message *message)
{
	const struct takeover_actions *actions = &takeover->actions;
	const struct takeover_move *move = takeover_move_find(takeover, message->number, TAKEOVER_AWAY);
	if (move != NULL && move->slot == slot)
		actions->taken(actions->context, move->shard, message->number, message->sequence);
}

void takeover_gives(struct takeover *takeover, uint64_t number, uint32_t sequence, uint8_t flags, struct slice body)
{
	struct takeover_move *move = takeover_move_find(takeover, number, TAKEOVER_AWAY);
	if (move == NULL)
		return;
	struct takeover_message message = {
		.view = move->view,
		.number = number,
		.claim = move->claim,
		.sequence = sequence,
		.flags = flags | (move->flags & SESSION_MERGES),
		.id = id_of(move),
		.body = body,
	};
	takeover_send(takeover, move->slot, TAKEOVER_PART, &message);
	if ((flags & SESSION_LAST) != 0)
		takeover_move_remove(takeover, move);
	takeover_run(takeover);
}

void takeover_gives_nothing(struct takeover *takeover, uint64_t number)
{
	struct takeover_move *move = takeover_move_find(takeover, number, TAKEOVER_AWAY);
	if (move == NULL)
		return;
	struct takeover_message message = nothing_of(takeover, number, move->claim, id_of(move));
	message.view = move->view;
	if ((move->flags & SESSION_MERGES) != 0)
		send_done(takeover, move->hash, id_of(move), number);
	else if (!move->is_accepted)
		takeover_send(takeover, move->slot, TAKEOVER_NOTHING, &message);
	move->is_accepted = true;
	takeover_hear_settle(takeover, move, HOME_SELF);
	takeover_move_remove(takeover, move);
	takeover_run(takeover);
}

void takeover_is_back(struct takeover *takeover, uint64_t number, uint32_t age_s, struct slice id)
{
	struct takeover_move *move = takeover_move_find(takeover, number, TAKEOVER_AWAY);
	uint64_t hash = home_hash(&takeover->home, id);
	takeover_gave_forget(takeover, hash);
	if (takeover->has_view) {
		struct takeover_message message = {
			.view = takeover->home.view.number, .number = number, .age_s = age_s, .id = id};
		takeover_send_home(takeover, hash, TAKEOVER_BACK, &message);
	}
	if (move != NULL) {
		move->is_accepted = true;
		takeover_hear_settle(takeover, move, HOME_SELF);
		takeover_move_remove(takeover, move);
	}
	takeover_run(takeover);
}

/* ---- who holds it ---- */

static void hear_who(struct takeover *takeover, uint8_t slot, const struct takeover_message *message)
{
	const struct home_member *holder =
		home_member_at(&takeover->home.view, home_holder(&takeover->home, message->id));
	struct takeover_message answer = {.claim = message->claim};
	if (holder != NULL)
		answer.node = slice_of(holder->name, holder->name_bytes);
	takeover_send(takeover, slot, TAKEOVER_HOLDER, &answer);
}

void takeover_ask(struct takeover *takeover, uint64_t question, struct slice id)
{
	struct takeover_message message = {.view = takeover->home.view.number, .claim = question, .id = id};
	if (takeover->has_view)
		takeover_send_home(takeover, home_hash(&takeover->home, id), TAKEOVER_WHO, &message);
	takeover_run(takeover);
}

/* ---- all of it ---- */

static bool is_for_a_home(enum takeover_kind kind)
{
	return kind == TAKEOVER_CLAIM || kind == TAKEOVER_TAKEN || kind == TAKEOVER_DONE || kind == TAKEOVER_HELD ||
	       kind == TAKEOVER_ANNOUNCED || kind == TAKEOVER_BACK || kind == TAKEOVER_ENDED;
}

static void hear_for_home(struct takeover *takeover, uint8_t slot, enum takeover_kind kind,
			  const struct takeover_message *message)
{
	bool has_id =
		message->id.size != 0 || kind == TAKEOVER_HELD || kind == TAKEOVER_ANNOUNCED || kind == TAKEOVER_ENDED;
	if (!has_id)
		return;
	if (message->view == takeover->home.view.number)
		home_hears(&takeover->home, slot, kind, message, takeover->now_ms);
	else
		takeover_early_keep(takeover, slot, kind, message);
}

void takeover_hear(struct takeover *takeover, uint8_t slot, enum takeover_kind kind,
		   const struct takeover_message *message)
{
	if (is_for_a_home(kind)) {
		hear_for_home(takeover, slot, kind, message);
		return;
	}
	/* A home has a view before or after this node, or this node was in another one for a moment. */
	bool is_a_homes = kind == TAKEOVER_PLEASE || kind == TAKEOVER_YIELD || kind == TAKEOVER_MERGE;
	if (is_a_homes && message->view != takeover->home.view.number) {
		takeover_early_keep(takeover, slot, kind, message);
		return;
	}
	if (kind == TAKEOVER_PLEASE) {
		takeover_hear_please(takeover, slot, message->number);
		return;
	}
	bool needs_id = kind == TAKEOVER_GRANT || kind == TAKEOVER_NOTHING || kind == TAKEOVER_YIELD ||
			kind == TAKEOVER_MERGE || kind == TAKEOVER_PART;
	if (needs_id && message->id.size == 0)
		return;
	switch (kind) {
	case TAKEOVER_GRANT:
	case TAKEOVER_NOTHING:
		hear_nothing(takeover, message);
		break;
	case TAKEOVER_YIELD:
		hear_yield(takeover, message);
		break;
	case TAKEOVER_MERGE:
		hear_merge(takeover, message);
		break;
	case TAKEOVER_PART:
		hear_part(takeover, slot, message);
		break;
	case TAKEOVER_ROOM:
		hear_room(takeover, slot, message);
		break;
	case TAKEOVER_ACCEPTED:
		hear_accepted(takeover, slot, message->number);
		break;
	case TAKEOVER_REFUSED:
		hear_refused(takeover, slot, message->number);
		break;
	case TAKEOVER_WHO:
		hear_who(takeover, slot, message);
		break;
	case TAKEOVER_HOLDER:
		takeover->actions.holder(takeover->actions.context, message->claim, message->node);
		break;
	default:
		break;
	}
}

void takeover_receive(struct takeover *takeover, uint8_t slot, enum takeover_kind kind,
		      const struct takeover_message *message, uint64_t now_ms)
{
	takeover->now_ms = now_ms;
	takeover_hear(takeover, slot, kind, message);
	takeover_run(takeover);
}
