#include "bench/sessions/engine_events.h"

#include "bench/measure/stamp.h"
#include "bench/sessions/engine_state.h"

#include "base/check.h"
#include "base/clock.h"
#include "mqtt/field/reason.h"

#define RETRY_NS 20000000u

static bool is_publisher(const struct engine *engine, uint32_t index)
{
	return index < cast_publishers(&engine->plan.cast);
}

static uint32_t subscriber_of(const struct engine *engine, uint32_t index)
{
	CHECK(!is_publisher(engine, index) && index < engine->pool.count);
	return index - cast_publishers(&engine->plan.cast);
}

static void durable_on_greeted(void *owner, uint32_t index, bool session_present)
{
	struct engine *engine = owner;
	engine->events++;
	/* CONNACK does not say before 3.1.1: the messages must tell. */
	session_present = session_present || (engine->plan.version < 4 && engine->is_known[index]);
	engine->is_present[index] = session_present;
	if (session_present)
		return;
	engine->faults.sessions_lost += engine->is_known[index];
	engine->is_known[index] = false;
	if (!is_publisher(engine, index))
		unreleased_clear(&engine->unreleased[subscriber_of(engine, index)]);
}

/* A session whose subscription is acknowledged keeps it: subscribing again would hide that the server had lost it. */
static size_t durable_filter_of(void *owner, uint32_t index, uint8_t *out)
{
	const struct engine *engine = owner;
	_Static_assert(CAST_TOPIC_BYTES_MAX <= 160, "a filter has room");
	if (is_publisher(engine, index) || (engine->is_known[index] && engine->is_present[index]))
		return 0;
	return cast_filter(&engine->plan.cast, subscriber_of(engine, index), out);
}

static void durable_on_ready(void *owner, uint32_t index)
{
	struct engine *engine = owner;
	engine->is_known[index] = true;
	if (!is_publisher(engine, index))
		return;
	author_resume(&engine->authors, index);
	author_note_due(&engine->authors, index);
}

/* Returns true if the receiver has not had the message yet, as far as its packet identifier tells. */
static bool is_new_at_qos_2(struct engine *engine, uint32_t subscriber, const struct mqtt_publish *publish,
			    const struct stamp *stamp)
{
	switch (unreleased_take(&engine->unreleased[subscriber], publish->packet_id, stamp->publisher, stamp->number)) {
	case UNRELEASED_AGAIN:
		return false;
	case UNRELEASED_REUSED:
		engine->faults.identifiers_reused++;
		break;
	case UNRELEASED_NO_MEMORY:
		engine->ledger.out_of_memory = true;
		break;
	case UNRELEASED_NEW:
		break;
	}
	return true;
}

static void durable_on_message(void *owner, uint32_t index, const struct mqtt_publish *publish)
{
	struct engine *engine = owner;
	const struct cast *cast = &engine->plan.cast;
	struct stamp stamp;
	engine->events++;
	bool known = !is_publisher(engine, index) && stamp_read(publish->payload, &stamp) &&
		     stamp.publisher < cast->publishers && publish->qos == cast_qos(cast, stamp.publisher) &&
		     stamp.number < author_count(&engine->authors, stamp.publisher);
	uint32_t subscriber = known ? subscriber_of(engine, index) : 0;
	uint32_t slot = known ? cast_slot(cast, subscriber, stamp.publisher) : CAST_NO_SLOT;
	if (slot == CAST_NO_SLOT) {
		engine->faults.foreign++;
		return;
	}
	if (publish->qos < 2 || is_new_at_qos_2(engine, subscriber, publish, &stamp))
		ledger_receive(&engine->ledger, stamp.publisher, slot, stamp.number);
}

static void durable_on_released(void *owner, uint32_t index, uint16_t packet_id)
{
	struct engine *engine = owner;
	engine->events++;
	if (!is_publisher(engine, index))
		unreleased_release(&engine->unreleased[subscriber_of(engine, index)], packet_id);
}

/* The message in flight that the acknowledgement is for, or false. */
static bool find_message(const struct engine *engine, uint32_t index, uint16_t packet_id, uint64_t *number)
{
	return is_publisher(engine, index) && cast_qos(&engine->plan.cast, index) > 0 &&
	       inflight_find(&engine->authors.list[index].inflight, packet_id, number);
}

static bool durable_on_acknowledged(void *owner, uint32_t index, uint8_t type, uint16_t packet_id)
{
	struct engine *engine = owner;
	struct author *author = &engine->authors.list[index];
	uint64_t number;
	engine->events++;
	if (!find_message(engine, index, packet_id, &number))
		return false;
	uint64_t sent_ns = author->sent_ns[number % engine->authors.window];
	if (!inflight_answer(&author->inflight, type, packet_id))
		return false;
	if (type != MQTT_PUBCOMP) {
		ledger_acknowledge(&engine->ledger, index, number);
		if (engine->measures)
			histogram_add(&engine->acknowledged_ns, clock_now_ns() - sent_ns);
	}
	author_note_due(&engine->authors, index);
	return true;
}

static bool durable_on_refused(void *owner, uint32_t index, uint8_t type, uint16_t packet_id, uint8_t reason)
{
	struct engine *engine = owner;
	uint64_t number;
	engine->events++;
	if (!find_message(engine, index, packet_id, &number))
		return false;
	inflight_drop(&engine->authors.list[index].inflight, number);
	author_note_due(&engine->authors, index);
	/* The server had ended the handshake before it was killed: no message is refused by that. */
	if (type == MQTT_PUBCOMP)
		return true;
	engine->refused++;
	engine->quota += reason == MQTT_REASON_QUOTA_EXCEEDED;
	return true;
}

static void durable_on_writable(void *owner, uint32_t index)
{
	struct engine *engine = owner;
	if (is_publisher(engine, index))
		author_note_due(&engine->authors, index);
}

static void durable_on_lost(void *owner, uint32_t index, enum client_state state, enum loss kind, uint32_t code)
{
	struct engine *engine = owner;
	(void)index;
	(void)state;
	engine->events++;
	engine->retry_ns = clock_now_ns() + RETRY_NS;
	if (!engine->server_is_down)
		losses_add(&engine->losses, kind, code);
}

const struct client_events *engine_events(void)
{
	static const struct client_events events = {
		.greeted = durable_on_greeted,
		.filter_of = durable_filter_of,
		.ready = durable_on_ready,
		.message = durable_on_message,
		.released = durable_on_released,
		.acknowledged = durable_on_acknowledged,
		.refused = durable_on_refused,
		.writable = durable_on_writable,
		.lost = durable_on_lost,
	};
	return &events;
}
