#include "doctor/limits/verdict.h"

#include "base/check.h"
#include "doctor/limits/sizing.h"

#include <stdlib.h>

static uint64_t have(const struct limit *limit, const struct machine *machine)
{
	return limit->have != NULL ? limit->have(machine) : reading_bound(machine->facts[limit->fact]);
}

/* The largest number of connections whose need is met. A binary search, since needs never fall as connections rise. */
static uint64_t search(const struct limit *limit, const struct machine *machine, uint64_t there)
{
	uint64_t low = 0;
	uint64_t high = SIZING_CONNECTIONS_MAX;
	while (low < high) {
		uint64_t middle = (low + high + 1) / 2;
		if (limit->need(machine, middle) <= there)
			low = middle;
		else
			high = middle - 1;
	}
	CHECK(low == 0 || limit->need(machine, low) <= there);
	return low == SIZING_CONNECTIONS_MAX ? VERDICT_UNBOUNDED : low;
}

static void judge(struct finding *finding, const struct machine *machine, uint64_t connections)
{
	const struct limit *limit = finding->limit;
	CHECK((limit->kind == LIMIT_ADVICE) == (limit->need == NULL));
	finding->now = machine->facts[limit->fact];
	finding->allows = VERDICT_UNBOUNDED;
	finding->have = UINT64_MAX;
	if (limit->need != NULL) {
		finding->have = have(limit, machine);
		if (finding->have != UINT64_MAX)
			finding->allows = search(limit, machine, finding->have);
		finding->need = connections != 0 ? limit->need(machine, connections) : 0;
	}
	bool enough = limit->kind == LIMIT_ADVICE ? limit->good == NULL || limit->good(machine, connections)
						  : finding->allows >= connections;
	finding->state = enough ? FINDING_FINE : FINDING_SHORT;
	bool unknown =
		finding->now.state == READING_UNREADABLE || (finding->now.state == READING_ABSENT && !limit->optional);
	if (unknown && enough)
		finding->state = FINDING_UNKNOWN;
	if (finding->state == FINDING_SHORT)
		finding->fixable = limit_wanted(limit, machine, connections, finding->wanted);
	CHECK(!finding->fixable || finding->wanted[0] != '\0');
}

static int compare(const void *a, const void *b)
{
	const struct finding *left = a;
	const struct finding *right = b;
	if (left->limit->kind != right->limit->kind)
		return left->limit->kind < right->limit->kind ? -1 : 1;
	if (left->allows != right->allows)
		return left->allows < right->allows ? -1 : 1;
	return left->limit < right->limit ? -1 : 1;
}

void verdict_make(struct verdict *verdict, const struct machine *machine, uint64_t connections)
{
	CHECK(LIMIT_TABLE_SIZE <= VERDICT_FINDINGS_MAX);
	*verdict = (struct verdict){.machine = machine, .connections = connections, .count = LIMIT_TABLE_SIZE};
	for (uint32_t i = 0; i < verdict->count; i++) {
		verdict->findings[i].limit = &LIMITS[i];
		judge(&verdict->findings[i], machine, connections);
	}
	qsort(verdict->findings, verdict->count, sizeof(verdict->findings[0]), compare);
	const struct finding *lowest = &verdict->findings[0];
	CHECK(lowest->limit->kind == LIMIT_HOLDS);
	verdict->holds = lowest->allows;
	verdict->first = lowest->allows != VERDICT_UNBOUNDED ? lowest : NULL;
	verdict->fits = verdict->holds >= connections;
	/* Whoever shows a verdict that does not fit names what breaks. */
	CHECK(verdict->fits || verdict->first != NULL);
}
