#include "bench/measure/stall.h"

#include "base/check.h"

struct stall stall_begin(uint64_t from_ns, uint64_t limit_ns)
{
	CHECK(limit_ns > 0);
	return (struct stall){.limit_ns = limit_ns, .since_ns = from_ns};
}

bool stall_is_over(struct stall *stall, uint64_t progress, uint64_t now_ns)
{
	if (progress > stall->progress) {
		stall->progress = progress;
		if (now_ns > stall->since_ns)
			stall->since_ns = now_ns;
	}
	return now_ns > stall->since_ns && now_ns - stall->since_ns > stall->limit_ns;
}
