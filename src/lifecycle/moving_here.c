#include "base/log.h"
#include "lifecycle/claim.h"
#include "lifecycle/end.h"
#include "lifecycle/moving_sides.h"
#include "lifecycle/packed/unpack.h"
#include "session/commit_waits.h"

/* How long a part may take to come. */
#define COMING_MS 10000u

static struct claim *claim_of_move(const struct shard *shard, const struct move *move)
{
	return claim_of(shard, move->hash, moving_id(shard, shard_client(shard, move->client)));
}

/* What has come so far of a session is gone. */
void moving_here_give_up(struct shard *shard, struct move *move)
{
	struct client_ref ref = move->client;
	bool drops = moving_is_coming(move) && moving_has_session(shard, move);
	if (drops)
		end_moved(shard, ref);
	unpack_end(shard, move);
}

static void moving_here_fail(struct shard *shard, struct move *move, enum error error)
{
	COUNT(&shard->counters, moves_failed);
	const struct client *client = shard_client(shard, move->client);
	struct claim *claim = NULL;
	if (moving_has_session(shard, move)) {
		struct slice id = moving_id(shard, client);
		log_write(LOG_WARNING, "the session of client \"%.*s\" does not come from another node: %s",
			  (int)id.size, (const char *)id.data, error_sentence(error));
		claim = moving_is_coming(move) ? claim_of_move(shard, move) : NULL;
	}
	moving_tell_number(shard, SESSION_SAYS_FAILED, move->number);
	moving_here_give_up(shard, move);
	if (claim != NULL)
		claim_refuse(shard, claim, ERROR_OVERLOADED);
}

static void moving_here_note_whole(struct shard *shard, struct move *move)
{
	COUNT(&shard->counters, sessions_moved_in);
	move->commit = commit_waits_unsafe(&shard->routing.commits);
	move->until_ms = shard->loop.now_ms + MOVING_LIMIT_MS;
	struct claim *claim = !move->unpack.is_merged ? claim_of_move(shard, move) : NULL;
	if (claim != NULL)
		claim_is_ready(shard, claim);
}

/* The part that was waited for is dealt with. True: it was the last one. */
static bool end_part(struct shard *shard, struct move *move)
{
	struct node_mail *part = move->waiting;
	const struct session_piece *piece = session_piece_of(part);
	bool last = (piece->flags & SESSION_LAST) != 0;
	struct session_piece head = {.number = move->number, .sequence = piece->sequence + 1};
	moving_tell(shard, SESSION_SAYS_TAKEN, &head, slice_of(NULL, 0), slice_of(NULL, 0));
	move->waiting = part->next;
	if (move->waiting == NULL)
		move->waiting_end = &move->waiting;
	move->waiting_at = 0;
	node_mail_free(part);
	return last;
}

/* Whether the session that a move HERE began with is still there: where it is whole it may have any connection. */
static bool has_target(const struct shard *shard, const struct move *move)
{
	const struct client *client = shard_client(shard, move->client);
	if (moving_is_coming(move))
		return moving_has_session(shard, move);
	return client->session.id != 0 && client->state != CLIENT_FREE && client->session.id == move->id;
}

/* False: the move is over. */
static bool take_parts(struct shard *shard, struct move *move, uint64_t until)
{
	while (move->waiting != NULL && !turn_work_is_spent(&shard->loop.work, until)) {
		bool was_whole = move->unpack.is_whole;
		struct slice body = session_piece_body(session_piece_of(move->waiting));
		size_t taken;
		enum error error =
			unpack_some(shard, move, slice_of(body.data + move->waiting_at, body.size - move->waiting_at),
				    until, &taken);
		if (error != ERROR_OK) {
			moving_here_fail(shard, move, error);
			return false;
		}
		move->waiting_at += (uint32_t)taken;
		if (move->unpack.is_whole && !was_whole)
			moving_here_note_whole(shard, move);
		if (move->waiting_at < body.size)
			break;
		if (end_part(shard, move)) {
			move->is_last = true;
			break;
		}
	}
	return true;
}

/* True: there is more to do at once. */
bool moving_here_run(struct shard *shard, struct move *move, uint64_t until)
{
	if (!has_target(shard, move)) {
		moving_here_fail(shard, move, ERROR_NOT_FOUND);
		return false;
	}
	if (!take_parts(shard, move, until))
		return false;
	if (move->unpack.is_whole && !move->has_arrived &&
	    (move->commit == 0 || commit_waits_is_safe(&shard->routing.commits, shard->env.number, move->commit))) {
		move->has_arrived = true;
		moving_tell_number(shard, SESSION_SAYS_SAFE, move->number);
	}
	if (move->is_last && move->has_arrived) {
		unpack_end(shard, move);
		return false;
	}
	if (shard->loop.now_ms >= move->until_ms) {
		if (move->unpack.is_whole)
			unpack_end(shard, move);
		else
			moving_here_fail(shard, move, ERROR_TIMEOUT);
		return false;
	}
	return move->waiting != NULL;
}

/* The first part of a session begins the move. False: it is not to come. */
static bool begin_here(struct shard *shard, const struct session_piece *piece, struct move **made)
{
	struct slice id = session_piece_id(piece);
	struct client_ref ref = registry_find(&shard->sessions.registry, (uint32_t)piece->hash, id);
	struct move *before = !client_ref_is_none(ref) ? moves_of_client(shard->sessions.moves, ref) : NULL;
	/* What it left behind when it went away is told by then, or a little of it is lost with its time. Where it is
	 * not known that it has arrived, both become one: some of it may come twice, and nothing is lost. */
	if (before != NULL && before->kind == MOVE_AWAY && before->has_arrived)
		moving_away_end(shard, before, UINT64_MAX);
	else if (before != NULL && before->kind == MOVE_AWAY)
		moving_away_revert(shard, before);
	else if (before != NULL && !moving_is_coming(before))
		unpack_end(shard, before);
	else if (before != NULL)
		return false;
	if (session_id_is_internal(id) || id.size == 0 ||
	    unpack_begin(shard, piece->number, id, piece->hash, made) != ERROR_OK)
		return false;
	(*made)->hash = piece->hash;
	(*made)->id = shard_client(shard, (*made)->client)->session.id;
	return true;
}

void moving_here_take(struct shard *shard, struct node_mail *mail)
{
	const struct session_piece *piece = session_piece_of(mail);
	struct move *move = moves_find(shard->sessions.moves, piece->number);
	if (move == NULL && piece->sequence == 0 && !begin_here(shard, piece, &move))
		moving_tell_number(shard, SESSION_SAYS_FAILED, piece->number);
	if (move == NULL || move->kind != MOVE_HERE || move->parts != piece->sequence) {
		node_mail_free(mail);
		return;
	}
	move->parts++;
	if (!move->unpack.is_whole)
		move->until_ms = shard->loop.now_ms + COMING_MS;
	mail->next = NULL;
	*move->waiting_end = mail;
	move->waiting_end = &mail->next;
	struct claim *claim = moving_is_coming(move) ? claim_of(shard, move->hash, session_piece_id(piece)) : NULL;
	if (claim != NULL)
		claim_goes_on(shard, claim);
}
