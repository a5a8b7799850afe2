/* Addresses that keep connecting although they are refused. Refusals are counted per second. An address with very many
 * of them becomes an offender: the kernel keeps it out for a while (net/filter/syn_filter.h), so that a flood costs
 * this process next to nothing. Owned by the thread of gate 0. */
#ifndef ACCESS_OFFENDERS_H
#define ACCESS_OFFENDERS_H

#include "net/filter/prefix.h"

/* The refusals within a second that make an offender, and the time for which it is kept out. */
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
	struct offender_slot slots[OFFENDER_SLOTS]; /* by a hash of the prefix; a newer prefix replaces an older one */
	struct offender kept_out[OFFENDERS_MAX];
	uint32_t count;
};

/* The address was refused. prefix: cut to its first `bits` bits, counted in an IPv6 address (96 + n for IPv4). Returns
 * true if it is an offender from now on, so that the filter must be renewed. */
bool offenders_refused(struct offenders *offenders, const struct prefix *prefix, uint8_t bits, uint64_t now_ms);
/* Releases offenders whose time is over. Returns true if there were any, so that the filter must be renewed. */
bool offenders_forgive(struct offenders *offenders, uint64_t now_ms);
/* Lists the offenders. networks has room for OFFENDERS_MAX. Returns their number. */
uint32_t offenders_list(const struct offenders *offenders, struct network *networks);

#endif
