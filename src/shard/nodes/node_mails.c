#include "shard/nodes/node_mails.h"

#include "lifecycle/inherit.h"
#include "lifecycle/moving.h"
#include "route/retained_mail.h"
#include "route/routing.h"
#include "runtime/nodes/node_mail.h"
#include "state/shard.h"

/* Deals with a piece, and frees it. False: it is not done with, and comes first in the next turn. */
static bool deal_with(struct shard *shard, struct node_mail *mail)
{
	switch (mail->kind & 0xf0u) {
	case MESSAGE_FRAME: /* messages are not held any more */
		routings_have_room(shard);
		node_mail_free(mail);
		return true;
	case MESSAGE_REPLICATION:
		return inherit_take(shard, mail);
	case MESSAGE_RETAINED:
		retained_mail_take(shard, mail);
		return true;
	case MESSAGE_SESSIONS:
		moving_take_mail(shard, mail);
		return true;
	default:
		COUNT(&shard->counters, node_mails_unknown);
		node_mail_free(mail);
		return true;
	}
}

void node_mails_run(struct shard *shard)
{
	if (shard->env.nodes == NULL)
		return;
	struct node_mail **waiting = &shard->loop.node_mails;
	if (*waiting == NULL)
		*waiting = node_box_take(&shard->env.nodes->to_shards[shard->env.number]);
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_NODES);
	while (*waiting != NULL && !turn_work_is_spent(&shard->loop.work, until)) {
		struct node_mail *next = (*waiting)->next;
		turn_work_charge(&shard->loop.work, WORK_NODE_MAIL);
		if (!deal_with(shard, *waiting))
			return;
		*waiting = next;
	}
}

void node_mails_flush(struct shard *shard)
{
	if (!shard->loop.told_nodes)
		return;
	shard->loop.told_nodes = false;
	node_port_wake(shard->env.nodes);
}

void node_mails_drop(struct shard *shard)
{
	while (shard->loop.node_mails != NULL) {
		struct node_mail *next = shard->loop.node_mails->next;
		node_mail_free(shard->loop.node_mails);
		shard->loop.node_mails = next;
	}
}
