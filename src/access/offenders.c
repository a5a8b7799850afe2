#include "access/offenders.h"

#include "base/check.h"

#include <string.h>

/* The number of a slot is the top bits of a 64-bit product. */
#define SLOT_BITS 8u
_Static_assert(OFFENDER_SLOTS == 1u << SLOT_BITS, "each value of the top bits names a slot");
_Static_assert(sizeof(((struct prefix *)NULL)->bytes) == 2 * sizeof(uint64_t), "the hash covers the whole prefix");

static struct offender_slot *offenders_slot_of(struct offenders *offenders, const struct prefix *prefix)
{
	uint64_t halves[2];
	memcpy(halves, prefix->bytes, sizeof(halves));
	uint64_t mixed = (halves[0] ^ halves[1]) * 0x9E3779B97F4A7C15u;
	return &offenders->slots[mixed >> (64 - SLOT_BITS)];
}

bool offenders_refused(struct offenders *offenders, const struct prefix *prefix, uint8_t bits, uint64_t now_ms)
{
	CHECK_LE(bits, 128);
	struct offender_slot *slot = offenders_slot_of(offenders, prefix);
	uint32_t second = (uint32_t)(now_ms / 1000);
	if (slot->second != second || memcmp(&slot->prefix, prefix, sizeof(*prefix)) != 0)
		*slot = (struct offender_slot){.prefix = *prefix, .second = second};
	/* Equality, not >=: refusals of connections that were queued before the filter came must not add it a second
	 * time. */
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
	CHECK_LE(offenders->count, OFFENDERS_MAX);
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
