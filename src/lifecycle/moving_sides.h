/* Between the files of sessions that move on their shard (lifecycle/moving.h, which is what others call): the side that
 * gives (moving_away.c), the side that gets (moving_here.c), and what both say to the nodes thread.
 *
 * By the shard's thread. */
#ifndef LIFECYCLE_MOVING_SIDES_H
#define LIFECYCLE_MOVING_SIDES_H

#include "lifecycle/moving.h"
#include "runtime/nodes/moves.h"
#include "runtime/nodes/session_mail.h"
#include "state/shard.h"

/* ---- moving.c ---- */

/* To the nodes thread. Without memory, or without nodes, nothing is told: its time limits see to it. */
void moving_tell(struct shard *shard, uint8_t kind, const struct session_piece *head, struct slice id,
		 struct slice body);
void moving_tell_number(struct shard *shard, uint8_t kind, uint64_t number);
/* Since the last connection of that session began; UINT32_MAX: not known. */
uint32_t moving_age_s(const struct shard *shard, struct client_ref ref);
/* Whether the move's session is still there, without a connection. */
bool moving_has_session(const struct shard *shard, const struct move *move);

static inline struct slice moving_id(const struct shard *shard, const struct client *client)
{
	return registry_id(&shard->sessions.registry, &client->session);
}

/* What is there of it is not yet a session that a client could have. */
static inline bool moving_is_coming(const struct move *move)
{
	return move->kind == MOVE_HERE && !move->unpack.is_whole && !move->unpack.is_merged;
}

/* ---- moving_away.c: each may remove the move ---- */

/* Another node asks for a session. */
void moving_away_begin(struct shard *shard, const struct session_piece *piece);
/* A turn's work for it. True: there is more to do at once. */
bool moving_away_run(struct shard *shard, struct move *move, uint64_t until);
/* The session stays here; or it is gone, and the nodes thread hears of that. */
void moving_away_revert(struct shard *shard, struct move *move);
/* Its time is over: what has arrived ends here, anything else stays. */
void moving_away_end(struct shard *shard, struct move *move, uint64_t until);

/* ---- moving_here.c: each may remove the move ---- */

/* A part has come; the piece is this function's from now on. */
void moving_here_take(struct shard *shard, struct node_mail *mail);
/* A turn's work for it. True: there is more to do at once. */
bool moving_here_run(struct shard *shard, struct move *move, uint64_t until);
/* What has come in part is gone; what is whole stays, and nothing more is waited for. */
void moving_here_give_up(struct shard *shard, struct move *move);

#endif
