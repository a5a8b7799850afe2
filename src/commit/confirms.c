#include "commit/confirms.h"

#include "base/check.h"

void confirms_add(struct confirms *confirms, uint64_t taken, uint64_t position)
{
	CHECK_GT(taken, confirms->last);
	confirms->last = taken;
	if (confirms->count == CONFIRMS_MAX) {
		uint32_t last = (confirms->first + CONFIRMS_MAX - 1) % CONFIRMS_MAX;
		confirms->waits[last] = (struct confirm){.position = position, .taken = taken};
		return;
	}
	uint32_t place = (confirms->first + confirms->count++) % CONFIRMS_MAX;
	confirms->waits[place] = (struct confirm){.position = position, .taken = taken};
}

uint64_t confirms_take(struct confirms *confirms, uint64_t confirmed)
{
	uint64_t taken = 0;
	while (confirms->count != 0 && confirms->waits[confirms->first].position <= confirmed) {
		taken = confirms->waits[confirms->first].taken;
		confirms->first = (confirms->first + 1) % CONFIRMS_MAX;
		confirms->count--;
	}
	return taken;
}
