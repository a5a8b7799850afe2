#include "client/acknowledge.h"

#include "deliver/queue.h"
#include "deliver/resumed.h"
#include "deliver/send.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/reason.h"
#include "route/retained_jobs.h"
#include "session/packet_ids.h"
#include "state/client_state.h"
#include "state/ending.h"
#include "state/extension.h"
#include "state/release.h"
#include "state/shard.h"

#include <string.h>

/* Room for an acknowledgement with a reason code, and some to spare. */
#define ANSWER_BYTES_MAX 8u
#define ANSWERS_BYTES_MAX (64u * ANSWER_BYTES_MAX)

_Static_assert(PENDING_ACKS_CLIENT_MAX <= PENDING_ACKS_SHARD_MAX, "the bound of one client can be reached");

/* All subscribers have this QoS 2 message. The journal is told, so that it is not accepted again after a restart. The
 * identifier of a refused message is not kept, nor is one that its client has released without waiting. False: it is
 * not told. */
static bool tell_received(struct shard *shard, struct client_ref ref, uint8_t qos, uint16_t packet_id)
{
	const struct client *client = shard_client(shard, ref);
	if (qos != 2 || !client->session.journaled ||
	    !packet_ids_has(&shard->mem.slab, extension_of(shard, client)->received, packet_id))
		return false;
	struct journal *journal = &shard->sessions.journal;
	journal_tell(journal)->received(journal->context, ref, packet_id);
	resumed_end(shard, ref, packet_id);
	return true;
}

/* ---- acknowledgements that wait for a commit ----
 * PUBREC, PUBREL and PUBCOMP of a journaled session say that an event of its own is safe: `received`, `released`,
 * `completed`. So do repeated ones, for the event may have been told and not be safe yet. PUBACK says nothing of its
 * session. All three stand in one queue, so each kind keeps its order [MQTT-4.6.0-3, MQTT-4.6.0-4]. */

/* The commit that such an acknowledgement of the client has to wait for; 0: it need not wait. */
static uint64_t commit_of(const struct shard *shard, const struct client *client)
{
	return client->session.journaled ? commit_waits_behind(&shard->routing.commits) : 0;
}

static enum error acknowledge_later(struct shard *shard, struct client_ref ref, uint64_t commit, uint8_t type,
				    uint16_t packet_id, uint8_t reason)
{
	struct commit_wait wait = {
		.client = ref,
		.generation = shard_client(shard, ref)->conn.generation,
		.packet_id = packet_id,
		.kind = COMMIT_WAIT_ACK,
		.type = type,
		.reason = reason,
	};
	enum error error = pending_acks_answer_begin(&shard->routing.acks, ref);
	if (error != ERROR_OK)
		return error;
	error = commit_waits_push(&shard->routing.commits, shard->env.number, commit, &wait);
	if (error != ERROR_OK)
		pending_acks_answer_end(&shard->routing.acks, ref);
	return error;
}

/* Sends PUBREC, PUBREL or PUBCOMP, now or when it may leave. ERROR_NO_MEMORY: the client has to end. */
static enum error acknowledge_in_order(struct shard *shard, struct client_ref ref, uint8_t type, uint16_t packet_id,
				       uint8_t reason)
{
	struct client *client = shard_client(shard, ref);
	uint64_t commit = commit_of(shard, client);
	if (commit != 0)
		return acknowledge_later(shard, ref, commit, type, packet_id, reason);
	send_ack(shard, client, type, packet_id, reason);
	return ERROR_OK;
}

static enum error acknowledge_send(struct shard *shard, struct client_ref ref, uint8_t qos, uint16_t packet_id,
				   uint8_t reason)
{
	CHECK(qos == 1 || qos == 2);
	if (qos == 2)
		return acknowledge_in_order(shard, ref, MQTT_PUBREC, packet_id, reason);
	send_ack(shard, shard_client(shard, ref), MQTT_PUBACK, packet_id, reason);
	return ERROR_OK;
}

/* ---- PUBACK and PUBREC ---- */

enum error acknowledge_when_safe(struct shard *shard, struct client_ref ref, uint32_t ticket, uint8_t qos,
				 uint16_t packet_id, uint8_t reason)
{
	struct pending_acks *acks = &shard->routing.acks;
	enum error error = pending_acks_file(acks, ref, ticket, qos, packet_id);
	pending_acks_set_reason(acks, ticket, reason, false);
	pending_acks_is_safe(acks, ticket);
	return error;
}

enum error acknowledge_publish(struct shard *shard, struct client_ref ref, uint8_t qos, uint16_t packet_id,
			       uint8_t reason)
{
	struct pending_acks *acks = &shard->routing.acks;
	if (pending_acks_of(acks, ref) == 0) {
		tell_received(shard, ref, qos, packet_id);
		return acknowledge_send(shard, ref, qos, packet_id, reason);
	}
	uint32_t ticket = pending_acks_take(acks);
	if (ticket == 0)
		return ERROR_NO_MEMORY;
	return acknowledge_when_safe(shard, ref, ticket, qos, packet_id, reason);
}

/* How many of a client's acknowledgements may wait. In version 5 the client knows the bound [3.2.2.3.3]. A client that
 * passes it is left unread rather than ended: at QoS 1 it could not pass the bound if everything were answered at once.
 */
static uint32_t client_acks_max(const struct shard *shard, const struct client *client)
{
	uint32_t receive_max = shard->env.settings->receive_max;
	bool told = client->version == MQTT_VERSION_5 && receive_max < PENDING_ACKS_CLIENT_MAX;
	return told ? receive_max : PENDING_ACKS_CLIENT_MAX;
}

/* What else of the client waits for a commit counts as well, but the bound that it knows is not about that. */
static bool has_too_many(const struct shard *shard, struct client_ref ref, uint32_t most)
{
	const struct pending_acks *acks = &shard->routing.acks;
	/* No client has more than all clients together, so there is hardly ever a need to look this client's up. */
	if (pending_acks_count(acks) < most)
		return false;
	return pending_acks_of(acks, ref) >= most || pending_acks_all_of(acks, ref) >= PENDING_ACKS_CLIENT_MAX;
}

/* Pauses the client if it has so many. */
static bool holds_at(struct shard *shard, struct client_ref ref, struct client *client, uint32_t most)
{
	bool full = pending_acks_are_full(&shard->routing.acks);
	if (!full && !has_too_many(shard, ref, most))
		return false;
	/* It may go on, and come here again, while the list is not looked through yet. */
	if (full && !client->held_acks) {
		client->held_acks = 1;
		client_list_push(&shard->routing.acks_awaited, ref);
	}
	client_pause(client, PAUSE_ACKS);
	COUNT(&shard->counters, ack_pauses);
	return true;
}

/* While a shard that waits for commits drains, those that wait already are the last. */
static bool is_last(const struct shard *shard)
{
	return commit_waits_are_on(&shard->routing.commits) && shard->routing.commits_last;
}

bool acknowledge_holds(struct shard *shard, struct client_ref ref, struct client *client)
{
	if (!is_last(shard))
		return holds_at(shard, ref, client, client_acks_max(shard, client));
	client_pause(client, PAUSE_ACKS);
	return true;
}

bool acknowledge_awaits_commits(const struct shard *shard, struct client_ref ref)
{
	return commit_waits_are_on(&shard->routing.commits) && pending_acks_all_of(&shard->routing.acks, ref) != 0;
}

/* Acknowledgements that leave together: those of one client are next to each other in its line, and are sent in one
 * piece. */
struct answers {
	struct client_ref client;
	uint32_t size;
	uint8_t bytes[ANSWERS_BYTES_MAX];
};

static void answers_send(struct shard *shard, struct answers *answers)
{
	if (answers->size == 0)
		return;
	io_make_room(&shard->mem.io);
	send_bytes(shard, shard_client(shard, answers->client), answers->bytes, answers->size);
	answers->size = 0;
}

static void answers_add(struct shard *shard, struct answers *answers, const struct pending_answer *answer)
{
	if (!client_ref_equal(answers->client, answer->client) ||
	    answers->size + ANSWER_BYTES_MAX > sizeof(answers->bytes))
		answers_send(shard, answers);
	answers->client = answer->client;
	struct mqtt_ack ack = {.packet_id = answer->packet_id, .reason = answer->reason};
	size_t size = mqtt_ack_encode(&ack, answer->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC,
				      shard_client(shard, answer->client)->version, answers->bytes + answers->size,
				      ANSWER_BYTES_MAX);
	CHECK(size != 0);
	answers->size += (uint32_t)size;
}

/* False: there is no memory to wait for its commit. */
static bool answer_send(struct shard *shard, struct answers *answers, const struct pending_answer *answer)
{
	uint64_t commit = answer->qos == 2 ? commit_of(shard, shard_client(shard, answer->client)) : 0;
	if (commit != 0)
		return acknowledge_later(shard, answer->client, commit, MQTT_PUBREC, answer->packet_id,
					 answer->reason) == ERROR_OK;
	answers_add(shard, answers, answer);
	return true;
}

/* No subscriber got the message. False: before version 5 the client can be told so only by ending its connection, after
 * which it sends the message again. */
static bool answer_failure(struct shard *shard, struct answers *answers, const struct pending_answer *answer)
{
	struct client *client = shard_client(shard, answer->client);
	struct extension *extension = extension_of(shard, client);
	if (answer->qos == 2 && extension != NULL)
		packet_ids_remove(&shard->mem.slab, &extension->received, answer->packet_id);
	if (!client_is_connected(client))
		return true;
	/* A client that reconnected may have sent it again, and that was taken for a duplicate. */
	if (answer->forgotten || client->version != MQTT_VERSION_5)
		return false;
	if (answer->qos == 2)
		resumed_give_up(shard, answer->client, answer->packet_id);
	return answer_send(shard, answers, answer);
}

/* The client goes on when half of the bound is free: reading for a single message is not worth it. Whether the shard
 * has too many acknowledgements waiting is checked when the client publishes again. */
static void resume_publisher(struct shard *shard, struct client_ref ref, struct client *client)
{
	const struct pending_acks *acks = &shard->routing.acks;
	if (client->pause == PAUSE_ACKS && !is_last(shard) &&
	    pending_acks_of(acks, ref) <= client_acks_max(shard, client) / 2 &&
	    pending_acks_all_of(acks, ref) <= PENDING_ACKS_CLIENT_MAX / 2)
		client_resume(shard, ref, PAUSE_ACKS);
}

/* False: the client has to end. */
static bool answer_one(struct shard *shard, struct answers *answers, const struct pending_answer *answer)
{
	struct client *client = shard_client(shard, answer->client);
	CHECK(client->session.id != 0); /* a line ends with its session */
	turn_work_charge(&shard->loop.work, WORK_ENTRY);
	if (answer->failed && !answer_failure(shard, answers, answer))
		return false;
	/* Released without waiting: what subscribers' journals told since then means nothing. */
	if (!answer->failed && !tell_received(shard, answer->client, answer->qos, answer->packet_id) &&
	    answer->qos == 2)
		resumed_give_up(shard, answer->client, answer->packet_id);
	if (!client_is_connected(client))
		return true;
	if (!answer->forgotten && !answer->failed && !answer_send(shard, answers, answer))
		return false;
	resume_publisher(shard, answer->client, client);
	return true;
}

bool acknowledge_can_resume(const struct shard *shard)
{
	const struct shard_routing *routing = &shard->routing;
	return routing->acks_awaited.count != 0 && pending_acks_count(&routing->acks) <= routing->acks.limit / 2;
}

/* In the order in which they began to wait, as many as the share allows. */
static void resume_awaiting(struct shard *shard, uint64_t until)
{
	if (!acknowledge_can_resume(shard))
		return;
	struct client_list *awaiting = &shard->routing.acks_awaited;
	uint32_t done = 0;
	for (; done < awaiting->count && !turn_work_is_spent(&shard->loop.work, until); done++) {
		struct client *client = shard_client(shard, awaiting->items[done]);
		turn_work_charge(&shard->loop.work, WORK_ENTRY);
		client->held_acks = 0;
		if (client_is_connected(client))
			resume_publisher(shard, awaiting->items[done], client);
	}
	awaiting->count -= done;
	memmove(awaiting->items, awaiting->items + done, awaiting->count * sizeof(awaiting->items[0]));
}

void acknowledge_run(struct shard *shard)
{
	/* The last ticket may have gone with its session, and others be waiting for that. */
	if (!pending_acks_any(&shard->routing.acks) && shard->routing.acks_awaited.count == 0)
		return;
	struct pending_answer answer;
	struct answers answers;
	answers.size = 0; /* the other bytes are written before they are read */
	answers.client = client_ref_none();
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ACKS);
	while (!turn_work_is_spent(&shard->loop.work, until) && pending_acks_next(&shard->routing.acks, &answer)) {
		if (!answer_one(shard, &answers, &answer))
			client_end(shard, answer.client, ERROR_NO_MEMORY);
	}
	answers_send(shard, &answers);
	resume_awaiting(shard, until);
}

void acknowledge_committed(struct shard *shard, const struct commit_wait *wait)
{
	struct client_ref ref = wait->client;
	struct client *client = shard_client(shard, ref);
	CHECK_EQ(wait->kind, COMMIT_WAIT_ACK);
	if (client->conn.generation != wait->generation)
		return; /* it was forgotten with its connection */
	pending_acks_answer_end(&shard->routing.acks, ref);
	if (!client_is_connected(client))
		return;
	io_make_room(&shard->mem.io);
	send_ack(shard, client, wait->type, wait->packet_id, wait->reason);
	if (client_is_connected(client)) /* else sending it has shown that it is gone */
		resume_publisher(shard, ref, client);
}

/* ---- sleep ---- */

#define BACKOFF_MAX 10u
#define GAPS 8u             /* the average is over this many */
#define GAP_MAX_NS 1600000u /* so that a single long gap weighs no more than this */
_Static_assert(GAP_MAX_NS / GAPS > ACKNOWLEDGE_PATIENCE_GAP_NS, "the first sleep is patient");
_Static_assert(1u << BACKOFF_MAX <= UINT16_MAX, "ack_patience counts in 16 bits");

bool acknowledge_is_patient(struct shard *shard)
{
	struct ack_patience *patience = &shard->routing.ack_patience;
	CHECK(pending_acks_any(&shard->routing.acks));
	uint64_t gap_ns = shard->routing.outbox.turn_ns - patience->asked_ns;
	patience->asked_ns = shard->routing.outbox.turn_ns;
	patience->gap_ns -= patience->gap_ns / GAPS;
	patience->gap_ns += (uint32_t)(gap_ns < GAP_MAX_NS ? gap_ns : GAP_MAX_NS) / GAPS;
	if (patience->gap_ns < ACKNOWLEDGE_PATIENCE_GAP_NS)
		return false;
	if (patience->woken_left == 0)
		return true;
	patience->woken_left--;
	return false;
}

void acknowledge_waited(struct shard *shard, bool in_vain)
{
	struct ack_patience *patience = &shard->routing.ack_patience;
	if (!in_vain) {
		patience->backoff = patience->backoff == 0 ? 0 : (uint8_t)(patience->backoff - 1);
		return;
	}
	CHECK_LE(patience->backoff, BACKOFF_MAX);
	patience->woken_left = (uint16_t)(1u << patience->backoff);
	if (patience->backoff < BACKOFF_MAX)
		patience->backoff++;
}

/* ---- from clients ---- */

static enum error take_release(struct shard *shard, struct client_ref ref, uint16_t packet_id)
{
	struct client *client = shard_client(shard, ref);
	struct extension *extension = extension_of(shard, client);
	bool known = extension != NULL && packet_ids_remove(&shard->mem.slab, &extension->received, packet_id);
	if (!known)
		COUNT(&shard->counters, acks_unknown);
	if (known)
		resumed_give_up(shard, ref, packet_id);
	enum error error = acknowledge_in_order(shard, ref, MQTT_PUBCOMP, packet_id,
						known ? MQTT_REASON_SUCCESS : MQTT_REASON_PACKET_ID_NOT_FOUND);
	extension_trim(shard, client);
	return error;
}

/* A client that answers with another packet than the one that is due has lost track of the exchange, and neither side
 * could do more than guess from there on. A client that answers a message that is not under way may mean a session that
 * we no longer have. */
static enum error take_ack(struct shard *shard, struct client_ref ref, uint8_t type, const struct mqtt_ack *ack)
{
	struct client *client = shard_client(shard, ref);
	struct extension *extension = extension_of(shard, client);
	enum flow_ack result = FLOW_ACK_UNKNOWN;
	uint64_t looks = shard->mem.flows.looks;
	if (extension != NULL)
		result = flow_acknowledge(&extension->flow, &shard->mem.flows, type, ack->packet_id,
					  ack->reason >= MQTT_REASON_UNSPECIFIED_ERROR);
	turn_work_charge(&shard->loop.work, (shard->mem.flows.looks - looks) / 16 * WORK_ENTRY);
	switch (result) {
	case FLOW_ACK_DONE:
		queue_send(shard, ref);
		retained_jobs_wake(shard, ref);
		return ERROR_OK;
	case FLOW_ACK_RELEASE:
		return acknowledge_in_order(shard, ref, MQTT_PUBREL, ack->packet_id, MQTT_REASON_SUCCESS);
	case FLOW_ACK_UNEXPECTED:
		return ERROR_ACK_UNEXPECTED;
	case FLOW_ACK_UNKNOWN:
		COUNT(&shard->counters, acks_unknown);
		if (type == MQTT_PUBREC && ack->reason < MQTT_REASON_UNSPECIFIED_ERROR)
			return acknowledge_in_order(shard, ref, MQTT_PUBREL, ack->packet_id,
						    MQTT_REASON_PACKET_ID_NOT_FOUND);
		return ERROR_OK;
	}
	return ERROR_OK;
}

enum error acknowledge_received(struct shard *shard, struct client_ref ref, uint8_t type, struct slice body)
{
	struct client *client = shard_client(shard, ref);
	struct mqtt_ack ack;
	enum error error = mqtt_ack_decode(body, type, client->version, &ack);
	if (error != ERROR_OK)
		return error;
	bool is_answered = type == MQTT_PUBREC || type == MQTT_PUBREL;
	if (is_answered && commit_of(shard, client) != 0 && holds_at(shard, ref, client, PENDING_ACKS_CLIENT_MAX))
		return ERROR_MORE;
	return type == MQTT_PUBREL ? take_release(shard, ref, ack.packet_id) : take_ack(shard, ref, type, &ack);
}
