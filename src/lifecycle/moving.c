#include "lifecycle/moving.h"

#include "access/admission.h"
#include "base/log.h"
#include "lifecycle/admit.h"
#include "lifecycle/claim.h"
#include "lifecycle/end.h"
#include "lifecycle/pack.h"
#include "lifecycle/unpack.h"
#include "runtime/session_mail.h"
#include "session/commit_waits.h"
#include "state/ending.h"
#include "state/extension.h"
#include "state/offline.h"
#include "state/principal.h"
#include "state/shard.h"
#include "state/tell_nodes.h"

/* Moves that a turn looks at: most of them only wait. */
#define LOOKS_PER_TURN 512u
/* A turn's work on them, and on what the nodes thread wants to hear. */
#define MOVING_UNITS 4000u
#define ANNOUNCED_PER_TURN 1024u
/* While something is on its way that nobody wakes the shard for: commits, time limits. */
#define MOVING_POLL_MS 5u
/* Pieces with client ids. */
#define IDS_BYTES_MAX 16384u
/* How long a part may take to come. */
#define COMING_MS 10000u

static void tell(struct shard *shard, uint8_t kind, struct session_piece head, struct slice id, struct slice body)
{
	struct node_mail *mail = session_mail_new(kind, head, id, slice_of(NULL, 0), body);
	if (mail != NULL)
		shard_tell_nodes(shard, mail);
}

static void tell_number(struct shard *shard, uint8_t kind, uint64_t number)
{
	tell(shard, kind, (struct session_piece){.number = number}, slice_of(NULL, 0), slice_of(NULL, 0));
}

static uint32_t age_s(const struct shard *shard, struct client_ref ref)
{
	uint32_t since_s = shard_connected_at_s(shard, ref);
	return since_s != 0 && since_s <= shard->loop.now_s ? shard->loop.now_s - since_s : UINT32_MAX;
}

static struct slice id_of(const struct shard *shard, const struct client *client)
{
	return registry_id(&shard->sessions.registry, &client->session);
}

/* ---- sessions that have ended ---- */

static void send_ended(struct shard *shard)
{
	struct moves *moves = shard->sessions.moves;
	if (moves->ended.size == 0)
		return;
	tell(shard, SESSION_SAYS_ENDED, (struct session_piece){0}, slice_of(NULL, 0), bytes_slice(&moves->ended));
	bytes_clear(&moves->ended, IDS_BYTES_MAX);
}

void moving_session_ended(struct shard *shard, struct slice id)
{
	struct moves *moves = shard->sessions.moves;
	if (!shard_has_nodes(shard) || session_id_is_internal(id))
		return;
	uint16_t size = (uint16_t)id.size;
	bytes_append(&moves->ended, &size, sizeof(size));
	bytes_append(&moves->ended, id.data, id.size);
	if (moves->ended.size >= IDS_BYTES_MAX)
		send_ended(shard);
}

/* ---- all sessions, for the nodes thread ---- */

static void announce_one(const struct shard *shard, struct client_ref ref, struct bytes *held)
{
	const struct client *client = shard_client(shard, ref);
	if (client->state == CLIENT_FREE || client->session.id == 0 || session_id_is_internal(id_of(shard, client)))
		return;
	const struct move *move = moves_of_client(shard->sessions.moves, ref);
	if (move != NULL && move->kind == MOVE_HERE && !move->unpack.is_whole && !move->unpack.is_merged)
		return;
	struct slice id = id_of(shard, client);
	struct session_held head = {.age_s = age_s(shard, ref),
				    .id_bytes = (uint16_t)id.size,
				    .is_husk = move != NULL && move->kind == MOVE_AWAY};
	bytes_append(held, &head, sizeof(head));
	bytes_append(held, id.data, id.size);
}

static void announce_some(struct shard *shard, uint64_t until)
{
	struct moves *moves = shard->sessions.moves;
	struct bytes held = {0};
	for (uint32_t looks = 0; moves->asked == NULL && looks < ANNOUNCED_PER_TURN && moves->announce_next != 0 &&
				 held.size < IDS_BYTES_MAX && !turn_work_is_spent(&shard->loop.work, until);
	     looks++) {
		if (moves->announce_next > shard->mem.clients.touched) {
			moves->announce_next = 0;
			break;
		}
		turn_work_charge(&shard->loop.work, WORK_NODE);
		announce_one(shard, (struct client_ref){moves->announce_next++}, &held);
	}
	struct session_piece head = {.view = moves->announce_view};
	if (held.size != 0)
		tell(shard, SESSION_SAYS_HELD, head, slice_of(NULL, 0), bytes_slice(&held));
	if (moves->announce_next == 0)
		tell(shard, SESSION_SAYS_ANNOUNCED, head, slice_of(NULL, 0), slice_of(NULL, 0));
	bytes_free(&held);
}

/* ---- away ---- */

/* Whether the move's session is still there. */
static bool has_session(const struct shard *shard, const struct move *move)
{
	const struct client *client = shard_client(shard, move->client);
	return client->session.id != 0 && client->conn.generation == move->generation &&
	       client->state == CLIENT_OFFLINE && !offline_is_ending(extension_of(shard, client));
}

/* It stays here. */
static void revert(struct shard *shard, struct move *move)
{
	struct client_ref ref = move->client;
	const struct client *client = shard_client(shard, ref);
	bool there = has_session(shard, move);
	struct session_piece head = {.number = move->number, .age_s = age_s(shard, ref)};
	moves_remove(shard->sessions.moves, move);
	if (!there)
		return;
	const struct extension *extension = extension_of(shard, client);
	offline_again(shard, ref, extension->ends_at_s, extension->will_at_s);
	tell(shard, SESSION_SAYS_BACK, head, id_of(shard, client), slice_of(NULL, 0));
}

static void send_part(struct shard *shard, struct move *move, struct slice body, uint8_t flags)
{
	struct session_piece head = {.number = move->number, .sequence = move->parts++, .flags = flags};
	tell(shard, SESSION_SAYS_PART, head, slice_of(NULL, 0), body);
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
		tell_number(shard, SESSION_SAYS_NOTHING, move->number);
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
static void end_away(struct shard *shard, struct move *move, uint64_t until)
{
	struct client_ref ref = move->client;
	if (!move->has_arrived) {
		revert(shard, move);
		return;
	}
	pack_part(shard, move, SESSION_LAST, until);
	COUNT(&shard->counters, sessions_moved_out);
	end_moved(shard, ref);
	moves_remove(shard->sessions.moves, move);
}

/* True: there is more to do at once. */
static bool run_away(struct shard *shard, struct move *move, uint64_t until)
{
	if (!has_session(shard, move)) {
		tell_number(shard, SESSION_SAYS_NOTHING, move->number);
		moves_remove(shard->sessions.moves, move);
		return false;
	}
	if (shard->loop.now_ms >= move->until_ms) {
		end_away(shard, move, until);
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

static void yield(struct shard *shard, const struct session_piece *piece)
{
	struct slice id = session_piece_id(piece);
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
		tell_number(shard, SESSION_SAYS_NOTHING, piece->number);
}

/* ---- here ---- */

static struct claim *claim_of_move(const struct shard *shard, const struct move *move)
{
	return claim_of(shard, move->hash, id_of(shard, shard_client(shard, move->client)));
}

static bool is_coming(const struct move *move)
{
	return move->kind == MOVE_HERE && !move->unpack.is_whole && !move->unpack.is_merged;
}

/* What has come so far of a session is gone. */
static void give_up(struct shard *shard, struct move *move)
{
	struct client_ref ref = move->client;
	bool drops = is_coming(move) && has_session(shard, move);
	if (drops)
		end_moved(shard, ref);
	unpack_end(shard, move);
}

static void fail(struct shard *shard, struct move *move, enum error error)
{
	COUNT(&shard->counters, moves_failed);
	const struct client *client = shard_client(shard, move->client);
	struct claim *claim = NULL;
	if (has_session(shard, move)) {
		struct slice id = id_of(shard, client);
		log_write(LOG_WARNING, "the session of client \"%.*s\" does not come from another node: %s",
			  (int)id.size, (const char *)id.data, error_sentence(error));
		claim = is_coming(move) ? claim_of_move(shard, move) : NULL;
	}
	tell_number(shard, SESSION_SAYS_FAILED, move->number);
	give_up(shard, move);
	if (claim != NULL)
		claim_refuse(shard, claim, ERROR_OVERLOADED);
}

static void note_whole(struct shard *shard, struct move *move)
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
	tell(shard, SESSION_SAYS_TAKEN, head, slice_of(NULL, 0), slice_of(NULL, 0));
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
	if (is_coming(move))
		return has_session(shard, move);
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
			fail(shard, move, error);
			return false;
		}
		move->waiting_at += (uint32_t)taken;
		if (move->unpack.is_whole && !was_whole)
			note_whole(shard, move);
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
static bool run_here(struct shard *shard, struct move *move, uint64_t until)
{
	if (!has_target(shard, move)) {
		fail(shard, move, ERROR_NOT_FOUND);
		return false;
	}
	if (!take_parts(shard, move, until))
		return false;
	if (move->unpack.is_whole && !move->has_arrived &&
	    (move->commit == 0 || commit_waits_is_safe(&shard->routing.commits, shard->env.number, move->commit))) {
		move->has_arrived = true;
		tell_number(shard, SESSION_SAYS_SAFE, move->number);
	}
	if (move->is_last && move->has_arrived) {
		unpack_end(shard, move);
		return false;
	}
	if (shard->loop.now_ms >= move->until_ms) {
		if (move->unpack.is_whole)
			unpack_end(shard, move);
		else
			fail(shard, move, ERROR_TIMEOUT);
		return false;
	}
	return move->waiting != NULL;
}

void moving_make_way(struct shard *shard, uint64_t hash, struct slice id)
{
	struct client_ref ref = registry_find(&shard->sessions.registry, (uint32_t)hash, id);
	struct move *move = !client_ref_is_none(ref) ? moves_of_client(shard->sessions.moves, ref) : NULL;
	if (move == NULL)
		return;
	if (is_coming(move)) {
		tell_number(shard, SESSION_SAYS_FAILED, move->number);
		give_up(shard, move);
	} else if (move->kind == MOVE_AWAY && move->has_arrived) {
		end_away(shard, move, UINT64_MAX);
	} else if (move->kind == MOVE_AWAY) {
		revert(shard, move);
	}
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
		end_away(shard, before, UINT64_MAX);
	else if (before != NULL && before->kind == MOVE_AWAY)
		revert(shard, before);
	else if (before != NULL && !is_coming(before))
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

static void take_part(struct shard *shard, struct node_mail *mail)
{
	const struct session_piece *piece = session_piece_of(mail);
	struct move *move = moves_find(shard->sessions.moves, piece->number);
	if (move == NULL && piece->sequence == 0 && !begin_here(shard, piece, &move))
		tell_number(shard, SESSION_SAYS_FAILED, piece->number);
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
	struct claim *claim = is_coming(move) ? claim_of(shard, move->hash, session_piece_id(piece)) : NULL;
	if (claim != NULL)
		claim_goes_on(shard, claim);
}

/* ---- mail ---- */

static void give_up_number(struct shard *shard, uint64_t number)
{
	struct move *move = moves_find(shard->sessions.moves, number);
	if (move != NULL && move->kind == MOVE_AWAY && !move->has_arrived)
		revert(shard, move);
	else if (move != NULL && move->kind == MOVE_HERE)
		give_up(shard, move);
}

static void note_arrived(const struct shard *shard, uint64_t number)
{
	struct move *move = moves_find(shard->sessions.moves, number);
	if (move == NULL || move->kind != MOVE_AWAY || move->has_arrived)
		return;
	move->has_arrived = true;
	move->until_ms = shard->loop.now_ms + MOVING_GRACE_MS;
}

static void go_on(struct shard *shard, const struct session_piece *piece)
{
	struct claim *claim = claim_of(shard, piece->hash, session_piece_id(piece));
	if (claim != NULL && claim->number == piece->number)
		claim_is_ready(shard, claim);
}

void moving_take_mail(struct shard *shard, struct node_mail *mail)
{
	struct moves *moves = shard->sessions.moves;
	const struct session_piece *piece = session_piece_of(mail);
	struct move *move;
	switch ((enum session_told)mail->kind) {
	case SESSION_TOLD_GO_ON:
		go_on(shard, piece);
		break;
	case SESSION_TOLD_YIELD:
		mail->next = NULL;
		*moves->asked_end = mail;
		moves->asked_end = &mail->next;
		return;
	case SESSION_TOLD_PART:
		take_part(shard, mail);
		return;
	case SESSION_TOLD_TAKEN:
		move = moves_find(moves, piece->number);
		if (move != NULL && piece->sequence <= move->parts)
			move->parts_taken = piece->sequence;
		break;
	case SESSION_TOLD_ARRIVED:
		note_arrived(shard, piece->number);
		break;
	case SESSION_TOLD_GIVE_UP:
		give_up_number(shard, piece->number);
		break;
	case SESSION_TOLD_ANNOUNCE:
		moves->announce_next = 1;
		moves->announce_view = piece->view;
		break;
	default:
		COUNT(&shard->counters, node_mails_unknown);
		break;
	}
	node_mail_free(mail);
}

/* ---- a turn ---- */

void moving_run(struct shard *shard)
{
	struct moves *moves = shard->sessions.moves;
	if (!shard_has_nodes(shard))
		return;
	uint64_t until = turn_work_share(&shard->loop.work, MOVING_UNITS);
	uint32_t looks = moves->count < LOOKS_PER_TURN ? moves->count : LOOKS_PER_TURN;
	moves->is_busy = false;
	for (; looks != 0 && moves->next != NULL && !turn_work_is_spent(&shard->loop.work, until); looks--) {
		struct move *move = moves->next;
		moves->next = move->next;
		turn_work_charge(&shard->loop.work, WORK_NODE);
		bool more = move->kind == MOVE_AWAY ? run_away(shard, move, until) : run_here(shard, move, until);
		moves->is_busy |= more;
	}
	moves->is_busy |= looks != 0 && moves->next != NULL;
	if (moves->announce_next != 0)
		announce_some(shard, until);
	send_ended(shard);
}

void moving_serve(struct shard *shard)
{
	struct moves *moves = shard->sessions.moves;
	if (!shard_has_nodes(shard))
		return;
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ADMISSIONS);
	while (moves->asked != NULL && !turn_work_is_spent(&shard->loop.work, until)) {
		struct node_mail *mail = moves->asked;
		moves->asked = mail->next;
		if (moves->asked == NULL)
			moves->asked_end = &moves->asked;
		turn_work_charge(&shard->loop.work, WORK_ADMISSION);
		yield(shard, session_piece_of(mail));
		node_mail_free(mail);
		moves->is_busy = true; /* it is told in the next turn, or in this one where that is behind */
	}
	claims_run(shard);
	send_ended(shard);
}

bool moving_has_work(const struct shard *shard)
{
	const struct moves *moves = shard->sessions.moves;
	return shard_has_nodes(shard) && (moves->is_busy || moves->asked != NULL || moves->announce_next != 0 ||
					  moves->ended.size != 0 || claims_are_ready(shard));
}

uint32_t moving_wait_ms(const struct shard *shard, uint32_t limit_ms)
{
	const struct moves *moves = shard->sessions.moves;
	if (!shard_has_nodes(shard) || (moves->count == 0 && moves->claim_count == 0))
		return limit_ms;
	return limit_ms < MOVING_POLL_MS ? limit_ms : MOVING_POLL_MS;
}

bool moving_any(const struct shard *shard)
{
	const struct moves *moves = shard->sessions.moves;
	return shard_has_nodes(shard) && (moves->count != 0 || moves->claim_count != 0 || moves->asked != NULL);
}

void moving_stop(struct shard *shard, enum error reason)
{
	struct moves *moves = shard->sessions.moves;
	if (!shard_has_nodes(shard))
		return;
	claims_refuse_all(shard, reason);
	while (moves->asked != NULL) {
		struct node_mail *mail = moves->asked;
		moves->asked = mail->next;
		node_mail_free(mail);
	}
	moves->asked_end = &moves->asked;
	while (moves->first != NULL) {
		struct move *move = moves->first;
		if (move->kind == MOVE_HERE)
			give_up(shard, move);
		else if (move->has_arrived)
			end_away(shard, move, UINT64_MAX);
		else
			revert(shard, move);
	}
	moves->announce_next = 0;
}
