/* Who is kept out by the kernel, in front of the listeners (net/filter/syn_filter.h): networks that are denied, and addresses
 * that went on although refused. A connection of theirs is never there: its first packet is dropped without an answer,
 * at no cost to this process. The gate's check after accept decides the same about those who get through all the same.
 * Owned by a gate's thread; of several gates, by the first. */
#ifndef ACCESS_DROP_LIST_H
#define ACCESS_DROP_LIST_H

#include "access/offenders.h"
#include "net/filter/syn_filter.h"
#include "runtime/counters.h"
#include "runtime/settings.h"

struct drop_list {
	struct offenders offenders;
	uint32_t denied_left;                   /* denied networks that the kernel did not take, as last logged */
	uint64_t looked_at_ms;                  /* when it was asked what it has dropped */
	uint32_t drops[SETTINGS_LISTENERS_MAX]; /* what it said */
};

/* What decides, in this order: denied networks, addresses that no limit counts, offenders. Whoever the check after
 * accept lets in gets through each of its beginnings too. rules holds SYN_FILTER_RULES_MAX. Returns how many. */
uint32_t drop_list_rules(const struct settings *settings, const struct offenders *offenders, struct syn_rule *rules);

/* Gives the listeners the filter for what is so now: at the start, with new settings, and when offenders have changed.
 * Counts what the kernel keeps out. */
void drop_list_renew(struct drop_list *drop_list, const struct settings *settings, struct counters *counters);
/* A connection was refused for its address's limits. */
void drop_list_refused(struct drop_list *drop_list, const struct settings *settings, const struct network *counted,
		       uint64_t now_ms, struct counters *counters);
/* Once a turn: lets those in whose time is over, and counts what the kernel has dropped. */
void drop_list_turn(struct drop_list *drop_list, const struct settings *settings, uint64_t now_ms,
		    struct counters *counters);

/* A client's socket, which stays: takes the filter off it that it may have inherited. */
void drop_list_let_in(const struct settings *settings, int fd);

#endif
