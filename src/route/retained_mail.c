#include "route/retained_mail.h"

#include "base/check.h"
#include "cluster/common/retained_format.h"
#include "route/routing.h"
#include "runtime/nodes/node_mail.h"
#include "state/shard.h"
#include "state/tell_nodes.h"

static void retained_mail_send_back(struct shard *shard, struct node_mail *mail)
{
	mail->kind = RETAINED_TOLD;
	shard_tell_nodes(shard, mail);
}

/* A body that is shorter than it says is from nobody: the nodes thread is ours. */
static struct retained_mail *retained_mail_of(struct node_mail *mail)
{
	struct retained_mail *told = (struct retained_mail *)(void *)mail->body;
	CHECK_GE(mail->bytes, sizeof(*told));
	CHECK_EQ(mail->bytes, sizeof(*told) + told->publication.packet_bytes);
	return told;
}

/* False: it does not wait, because it is safe already. */
static bool retained_mail_wait(struct shard *shard, struct node_mail *mail)
{
	struct retained_mails *mails = &shard->routing.retained_mails;
	uint64_t commit = commit_waits_unsafe(&shard->routing.commits);
	struct commit_wait wait = {.kind = COMMIT_WAIT_MAIL};
	if (commit == 0)
		return false;
	if (commit_waits_push(&shard->routing.commits, shard->env.number, commit, &wait) != ERROR_OK) {
		/* Whoever waits for it has a time limit, and does not hear that it is safe. */
		COUNT(&shard->counters, messages_dropped_memory);
		node_mail_free(mail);
		return true;
	}
	mail->next = NULL;
	if (mails->first == NULL)
		mails->first = mail;
	else
		mails->last->next = mail;
	mails->last = mail;
	return true;
}

void retained_mail_take(struct shard *shard, struct node_mail *mail)
{
	const struct retained_mail *told = retained_mail_of(mail);
	if (told->clears)
		routing_tell_cleared(shard, told->publication.packet_bytes != 0 ? &told->publication : NULL,
				     told->packet, told->stamp, told->number);
	else
		routing_tell_retained(shard, &told->publication, told->packet, told->stamp, told->number);
	if (!told->awaits || !retained_mail_wait(shard, mail))
		retained_mail_send_back(shard, mail);
}

void retained_mail_is_safe(struct shard *shard)
{
	struct retained_mails *mails = &shard->routing.retained_mails;
	struct node_mail *mail = mails->first;
	CHECK(mail != NULL);
	mails->first = mail->next;
	retained_mail_send_back(shard, mail);
}

void retained_mails_drop(struct shard *shard)
{
	struct retained_mails *mails = &shard->routing.retained_mails;
	while (mails->first != NULL) {
		struct node_mail *next = mails->first->next;
		node_mail_free(mails->first);
		mails->first = next;
	}
}
