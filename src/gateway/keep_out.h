/* Who is kept out by the kernel, in front of the listeners (net/syn_filter.h): networks that are denied, and addresses
 * that went on although refused. A connection of theirs is never there: its first packet is dropped without an answer,
 * at no cost to this process. The gate's check after accept decides the same about those who get through all the same.
 * Owned by a gate's thread; of several gates, by the first. */
#ifndef GATEWAY_KEEP_OUT_H
#define GATEWAY_KEEP_OUT_H

#include "gateway/counters.h"
#include "gateway/offenders.h"
#include "gateway/settings.h"
#include "net/syn_filter.h"

struct keep_out {
	struct offenders offenders;
	uint32_t denied_left;                   /* denied networks that the kernel did not take, as last logged */
	uint64_t looked_at_ms;                  /* when it was asked what it has dropped */
	uint32_t drops[SETTINGS_LISTENERS_MAX]; /* what it said */
};

/* What decides, in this order: denied networks, addresses that no limit counts, offenders. Whoever the check after
 * accept lets in gets through each of its beginnings too. rules holds SYN_FILTER_RULES_MAX. Returns how many. */
uint32_t keep_out_rules(const struct settings *settings, const struct offenders *offenders, struct syn_rule *rules);

/* Gives the listeners the filter for what is so now: at the start, with new settings, and when offenders have changed.
 * Counts what the kernel keeps out. */
void keep_out_renew(struct keep_out *keep_out, const struct settings *settings, struct counters *counters);
/* A connection was refused for its address's limits. */
void keep_out_refused(struct keep_out *keep_out, const struct settings *settings, const struct network *counted,
		      uint64_t now_ms, struct counters *counters);
/* Once a turn: lets those in whose time is over, and counts what the kernel has dropped. */
void keep_out_turn(struct keep_out *keep_out, const struct settings *settings, uint64_t now_ms,
		   struct counters *counters);

/* A client's socket, which stays: takes the filter off it that it may have inherited. */
void keep_out_let_in(const struct settings *settings, int fd);

#endif
