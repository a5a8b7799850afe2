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

/* An acknowledgement with a reason code, with some room to spare. */
#define ANSWER_BYTES_MAX 8u
#define ANSWERS_BYTES_MAX (64u * ANSWER_BYTES_MAX)

/* ---- ours ---- */

/* A message of QoS 2 is with all who subscribe: it is not taken a second time, after a restart either. */
static void tell_received(struct shard *shard, struct client_ref ref, uint8_t qos, uint16_t packet_id, uint8_t reason)
{
	struct journal *journal = &shard->sessions.journal;
	if (qos == 2 && reason < MQTT_REASON_UNSPECIFIED_ERROR && shard_client(shard, ref)->session.journaled)
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
		tell_received(shard, ref, qos, packet_id, reason);
		acknowledge_send(shard, shard_client(shard, ref), qos, packet_id, reason);
		return ERROR_OK;
	}
	uint32_t ticket = pending_acks_take(acks);
	if (ticket == 0)
		return ERROR_NO_MEMORY;
	return acknowledge_when_safe(shard, ref, ticket, qos, packet_id, reason);
}

/* So many of a client's acknowledgements may wait. In version 5 the client knows the bound [3.2.2.3.3]; one that passes
 * it is left unread rather than ended, for at QoS 1 it could not pass it as long as all was answered at once. */
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
	/* Nobody has more than there are of all clients: nearly always there is no need to look for the client's. */
	if (!full && (acks->tickets.used < most || pending_acks_of(acks, ref) < most))
		return false;
	if (full)
		client_list_push(&shard->routing.acks_awaited, ref);
	client_pause(client, PAUSE_ACKS);
	COUNT(&shard->counters, ack_pauses);
	return true;
}

/* What leaves together: the acknowledgements of one client stand beside each other in its line, and are sent as one. */
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

/* The message went to nobody. False: a client before version 5 can be told so only by ending its connection, after
 * which it sends the message again. */
static bool answer_failure(struct shard *shard, struct answers *answers, const struct pending_answer *answer)
{
	struct client *client = shard_client(shard, answer->client);
	struct extension *extension = extension_of(shard, client);
	if (answer->qos == 2 && extension != NULL)
		packet_ids_remove(&shard->mem.slab, &extension->received, answer->packet_id);
	if (!client_is_connected(client))
		return true;
	/* One that is connected again may have sent it again, and it was taken for one that is there. */
	if (answer->forgotten || client->version != MQTT_VERSION_5)
		return false;
	answers_add(shard, answers, answer);
	return true;
}

/* Half of the bound is left: there is no use in reading for the sake of one message. Whether the shard has too many of
 * them is looked at when it publishes again. */
static void resume_publisher(struct shard *shard, struct client_ref ref, struct client *client)
{
	if (client->pause == PAUSE_ACKS &&
	    pending_acks_of(&shard->routing.acks, ref) <= client_acks_max(shard, client) / 2)
		client_resume(shard, ref, PAUSE_ACKS);
}

/* False: its client has to end. */
static bool answer_one(struct shard *shard, struct answers *answers, const struct pending_answer *answer)
{
	struct client *client = shard_client(shard, answer->client);
	CHECK(client->session.id != 0); /* the line goes with the session */
	turn_work_charge(&shard->loop.work, WORK_ENTRY);
	if (answer->failed && !answer_failure(shard, answers, answer))
		return false;
	if (!answer->failed)
		tell_received(shard, answer->client, answer->qos, answer->packet_id, answer->reason);
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
		if (client_is_connected(client))
			resume_publisher(shard, awaiting->items[i], client);
	}
	awaiting->count = 0;
}

void acknowledge_run(struct shard *shard)
{
	/* Clients may still wait for room when nothing is left: what took it has gone with the sessions that it was of.
	 */
	if (!pending_acks_any(&shard->routing.acks) && shard->routing.acks_awaited.count == 0)
		return;
	struct pending_answer answer;
	struct answers answers;
	answers.size = 0; /* the rest is written before it is read */
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
#define GAPS 8u             /* that the average goes over */
#define GAP_MAX_NS 1600000u /* one long one alone does not make the average long */
_Static_assert(GAP_MAX_NS / GAPS > ACKNOWLEDGE_PATIENCE_GAP_NS, "the first of them is patient");
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
	patience->woken_left = (uint16_t)(1u << patience->backoff);
	if (patience->backoff < BACKOFF_MAX)
		patience->backoff++;
}

/* ---- the client's ---- */

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

/* A client that answers with another packet than is due has lost track of the exchange: what either side made of it
 * from here on would be a guess. One that answers to what is not under way may speak of a session that we have not any
 * more. */
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
