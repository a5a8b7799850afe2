#include "lifecycle/inherit.h"

#include "access/access.h"
#include "lifecycle/packed/unpack.h"
#include "lifecycle/stored/promised.h"
#include "lifecycle/will.h"
#include "runtime/nodes/moves.h"
#include "session/session.h"
#include "state/ending.h"
#include "state/principal.h"
#include "state/shard.h"
#include "state/tell_nodes.h"
#include "store/format/record.h"

/* From one part of a session to the next. */
#define INHERIT_PART_MS 60000u

/* The number of the commit in which the shard's last event will be. */
static uint64_t inherit_commit(const struct shard *shard)
{
	const struct journal_safety *safety = shard->env.journal_safety;
	return safety != NULL ? safety->told(shard->env.journal_context) : 0;
}

static void inherit_answer(struct shard *shard, const struct inherit_taken *taken)
{
	struct node_mail *mail = node_mail_new(INHERIT_TAKEN, sizeof(*taken));
	if (mail == NULL)
		return; /* the nodes thread has a time limit */
	memcpy(mail->body, taken, sizeof(*taken));
	shard_tell_nodes(shard, mail);
}

/* Whoever was revoked since has no session. */
static void inherit_check_revoked(struct shard *shard, struct client_ref ref)
{
	struct client *client = shard_client(shard, ref);
	const struct principal *principal = principal_of(shard, client);
	if (client->state != CLIENT_OFFLINE)
		return;
	struct slice user = principal != NULL ? slice_of(principal->user, principal->user_bytes) : slice_of(NULL, 0);
	enum error error = access_check_revoked(shard->env.access, slice_of(NULL, 0), user,
						registry_id(&shard->sessions.registry, &client->session),
						shard_deadline_clock(shard).wall_s);
	if (error != ERROR_OK)
		session_end(shard, ref, error);
}

static enum error inherit_begin(struct shard *shard, const struct inherit_part *part, struct slice id,
				struct move **move)
{
	struct client_ref ref = registry_find(&shard->sessions.registry, (uint32_t)part->hash, id);
	if (shard->sessions.moves == NULL)
		return ERROR_NODE_SESSION;
	if (!client_ref_is_none(ref) && is_moving(shard, ref))
		return ERROR_MORE; /* to or from another node: it comes again */
	enum error error = unpack_begin(shard, part->number, id, part->hash, move);
	if (error != ERROR_OK)
		return error;
	(*move)->hash = part->hash;
	(*move)->id = shard_client(shard, (*move)->client)->session.id;
	return ERROR_OK;
}

/* *move: NULL once it is over. True: the part is done with. */
static bool inherit_bytes(struct shard *shard, struct move **move, const struct inherit_part *part, struct slice bytes,
			  enum error *error)
{
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_NODES);
	size_t taken = 0;
	(*move)->until_ms = shard->loop.now_ms + INHERIT_PART_MS; /* lifecycle/moving.h gives up what does not go on */
	bytes = slice_of(bytes.data + (*move)->waiting_at, bytes.size - (*move)->waiting_at);
	*error = unpack_some(shard, *move, bytes, until, &taken);
	(*move)->waiting_at += (uint32_t)taken;
	if (*error == ERROR_OK && taken < bytes.size)
		return false;
	(*move)->waiting_at = 0;
	if (*error == ERROR_OK && part->is_last && !unpack_is_whole(*move))
		*error = ERROR_NODE_SESSION;
	return true;
}

static bool inherit_part_in(struct shard *shard, const struct node_mail *mail, struct inherit_taken *taken)
{
	struct inherit_part part;
	CHECK_GE(mail->bytes, sizeof(part));
	memcpy(&part, mail->body, sizeof(part));
	CHECK_LE(part.id_bytes, mail->bytes - sizeof(part));
	struct slice id = slice_of(mail->body + sizeof(part), part.id_bytes);
	struct slice bytes = slice_of(id.data + id.size, mail->bytes - sizeof(part) - id.size);
	struct move *move = shard->sessions.moves != NULL ? moves_find(shard->sessions.moves, part.number) : NULL;
	enum error error = ERROR_OK;
	taken->number = part.number;
	taken->is_last = part.is_last;
	if (move == NULL && part.is_first)
		error = inherit_begin(shard, &part, id, &move);
	else if (move == NULL)
		error = ERROR_MORE; /* its first part was refused, which has said why */
	struct client_ref ref = move != NULL ? move->client : client_ref_none();
	if (move != NULL && !inherit_bytes(shard, &move, &part, bytes, &error))
		return false;
	if (move != NULL && (error != ERROR_OK || part.is_last)) {
		taken->is_merged = move->unpack.is_merged;
		unpack_end(shard, move);
		if (error == ERROR_OK)
			inherit_check_revoked(shard, ref);
	}
	taken->error = error;
	return true;
}

static enum error inherit_promised_in(struct shard *shard, const struct node_mail *mail, struct inherit_taken *taken)
{
	struct inherit_promised promised;
	struct store_record record;
	CHECK_GE(mail->bytes, sizeof(promised));
	memcpy(&promised, mail->body, sizeof(promised));
	CHECK_LE(promised.filter_bytes, mail->bytes - sizeof(promised));
	struct slice filter = slice_of(mail->body + sizeof(promised), promised.filter_bytes);
	size_t rest = mail->bytes - sizeof(promised) - filter.size;
	taken->number = promised.number;
	taken->is_last = true;
	if (store_record_decode(slice_of(filter.data + filter.size, rest), &record) == 0 || record.kind != STORE_KEPT)
		return ERROR_NODE_SESSION;
	struct publication publication = store_record_publication(&record);
	publication.expires_s = promised.expires_s != UINT32_MAX ? shard->loop.now_s + promised.expires_s : 0;
	struct message_ref message = messages_new(&shard->mem.messages, &publication, record.body.data);
	if (message_ref_is_none(message))
		return ERROR_NO_MEMORY;
	enum error error = promised_add(shard, message, filter);
	if (error != ERROR_OK)
		messages_put(&shard->mem.messages, message);
	return error;
}

/* A place whose session was restored has had no connection: its generation is the first one. */
static void inherit_drop_one(struct shard *shard, struct client_ref ref)
{
	const struct client *client = shard_client(shard, ref);
	if (client->state != CLIENT_OFFLINE || client->conn.generation != 0 || !client->session.journaled ||
	    is_moving(shard, ref) || session_id_is_internal(registry_id(&shard->sessions.registry, &client->session)))
		return;
	will_forget(shard, client);
	session_end(shard, ref, ERROR_TAKEN_OVER);
}

/* False: there is more to look at. */
static bool inherit_drop_some(struct shard *shard, struct node_mail *mail)
{
	struct inherit_drop drop;
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_NODES);
	CHECK_EQ(mail->bytes, sizeof(drop));
	memcpy(&drop, mail->body, sizeof(drop));
	while (drop.next <= shard->mem.clients.touched && !turn_work_is_spent(&shard->loop.work, until) &&
	       !endings_are_many(&shard->sessions.endings)) {
		turn_work_charge(&shard->loop.work, WORK_NODE);
		inherit_drop_one(shard, (struct client_ref){drop.next++});
	}
	memcpy(mail->body, &drop, sizeof(drop));
	return drop.next > shard->mem.clients.touched;
}

bool inherit_take(struct shard *shard, struct node_mail *mail)
{
	struct inherit_taken taken = {.number = 0};
	if (mail->kind == INHERIT_DROP) {
		if (!inherit_drop_some(shard, mail))
			return false;
		node_mail_free(mail);
		return true;
	}
	if (mail->kind == INHERIT_PROMISED)
		taken.error = inherit_promised_in(shard, mail, &taken);
	else if (!inherit_part_in(shard, mail, &taken))
		return false;
	taken.commit = inherit_commit(shard);
	inherit_answer(shard, &taken);
	node_mail_free(mail);
	return true;
}
