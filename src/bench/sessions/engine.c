#include "bench/sessions/engine.h"

#include "bench/measure/quiet.h"
#include "bench/report/progress.h"
#include "bench/sessions/engine_events.h"
#include "bench/sessions/passers.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* Fits the shortest default backlog of a broker, mosquitto's 100. */
#define IN_PROGRESS_MAX 64u
#define KEEPALIVE_S 7200u
#define SESSION_EXPIRY_S 86400u
#define TURN_NS_MAX 10000000u
#define TICK_NS 1000000u
#define RETRY_NS 20000000u

static bool ledger_prepare(struct engine *engine)
{
	const struct cast *cast = &engine->plan.cast;
	if (!ledger_open(&engine->ledger, cast_publishers(cast), cast_slots(cast)))
		return false;
	for (uint32_t publisher = 0; publisher < cast_publishers(cast); publisher++) {
		engine->ledger.publishers[publisher].qos = cast_qos(cast, publisher);
		for (uint32_t slot = 0; slot < cast_slots(cast); slot++) {
			struct ledger_stream *stream = ledger_stream_at(&engine->ledger, publisher, slot);
			stream->wanted = cast_has_stream(cast, publisher, slot);
			stream->ordered = !cast_slot_is_shared(cast, slot);
		}
	}
	return true;
}

bool engine_open(struct engine *engine, const struct engine_plan *plan, const struct dial *dial)
{
	*engine = (struct engine){.plan = *plan};
	const struct cast *cast = &engine->plan.cast;
	uint32_t clients = cast_clients(cast);
	engine->client_plan = (struct client_plan){
		.dial = *dial,
		.client_prefix = plan->client_prefix,
		.topic_prefix = cast->topic_prefix,
		.keepalive_s = KEEPALIVE_S,
		.version = plan->version,
		.qos = cast->qos == CAST_QOS_MIXED ? 2 : cast->qos,
		.session_expiry_s = SESSION_EXPIRY_S,
		.writes = true,
	};
	histogram_init(&engine->acknowledged_ns);
	engine->unreleased = calloc(cast_subscribers(cast) + 1, sizeof(*engine->unreleased));
	engine->is_wanted = calloc(clients, sizeof(*engine->is_wanted));
	engine->is_known = calloc(clients, sizeof(*engine->is_known));
	engine->is_present = calloc(clients, sizeof(*engine->is_present));
	bool good = engine->unreleased != NULL && engine->is_wanted != NULL && engine->is_known != NULL &&
		    engine->is_present != NULL && ledger_prepare(engine) &&
		    client_pool_open(&engine->pool, &engine->client_plan, 0, clients);
	if (good) {
		engine->pool.owner = engine;
		engine->pool.events = *engine_events();
		good = authors_open(&engine->authors, cast, &engine->pool, plan->size, plan->window);
	}
	if (!good)
		engine_close(engine);
	return good;
}

void engine_close(struct engine *engine)
{
	for (uint32_t i = 0; engine->unreleased != NULL && i < cast_subscribers(&engine->plan.cast); i++)
		unreleased_close(&engine->unreleased[i]);
	if (engine->authors.list != NULL)
		authors_close(&engine->authors);
	if (engine->pool.clients != NULL)
		client_pool_close(&engine->pool);
	ledger_close(&engine->ledger);
	free(engine->unreleased);
	free(engine->is_wanted);
	free(engine->is_known);
	free(engine->is_present);
	*engine = (struct engine){0};
}

bool engine_forget(struct engine *engine)
{
	for (uint32_t i = 0; i < engine->pool.started; i++)
		client_pool_leave(&engine->pool, i);
	memset(engine->is_wanted, 0, cast_clients(&engine->plan.cast));
	memset(engine->is_known, 0, cast_clients(&engine->plan.cast));
	return passers_visit(&engine->client_plan, cast_clients(&engine->plan.cast));
}

/* Returns true if every wanted client is ready. */
static bool start_wanted(struct engine *engine)
{
	struct client_pool *pool = &engine->pool;
	uint64_t now_ns = clock_now_ns();
	bool complete = true;
	for (uint32_t i = 0; i < pool->count; i++) {
		uint8_t state = pool->clients[i].state;
		bool idle = i >= pool->started || state == CLIENT_GONE || state == CLIENT_UNUSED;
		if (!engine->is_wanted[i] || state == CLIENT_READY)
			continue;
		complete = false;
		/* A client is started for the first time only after those before it. */
		if (!idle || i > pool->started || engine->server_is_down || now_ns < engine->retry_ns ||
		    pool->in_progress >= IN_PROGRESS_MAX)
			continue;
		client_pool_start(pool, i);
	}
	return complete;
}

bool engine_connect(struct engine *engine, uint32_t timeout_ms)
{
	uint64_t end_ns = clock_now_ns() + timeout_ms * UINT64_C(1000000);
	memset(engine->is_wanted, true, cast_clients(&engine->plan.cast));
	engine->retry_ns = 0;
	while (!start_wanted(engine)) {
		if (clock_now_ns() > end_ns || progress_interrupted())
			return false;
		engine_turn(engine, TICK_NS);
	}
	return true;
}

uint32_t engine_part(struct engine *engine, uint32_t round)
{
	const struct cast *cast = &engine->plan.cast;
	uint32_t count = 0;
	for (uint32_t i = 0; i < cast_subscribers(cast); i++) {
		uint32_t client = cast_publishers(cast) + i;
		if (!cast_is_offline(cast, i, round))
			continue;
		engine->is_wanted[client] = false;
		client_pool_leave(&engine->pool, client);
		count++;
	}
	return count;
}

void engine_flow(struct engine *engine, bool flows)
{
	engine->flowing_ns = flows ? clock_now_ns() : 0;
	for (uint32_t i = 0; i < cast_publishers(&engine->plan.cast); i++) {
		engine->authors.list[i].sent = 0;
		if (flows)
			author_note_due(&engine->authors, i);
	}
}

/* How many messages the publisher may have sent by now. At a rate they take turns, so that messages come evenly. At
 * QoS 0 without a rate: one each millisecond. */
static uint64_t due_by(const struct engine *engine, uint32_t index, uint64_t now_ns)
{
	uint32_t publishers = cast_publishers(&engine->plan.cast);
	uint64_t flowed_ns = now_ns - engine->flowing_ns;
	if (engine->plan.rate > 0)
		return (uint64_t)((double)flowed_ns * engine->plan.rate / publishers / 1e9 +
				  (double)(index + 1) / publishers);
	return cast_qos(&engine->plan.cast, index) == 0 ? flowed_ns / TICK_NS : UINT64_MAX;
}

static bool has_schedule(const struct engine *engine)
{
	return engine->plan.rate > 0 || engine->plan.cast.qos == 0 || engine->plan.cast.qos == CAST_QOS_MIXED;
}

static void publish_due(struct engine *engine)
{
	struct authors *authors = &engine->authors;
	uint64_t now_ns = clock_now_ns();
	for (uint32_t i = 0; has_schedule(engine) && i < cast_publishers(&engine->plan.cast); i++)
		author_note_due(authors, i);
	for (uint32_t i = 0; i < authors->due_count; i++) {
		uint32_t index = authors->due[i];
		struct author *author = &authors->list[index];
		uint64_t due = due_by(engine, index, now_ns);
		author->is_due = false;
		if (due > author->sent)
			author_publish(authors, index, due - author->sent, now_ns);
	}
	authors->due_count = 0;
}

void engine_turn(struct engine *engine, uint64_t timeout_ns)
{
	bool ticks = engine->flowing_ns != 0 && has_schedule(engine);
	uint64_t most = ticks ? TICK_NS : TURN_NS_MAX;
	client_pool_turn_ns(&engine->pool, timeout_ns < most ? timeout_ns : most);
	if (engine->flowing_ns != 0)
		publish_due(engine);
	if (!engine->server_is_down && engine->pool.ready < engine->pool.count)
		start_wanted(engine);
}

void engine_break(struct engine *engine)
{
	for (uint32_t i = 0; i < engine->pool.started; i++)
		client_pool_break(&engine->pool, i);
	engine_server_down(engine);
}

void engine_server_down(struct engine *engine)
{
	engine->server_is_down = true;
	engine->flowing_ns = 0;
	/* The end of the server is read from each socket, behind what it had sent before. */
	while (engine->pool.ready > 0 || engine->pool.in_progress > 0)
		engine_turn(engine, TURN_NS_MAX);
}

void engine_server_up(struct engine *engine)
{
	CHECK(engine->pool.ready == 0);
	engine->server_is_down = false;
	engine->retry_ns = 0;
}

static bool wait_quietly(struct engine *engine, uint32_t quiet_ms, bool (*is_done)(const struct engine *engine))
{
	struct quiet quiet = quiet_begin(quiet_ms, engine->events, clock_now_ns());
	while (!is_done(engine)) {
		engine_turn(engine, TURN_NS_MAX);
		bool answered = engine->pool.pings_pending == 0;
		enum quiet_advice advice = quiet_look(&quiet, engine->events, answered, clock_now_ns());
		if (advice == QUIET_PROBE)
			client_pool_probe(&engine->pool);
		if (advice == QUIET_OVER || progress_interrupted())
			return false;
	}
	return true;
}

static bool publishers_are_done(const struct engine *engine)
{
	return authors_unacknowledged(&engine->authors) == 0;
}

bool engine_finish_publishers(struct engine *engine, uint32_t quiet_ms)
{
	engine_flow(engine, false);
	return wait_quietly(engine, quiet_ms, publishers_are_done);
}

static bool all_has_arrived(const struct engine *engine)
{
	return engine->ledger.outstanding == 0;
}

void engine_drain(struct engine *engine, uint32_t quiet_ms)
{
	if (!wait_quietly(engine, quiet_ms, all_has_arrived) && !progress_interrupted())
		ledger_give_up(&engine->ledger);
}

void engine_rest(struct engine *engine, uint32_t quiet_ms)
{
	uint64_t seen = engine->events;
	uint64_t heard_ns = clock_now_ns();
	while (clock_now_ns() - heard_ns < quiet_ms * UINT64_C(1000000) && !progress_interrupted()) {
		engine_turn(engine, TURN_NS_MAX);
		if (engine->events != seen)
			heard_ns = clock_now_ns();
		seen = engine->events;
	}
}

bool engine_is_clean(const struct engine *engine)
{
	const struct engine_faults *faults = &engine->faults;
	return ledger_is_clean(&engine->ledger) && faults->sessions_lost == 0 && faults->identifiers_reused == 0 &&
	       faults->foreign == 0 && losses_total(&engine->losses) == 0;
}

void engine_print_faults(const struct engine *engine)
{
	char reasons[512];
	for (uint32_t i = 0; i < engine->ledger.fault_count; i++) {
		const struct ledger_fault *fault = &engine->ledger.faults[i];
		printf("%s: message %llu of publisher %u (QoS %u) in its stream %u%s\n", ledger_fault_name(fault->kind),
		       (unsigned long long)fault->number, fault->publisher,
		       (unsigned int)cast_qos(&engine->plan.cast, fault->publisher), fault->slot,
		       cast_slot_is_shared(&engine->plan.cast, fault->slot) ? ", the shared subscription" : "");
	}
	if (engine->faults.sessions_lost > 0)
		printf("sessions that were not resumed: %llu\n", (unsigned long long)engine->faults.sessions_lost);
	if (engine->faults.identifiers_reused > 0)
		printf("packet identifiers used again before PUBREL: %llu\n",
		       (unsigned long long)engine->faults.identifiers_reused);
	if (engine->faults.foreign > 0)
		printf("messages that nobody has sent, or at another QoS: %llu\n",
		       (unsigned long long)engine->faults.foreign);
	losses_describe(&engine->losses, engine->plan.version, reasons, sizeof(reasons));
	if (reasons[0] != '\0')
		printf("connections lost while the server should have been there: %s\n", reasons);
}
