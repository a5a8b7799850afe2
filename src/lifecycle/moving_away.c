#include "lifecycle/admit.h"
#include "lifecycle/claim.h"
#include "lifecycle/end.h"
#include "lifecycle/moving_sides.h"
#include "lifecycle/packed/pack.h"
#include "lifecycle/packed/unpack.h"
#include "state/ending.h"
#include "state/extension.h"
#include "state/offline.h"
#include "state/principal.h"

/* It stays here. */
void moving_away_revert(struct shard *shard, struct move *move)
{
	struct client_ref ref = move->client;
	const struct client *client = shard_client(shard, ref);
	bool there = moving_has_session(shard, move);
	struct session_piece head = {.number = move->number, .age_s = moving_age_s(shard, ref)};
	moves_remove(shard->sessions.moves, move);
	if (!there) {
		/* A word all the same: until then the nodes thread keeps whoever asks for this id next. */
		moving_tell_number(shard, SESSION_SAYS_NOTHING, head.number);
		return;
	}
	const struct extension *extension = extension_of(shard, client);
	offline_again(shard, ref, extension->ends_at_s, extension->will_at_s);
	moving_tell(shard, SESSION_SAYS_BACK, &head, moving_id(shard, client), slice_of(NULL, 0));
}

static void send_part(struct shard *shard, struct move *move, struct slice body, uint8_t flags)
{
	struct session_piece head = {.number = move->number, .sequence = move->parts++, .flags = flags};
	moving_tell(shard, SESSION_SAYS_PART, &head, slice_of(NULL, 0), body);
}

/* False: there was nothing to tell. */
static bool pack_part(struct shard *shard, struct move *move, uint8_t flags, uint64_t until)
{
	struct bytes out = {0};
	bool was_whole = pack_is_whole(move);
	enum pack_progress progress = PACK_MORE;
	while (progress == PACK_MORE && out.size < MOVING_PART_BYTES && !turn_work_is_spent(&shard->loop.work, until) &&
	       !out.failed) {
		progress = pack_some(shard, move, &out, MOVING_PART_BYTES, until);
		turn_work_charge(&shard->loop.work, WORK_NODE);
	}
	if (out.failed) {
		COUNT(&shard->counters, moves_failed);
		move->until_ms =
			shard->loop.now_ms; /* memory is short: it stays here, and the other node hears of that */
		bytes_free(&out);
		moving_tell_number(shard, SESSION_SAYS_NOTHING, move->number);
		return false;
	}
	bool becomes_whole = pack_is_whole(move) && !was_whole;
	bool told = out.size != 0 || becomes_whole || flags != 0;
	if (told)
		send_part(shard, move, bytes_slice(&out), becomes_whole ? flags | SESSION_WHOLE : flags);
	bytes_free(&out);
	return told && progress == PACK_MORE;
}

/* Its time is over. */
void moving_away_end(struct shard *shard, struct move *move, uint64_t until)
{
	struct client_ref ref = move->client;
	if (!move->has_arrived) {
		moving_away_revert(shard, move);
		return;
	}
	while (pack_part(shard, move, 0, until))
		continue;
	pack_part(shard, move, SESSION_LAST, until);
	COUNT(&shard->counters, sessions_moved_out);
	end_moved(shard, ref);
	moves_remove(shard->sessions.moves, move);
}

/* What has come for a session that is elsewhere goes there first, if that takes what it is sent. */
static bool is_over(const struct shard *shard, const struct move *move)
{
	uint64_t now_ms = shard->loop.now_ms;
	bool may_wait = move->has_arrived && now_ms < move->until_ms + MOVING_LIMIT_MS;
	return now_ms >= move->until_ms &&
	       (!may_wait || !moving_has_session(shard, move) || pack_is_through(shard, move));
}

/* True: there is more to do at once. */
bool moving_away_run(struct shard *shard, struct move *move, uint64_t until)
{
	if (!moving_has_session(shard, move)) {
		moving_tell_number(shard, SESSION_SAYS_NOTHING, move->number);
		moves_remove(shard->sessions.moves, move);
		return false;
	}
	if (is_over(shard, move)) {
		moving_away_end(shard, move, until);
		return false;
	}
	if (move->parts - move->parts_taken >= MOVING_PARTS_MAX)
		return false;
	return pack_part(shard, move, 0, until);
}

/* ---- YIELD ---- */

/* Packets that the connection sent before count, as in any take-over. */
static void end_connection_of(struct shard *shard, struct client_ref ref, bool session_too)
{
	client_read_remaining(shard, ref);
	if (session_too)
		session_end(shard, ref, ERROR_TAKEN_OVER);
	else if (shard_client(shard, ref)->state != CLIENT_OFFLINE)
		client_end(shard, ref, ERROR_TAKEN_OVER);
	end_for_take_over(shard, ref);
}

/* Whether the session may go to who asks: as in client_admit(), another user does not get it. */
static bool may_move(const struct shard *shard, const struct client *client, const struct session_piece *piece)
{
	const struct extension *extension = extension_of(shard, client);
	const struct principal *principal = principal_of(shard, client);
	struct slice user = principal != NULL ? slice_of(principal->user, principal->user_bytes) : slice_of(NULL, 0);
	if (extension == NULL || extension->expiry_s == 0 || (piece->flags & SESSION_CLEAN) != 0)
		return false;
	if ((piece->flags & SESSION_MERGES) == 0 && !slice_equal(user, session_piece_user(piece)))
		return false;
	return client->state != CLIENT_OFFLINE || !offline_is_over(shard, extension);
}

static bool begin_away(struct shard *shard, struct client_ref ref, const struct session_piece *piece)
{
	struct client *client = shard_client(shard, ref);
	uint32_t id = client->session.id;
	end_connection_of(shard, ref, !may_move(shard, client, piece));
	/* Its own DISCONNECT may have ended the session, and its place may be another's. */
	if (client->state != CLIENT_OFFLINE || client->session.id != id || !may_move(shard, client, piece) ||
	    offline_is_ending(extension_of(shard, client)))
		return false;
	struct move *move = moves_add(shard->sessions.moves, piece->number, ref, MOVE_AWAY);
	if (move == NULL)
		return false;
	move->generation = client->conn.generation;
	move->until_ms = shard->loop.now_ms + MOVING_LIMIT_MS;
	offline_halt(shard, ref);
	pack_begin(shard, move, shard->env.settings->cluster.claim_timeout_ms / 2);
	return true;
}

void moving_away_begin(struct shard *shard, const struct session_piece *piece)
{
	struct slice id = session_piece_id(piece);
	claim_admit_ready(shard, piece->hash, id);
	struct client_ref ref = registry_find(&shard->sessions.registry, (uint32_t)piece->hash, id);
	struct move *move = !client_ref_is_none(ref) ? moves_of_client(shard->sessions.moves, ref) : NULL;
	if (move != NULL && move->number == piece->number)
		return;
	/* It has come, and what follows late does not come any more. */
	if (move != NULL && move->kind == MOVE_HERE && (move->unpack.is_whole || move->unpack.is_merged)) {
		unpack_end(shard, move);
		move = NULL;
	}
	if (client_ref_is_none(ref) || move != NULL || moves_find(shard->sessions.moves, piece->number) != NULL ||
	    !begin_away(shard, ref, piece))
		moving_tell_number(shard, SESSION_SAYS_NOTHING, piece->number);
}
