/* Changes of retained messages that other nodes have made: the nodes thread makes them in the tree (topics/
 * retained_changes.h), which all threads share, and a shard tells its journal. A piece of mail brings the change to the
 * shard and goes back as it came, when the journal was told of it, or when that is safe. Any shard may tell any change:
 * the numbers of changes say which is the newest. By the shard's thread. */
#ifndef ROUTE_RETAINED_MAIL_H
#define ROUTE_RETAINED_MAIL_H

#include "cluster/common/stamp.h"
#include "topics/publication.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node_mail;
struct shard;

/* The body of RETAINED_TELL and RETAINED_TOLD. */
struct retained_mail {
	uint64_t number; /* of the change */
	struct stamp stamp;
	uint64_t ticket;                /* the sender's own */
	uint64_t run;                   /* of the nodes thread: what comes back to another one means nothing to it */
	struct publication publication; /* packet_bytes 0: none, and stamp is retained_times() */
	bool clears;                    /* the message was taken away */
	bool awaits;                    /* it comes back when the change is safe, not as soon as it was told */
	_Alignas(8) uint8_t packet[];
};
_Static_assert(offsetof(struct retained_mail, packet) == sizeof(struct retained_mail), "the packet follows it");

/* Tells the journal, and owns the piece. */
void retained_mail_take(struct shard *shard, struct node_mail *mail);
/* The commit is safe that the first of those that wait has waited for (COMMIT_WAIT_MAIL). */
void retained_mail_is_safe(struct shard *shard);
/* The shard closes: what waits is freed. */
void retained_mails_drop(struct shard *shard);

#endif
