#include "nodes/interest.h"

#include "base/check.h"
#include "base/log.h"
#include "cluster/wire.h"
#include "nodes/interest_kinds.h"
#include "nodes/own_filters.h"
#include "nodes/peer.h"
#include "nodes/peer_filters.h"
#include "runtime/node_mail.h"

#include <stdlib.h>
#include <string.h>

/* Fingerprints in one message at most. */
#define EXACT_PER_MESSAGE 4096u
/* Slices of the index that are told in one turn. */
#define TELLS_PER_TURN 32u
/* Members of shared subscriptions are looked at so often. */
#define MEMBERS_MS 100u
#define LOOKS_PER_TURN 2048u
#define SUMS_MS 30000u
_Static_assert(LOOKS_PER_TURN * 8u <= EXACT_PER_MESSAGE * sizeof(uint32_t), "what they may find fits into the buffer");
/* Of the link's room so much is left to messages while all is told. */
#define ROOM_LEFT_BYTES (1u << 20)
#define OTHER_HEAD_BYTES 11u

enum telling {
	TELLING_NOTHING, /* there is no link, or this node does not know its own filters yet */
	TELLING_BEGIN,   /* INTEREST_BEGIN is to be sent -> RANGES */
	TELLING_RANGES,  /* -> OTHERS, BEGIN */
	TELLING_OTHERS,  /* -> DONE, BEGIN */
	TELLING_DONE,    /* changes are told as they come -> BEGIN, where one had no room */
};

struct interest_peer {
	struct peer_filters filters;
	struct node_peer *peer;
	enum telling telling;
	uint32_t next;   /* range or filter that is told next */
	bool is_lacking; /* a range is to be sent once more */
	uint8_t lacks[DIGEST_RANGES];
};

struct interest {
	struct gateway_parts parts;
	struct own_filters own;
	struct interest_peer *peers[NODES_MAX];
	bool has_begun; /* the index is telling, or has told, what is there */
	bool is_whole;  /* it has told all */
	bool was_all;   /* as it was told */
	uint32_t next_look;
	uint64_t members_ms;
	uint64_t sums_ms;
	uint64_t now_ms;
	uint8_t buffer[EXACT_PER_MESSAGE * sizeof(uint32_t) + 64];
};

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

static struct node_filters *filters_of(const struct interest *interest)
{
	return interest->parts.nodes->filters;
}

/* ---- telling all ---- */

static bool may_send(const struct interest_peer *to)
{
	return peer_is_reachable(to->peer) && peer_room(to->peer) > ROOM_LEFT_BYTES;
}

static bool send_head(struct interest_peer *to, uint8_t kind, const uint8_t *head, const uint8_t *end)
{
	return peer_send(to->peer, kind, slice_of(head, (size_t)(end - head)), slice_of(NULL, 0));
}

static bool send_range(struct interest *interest, struct interest_peer *to, uint32_t range)
{
	uint32_t count;
	const uint32_t *list = digest_list(&interest->own.digest, range, &count);
	if (list == NULL)
		return false;
	uint8_t *body = malloc(1 + count * sizeof(uint32_t));
	if (body == NULL)
		return false;
	uint8_t *at = wire_put_u8(body, (uint8_t)range);
	for (uint32_t i = 0; i < count; i++)
		at = wire_put_u32(at, list[i]);
	bool sent = send_head(to, INTEREST_RANGE, body, at);
	free(body);
	return sent;
}

static bool send_other(struct interest_peer *to, const struct own_filter *filter)
{
	uint8_t head[OTHER_HEAD_BYTES];
	uint8_t *at = wire_put_u32(head, filter->note->name);
	at = wire_put_u16(at, filter->generation);
	at = wire_put_u8(at, filter->note->kind);
	at = wire_put_u16(at, (uint16_t)filter->members.live);
	at = wire_put_u16(at, (uint16_t)filter->members.free);
	return peer_send(to->peer, INTEREST_OTHER, slice_of(head, (size_t)(at - head)),
			 slice_of(filter->note->text, filter->note->text_bytes));
}

static bool is_all(const struct interest *interest)
{
	return interest->own.is_all || digest_is_broken(&interest->own.digest);
}

/* Sends the next piece. */
static bool tell_next(struct interest *interest, struct interest_peer *to)
{
	uint8_t end[1];
	switch (to->telling) {
	case TELLING_BEGIN:
		to->next = 0;
		to->telling = TELLING_RANGES;
		return send_head(to, INTEREST_BEGIN, end, end);
	case TELLING_RANGES:
		if (to->next < DIGEST_RANGES)
			return send_range(interest, to, to->next++);
		to->next = 0;
		to->telling = TELLING_OTHERS;
		return true;
	case TELLING_OTHERS:
		if (to->next < interest->own.count)
			return send_other(to, &interest->own.items[to->next++]);
		to->telling = TELLING_DONE;
		wire_put_u8(end, is_all(interest));
		return send_head(to, INTEREST_END, end, end + 1);
	default:
		return true;
	}
}

static void tell_all(struct interest *interest, struct interest_peer *to)
{
	while (interest->is_whole && to->telling != TELLING_NOTHING && to->telling != TELLING_DONE && may_send(to)) {
		if (!tell_next(interest, to))
			to->telling = TELLING_BEGIN;
	}
	for (uint32_t range = 0; to->is_lacking && range < DIGEST_RANGES && may_send(to); range++) {
		if (to->lacks[range] && send_range(interest, to, range))
			to->lacks[range] = 0;
	}
	to->is_lacking = to->is_lacking && memchr(to->lacks, 1, sizeof(to->lacks)) != NULL;
}

/* ---- changes ---- */

/* Whether a change of this fingerprint has to be told: what is told later anyway is not. */
static bool hears_of(const struct interest_peer *to, uint32_t fingerprint)
{
	return to->telling == TELLING_DONE || to->telling == TELLING_OTHERS ||
	       (to->telling == TELLING_RANGES && digest_range_of(fingerprint) < to->next);
}

/* What has no room makes that all is told once more. */
static void check_sent(struct interest_peer *to, bool sent)
{
	if (!sent)
		to->telling = TELLING_BEGIN;
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
		check_sent(to, send_head(to, INTEREST_EXACT, interest->buffer, at));
}

/* The peer behind this one, by slot; of NULL the first. NULL: there is none. */
static struct interest_peer *next_peer(const struct interest *interest, const struct interest_peer *last)
{
	uint32_t slot = last != NULL ? last->filters.slot + 1u : 0;
	while (slot < NODES_MAX && interest->peers[slot] == NULL)
		slot++;
	return slot < NODES_MAX ? interest->peers[slot] : NULL;
}

static void take_exacts(struct interest *interest, const struct filter_notes *notes)
{
	for (uint32_t done = 0; done < notes->exact_count; done += EXACT_PER_MESSAGE) {
		uint32_t left = notes->exact_count - done;
		uint32_t count = left < EXACT_PER_MESSAGE ? left : EXACT_PER_MESSAGE;
		for (struct interest_peer *to = NULL; (to = next_peer(interest, to)) != NULL;)
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
	for (struct interest_peer *to = NULL; (to = next_peer(interest, to)) != NULL;) {
		if (to->telling == TELLING_OTHERS || to->telling == TELLING_DONE)
			check_sent(to, send_other(to, filter));
	}
}

static void take_other_ends(struct interest *interest, uint32_t name)
{
	uint8_t head[sizeof(uint32_t)];
	uint32_t moved;
	if (!own_filters_remove(&interest->own, name, &moved))
		return;
	wire_put_u32(head, name);
	for (struct interest_peer *to = NULL; (to = next_peer(interest, to)) != NULL;) {
		if (to->telling != TELLING_OTHERS && to->telling != TELLING_DONE)
			continue;
		if (to->telling == TELLING_OTHERS && moved < to->next)
			to->next = moved; /* the last one has come to a place that was passed */
		check_sent(to, send_head(to, INTEREST_OTHER_ENDS, head, head + sizeof(head)));
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
	node_filters_begin_anew(filters_of(interest), interest->parts.index);
	uint16_t generations = interest->own.generations;
	own_filters_fini(&interest->own);
	own_filters_init(&interest->own);
	interest->own.generations = generations; /* no name gets one that it had before */
	interest->has_begun = true;
	interest->is_whole = false;
	for (struct interest_peer *to = NULL; (to = next_peer(interest, to)) != NULL;) {
		if (to->telling != TELLING_NOTHING)
			to->telling = TELLING_BEGIN;
	}
}

static void take_part(struct interest *interest, uint32_t part)
{
	struct filter_notes notes = {.exact = NULL};
	node_filters_take(filters_of(interest), interest->parts.index, part, &notes, NULL, NULL);
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
	uint32_t told = atomic_load(&filters_of(interest)->told);
	for (; told != 0; told &= told - 1)
		take_part(interest, (uint32_t)__builtin_ctz(told));
	if (is_all(interest) == interest->was_all)
		return;
	interest->was_all = is_all(interest);
	if (interest->was_all)
		log_write(LOG_WARNING,
			  "this node has too many filters for others to know each: they send it all messages");
	for (struct interest_peer *to = NULL; (to = next_peer(interest, to)) != NULL;) {
		if (to->telling != TELLING_NOTHING)
			to->telling = TELLING_BEGIN;
	}
}

/* ---- members of shared subscriptions ---- */

struct members_look {
	struct interest *interest;
	const struct own_filter *filter;
	struct index_members members;
	bool is_good;
};

/* With the part locked. The name is good if no note of the part is left that could end it. */
static void look_at_members(void *context)
{
	struct members_look *look = context;
	uint32_t name = look->filter->note->name;
	look->is_good = filters_of(look->interest)->notes[index_part_of_name(name)].other_count == 0;
	if (look->is_good)
		look->members = index_local_members(index_slot_of(look->interest->parts.index, name));
}

static uint32_t limited(uint32_t members)
{
	return members < UINT16_MAX ? members : UINT16_MAX;
}

/* Whether they are others than were told; they are taken for told then. */
static bool members_changed(struct interest *interest, struct own_filter *filter)
{
	struct members_look look = {.interest = interest, .filter = filter};
	index_with_part(interest->parts.index, index_part_of_name(filter->note->name), look_at_members, &look);
	struct index_members members = {limited(look.members.live), limited(look.members.free)};
	if (!look.is_good || (members.live == filter->members.live && members.free == filter->members.free))
		return false;
	filter->members = members;
	return true;
}

static void send_members(struct interest *interest, uint32_t bytes)
{
	for (struct interest_peer *to = NULL; (to = next_peer(interest, to)) != NULL;) {
		if (bytes != 0 && (to->telling == TELLING_OTHERS || to->telling == TELLING_DONE))
			check_sent(to, send_head(to, INTEREST_MEMBERS, interest->buffer, interest->buffer + bytes));
	}
}

/* Looks at some of the shared subscriptions, in turns. */
static void tell_members(struct interest *interest)
{
	uint8_t *at = interest->buffer;
	for (uint32_t looks = 0; looks < LOOKS_PER_TURN && looks < interest->own.count; looks++) {
		if (interest->next_look >= interest->own.count)
			interest->next_look = 0;
		struct own_filter *filter = &interest->own.items[interest->next_look++];
		if (filter->note->kind != INDEX_GROUP || !members_changed(interest, filter))
			continue;
		at = wire_put_u32(at, filter->note->name);
		at = wire_put_u16(at, (uint16_t)filter->members.live);
		at = wire_put_u16(at, (uint16_t)filter->members.free);
	}
	send_members(interest, (uint32_t)(at - interest->buffer));
}

static void tell_sums(struct interest *interest)
{
	uint8_t *at = interest->buffer;
	for (uint32_t range = 0; range < DIGEST_RANGES; range++)
		at = wire_put_u32(at, interest->own.digest.sums[range]);
	for (struct interest_peer *to = NULL; (to = next_peer(interest, to)) != NULL;) {
		if (to->telling == TELLING_DONE && !is_all(interest) && may_send(to))
			send_head(to, INTEREST_SUMS, interest->buffer, at);
	}
}

/* ---- what peers tell ---- */

static bool take_sums(struct interest_peer *from, struct slice body)
{
	uint8_t ranges[DIGEST_RANGES];
	uint32_t count;
	if (!peer_filters_sums(&from->filters, body, ranges, &count))
		return false;
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

static bool on_received(void *context, struct node_peer *peer, uint8_t kind, struct slice body)
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

static void on_joined(void *context, struct node_peer *peer)
{
	struct interest *interest = context;
	struct node_filters *filters = filters_of(interest);
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
static void on_remembered(void *context, struct node_peer *peer)
{
	struct node_filters *filters = filters_of(context);
	node_filters_set(&filters->unknown, peer->slot, true);
	node_filters_set(&filters->away, peer->slot, true);
	node_filters_set(&filters->known, peer->slot, true);
}

static void on_forgotten(void *context, struct node_peer *peer)
{
	struct interest *interest = context;
	struct interest_peer *to = interest->peers[peer->slot];
	node_filters_set(&filters_of(interest)->known, peer->slot, false);
	node_filters_set(&filters_of(interest)->away, peer->slot, false);
	interest->peers[peer->slot] = NULL;
	if (to != NULL)
		peer_filters_fini(&to->filters);
	free(to);
}

static void on_away(void *context, struct node_peer *peer)
{
	struct interest *interest = context;
	node_filters_set(&filters_of(interest)->away, peer->slot, true);
	if (interest->peers[peer->slot] != NULL)
		peer_filters_set_away(&interest->peers[peer->slot]->filters, true);
}

static void on_back(void *context, struct node_peer *peer)
{
	struct interest *interest = context;
	node_filters_set(&filters_of(interest)->away, peer->slot, false);
	if (interest->peers[peer->slot] != NULL)
		peer_filters_set_away(&interest->peers[peer->slot]->filters, false);
}

static void on_gone(void *context, struct node_peer *peer)
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
	const struct own_filter *filter = own_filters_find(&interest->own, name);
	if (filter == NULL || filter->generation != generation || filter->note->kind != INDEX_GROUP)
		return false;
	*text = slice_of(filter->note->text, filter->note->text_bytes);
	return true;
}

/* ---- the thread ---- */

static bool on_turn(void *context, uint64_t now_ms)
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
		tell_members(interest);
	}
	if (now_ms >= interest->sums_ms) {
		interest->sums_ms = now_ms + SUMS_MS;
		tell_sums(interest);
	}
	for (struct interest_peer *to = NULL; (to = next_peer(interest, to)) != NULL;)
		tell_all(interest, to);
	return !interest->is_whole;
}

static uint64_t on_deadline(const void *context)
{
	const struct interest *interest = context;
	if (interest->own.groups != 0 && interest->members_ms < interest->sums_ms)
		return interest->members_ms;
	return interest->sums_ms;
}

static bool on_has_mail(const void *context)
{
	const struct interest *interest = context;
	return atomic_load(&filters_of(interest)->told) != 0;
}

static bool is_caught_up(const void *context)
{
	const struct interest *interest = context;
	for (struct interest_peer *to = NULL; (to = next_peer(interest, to)) != NULL;) {
		if (peer_is_reachable(to->peer) && to->filters.round == 0)
			return false;
	}
	return true;
}

static void on_status(const void *context, struct nodes_status *status)
{
	const struct interest *interest = context;
	for (struct interest_peer *to = NULL; (to = next_peer(interest, to)) != NULL;) {
		const struct digest *digest = &filters_of(interest)->digests[to->filters.slot];
		status->peers[to->filters.slot].filters = (uint64_t)digest_count(digest) + to->filters.count;
	}
}

/* Nothing goes to other nodes any more, and the index forgets them. */
static void on_ended(void *context)
{
	struct interest *interest = context;
	atomic_store(&filters_of(interest)->known, 0);
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
	.joined = on_joined,
	.remembered = on_remembered,
	.forgotten = on_forgotten,
	.received = on_received,
	.away = on_away,
	.back = on_back,
	.gone = on_gone,
	.turn = on_turn,
	.has_mail = on_has_mail,
	.deadline_ms = on_deadline,
	.is_caught_up = is_caught_up,
	.status = on_status,
	.ended = on_ended,
};
