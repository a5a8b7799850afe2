/* The drop list: denied networks, and addresses that kept connecting although refused. A filter on the listeners
 * (net/filter/syn_filter.h) makes the kernel drop their SYNs without an answer, at no cost to this process. Connections
 * that get through the filter are checked again after accept, by the same rules. Owned by the thread of gate 0. */
#ifndef ACCESS_DROP_LIST_H
#define ACCESS_DROP_LIST_H

#include "access/offenders.h"
#include "net/filter/syn_filter.h"
#include "runtime/counters.h"
#include "runtime/settings/settings.h"

struct drop_list {
	struct offenders offenders;
	uint32_t denied_left;                   /* denied networks that the kernel did not accept, as last logged */
	uint64_t counted_at_ms;                 /* when the kernel's drop counters were last read */
	uint32_t drops[SETTINGS_LISTENERS_MAX]; /* the counters as last read */
};

/* Writes the filter's rules in the order in which they apply: denied networks, addresses exempt from limits, offenders.
 * Every prefix of this list lets through whatever the check after accept would accept, so the kernel may take only the
 * first rules. rules has room for SYN_FILTER_RULES_MAX. Returns their number. */
uint32_t drop_list_rules(const struct settings *settings, const struct offenders *offenders, struct syn_rule *rules);

/* Attaches a new filter to the listeners: at the start, with new settings, and when the offenders have changed. Updates
 * the gauges of what the kernel drops. */
void drop_list_renew(struct drop_list *drop_list, const struct settings *settings, struct counters *counters);
/* A connection was refused because of a limit on its address. counted: the prefix whose limit it was. */
void drop_list_refused(struct drop_list *drop_list, const struct settings *settings, const struct network *counted,
		       uint64_t now_ms, struct counters *counters);
/* Once a turn: releases offenders whose time is over, and counts the packets that the kernel has dropped. */
void drop_list_turn(struct drop_list *drop_list, const struct settings *settings, uint64_t now_ms,
		    struct counters *counters);

/* For the socket of an accepted client: removes the filter that it may have inherited from its listener. */
void drop_list_let_in(const struct settings *settings, int fd);

#endif
