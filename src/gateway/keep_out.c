#include "gateway/keep_out.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

/* Asking costs a system call a listener. */
#define LOOK_EVERY_MS 200u

_Static_assert(2 * SETTINGS_NETWORKS_MAX + OFFENDERS_MAX <= SYN_FILTER_RULES_MAX,
	       "one filter has room for all of them");

static uint32_t add_rules(struct syn_rule *rules, const struct network *networks, uint32_t count, bool drops)
{
	for (uint32_t i = 0; i < count; i++)
		rules[i] = (struct syn_rule){.network = networks[i], .drops = drops};
	return count;
}

uint32_t keep_out_rules(const struct settings *settings, const struct offenders *offenders, struct syn_rule *rules)
{
	const struct networks *denied = &settings->address_denied;
	const struct networks *exempt = &settings->address_exempt;
	struct network kept_out[OFFENDERS_MAX];
	uint32_t count = add_rules(rules, denied->items, denied->count, true);
	uint32_t offending = offenders_list(offenders, kept_out);
	/* An address that no limit counts may be inside a prefix that offends. */
	if (offending != 0)
		count += add_rules(rules + count, exempt->items, exempt->count, false);
	return count + add_rules(rules + count, kept_out, offending, true);
}

/* How many of the rules are in force in front of all listeners. */
static uint32_t attach(const struct settings *settings, const struct syn_rule *rules, uint32_t count)
{
	uint32_t least = count;
	for (uint32_t i = 0; i < settings->listener_count; i++) {
		uint32_t attached = syn_filter_attach(settings->listeners[i].fd, rules, count);
		if (attached < least)
			least = attached;
	}
	return least;
}

void keep_out_renew(struct keep_out *keep_out, const struct settings *settings, struct counters *counters)
{
	struct syn_rule rules[SYN_FILTER_RULES_MAX];
	uint32_t count = keep_out_rules(settings, &keep_out->offenders, rules);
	uint32_t attached = attach(settings, rules, count);
	int why = errno;
	uint32_t denied = settings->address_denied.count;
	uint32_t left = denied > attached ? denied - attached : 0;
	uint32_t before_offenders = count - keep_out->offenders.count;
	if (left != 0 && left != keep_out->denied_left)
		log_write(LOG_WARNING,
			  "the kernel keeps out %u of %u denied networks: the others are refused after accept, which "
			  "costs more%s%s",
			  denied - left, denied, attached == 0 ? ": " : "", attached == 0 ? strerror(why) : "");
	keep_out->denied_left = left;
	COUNT_SET(counters, denied_networks_kept_out, denied - left);
	COUNT_SET(counters, addresses_kept_out, attached > before_offenders ? attached - before_offenders : 0);
}

void keep_out_refused(struct keep_out *keep_out, const struct settings *settings, const struct network *counted,
		      uint64_t now_ms, struct counters *counters)
{
	if (offenders_refused(&keep_out->offenders, &counted->prefix, counted->bits, now_ms))
		keep_out_renew(keep_out, settings, counters);
}

static void count_drops(struct keep_out *keep_out, const struct settings *settings, struct counters *counters)
{
	for (uint32_t i = 0; i < settings->listener_count; i++) {
		uint32_t drops;
		if (!syn_filter_drops(settings->listeners[i].fd, &drops))
			continue;
		uint32_t more = drops - keep_out->drops[i]; /* right where it has wrapped, too */
		keep_out->drops[i] = drops;
		counter_add(&counters->values[COUNTER_listener_drops], more);
	}
}

void keep_out_turn(struct keep_out *keep_out, const struct settings *settings, uint64_t now_ms,
		   struct counters *counters)
{
	if (offenders_forgive(&keep_out->offenders, now_ms))
		keep_out_renew(keep_out, settings, counters);
	if (now_ms - keep_out->looked_at_ms < LOOK_EVERY_MS)
		return;
	keep_out->looked_at_ms = now_ms;
	count_drops(keep_out, settings, counters);
}

void keep_out_let_in(const struct settings *settings, int fd)
{
	if (settings->address_denied.count != 0 || address_limits_any(&settings->address))
		syn_filter_detach(fd);
}
