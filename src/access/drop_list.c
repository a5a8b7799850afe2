#include "access/drop_list.h"

#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

/* Reading the counters costs one system call per listener. */
#define COUNT_INTERVAL_MS 200u

_Static_assert(2 * SETTINGS_NETWORKS_MAX + OFFENDERS_MAX <= SYN_FILTER_RULES_MAX, "one filter has room for all rules");

static uint32_t add_rules(struct syn_rule *rules, const struct network *networks, uint32_t count, bool drops)
{
	for (uint32_t i = 0; i < count; i++)
		rules[i] = (struct syn_rule){.network = networks[i], .drops = drops};
	return count;
}

uint32_t drop_list_rules(const struct settings *settings, const struct offenders *offenders, struct syn_rule *rules)
{
	const struct networks *denied = &settings->address_denied;
	const struct networks *exempt = &settings->address_exempt;
	struct network kept_out[OFFENDERS_MAX];
	CHECK_LE(denied->count, SETTINGS_NETWORKS_MAX);
	CHECK_LE(exempt->count, SETTINGS_NETWORKS_MAX);
	uint32_t count = add_rules(rules, denied->items, denied->count, true);
	uint32_t offending = offenders_list(offenders, kept_out);
	/* An exempt address may lie within an offending prefix. */
	if (offending != 0)
		count += add_rules(rules + count, exempt->items, exempt->count, false);
	return count + add_rules(rules + count, kept_out, offending, true);
}

/* Returns how many of the rules are in force on every listener. */
static uint32_t drop_list_attach(const struct settings *settings, const struct syn_rule *rules, uint32_t count)
{
	uint32_t least = count;
	for (uint32_t i = 0; i < settings->listener_count; i++) {
		if (settings->listeners[i].scheme == LISTENER_UNIX)
			continue; /* nobody's packets */
		uint32_t attached = syn_filter_attach(settings->listeners[i].fd, rules, count);
		if (attached < least)
			least = attached;
	}
	return least;
}

void drop_list_renew(struct drop_list *drop_list, const struct settings *settings, struct counters *counters)
{
	struct syn_rule rules[SYN_FILTER_RULES_MAX];
	uint32_t count = drop_list_rules(settings, &drop_list->offenders, rules);
	uint32_t attached = drop_list_attach(settings, rules, count);
	int why = errno;
	uint32_t denied = settings->address_denied.count;
	uint32_t left = denied > attached ? denied - attached : 0;
	CHECK_GE(count, drop_list->offenders.count);
	uint32_t before_offenders = count - drop_list->offenders.count;
	if (left != 0 && left != drop_list->denied_left)
		log_write(
			LOG_WARNING,
			"the kernel keeps out %u of %u denied networks; connections from the others are refused after "
			"accept, which costs more%s%s",
			denied - left, denied, attached == 0 ? ": " : "", attached == 0 ? strerror(why) : "");
	drop_list->denied_left = left;
	COUNT_SET(counters, denied_networks_kept_out, denied - left);
	COUNT_SET(counters, addresses_kept_out, attached > before_offenders ? attached - before_offenders : 0);
}

void drop_list_refused(struct drop_list *drop_list, const struct settings *settings, const struct network *counted,
		       uint64_t now_ms, struct counters *counters)
{
	if (offenders_refused(&drop_list->offenders, &counted->prefix, counted->bits, now_ms))
		drop_list_renew(drop_list, settings, counters);
}

static void count_drops(struct drop_list *drop_list, const struct settings *settings, struct counters *counters)
{
	CHECK_LE(settings->listener_count, SETTINGS_LISTENERS_MAX);
	for (uint32_t i = 0; i < settings->listener_count; i++) {
		uint32_t drops;
		if (settings->listeners[i].scheme == LISTENER_UNIX ||
		    !syn_filter_drops(settings->listeners[i].fd, &drops))
			continue;
		uint32_t more = drops - drop_list->drops[i]; /* also right after a wrap-around */
		drop_list->drops[i] = drops;
		counter_add(&counters->values[COUNTER_listener_drops], more);
	}
}

void drop_list_turn(struct drop_list *drop_list, const struct settings *settings, uint64_t now_ms,
		    struct counters *counters)
{
	if (offenders_forgive(&drop_list->offenders, now_ms))
		drop_list_renew(drop_list, settings, counters);
	if (now_ms - drop_list->counted_at_ms < COUNT_INTERVAL_MS)
		return;
	drop_list->counted_at_ms = now_ms;
	count_drops(drop_list, settings, counters);
}

void drop_list_let_in(const struct settings *settings, int fd)
{
	if (settings->address_denied.count != 0 || address_limits_any(&settings->address))
		syn_filter_detach(fd);
}
