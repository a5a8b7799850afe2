#include "bench/measure/audit.h"

#include "base/check.h"

#include <stdbool.h>

#define RECENT_BITS 64u

/* Below next: late if its bit is clear, a duplicate if it is set. A number older than the bits counts as late while
 * anything is missing at all, because a server that reorders by more than 64 is likelier than one that repeats so late.
 */
static void receive_old(struct audit *audit, struct audit_stream *stream, uint64_t number)
{
	CHECK(number < stream->next);
	uint64_t back = stream->next - 1 - number;
	bool seen = audit->missing == 0;
	if (back < RECENT_BITS) {
		seen = (stream->recent >> back & 1u) != 0;
		stream->recent |= 1ull << back;
	}
	if (seen) {
		audit->doubled++;
		return;
	}
	CHECK(audit->missing > 0); /* it was counted when it was skipped */
	audit->reordered++;
	audit->received++;
	audit->missing--;
}

uint64_t audit_receive(struct audit *audit, struct audit_stream *stream, uint64_t number)
{
	if (number < stream->next) {
		receive_old(audit, stream, number);
		return 0;
	}
	uint64_t settled = number - stream->next + 1;
	stream->recent = settled < RECENT_BITS ? stream->recent << settled : 0;
	stream->recent |= 1u;
	stream->next = number + 1;
	audit->received++;
	audit->missing += settled - 1;
	return settled;
}

void audit_end(struct audit *audit, const struct audit_stream *stream, uint64_t sent)
{
	if (sent > stream->next)
		audit->missing += sent - stream->next;
}
