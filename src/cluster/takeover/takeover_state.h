/* Between the files of the take-over (cluster/takeover/takeover.h). */
#ifndef CLUSTER_TAKEOVER_STATE_H
#define CLUSTER_TAKEOVER_STATE_H

#include "cluster/takeover/takeover.h"

/* ---- takeover.c ---- */

void takeover_send(struct takeover *takeover, uint8_t slot, enum takeover_kind kind,
		   const struct takeover_message *message);
void takeover_send_home(struct takeover *takeover, uint64_t hash, enum takeover_kind kind,
			const struct takeover_message *message);
void takeover_send_claim(struct takeover *takeover, const struct takeover_claim *claim);
/* Does what this node has said to itself: at the end of each call from outside. */
void takeover_run(struct takeover *takeover);

struct takeover_claim *takeover_claim_find(const struct takeover *takeover, uint64_t hash);
void takeover_claim_remove(struct takeover *takeover, struct takeover_claim *claim);
struct takeover_move *takeover_move_find(const struct takeover *takeover, uint64_t number, enum takeover_role role);
/* NULL: no room, which is counted. */
struct takeover_move *takeover_move_add(struct takeover *takeover, uint64_t number, uint8_t slot, struct slice id,
					enum takeover_role role);
void takeover_move_remove(struct takeover *takeover, struct takeover_move *move);

/* HOME_NOBODY: to nobody of whom this node knows. */
uint8_t takeover_gave_to(const struct takeover *takeover, uint64_t hash);
void takeover_gave_note(struct takeover *takeover, uint64_t hash, uint8_t slot);
void takeover_gave_forget(struct takeover *takeover, uint64_t hash);
void takeover_hear_please(struct takeover *takeover, uint8_t slot, uint64_t number);
void takeover_early_keep(struct takeover *takeover, uint8_t slot, enum takeover_kind kind,
			 const struct takeover_message *message);

/* ---- takeover_hear.c ---- */

/* From a member, this node among them. */
void takeover_hear(struct takeover *takeover, uint8_t slot, enum takeover_kind kind,
		   const struct takeover_message *message);

#endif
