#include "lifecycle/claim.h"

#include "access/addresses.h"
#include "access/admission.h"
#include "lifecycle/admit.h"
#include "lifecycle/moving.h"
#include "runtime/nodes/session_mail.h"
#include "state/shard.h"
#include "state/tell_nodes.h"

#include <stdlib.h>

/* However much of a session comes, and comes: no client waits longer. */
#define CLAIM_MS_MAX 60000u

static struct claim **moving_claims_bucket_of(struct moves *moves, uint64_t hash)
{
	return &moves->claims[hash & (MOVES_BUCKETS - 1)];
}

struct claim *claim_of(const struct shard *shard, uint64_t hash, struct slice id)
{
	struct claim *claim = *moving_claims_bucket_of(shard->sessions.moves, hash);
	while (claim != NULL && !slice_equal(admission_id(claim->admission), id))
		claim = claim->next_bucket;
	return claim;
}

static size_t bytes_of(const struct admission *admission)
{
	return sizeof(struct claim) + admission_bytes(admission);
}

static void unlink_claim(struct moves *moves, struct claim *claim)
{
	struct claim **at = moving_claims_bucket_of(moves, claim->admission->hash);
	while (*at != claim)
		at = &(*at)->next_bucket;
	*at = claim->next_bucket;
	*(claim->previous != NULL ? &claim->previous->next : &moves->oldest) = claim->next;
	*(claim->next != NULL ? &claim->next->previous : &moves->newest) = claim->previous;
	CHECK(moves->claim_count != 0 && moves->claim_bytes >= claim->bytes);
	moves->claim_count--;
	moves->ready_count -= claim->is_ready;
	moves->claim_bytes -= claim->bytes;
}

static void link_last(struct moves *moves, struct claim *claim)
{
	claim->next = NULL;
	claim->previous = moves->newest;
	*(moves->newest != NULL ? &moves->newest->next : &moves->oldest) = claim;
	moves->newest = claim;
}

static bool moving_claims_ask(struct shard *shard, const struct claim *claim)
{
	struct session_piece head = {
		.number = claim->number,
		.hash = claim->admission->hash,
		.flags = claim->admission->clean_start ? SESSION_CLEAN : 0,
	};
	struct node_mail *mail = session_mail_new(SESSION_SAYS_CLAIM, &head, admission_id(claim->admission),
						  admission_user(claim->admission), slice_of(NULL, 0));
	return mail != NULL && shard_tell_nodes(shard, mail);
}

/* A later CONNECT of the same id takes the place of one that waits. */
static void take_place(struct shard *shard, struct claim *claim, struct stream stream, struct admission *admission)
{
	client_turn_away(shard, claim->stream, claim->admission, ERROR_TAKEN_OVER);
	struct moves *moves = shard->sessions.moves;
	moves->claim_bytes -= claim->bytes;
	free(claim->admission);
	claim->admission = admission;
	claim->stream = stream;
	claim->bytes = bytes_of(admission);
	moves->claim_bytes += claim->bytes;
}

static bool has_session_here(const struct shard *shard, const struct admission *admission)
{
	struct client_ref older =
		registry_find(&shard->sessions.registry, (uint32_t)admission->hash, admission_id(admission));
	if (client_ref_is_none(older))
		return false;
	const struct move *move = moves_of_client(shard->sessions.moves, older);
	return move == NULL || (move->kind == MOVE_HERE && (move->unpack.is_whole || move->unpack.is_merged));
}

static bool moving_claims_has_room(struct shard *shard, const struct admission *admission)
{
	const struct moves *moves = shard->sessions.moves;
	bool room = moves->claim_count < CLAIMS_MAX && moves->claim_bytes + bytes_of(admission) <= CLAIMS_BYTES_MAX;
	if (!room)
		COUNT(&shard->counters, claims_refused);
	return room;
}

bool claim_begin(struct shard *shard, struct stream stream, struct admission *admission, bool rests)
{
	struct moves *moves = shard->sessions.moves;
	if (!shard_has_nodes(shard) || admission->address == ADDRESSES_INTERNAL)
		return false;
	struct claim *claim = claim_of(shard, admission->hash, admission_id(admission));
	if (claim != NULL) {
		take_place(shard, claim, stream, admission);
		return true;
	}
	if (has_session_here(shard, admission))
		return false;
	if (atomic_load_explicit(&shard->shared.draining, memory_order_relaxed))
		return false;
	claim = !rests && moving_claims_has_room(shard, admission) ? malloc(sizeof(*claim)) : NULL;
	if (claim == NULL) {
		client_turn_away(shard, stream, admission, ERROR_OVERLOADED);
		free(admission);
		return true;
	}
	*claim = (struct claim){
		.number = ++moves->claims_begun,
		.since_ms = shard->loop.now_ms,
		.began_ms = shard->loop.now_ms,
		.stream = stream,
		.admission = admission,
		.bytes = bytes_of(admission),
	};
	if (!moving_claims_ask(shard, claim)) {
		free(claim);
		return false; /* there are no other nodes now */
	}
	struct claim **bucket = moving_claims_bucket_of(moves, admission->hash);
	claim->next_bucket = *bucket;
	*bucket = claim;
	link_last(moves, claim);
	moves->claim_count++;
	moves->claim_bytes += claim->bytes;
	COUNT(&shard->counters, claims_begun);
	return true;
}

void claim_goes_on(const struct shard *shard, struct claim *claim)
{
	struct moves *moves = shard->sessions.moves;
	if (claim->is_ready || shard->loop.now_ms - claim->began_ms > CLAIM_MS_MAX)
		return;
	/* The list stays in the order of `since_ms`. */
	*(claim->previous != NULL ? &claim->previous->next : &moves->oldest) = claim->next;
	*(claim->next != NULL ? &claim->next->previous : &moves->newest) = claim->previous;
	claim->since_ms = shard->loop.now_ms;
	link_last(moves, claim);
}

/* Those that are ready stand in front. */
static void claim_to_front(struct moves *moves, struct claim *claim)
{
	if (claim->previous == NULL)
		return;
	claim->previous->next = claim->next;
	*(claim->next != NULL ? &claim->next->previous : &moves->newest) = claim->previous;
	claim->previous = NULL;
	claim->next = moves->oldest;
	moves->oldest->previous = claim;
	moves->oldest = claim;
}

void claim_is_ready(struct shard *shard, struct claim *claim)
{
	struct moves *moves = shard->sessions.moves;
	if (claim->is_ready)
		return;
	claim->is_ready = true;
	moves->ready_count++;
	claim_to_front(moves, claim);
}

void claim_refuse(struct shard *shard, struct claim *claim, enum error reason)
{
	unlink_claim(shard->sessions.moves, claim);
	client_turn_away(shard, claim->stream, claim->admission, reason);
	free(claim->admission);
	free(claim);
}

/* It waits no longer. What has come of a session so far is given up. */
static void note_late(struct shard *shard, const struct claim *claim)
{
	COUNT(&shard->counters, claims_late);
	struct slice id = admission_id(claim->admission);
	struct session_piece head = {.number = claim->number, .hash = claim->admission->hash};
	struct node_mail *mail = session_mail_new(SESSION_SAYS_LATE, &head, id, slice_of(NULL, 0), slice_of(NULL, 0));
	if (mail != NULL)
		shard_tell_nodes(shard, mail);
}

static void admit(struct shard *shard, struct claim *claim)
{
	struct slice id = admission_id(claim->admission);
	unlink_claim(shard->sessions.moves, claim);
	moving_make_way(shard, claim->admission->hash, id);
	client_admit(shard, claim->stream, claim->admission);
	if (client_ref_is_none(registry_find(&shard->sessions.registry, (uint32_t)claim->admission->hash, id)))
		moving_session_ended(shard, id); /* it was refused after all */
	free(claim->admission);
	free(claim);
}

void claim_admit_ready(struct shard *shard, uint64_t hash, struct slice id)
{
	struct claim *claim = claim_of(shard, hash, id);
	if (claim != NULL && claim->is_ready)
		admit(shard, claim);
}

uint64_t claims_deadline_ms(const struct shard *shard)
{
	const struct moves *moves = shard->sessions.moves;
	return moves->oldest != NULL ? moves->oldest->since_ms + shard->env.settings->cluster.claim_timeout_ms
				     : UINT64_MAX;
}

bool claims_are_ready(const struct shard *shard)
{
	return shard->sessions.moves->ready_count != 0;
}

void claims_run(struct shard *shard)
{
	struct moves *moves = shard->sessions.moves;
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ADMISSIONS);
	while (moves->oldest != NULL && !turn_work_is_spent(&shard->loop.work, until)) {
		struct claim *claim = moves->oldest;
		bool late = !claim->is_ready && claims_deadline_ms(shard) <= shard->loop.now_ms;
		if (!claim->is_ready && !late)
			return;
		turn_work_charge(&shard->loop.work, WORK_ADMISSION);
		if (late)
			note_late(shard, claim);
		admit(shard, claim);
	}
}

void claims_refuse_all(struct shard *shard, enum error reason)
{
	while (shard->sessions.moves->oldest != NULL)
		claim_refuse(shard, shard->sessions.moves->oldest, reason);
}
