#include "gate/handshakes.h"

#include "gate/handshake/asking.h"
#include "gate/handshake/passwords.h"
#include "gate/stages.h"

#include <stddef.h>

#define TIMERS_PER_TURN 1024u

enum error gate_handshakes_open(struct gate *gate)
{
	return pool_open(&gate->handshakes, sizeof(struct handshake), gate->settings->handshakes_max);
}

void gate_handshakes_begin(struct gate *gate)
{
	wheel_init(&gate->wheel, &gate->handshakes, offsetof(struct handshake, timer), gate->now_ms);
}

/* ---- what they wait for ---- */

static void continue_with_password(struct gate *gate, const struct password_job *waiting, enum error verdict,
				   bool stale)
{
	if (!gate_password_verdict(gate, waiting, verdict, stale))
		return;
	uint64_t hits = gate->sign_in.cache.hits;
	gate_stages_read(gate, waiting->handshake);
	if (!stale)
		gate->sign_in.cache.hits = hits; /* this lookup is no hit: the entry was just made for it */
}

void gate_handshakes_take_verdicts(struct gate *gate)
{
	struct password_job *job;
	while ((job = password_results_take(&gate->verdicts)) != NULL) {
		bool stale = gate_password_remember(gate, job);
		continue_with_password(gate, job, job->verdict, stale);
		for (const struct password_job *one = job->followers; one != NULL; one = one->next)
			continue_with_password(gate, one, job->verdict, stale);
		password_job_free(&job);
	}
}

void gate_handshakes_take_answers(struct gate *gate)
{
	struct authority_job *job;
	if (gate->authority == NULL)
		return;
	while ((job = authority_take_result(gate->authority, &gate->answers)) != NULL) {
		if (gate_ask_answered(gate, job))
			gate_stages_read(gate, job->handshake);
		authority_job_free(&job);
	}
}

/* Why one whose time is up is refused. */
static enum error reason_of_timeout(const struct handshake *handshake)
{
	if (handshake->password != NULL)
		return ERROR_PASSWORD_QUEUE;
	if (handshake->asked != NULL)
		return ERROR_AUTHORITY_AWAY;
	if (handshake->tls_wait == GATE_TLS_RESUMES || handshake->tls_wait == GATE_TLS_BEGINS)
		return ERROR_TLS_HANDSHAKE_QUEUE;
	return handshake->stage == GATE_TLS ? ERROR_TLS_HANDSHAKE_TIMEOUT : ERROR_CONNECT_TIMEOUT;
}

static uint64_t handshakes_visit(void *context, uint32_t index, uint64_t now_ms)
{
	struct gate *gate = context;
	const struct handshake *handshake = gate_handshake_at(gate, index);
	uint64_t deadline_ms = handshake->stage <= GATE_TLS ? handshake->tls_deadline_ms : handshake->deadline_ms;
	if (deadline_ms > now_ms)
		return deadline_ms;
	enum error reason = reason_of_timeout(handshake);
	if (reason == ERROR_PASSWORD_QUEUE || reason == ERROR_AUTHORITY_AWAY)
		gate_handshake_refuse(gate, index, reason, handshake->version);
	else
		gate_handshake_lost(gate, index, reason);
	return deadline_ms;
}

void gate_handshakes_expire(struct gate *gate)
{
	wheel_turn(&gate->wheel, gate->now_ms, TIMERS_PER_TURN, handshakes_visit, gate);
}

/* ---- begin, events, end ---- */

bool gate_handshake_new(struct gate *gate, int fd, uint8_t listener, const union peer *peer, uint32_t address)
{
	uint32_t index = pool_take(&gate->handshakes);
	if (index == 0)
		return false;
	struct handshake *handshake = gate_handshake_at(gate, index);
	uint16_t generation = handshake->conn.generation;
	const struct settings *settings = gate->settings;
	*handshake = (struct handshake){
		.conn = {.stream = stream_of(STREAM_DESCRIPTOR, fd), .generation = generation},
		.deadline_ms = gate->now_ms + settings->connect_timeout_ms,
		.peer = *peer,
		.address = address,
		.listener = listener,
		.stage = (uint8_t)gate_first_stage(gate, listener, peer),
	};
	handshake->tls_deadline_ms = handshake->deadline_ms;
	if (listener_is_tls(gate_listener(gate, listener)) &&
	    settings->tls_handshake_timeout_ms < settings->connect_timeout_ms)
		handshake->tls_deadline_ms = gate->now_ms + settings->tls_handshake_timeout_ms;
	COUNT(&gate->counters, handshakes_open);
	gate_stages_read(gate, index);
	return true;
}

void gate_handshake_event(struct gate *gate, const struct poller_event *event)
{
	uint32_t index = (uint32_t)event->tag;
	struct handshake *handshake = gate_handshake_at(gate, index);
	if (handshake->conn.generation != (uint32_t)(event->tag >> 32))
		return;
	bool waited = handshake->is_over && handshake->conn.backlog != 0;
	if (poller_writable(event) && io_awaits_writing(&handshake->conn) && !io_resume(&gate->io, &handshake->conn)) {
		gate_handshake_lost(gate, index, ERROR_CONNECTION_LOST);
		return;
	}
	bool reads = gate_handshake_reads(handshake);
	/* What waits may be the alert that says why it goes: its turn comes first, and the end is read behind it. */
	bool has_spoken = handshake->tls_wait == GATE_TLS_GOES_ON;
	if (!reads && !has_spoken && poller_hung_up(event))
		gate_handshake_lost(gate, index, ERROR_CONNECTION_LOST);
	else if (reads && (waited || poller_readable(event)))
		gate_stages_read(gate, index);
}

void gate_handshakes_end(struct gate *gate)
{
	for (uint32_t index = 1; index <= gate->handshakes.touched; index++) {
		if (gate_handshake_at(gate, index)->registered)
			gate_handshake_refuse(gate, index, ERROR_SERVER_STOPPING, 0);
	}
}
