/* Addresses that go on although they are refused: counted a second at a time, and those that are refused very often are
 * kept out by the kernel for a while (net/filter/syn_filter.h), so that a flood costs this process next to nothing. Owned by a
 * gate's thread; of several gates, by the first. */
#ifndef ACCESS_OFFENDERS_H
#define ACCESS_OFFENDERS_H

#include "net/filter/prefix.h"

/* Refusals in a second that make an offender, and for how long it is kept out. */
#define OFFENDER_REFUSALS 200u
#define OFFENDER_KEPT_OUT_MS 10000u
#define OFFENDERS_MAX 64u
#define OFFENDER_SLOTS 256u

struct offender_slot {
	struct prefix prefix;
	uint32_t second;
	uint32_t refusals;
};

struct offender {
	struct network network;
	uint64_t until_ms;
};

struct offenders {
	struct offender_slot slots[OFFENDER_SLOTS]; /* by a sum of the prefix; a newer one takes an older one's place */
	struct offender kept_out[OFFENDERS_MAX];
	uint32_t count;
};

/* The address, cut to the bits that count, was refused. True: it is kept out from now on, the filter must be renewed.
 */
bool offenders_refused(struct offenders *offenders, const struct prefix *prefix, uint8_t bits, uint64_t now_ms);
/* True: some may come again, the filter must be renewed. */
bool offenders_forgive(struct offenders *offenders, uint64_t now_ms);
/* Those that are kept out. networks holds OFFENDERS_MAX. Returns how many. */
uint32_t offenders_list(const struct offenders *offenders, struct network *networks);

#endif
