#include "bench/measure/members.h"

#include "base/check.h"

#include <math.h>
#include <stdlib.h>

bool members_open(struct members *members, uint32_t count, uint32_t publishers)
{
	*members = (struct members){.count = count, .publishers = publishers};
	if (count == 0)
		return true;
	members->received = calloc(count, sizeof(*members->received));
	members->next = calloc((size_t)count * publishers, sizeof(*members->next));
	if (members->received != NULL && members->next != NULL)
		return true;
	members_close(members);
	return false;
}

void members_close(struct members *members)
{
	free(members->received);
	free(members->next);
	members->received = members->next = NULL;
}

void members_take(struct members *members, uint32_t member, uint32_t publisher, uint64_t number, bool is_new)
{
	CHECK(member < members->count && publisher < members->publishers);
	uint64_t *next = &members->next[(size_t)member * members->publishers + publisher];
	members->received[member]++;
	if (!is_new)
		return;
	if (number < *next)
		members->reordered++;
	else
		*next = number + 1;
}

/* Both ignore NAN. */
static double smaller(double a, double b)
{
	return a <= b || isnan(b) ? a : b;
}

static double larger(double a, double b)
{
	return a >= b || isnan(b) ? a : b;
}

struct spread members_spread(const struct members *members)
{
	struct spread spread = spread_none();
	double sum = 0;
	for (uint32_t i = 0; i < members->count; i++) {
		double got = (double)members->received[i];
		sum += got;
		spread.least = smaller(spread.least, got);
		spread.most = larger(spread.most, got);
	}
	if (sum == 0)
		return spread_none();
	CHECK(spread.least <= spread.most);
	double even = sum / members->count;
	spread.deviation_percent = 100 * larger(spread.most - even, even - spread.least) / even;
	return spread;
}

struct spread spread_none(void)
{
	return (struct spread){(double)NAN, (double)NAN, (double)NAN};
}

void spread_merge(struct spread *into, const struct spread *from)
{
	if (isnan(into->deviation_percent) || from->deviation_percent > into->deviation_percent)
		*into = *from;
}
