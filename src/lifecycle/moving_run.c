#include "lifecycle/claim.h"
#include "lifecycle/moving_sides.h"
#include "state/extension.h"
#include "state/offline.h"
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

void moving_tell(struct shard *shard, uint8_t kind, const struct session_piece *head, struct slice id,
		 struct slice body)
{
	struct node_mail *mail = session_mail_new(kind, head, id, slice_of(NULL, 0), body);
	if (mail != NULL)
		shard_tell_nodes(shard, mail);
}

void moving_tell_number(struct shard *shard, uint8_t kind, uint64_t number)
{
	moving_tell(shard, kind, &(struct session_piece){.number = number}, slice_of(NULL, 0), slice_of(NULL, 0));
}

uint32_t moving_age_s(const struct shard *shard, struct client_ref ref)
{
	uint32_t since_s = shard_connected_at_s(shard, ref);
	return since_s != 0 && since_s <= shard->loop.now_s ? shard->loop.now_s - since_s : UINT32_MAX;
}

/* Whether the move's session is still there. */
bool moving_has_session(const struct shard *shard, const struct move *move)
{
	const struct client *client = shard_client(shard, move->client);
	return client->session.id != 0 && client->conn.generation == move->generation &&
	       client->state == CLIENT_OFFLINE && !offline_is_ending(extension_of(shard, client));
}

/* ---- sessions that have ended ---- */

static void send_ended(struct shard *shard)
{
	struct moves *moves = shard->sessions.moves;
	if (moves->ended.size == 0)
		return;
	moving_tell(shard, SESSION_SAYS_ENDED, &(struct session_piece){0}, slice_of(NULL, 0),
		    bytes_slice(&moves->ended));
	bytes_clear(&moves->ended, IDS_BYTES_MAX);
}

void moving_session_ended(struct shard *shard, struct slice id)
{
	struct moves *moves = shard->sessions.moves;
	if (!shard_has_nodes(shard) || session_id_is_internal(id))
		return;
	uint16_t size = (uint16_t)id.size;
	if (moves->ended.size >= IDS_BYTES_MAX)
		send_ended(shard);
	moves->ended_last = moves->ended.size;
	bytes_append(&moves->ended, &size, sizeof(size));
	bytes_append(&moves->ended, id.data, id.size);
}

void moving_session_follows(struct shard *shard, struct slice id)
{
	struct moves *moves = shard->sessions.moves;
	if (moves == NULL || moves->ended.size == 0)
		return;
	size_t begin = moves->ended_last + sizeof(uint16_t);
	if (begin > moves->ended.size)
		return; /* there was no memory for it */
	if (slice_equal(slice_of(moves->ended.data + begin, moves->ended.size - begin), id))
		moves->ended.size = moves->ended_last;
}

/* ---- all sessions, for the nodes thread ---- */

static void announce_one(const struct shard *shard, struct client_ref ref, struct bytes *held)
{
	const struct client *client = shard_client(shard, ref);
	if (client->state == CLIENT_FREE || client->session.id == 0 || session_id_is_internal(moving_id(shard, client)))
		return;
	const struct move *move = moves_of_client(shard->sessions.moves, ref);
	if (move != NULL && move->kind == MOVE_HERE && !move->unpack.is_whole && !move->unpack.is_merged)
		return;
	struct slice id = moving_id(shard, client);
	struct session_held head = {.age_s = moving_age_s(shard, ref),
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
		moving_tell(shard, SESSION_SAYS_HELD, &head, slice_of(NULL, 0), bytes_slice(&held));
	if (moves->announce_next == 0)
		moving_tell(shard, SESSION_SAYS_ANNOUNCED, &head, slice_of(NULL, 0), slice_of(NULL, 0));
	bytes_free(&held);
}

void moving_make_way(struct shard *shard, uint64_t hash, struct slice id)
{
	struct client_ref ref = registry_find(&shard->sessions.registry, (uint32_t)hash, id);
	struct move *move = !client_ref_is_none(ref) ? moves_of_client(shard->sessions.moves, ref) : NULL;
	if (move == NULL)
		return;
	if (moving_is_coming(move)) {
		moving_tell_number(shard, SESSION_SAYS_FAILED, move->number);
		moving_here_give_up(shard, move);
	} else if (move->kind == MOVE_AWAY && move->has_arrived) {
		moving_away_end(shard, move, UINT64_MAX);
	} else if (move->kind == MOVE_AWAY) {
		moving_away_revert(shard, move);
	}
}

/* ---- mail ---- */

static void give_up_number(struct shard *shard, uint64_t number)
{
	struct move *move = moves_find(shard->sessions.moves, number);
	if (move == NULL)
		moving_tell_number(shard, SESSION_SAYS_NOTHING, number); /* it may be waited for */
	else if (move->kind == MOVE_AWAY && !move->has_arrived)
		moving_away_revert(shard, move);
	else if (move->kind == MOVE_HERE)
		moving_here_give_up(shard, move);
}

static void note_arrived(const struct shard *shard, uint64_t number)
{
	struct move *move = moves_find(shard->sessions.moves, number);
	if (move == NULL || move->kind != MOVE_AWAY || move->has_arrived)
		return;
	move->has_arrived = true;
	move->until_ms = shard->loop.now_ms + MOVING_GRACE_MS;
}

static void moving_run_go_on(struct shard *shard, const struct session_piece *piece)
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
		moving_run_go_on(shard, piece);
		break;
	case SESSION_TOLD_YIELD:
		mail->next = NULL;
		*moves->asked_end = mail;
		moves->asked_end = &mail->next;
		return;
	case SESSION_TOLD_PART:
		moving_here_take(shard, mail);
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
		bool more = move->kind == MOVE_AWAY ? moving_away_run(shard, move, until)
						    : moving_here_run(shard, move, until);
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
		moving_away_begin(shard, session_piece_of(mail));
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
			moving_here_give_up(shard, move);
		else if (move->has_arrived)
			moving_away_end(shard, move, UINT64_MAX);
		else
			moving_away_revert(shard, move);
	}
	moves->announce_next = 0;
}
