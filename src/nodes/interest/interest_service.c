#include "nodes/interest/interest.h"

#include "base/check.h"
#include "base/log.h"
#include "cluster/wire/wire.h"
#include "nodes/interest/interest_kinds.h"
#include "nodes/interest/interest_state.h"
#include "runtime/nodes/node_mail.h"

#include <stdlib.h>
#include <string.h>

/* Slices of the index that are told in one turn. */
#define TELLS_PER_TURN 32u
/* Members of shared subscriptions are looked at so often. */
#define MEMBERS_MS 100u
#define SUMS_MS 30000u

struct interest *interest_new(const struct gateway_parts *parts)
{
	struct interest *interest = calloc(1, sizeof(*interest));
	if (interest == NULL)
		return NULL;
	interest->parts = *parts;
	own_filters_init(&interest->own);
	return interest;
}

void interest_free(struct interest *interest)
{
	if (interest == NULL)
		return;
	own_filters_fini(&interest->own);
	free(interest);
}

/* ---- changes ---- */

/* Whether a change of this fingerprint has to be told: what is told later anyway is not. */
static bool hears_of(const struct interest_peer *to, uint32_t fingerprint)
{
	return to->telling == TELLING_DONE || to->telling == TELLING_OTHERS ||
	       (to->telling == TELLING_RANGES && digest_range_of(fingerprint) < to->next);
}

static bool take_exact(struct own_filters *own, uint64_t note)
{
	if ((note & FILTER_NOTE_BEGINS) != 0)
		return digest_add(&own->digest, (uint32_t)note) == ERROR_OK;
	return digest_remove(&own->digest, (uint32_t)note) == ERROR_OK;
}

/* Some of a part's notes of exact filters, to one peer. */
static void send_exact(struct interest *interest, struct interest_peer *to, const uint64_t *notes, uint32_t count)
{
	CHECK_LE(count, EXACT_PER_MESSAGE);
	uint8_t *at = interest->buffer + sizeof(uint32_t);
	uint32_t begin = 0;
	for (uint32_t i = 0; i < count; i++) {
		if ((notes[i] & FILTER_NOTE_BEGINS) != 0 && hears_of(to, (uint32_t)notes[i])) {
			at = wire_put_u32(at, (uint32_t)notes[i]);
			begin++;
		}
	}
	wire_put_u32(interest->buffer, begin);
	for (uint32_t i = 0; i < count; i++) {
		if ((notes[i] & FILTER_NOTE_BEGINS) == 0 && hears_of(to, (uint32_t)notes[i]))
			at = wire_put_u32(at, (uint32_t)notes[i]);
	}
	if (at != interest->buffer + sizeof(uint32_t))
		interest_check_sent(to, interest_send_head(to, INTEREST_EXACT, interest->buffer, at));
}

static void take_exacts(struct interest *interest, const struct filter_notes *notes)
{
	for (uint32_t done = 0; done < notes->exact_count; done += EXACT_PER_MESSAGE) {
		uint32_t left = notes->exact_count - done;
		uint32_t count = left < EXACT_PER_MESSAGE ? left : EXACT_PER_MESSAGE;
		for (struct interest_peer *to = NULL; (to = interest_next_peer(interest, to)) != NULL;)
			send_exact(interest, to, notes->exact + done, count);
		for (uint32_t i = 0; i < count; i++)
			take_exact(&interest->own, notes->exact[done + i]);
	}
}

static void take_other_begins(struct interest *interest, struct filter_note *note)
{
	const struct own_filter *filter = own_filters_add(&interest->own, note);
	if (filter == NULL)
		return;
	for (struct interest_peer *to = NULL; (to = interest_next_peer(interest, to)) != NULL;) {
		if (to->telling == TELLING_OTHERS || to->telling == TELLING_DONE)
			interest_check_sent(to, interest_send_other(to, filter));
	}
}

static void take_other_ends(struct interest *interest, uint32_t name)
{
	uint8_t head[sizeof(uint32_t)];
	uint32_t moved;
	if (!own_filters_remove(&interest->own, name, &moved))
		return;
	wire_put_u32(head, name);
	for (struct interest_peer *to = NULL; (to = interest_next_peer(interest, to)) != NULL;) {
		if (to->telling != TELLING_OTHERS && to->telling != TELLING_DONE)
			continue;
		if (to->telling == TELLING_OTHERS && moved < to->next)
			to->next = moved; /* the last one has come to a place that was passed */
		interest_check_sent(to, interest_send_head(to, INTEREST_OTHER_ENDS, head, head + sizeof(head)));
	}
}

static void take_others(struct interest *interest, struct filter_notes *notes)
{
	for (uint32_t i = 0; i < notes->other_count; i++) {
		struct filter_note *note = notes->others[i];
		if (note->begins) {
			notes->others[i] = NULL;
			take_other_begins(interest, note);
		} else {
			take_other_ends(interest, note->name);
		}
	}
}

/* Some notes are lost, or this run begins: what the index has is told from its beginning. */
static void begin_anew(struct interest *interest)
{
	node_filters_begin_anew(interest_filters(interest), interest->parts.index);
	own_filters_clear(&interest->own); /* its generations go on: no name gets one that it had before */
	interest->has_begun = true;
	interest->is_whole = false;
	for (struct interest_peer *to = NULL; (to = interest_next_peer(interest, to)) != NULL;) {
		if (to->telling != TELLING_NOTHING)
			to->telling = TELLING_BEGIN;
	}
}

static void interest_service_take_part(struct interest *interest, uint32_t part)
{
	struct filter_notes notes = {.exact = NULL};
	node_filters_take(interest_filters(interest), interest->parts.index, part, &notes, NULL, NULL);
	bool is_lost = notes.is_lost;
	if (!is_lost) {
		take_exacts(interest, &notes);
		take_others(interest, &notes);
	}
	filter_notes_free(&notes);
	if (is_lost)
		begin_anew(interest);
}

void interest_send_notes(struct interest *interest)
{
	uint32_t told = atomic_load(&interest_filters(interest)->told);
	for (; told != 0; told &= told - 1)
		interest_service_take_part(interest, (uint32_t)__builtin_ctz(told));
	if (interest_is_all(interest) == interest->was_all)
		return;
	interest->was_all = interest_is_all(interest);
	if (interest->was_all)
		log_write(LOG_WARNING,
			  "this node has too many filters for others to know each: they send it all messages");
	for (struct interest_peer *to = NULL; (to = interest_next_peer(interest, to)) != NULL;) {
		if (to->telling != TELLING_NOTHING)
			to->telling = TELLING_BEGIN;
	}
}

/* ---- what peers tell ---- */

static bool take_sums(struct interest_peer *from, struct slice body)
{
	uint8_t ranges[DIGEST_RANGES];
	uint32_t count;
	if (!peer_filters_sums(&from->filters, body, ranges, &count))
		return false;
	CHECK_LE(count, DIGEST_RANGES);
	if (count != 0) {
		log_write(LOG_WARNING, "node %s: %u of 256 ranges of its filters were not known right: asked for again",
			  from->peer->name, count);
		peer_send(from->peer, INTEREST_AGAIN, slice_of(ranges, count), slice_of(NULL, 0));
	}
	return true;
}

static bool take_again(struct interest_peer *from, struct slice body)
{
	for (size_t i = 0; i < body.size; i++)
		from->lacks[body.data[i]] = 1;
	from->is_lacking = from->is_lacking || body.size != 0;
	return true;
}

static bool interest_service_received(void *context, struct node_peer *peer, uint8_t kind, struct slice body)
{
	struct interest *interest = context;
	struct interest_peer *from = interest->peers[peer->slot];
	if (from == NULL)
		return true; /* there was no memory for it: it wants everything */
	switch (kind) {
	case INTEREST_BEGIN:
		peer_filters_begin(&from->filters);
		return body.size == 0;
	case INTEREST_RANGE:
		return peer_filters_range(&from->filters, body);
	case INTEREST_EXACT:
		return peer_filters_exact(&from->filters, body);
	case INTEREST_OTHER:
		return peer_filters_other(&from->filters, body);
	case INTEREST_OTHER_ENDS:
		return peer_filters_other_ends(&from->filters, body);
	case INTEREST_MEMBERS:
		return peer_filters_members(&from->filters, body);
	case INTEREST_END:
		return peer_filters_end(&from->filters, body);
	case INTEREST_SUMS:
		return take_sums(from, body);
	case INTEREST_AGAIN:
		return take_again(from, body);
	default:
		return false;
	}
}

/* ---- peers ---- */

static void interest_service_joined(void *context, struct node_peer *peer)
{
	CHECK_LT(peer->slot, NODES_MAX);
	struct interest *interest = context;
	struct node_filters *filters = interest_filters(interest);
	struct interest_peer *to = interest->peers[peer->slot];
	node_filters_set(&filters->unknown, peer->slot, true);
	node_filters_set(&filters->known, peer->slot, true);
	node_filters_set(&filters->away, peer->slot, false);
	if (to == NULL) {
		to = calloc(1, sizeof(*to));
		interest->peers[peer->slot] = to;
		if (to == NULL)
			return;
		to->peer = peer;
		peer_filters_init(&to->filters, peer->slot, interest->parts.index, filters,
				  interest->parts.shard_count);
	}
	to->telling = TELLING_BEGIN;
	to->is_lacking = false;
	peer_filters_set_away(&to->filters, false);
}

/* What it has subscribers for is not known any more: it wants everything. */
static void interest_service_remembered(void *context, struct node_peer *peer)
{
	struct node_filters *filters = interest_filters(context);
	node_filters_set(&filters->unknown, peer->slot, true);
	node_filters_set(&filters->away, peer->slot, true);
	node_filters_set(&filters->known, peer->slot, true);
}

static void interest_service_forgotten(void *context, struct node_peer *peer)
{
	struct interest *interest = context;
	struct interest_peer *to = interest->peers[peer->slot];
	node_filters_set(&interest_filters(interest)->known, peer->slot, false);
	node_filters_set(&interest_filters(interest)->away, peer->slot, false);
	interest->peers[peer->slot] = NULL;
	if (to != NULL)
		peer_filters_fini(&to->filters);
	free(to);
}

static void interest_service_away(void *context, struct node_peer *peer)
{
	struct interest *interest = context;
	node_filters_set(&interest_filters(interest)->away, peer->slot, true);
	if (interest->peers[peer->slot] != NULL)
		peer_filters_set_away(&interest->peers[peer->slot]->filters, true);
}

static void interest_service_back(void *context, struct node_peer *peer)
{
	struct interest *interest = context;
	node_filters_set(&interest_filters(interest)->away, peer->slot, false);
	if (interest->peers[peer->slot] != NULL)
		peer_filters_set_away(&interest->peers[peer->slot]->filters, false);
}

static void interest_service_gone(void *context, struct node_peer *peer)
{
	struct interest *interest = context;
	if (interest->peers[peer->slot] != NULL)
		interest->peers[peer->slot]->telling = TELLING_NOTHING;
}

bool interest_is_told(const struct interest *interest, const struct node_peer *peer)
{
	const struct interest_peer *to = interest->peers[peer->slot];
	return to != NULL && to->telling > TELLING_BEGIN;
}

route_bits interest_pick_other(struct interest *interest, const struct node_peer *peer, route_bits group,
			       struct routes *turns)
{
	const struct interest_peer *of = interest->peers[peer->slot];
	return of != NULL ? peer_filters_pick_other(&of->filters, route_index(group), route_generation(group), turns)
			  : 0;
}

bool interest_find_group(const struct interest *interest, uint32_t name, uint16_t generation, struct slice *text)
{
	return own_filters_find_group(&interest->own, name, generation, text);
}

/* ---- the thread ---- */

static bool interest_service_turn(void *context, uint64_t now_ms)
{
	struct interest *interest = context;
	interest->now_ms = now_ms;
	if (!interest->has_begun)
		begin_anew(interest);
	for (uint32_t i = 0; i < TELLS_PER_TURN && !interest->is_whole; i++)
		interest->is_whole = !index_tell_some(interest->parts.index);
	interest_send_notes(interest);
	if (interest->own.groups != 0 && now_ms >= interest->members_ms) {
		interest->members_ms = now_ms + MEMBERS_MS;
		interest_tell_members(interest);
	}
	if (now_ms >= interest->sums_ms) {
		interest->sums_ms = now_ms + SUMS_MS;
		interest_tell_sums(interest);
	}
	for (struct interest_peer *to = NULL; (to = interest_next_peer(interest, to)) != NULL;)
		interest_tell_all(interest, to);
	return !interest->is_whole;
}

static uint64_t interest_service_deadline(const void *context)
{
	const struct interest *interest = context;
	if (interest->own.groups != 0 && interest->members_ms < interest->sums_ms)
		return interest->members_ms;
	return interest->sums_ms;
}

static bool interest_service_has_mail(const void *context)
{
	const struct interest *interest = context;
	return atomic_load(&interest_filters(interest)->told) != 0;
}

static bool is_caught_up(const void *context)
{
	const struct interest *interest = context;
	for (struct interest_peer *to = NULL; (to = interest_next_peer(interest, to)) != NULL;) {
		if (peer_is_reachable(to->peer) && to->filters.round == 0)
			return false;
	}
	return true;
}

static void interest_service_status(const void *context, struct nodes_status *status)
{
	const struct interest *interest = context;
	for (struct interest_peer *to = NULL; (to = interest_next_peer(interest, to)) != NULL;) {
		const struct digest *digest = &interest_filters(interest)->digests[to->filters.slot];
		status->peers[to->filters.slot].filters = (uint64_t)digest_count(digest) + to->filters.count;
	}
}

/* Nothing goes to other nodes any more, and the index forgets them. */
static void interest_service_ended(void *context)
{
	struct interest *interest = context;
	atomic_store(&interest_filters(interest)->known, 0);
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		if (interest->peers[slot] == NULL)
			continue;
		peer_filters_fini(&interest->peers[slot]->filters);
		free(interest->peers[slot]);
		interest->peers[slot] = NULL;
	}
	index_tell_no_more(interest->parts.index);
}

const struct node_service INTEREST_SERVICE = {
	.name = "interest",
	.kind_first = MESSAGE_INTEREST,
	.kind_last = MESSAGE_INTEREST + 15,
	.joined = interest_service_joined,
	.remembered = interest_service_remembered,
	.forgotten = interest_service_forgotten,
	.received = interest_service_received,
	.away = interest_service_away,
	.back = interest_service_back,
	.gone = interest_service_gone,
	.turn = interest_service_turn,
	.has_mail = interest_service_has_mail,
	.deadline_ms = interest_service_deadline,
	.is_caught_up = is_caught_up,
	.status = interest_service_status,
	.ended = interest_service_ended,
};
