#include "client/acknowledge.h"

#include "deliver/queue.h"
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

/* Room for an acknowledgement with a reason code, and some to spare. */
#define ANSWER_BYTES_MAX 8u
#define ANSWERS_BYTES_MAX (64u * ANSWER_BYTES_MAX)

_Static_assert(PENDING_ACKS_CLIENT_MAX <= PENDING_ACKS_SHARD_MAX, "the bound of one client can be reached");

/* All subscribers have this QoS 2 message. The journal is told, so that it is not accepted again after a restart. The
 * identifier of a refused message is not kept, nor is one that its client has released without waiting. */
static void tell_received(struct shard *shard, struct client_ref ref, uint8_t qos, uint16_t packet_id)
{
	const struct client *client = shard_client(shard, ref);
	if (qos != 2 || !client->session.journaled ||
	    !packet_ids_has(&shard->mem.slab, extension_of(shard, client)->received, packet_id))
		return;
	struct journal *journal = &shard->sessions.journal;
	journal_tell(journal)->received(journal->context, ref, packet_id);
}

static void acknowledge_send(struct shard *shard, struct client *client, uint8_t qos, uint16_t packet_id,
			     uint8_t reason)
{
	CHECK(qos == 1 || qos == 2);
	send_ack(shard, client, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, packet_id, reason);
}

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
		acknowledge_send(shard, shard_client(shard, ref), qos, packet_id, reason);
		return ERROR_OK;
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

bool acknowledge_holds(struct shard *shard, struct client_ref ref, struct client *client)
{
	const struct pending_acks *acks = &shard->routing.acks;
	uint32_t most = client_acks_max(shard, client);
	bool full = pending_acks_are_full(acks);
	/* No client has more than all clients together, so there is hardly ever a need to look this client's up. */
	if (!full && (acks->tickets.used < most || pending_acks_of(acks, ref) < most))
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
	answers_add(shard, answers, answer);
	return true;
}

/* The client goes on when half of the bound is free: reading for a single message is not worth it. Whether the shard
 * has too many acknowledgements waiting is checked when the client publishes again. */
static void resume_publisher(struct shard *shard, struct client_ref ref, struct client *client)
{
	if (client->pause == PAUSE_ACKS &&
	    pending_acks_of(&shard->routing.acks, ref) <= client_acks_max(shard, client) / 2)
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
	if (!answer->failed)
		tell_received(shard, answer->client, answer->qos, answer->packet_id);
	if (!client_is_connected(client))
		return true;
	if (!answer->forgotten && !answer->failed)
		answers_add(shard, answers, answer);
	resume_publisher(shard, answer->client, client);
	return true;
}

static void resume_awaiting(struct shard *shard)
{
	struct client_list *awaiting = &shard->routing.acks_awaited;
	if (awaiting->count == 0 || shard->routing.acks.tickets.used > shard->routing.acks.limit / 2)
		return;
	for (uint32_t i = 0; i < awaiting->count; i++) {
		struct client *client = shard_client(shard, awaiting->items[i]);
		client->held_acks = 0;
		if (client_is_connected(client))
			resume_publisher(shard, awaiting->items[i], client);
	}
	awaiting->count = 0;
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
	resume_awaiting(shard);
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

static void take_release(struct shard *shard, struct client *client, uint16_t packet_id)
{
	struct extension *extension = extension_of(shard, client);
	bool known = extension != NULL && packet_ids_remove(&shard->mem.slab, &extension->received, packet_id);
	if (!known)
		COUNT(&shard->counters, acks_unknown);
	if (known && client->session.journaled)
		journal_tell(&shard->sessions.journal)
			->completed(shard->sessions.journal.context, shard_client_ref(shard, client), packet_id);
	send_ack(shard, client, MQTT_PUBCOMP, packet_id, known ? MQTT_REASON_SUCCESS : MQTT_REASON_PACKET_ID_NOT_FOUND);
	extension_trim(shard, client);
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
		send_ack(shard, client, MQTT_PUBREL, ack->packet_id, MQTT_REASON_SUCCESS);
		return ERROR_OK;
	case FLOW_ACK_UNEXPECTED:
		return ERROR_ACK_UNEXPECTED;
	case FLOW_ACK_UNKNOWN:
		COUNT(&shard->counters, acks_unknown);
		if (type == MQTT_PUBREC && ack->reason < MQTT_REASON_UNSPECIFIED_ERROR)
			send_ack(shard, client, MQTT_PUBREL, ack->packet_id, MQTT_REASON_PACKET_ID_NOT_FOUND);
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
	if (type != MQTT_PUBREL)
		return take_ack(shard, ref, type, &ack);
	take_release(shard, client, ack.packet_id);
	return ERROR_OK;
}
