#include "gate/handshake/tls_queue.h"

#include "base/clock.h"

#include <malloc.h>

_Static_assert(GATE_TLS_CLIENT + 1 == GATE_TLS_LINES, "each has a line");

/* gate_tls_trim(): no sooner than this after the last time, and not for fewer handshakes. */
#define TRIM_INTERVAL_MS 5000u
#define TRIM_PEAK_MIN 16u

static bool has_room_to_begin(const struct gate *gate)
{
	return gate->tls.open < gate->settings->tls_handshakes_max;
}

static bool begins(enum gate_tls_wait wait)
{
	return wait == GATE_TLS_RESUMES || wait == GATE_TLS_BEGINS;
}

enum error gate_tls_queue_add(struct gate *gate, uint32_t index, enum gate_tls_wait wait)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	CHECK(wait != GATE_TLS_WAITS_NOT && handshake->tls_wait == GATE_TLS_WAITS_NOT);
	if (begins(wait) && gate->tls.waiting >= gate->settings->tls_handshakes_max * GATE_TLS_WAITING_FACTOR)
		return ERROR_TLS_HANDSHAKE_QUEUE;
	struct gate_tls_line *line = &gate->tls.lines[wait];
	handshake->tls_wait = (uint8_t)wait;
	/* What it says later does not begin its time anew: a byte now and then would hold the place. */
	if (wait == GATE_TLS_CLIENT && handshake->tls_since_ms == 0)
		handshake->tls_since_ms = gate->now_ms;
	handshake->tls_previous = line->last;
	handshake->tls_next = 0;
	if (line->last != 0)
		gate_handshake_at(gate, line->last)->tls_next = index;
	else
		line->first = index;
	line->last = index;
	if (begins(wait)) {
		gate->tls.waiting++;
		COUNT(&gate->counters, tls_handshakes_waiting);
	}
	return ERROR_OK;
}

void gate_tls_queue_remove(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	enum gate_tls_wait wait = (enum gate_tls_wait)handshake->tls_wait;
	if (wait == GATE_TLS_WAITS_NOT)
		return;
	struct gate_tls_line *line = &gate->tls.lines[wait];
	if (handshake->tls_previous != 0)
		gate_handshake_at(gate, handshake->tls_previous)->tls_next = handshake->tls_next;
	else
		line->first = handshake->tls_next;
	if (handshake->tls_next != 0)
		gate_handshake_at(gate, handshake->tls_next)->tls_previous = handshake->tls_previous;
	else
		line->last = handshake->tls_previous;
	handshake->tls_wait = GATE_TLS_WAITS_NOT;
	if (begins(wait)) {
		CHECK(gate->tls.waiting != 0);
		gate->tls.waiting--;
		COUNT_DOWN(&gate->counters, tls_handshakes_waiting);
	}
}

void gate_tls_turn_begin(struct gate *gate)
{
	gate->tls.until_ns = clock_now_ns() + GATE_TLS_TURN_NS;
	gate->tls.began_full = false;
	gate->tls.served = false;
}

static uint32_t tls_first(const struct gate *gate)
{
	const struct gate_tls *tls = &gate->tls;
	if (tls->served && clock_now_ns() >= tls->until_ns)
		return !tls->began_full && has_room_to_begin(gate) ? tls->lines[GATE_TLS_BEGINS].first : 0;
	if (tls->lines[GATE_TLS_GOES_ON].first != 0)
		return tls->lines[GATE_TLS_GOES_ON].first;
	if (!has_room_to_begin(gate))
		return 0;
	uint32_t resumes = tls->lines[GATE_TLS_RESUMES].first, begins = tls->lines[GATE_TLS_BEGINS].first;
	if (resumes == 0 || (begins != 0 && tls->resumed_in_a_row >= GATE_TLS_RESUMED_IN_A_ROW))
		return begins;
	return resumes;
}

uint32_t gate_tls_next(struct gate *gate)
{
	uint32_t index = tls_first(gate);
	if (index == 0)
		return 0;
	struct handshake *handshake = gate_handshake_at(gate, index);
	gate->tls.served = true;
	if (handshake->tls_wait == GATE_TLS_RESUMES) {
		gate->tls.resumed_in_a_row++;
	} else if (handshake->tls_wait == GATE_TLS_BEGINS) {
		gate->tls.resumed_in_a_row = 0;
		gate->tls.began_full = true;
	}
	gate_tls_queue_remove(gate, index);
	handshake->tls_turn = true;
	return index;
}

uint32_t gate_tls_overdue(const struct gate *gate)
{
	uint32_t oldest = gate->tls.lines[GATE_TLS_CLIENT].first;
	if (oldest == 0 || gate->tls.waiting == 0 || has_room_to_begin(gate))
		return 0;
	return gate->now_ms - gate_handshake_at(gate, oldest)->tls_since_ms >= GATE_TLS_PATIENCE_MS ? oldest : 0;
}

bool gate_tls_has_work(const struct gate *gate)
{
	return gate->tls.lines[GATE_TLS_GOES_ON].first != 0 || (gate->tls.waiting != 0 && has_room_to_begin(gate));
}

void gate_tls_count(struct gate *gate)
{
	gate->tls.open++;
	if (gate->tls.open > gate->tls.peak)
		gate->tls.peak = gate->tls.open;
	COUNT(&gate->counters, tls_handshakes_open);
}

void gate_tls_free(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	if (handshake->tls == NULL)
		return;
	CHECK(gate->tls.open != 0);
	tls_handshake_free(handshake->tls);
	handshake->tls = NULL;
	gate->tls.open--;
	COUNT_DOWN(&gate->counters, tls_handshakes_open);
}

/* malloc keeps what a storm's handshakes had: 256 of them left 12 MB behind, which is 125 bytes for each of 100,000
 * clients. Giving it back takes some milliseconds, and the next storm takes page faults. */
void gate_tls_trim(struct gate *gate)
{
	struct gate_tls *tls = &gate->tls;
	if (tls->peak < TRIM_PEAK_MIN || tls->open > tls->peak / 4 || gate->now_ms < tls->trim_ms)
		return;
	malloc_trim(0);
	tls->peak = tls->open;
	tls->trim_ms = gate->now_ms + TRIM_INTERVAL_MS;
}
