#include "bench/measure/inflight.h"

#include "base/check.h"
#include "mqtt/packet.h"

#include <stdlib.h>

_Static_assert(INFLIGHT_WINDOW_MAX == UINT16_MAX, "identifiers are told apart within a window");

bool inflight_open(struct inflight *inflight, uint32_t window)
{
	CHECK(window >= 1 && window <= INFLIGHT_WINDOW_MAX);
	*inflight = (struct inflight){.waits = calloc(window, 1), .window = window};
	return inflight->waits != NULL;
}

void inflight_close(struct inflight *inflight)
{
	free(inflight->waits);
	inflight->waits = NULL;
}

uint32_t inflight_room(const struct inflight *inflight)
{
	CHECK(inflight->next - inflight->oldest <= inflight->window);
	return inflight->window - (uint32_t)(inflight->next - inflight->oldest);
}

uint16_t inflight_take(struct inflight *inflight, uint8_t qos)
{
	CHECK(qos == 1 || qos == 2);
	CHECK(inflight_room(inflight) > 0);
	uint64_t number = inflight->next++;
	inflight->waits[number % inflight->window] = qos == 1 ? INFLIGHT_PUBACK : INFLIGHT_PUBREC;
	return inflight_packet_id(number);
}

uint16_t inflight_packet_id(uint64_t number)
{
	return (uint16_t)(number % UINT16_MAX + 1);
}

/* Advances a message's handshake by one acknowledgement. */
static bool step(uint8_t *wait, uint8_t type)
{
	static const struct {
		uint8_t type;
		uint8_t next;
	} steps[] = {
		[INFLIGHT_PUBACK] = {MQTT_PUBACK, INFLIGHT_NONE},
		[INFLIGHT_PUBREC] = {MQTT_PUBREC, INFLIGHT_PUBCOMP},
		[INFLIGHT_PUBCOMP] = {MQTT_PUBCOMP, INFLIGHT_NONE},
	};
	if (*wait == INFLIGHT_NONE || steps[*wait].type != type)
		return false;
	*wait = steps[*wait].next;
	return true;
}

bool inflight_find(const struct inflight *inflight, uint16_t packet_id, uint64_t *number)
{
	if (packet_id == 0)
		return false;
	/* Distance of the identifier from the oldest one, modulo 65535. */
	uint64_t ahead = (packet_id - 1u + UINT16_MAX - inflight->oldest % UINT16_MAX) % UINT16_MAX;
	*number = inflight->oldest + ahead;
	return *number < inflight->next && inflight->waits[*number % inflight->window] != INFLIGHT_NONE;
}

static void pass_over_ended(struct inflight *inflight)
{
	while (inflight->oldest < inflight->next &&
	       inflight->waits[inflight->oldest % inflight->window] == INFLIGHT_NONE)
		inflight->oldest++;
}

void inflight_drop(struct inflight *inflight, uint64_t number)
{
	CHECK(number >= inflight->oldest && number < inflight->next);
	inflight->waits[number % inflight->window] = INFLIGHT_NONE;
	pass_over_ended(inflight);
}

bool inflight_answer(struct inflight *inflight, uint8_t type, uint16_t packet_id)
{
	uint64_t number;
	if (!inflight_find(inflight, packet_id, &number) || !step(&inflight->waits[number % inflight->window], type))
		return false;
	pass_over_ended(inflight);
	return true;
}
