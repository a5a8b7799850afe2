#include "access/offenders.h"

#include <string.h>

static struct offender_slot *offenders_slot_of(struct offenders *offenders, const struct prefix *prefix)
{
	uint64_t halves[2];
	memcpy(halves, prefix->bytes, sizeof(halves));
	uint64_t mixed = (halves[0] ^ halves[1]) * 0x9E3779B97F4A7C15u;
	return &offenders->slots[mixed >> 56];
}

bool offenders_refused(struct offenders *offenders, const struct prefix *prefix, uint8_t bits, uint64_t now_ms)
{
	struct offender_slot *slot = offenders_slot_of(offenders, prefix);
	uint32_t second = (uint32_t)(now_ms / 1000);
	if (slot->second != second || memcmp(&slot->prefix, prefix, sizeof(*prefix)) != 0)
		*slot = (struct offender_slot){.prefix = *prefix, .second = second};
	/* Exactly at the number: what was on its way when the filter came does not make it an offender again. */
	if (++slot->refusals != OFFENDER_REFUSALS || offenders->count == OFFENDERS_MAX)
		return false;
	offenders->kept_out[offenders->count++] = (struct offender){
		.network = {.prefix = *prefix, .bits = bits},
		.until_ms = now_ms + OFFENDER_KEPT_OUT_MS,
	};
	return true;
}

bool offenders_forgive(struct offenders *offenders, uint64_t now_ms)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < offenders->count; i++) {
		if (offenders->kept_out[i].until_ms > now_ms)
			offenders->kept_out[left++] = offenders->kept_out[i];
	}
	bool some = left != offenders->count;
	offenders->count = left;
	return some;
}

uint32_t offenders_list(const struct offenders *offenders, struct network *networks)
{
	for (uint32_t i = 0; i < offenders->count; i++)
		networks[i] = offenders->kept_out[i].network;
	return offenders->count;
}
