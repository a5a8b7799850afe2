#include "cluster/takeover/takeover_state.h"

#include "base/check.h"

#include <stdlib.h>

/* In place of the number of a question; homes count theirs from a random place on. */
#define UNASKED 1u
_Static_assert((TAKEOVER_BUCKETS & (TAKEOVER_BUCKETS - 1)) == 0, "a mask finds the bucket");

/* ---- to others, and to itself ---- */

static void flush_of(struct takeover *takeover, uint8_t slot);

/* What goes to this node itself waits until nothing else is being done. */
static void send_to_self(struct takeover *takeover, enum takeover_kind kind, const struct takeover_message *message)
{
	size_t head = takeover_head_bytes(message);
	struct takeover_local *local = malloc(sizeof(*local) + head + message->body.size);
	if (local == NULL) {
		takeover->dropped++;
		return;
	}
	*local = (struct takeover_local){.kind = (uint8_t)kind, .bytes = head + message->body.size};
	takeover_encode(message, local->body);
	if (message->body.size != 0)
		memcpy(local->body + head, message->body.data, message->body.size);
	*takeover->local_end = local;
	takeover->local_end = &local->next;
}

static void send_now(struct takeover *takeover, uint8_t slot, enum takeover_kind kind,
		     const struct takeover_message *message)
{
	if (slot == HOME_SELF)
		send_to_self(takeover, kind, message);
	else
		takeover->actions.send(takeover->actions.context, slot, kind, message);
}

void takeover_send(struct takeover *takeover, uint8_t slot, enum takeover_kind kind,
		   const struct takeover_message *message)
{
	flush_of(takeover, slot);
	send_now(takeover, slot, kind, message);
}

/* What is gathered for a member goes before anything else to it. */
static void flush_one(struct takeover *takeover, uint8_t slot, enum takeover_kind kind, struct bytes *gathered)
{
	if (gathered->size == 0)
		return;
	struct takeover_message message = {.view = takeover->home.view.number, .body = bytes_slice(gathered)};
	send_now(takeover, slot, kind, &message);
	bytes_clear(gathered, TAKEOVER_GATHER_BYTES * 2);
}

static void flush_of(struct takeover *takeover, uint8_t slot)
{
	CHECK_LE(slot, HOME_SELF);
	flush_one(takeover, slot, TAKEOVER_HELD, &takeover->held[slot]);
	flush_one(takeover, slot, TAKEOVER_ENDED, &takeover->ended[slot]);
}

void takeover_send_home(struct takeover *takeover, uint64_t hash, enum takeover_kind kind,
			const struct takeover_message *message)
{
	takeover_send(takeover, home_of(&takeover->home.view, hash), kind, message);
}

static void on_home_sends(void *context, uint8_t slot, enum takeover_kind kind, const struct takeover_message *message)
{
	takeover_send(context, slot, kind, message);
}

/* Does what this node has said to itself. */
void takeover_run(struct takeover *takeover)
{
	if (takeover->is_running)
		return;
	takeover->is_running = true;
	while (takeover->local != NULL) {
		struct takeover_local *local = takeover->local;
		takeover->local = local->next;
		if (takeover->local == NULL)
			takeover->local_end = &takeover->local;
		struct takeover_message message;
		if (takeover_decode(slice_of(local->body, local->bytes), &message))
			takeover_hear(takeover, HOME_SELF, (enum takeover_kind)local->kind, &message);
		free(local);
	}
	CHECK(takeover->local_end == &takeover->local);
	takeover->is_running = false;
}

/* ---- tables ---- */

struct takeover_claim *takeover_claim_find(const struct takeover *takeover, uint64_t hash)
{
	struct takeover_claim *claim = takeover->claims[hash & (TAKEOVER_BUCKETS - 1)];
	while (claim != NULL && claim->hash != hash)
		claim = claim->next;
	return claim;
}

void takeover_claim_remove(struct takeover *takeover, struct takeover_claim *claim)
{
	struct takeover_claim **at = &takeover->claims[claim->hash & (TAKEOVER_BUCKETS - 1)];
	while (*at != claim)
		at = &(*at)->next;
	*at = claim->next;
	free(claim);
	CHECK_GT(takeover->claim_count, 0u);
	takeover->claim_count--;
}

struct takeover_move *takeover_move_find(const struct takeover *takeover, uint64_t number, enum takeover_role role)
{
	struct takeover_move *move = takeover->moves[number & (TAKEOVER_BUCKETS - 1)];
	while (move != NULL && (move->number != number || move->role != role))
		move = move->next;
	return move;
}

struct takeover_move *takeover_move_add(struct takeover *takeover, uint64_t number, uint8_t slot, struct slice id,
					enum takeover_role role)
{
	CHECK_LE(id.size, (size_t)UINT16_MAX);
	struct takeover_move *move =
		takeover->move_count < TAKEOVER_MOVES_MAX ? calloc(1, sizeof(*move) + id.size) : NULL;
	if (move == NULL) {
		takeover->dropped++;
		return NULL;
	}
	move->number = number;
	move->slot = slot;
	move->role = role;
	move->hash = home_hash(&takeover->home, id);
	move->view = takeover->home.view.number;
	move->shard = takeover->actions.shard_of(takeover->actions.context, id);
	move->id_bytes = (uint16_t)id.size;
	memcpy(move->id, id.data, id.size);
	struct takeover_move **bucket = &takeover->moves[number & (TAKEOVER_BUCKETS - 1)];
	move->next = *bucket;
	*bucket = move;
	takeover->move_count++;
	bucket = &takeover->by_hash[move->hash & (TAKEOVER_BUCKETS - 1)];
	move->next_hash = *bucket;
	*bucket = move;
	return move;
}

void takeover_move_remove(struct takeover *takeover, struct takeover_move *move)
{
	struct takeover_move **at = &takeover->moves[move->number & (TAKEOVER_BUCKETS - 1)];
	while (*at != move)
		at = &(*at)->next;
	*at = move->next;
	at = &takeover->by_hash[move->hash & (TAKEOVER_BUCKETS - 1)];
	while (*at != move)
		at = &(*at)->next_hash;
	*at = move->next_hash;
	free(move->then);
	free(move);
	CHECK_GT(takeover->move_count, 0u);
	takeover->move_count--;
}

/* ---- to whom sessions went ---- */

static void gave_unlink(struct takeover *takeover, const struct takeover_gave *gave)
{
	struct takeover_gave **at = &takeover->gave[gave->hash & (TAKEOVER_BUCKETS - 1)];
	while (*at != gave)
		at = &(*at)->next;
	*at = gave->next;
}

/* The oldest one; entries that were forgotten lie in the order of time until then, with no slot. */
static void gave_drop_oldest(struct takeover *takeover)
{
	struct takeover_gave *gave = takeover->gave_oldest;
	CHECK(gave != NULL);
	takeover->gave_oldest = gave->later;
	if (takeover->gave_oldest == NULL)
		takeover->gave_newest = NULL;
	gave_unlink(takeover, gave);
	free(gave);
	CHECK_GT(takeover->gave_count, 0u);
	takeover->gave_count--;
}

static struct takeover_gave *gave_find(const struct takeover *takeover, uint64_t hash)
{
	struct takeover_gave *gave = takeover->gave[hash & (TAKEOVER_BUCKETS - 1)];
	while (gave != NULL && (gave->hash != hash || gave->slot == HOME_NOBODY))
		gave = gave->next;
	return gave;
}

uint8_t takeover_gave_to(const struct takeover *takeover, uint64_t hash)
{
	const struct takeover_gave *gave = gave_find(takeover, hash);
	return gave != NULL && home_member_at(&takeover->home.view, gave->slot) != NULL ? gave->slot : HOME_NOBODY;
}

void takeover_gave_forget(struct takeover *takeover, uint64_t hash)
{
	struct takeover_gave *gave;
	while ((gave = gave_find(takeover, hash)) != NULL)
		gave->slot = HOME_NOBODY;
}

void takeover_gave_note(struct takeover *takeover, uint64_t hash, uint8_t slot)
{
	takeover_gave_forget(takeover, hash);
	if (takeover->gave_count >= TAKEOVER_GAVE_MAX)
		gave_drop_oldest(takeover);
	struct takeover_gave *gave = calloc(1, sizeof(*gave));
	if (gave == NULL) {
		takeover->dropped++;
		return;
	}
	*gave = (struct takeover_gave){.hash = hash, .slot = slot, .at_ms = takeover->now_ms};
	struct takeover_gave **bucket = &takeover->gave[hash & (TAKEOVER_BUCKETS - 1)];
	gave->next = *bucket;
	*bucket = gave;
	*(takeover->gave_newest != NULL ? &takeover->gave_newest->later : &takeover->gave_oldest) = gave;
	takeover->gave_newest = gave;
	takeover->gave_count++;
}

/* ---- what came too early ---- */

static void early_drop(struct takeover *takeover, struct takeover_early **at)
{
	struct takeover_early *early = *at;
	*at = early->next;
	if (takeover->early_end == &early->next)
		takeover->early_end = at;
	CHECK_GE(takeover->early_bytes, early->bytes);
	takeover->early_bytes -= early->bytes;
	free(early);
}

void takeover_early_keep(struct takeover *takeover, uint8_t slot, enum takeover_kind kind,
			 const struct takeover_message *message)
{
	size_t head = takeover_head_bytes(message);
	size_t bytes = head + message->body.size;
	struct takeover_early *early =
		takeover->early_bytes + bytes <= TAKEOVER_EARLY_BYTES_MAX ? malloc(sizeof(*early) + bytes) : NULL;
	if (early == NULL) {
		takeover->dropped++;
		return;
	}
	*early =
		(struct takeover_early){.at_ms = takeover->now_ms, .bytes = bytes, .kind = (uint8_t)kind, .slot = slot};
	takeover_encode(message, early->body);
	if (message->body.size != 0)
		memcpy(early->body + head, message->body.data, message->body.size);
	*takeover->early_end = early;
	takeover->early_end = &early->next;
	takeover->early_bytes += bytes;
}

static void early_replay(struct takeover *takeover)
{
	for (struct takeover_early **at = &takeover->early; *at != NULL;) {
		struct takeover_early *early = *at;
		struct takeover_message message;
		bool is_sound = takeover_decode(slice_of(early->body, early->bytes), &message);
		if (is_sound && message.view == takeover->home.view.number)
			takeover_hear(takeover, early->slot, (enum takeover_kind)early->kind, &message);
		else if (is_sound && takeover->now_ms - early->at_ms < TAKEOVER_EARLY_MS) {
			at = &early->next;
			continue;
		}
		early_drop(takeover, at);
	}
}

/* ---- beginning, end, views ---- */

void takeover_init(struct takeover *takeover, const struct hash_key *key, uint64_t first_number, uint16_t shard_count,
		   const struct takeover_actions *actions)
{
	memset(takeover, 0, sizeof(*takeover));
	home_init(&takeover->home, key, first_number,
		  (struct home_observer){.context = takeover, .send = on_home_sends});
	takeover->actions = *actions;
	takeover->shard_count = shard_count;
	takeover->early_end = &takeover->early;
	takeover->local_end = &takeover->local;
}

void takeover_fini(struct takeover *takeover)
{
	for (uint32_t i = 0; i < TAKEOVER_BUCKETS; i++) {
		while (takeover->claims[i] != NULL)
			takeover_claim_remove(takeover, takeover->claims[i]);
		while (takeover->moves[i] != NULL)
			takeover_move_remove(takeover, takeover->moves[i]);
	}
	while (takeover->gave_oldest != NULL)
		gave_drop_oldest(takeover);
	while (takeover->early != NULL)
		early_drop(takeover, &takeover->early);
	while (takeover->local != NULL) {
		struct takeover_local *local = takeover->local;
		takeover->local = local->next;
		free(local);
	}
	for (uint32_t i = 0; i <= NODES_MAX; i++) {
		bytes_free(&takeover->held[i]);
		bytes_free(&takeover->ended[i]);
	}
	home_fini(&takeover->home);
}

static struct slice id_of_move(const struct takeover_move *move)
{
	return slice_of(move->id, move->id_bytes);
}

/* A session that has not come whole was given in another view, and stays where it was. */
static void drop_move_for_view(struct takeover *takeover, struct takeover_move *move)
{
	const struct takeover_actions *actions = &takeover->actions;
	free(move->then);
	move->then = NULL; /* it is claimed anew */
	bool is_there = home_member_at(&takeover->home.view, move->slot) != NULL;
	if (move->role == TAKEOVER_AWAY) {
		if (!move->is_accepted && !is_there)
			actions->give_up(actions->context, move->shard, move->number);
		return;
	}
	if (move->is_whole)
		return;
	actions->give_up(actions->context, move->shard, move->number);
	takeover->refused++;
	struct takeover_message message = {.number = move->number, .id = id_of_move(move)};
	if (is_there)
		takeover_send(takeover, move->slot, TAKEOVER_REFUSED, &message);
	takeover_move_remove(takeover, move);
}

void takeover_send_claim(struct takeover *takeover, const struct takeover_claim *claim)
{
	struct takeover_message message = {
		.view = takeover->home.view.number,
		.claim = claim->number,
		.flags = claim->flags,
		.id = slice_of(claim->bytes, claim->id_bytes),
		.user = slice_of(claim->bytes + claim->id_bytes, claim->user_bytes),
	};
	takeover_send_home(takeover, claim->hash, TAKEOVER_CLAIM, &message);
}

static void takeover_run_begin_walk(struct takeover *takeover);

void takeover_view(struct takeover *takeover, const struct home_view *view, uint64_t now_ms)
{
	takeover->now_ms = now_ms;
	for (uint32_t i = 0; i <= NODES_MAX; i++) {
		bytes_clear(&takeover->held[i], 0); /* of a view that is over: told anew */
		bytes_clear(&takeover->ended[i], 0);
	}
	home_begin_view(&takeover->home, view, now_ms, !takeover->has_view);
	takeover->has_view = true;
	takeover->is_walking = false;
	memset(takeover->wanted, 0, sizeof(takeover->wanted));
	memset(takeover->served, 0, sizeof(takeover->served));
	struct takeover_message please = {.view = view->number, .number = takeover->home.turn};
	/* Homes that were in this view all the time do not ask, but may have missed what this node did in another. */
	for (uint32_t i = 0; i < view->count; i++) {
		takeover_send(takeover, view->members[i].slot, TAKEOVER_PLEASE, &please);
		takeover->wanted[view->members[i].slot] = UNASKED;
	}
	for (uint32_t i = 0; i < TAKEOVER_BUCKETS; i++) {
		for (struct takeover_move *move = takeover->moves[i], *next; move != NULL; move = next) {
			next = move->next;
			drop_move_for_view(takeover, move);
		}
		for (const struct takeover_claim *claim = takeover->claims[i]; claim != NULL; claim = claim->next)
			takeover_send_claim(takeover, claim);
	}
	takeover_run_begin_walk(takeover);
	early_replay(takeover);
	takeover_run(takeover);
}

void takeover_lost(struct takeover *takeover, uint8_t slot, uint64_t now_ms)
{
	const struct takeover_actions *actions = &takeover->actions;
	takeover->now_ms = now_ms;
	for (uint32_t i = 0; i < TAKEOVER_BUCKETS; i++) {
		for (struct takeover_move *move = takeover->moves[i], *next; move != NULL; move = next) {
			next = move->next;
			if (move->slot != slot)
				continue;
			bool drops = move->role == TAKEOVER_HERE || move->is_accepted;
			if (!move->is_accepted)
				actions->give_up(actions->context, move->shard, move->number);
			if (drops)
				takeover_move_remove(takeover, move);
		}
	}
	takeover_run(takeover);
}

void takeover_tick(struct takeover *takeover, uint64_t now_ms)
{
	takeover->now_ms = now_ms;
	if (!takeover->has_view)
		return;
	home_tick(&takeover->home, now_ms);
	while (takeover->gave_oldest != NULL && now_ms - takeover->gave_oldest->at_ms >= TAKEOVER_GAVE_MS)
		gave_drop_oldest(takeover);
	while (takeover->early != NULL && now_ms - takeover->early->at_ms >= TAKEOVER_EARLY_MS)
		early_drop(takeover, &takeover->early);
	for (uint32_t i = 0; i < takeover->home.view.count; i++)
		flush_of(takeover, takeover->home.view.members[i].slot);
	takeover_run(takeover);
}

/* ---- gathering ---- */

void takeover_session_ended(struct takeover *takeover, struct slice id)
{
	if (!takeover->has_view)
		return;
	uint8_t slot = home_of(&takeover->home.view, home_hash(&takeover->home, id));
	struct bytes *gathered = &takeover->ended[slot];
	flush_one(takeover, slot, TAKEOVER_HELD, &takeover->held[slot]);
	uint8_t size[2] = {(uint8_t)id.size, (uint8_t)(id.size >> 8)};
	bytes_append(gathered, size, sizeof(size));
	bytes_append(gathered, id.data, id.size);
	if (gathered->size >= TAKEOVER_GATHER_BYTES)
		flush_of(takeover, slot);
	takeover_run(takeover);
}

/* Asks the shards for all that they hold, for the homes that have asked by now. */
static void takeover_run_begin_walk(struct takeover *takeover)
{
	memcpy(takeover->served, takeover->wanted, sizeof(takeover->served));
	memset(takeover->wanted, 0, sizeof(takeover->wanted));
	takeover->is_walking = true;
	takeover->shards_announced = 0;
	takeover->actions.announce(takeover->actions.context, ++takeover->walk);
}

/* A home has begun anew: it knows of no claim either. */
void takeover_hear_please(struct takeover *takeover, uint8_t slot, uint64_t number)
{
	if (home_member_at(&takeover->home.view, slot) == NULL)
		return;
	takeover->wanted[slot] = number;
	if (!takeover->is_walking)
		takeover_run_begin_walk(takeover);
	for (uint32_t i = 0; i < TAKEOVER_BUCKETS; i++) {
		for (const struct takeover_claim *claim = takeover->claims[i]; claim != NULL; claim = claim->next) {
			if (home_of(&takeover->home.view, claim->hash) == slot)
				takeover_send_claim(takeover, claim);
		}
	}
}

void takeover_held(struct takeover *takeover, uint64_t walk, uint32_t age_s, bool is_husk, struct slice id)
{
	if (!takeover->is_walking || walk != takeover->walk)
		return;
	uint8_t slot = home_of(&takeover->home.view, home_hash(&takeover->home, id));
	struct bytes *gathered = &takeover->held[slot];
	if (takeover->served[slot] == 0)
		return;
	flush_one(takeover, slot, TAKEOVER_ENDED, &takeover->ended[slot]);
	if (!bytes_reserve(gathered, TAKEOVER_HELD_BYTES + id.size)) {
		takeover->dropped++;
		return;
	}
	gathered->size += takeover_held_put(gathered->data + gathered->size, age_s, is_husk, id);
	if (gathered->size >= TAKEOVER_GATHER_BYTES)
		flush_of(takeover, slot);
	takeover_run(takeover);
}

void takeover_announced(struct takeover *takeover, uint64_t walk)
{
	bool wants_more = false;
	if (!takeover->is_walking || walk != takeover->walk || ++takeover->shards_announced != takeover->shard_count)
		return;
	takeover->is_walking = false;
	for (uint32_t i = 0; i <= NODES_MAX; i++) {
		struct takeover_message message = {.view = takeover->home.view.number, .number = takeover->served[i]};
		if (message.number != 0)
			takeover_send(takeover, (uint8_t)i, TAKEOVER_ANNOUNCED, &message);
		takeover->served[i] = 0;
		wants_more |= takeover->wanted[i] != 0;
	}
	if (wants_more)
		takeover_run_begin_walk(takeover);
	takeover_run(takeover);
}
