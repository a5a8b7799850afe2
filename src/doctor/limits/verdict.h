/* The table of limits applied to one machine: how many connections each limit allows, in order, and which limit breaks
 * first for a given number of connections. Pure; any thread. */
#ifndef DOCTOR_LIMITS_VERDICT_H
#define DOCTOR_LIMITS_VERDICT_H

#include "doctor/limits/limit.h"

#define VERDICT_FINDINGS_MAX 64u
#define VERDICT_UNBOUNDED UINT64_MAX

enum finding_state {
	FINDING_FINE,
	FINDING_SHORT,   /* too low for the number of connections, or better changed */
	FINDING_UNKNOWN, /* the file has nothing that can be used, or a file that should always exist does not */
};

struct finding {
	const struct limit *limit;
	enum finding_state state;
	struct reading now;
	uint64_t allows; /* connections; VERDICT_UNBOUNDED */
	uint64_t have;   /* of what the limit counts; UINT64_MAX */
	uint64_t need;   /* of what the limit counts, for the number of connections; 0 where that is 0 */
	bool fixable;    /* wanted is the value to set */
	char wanted[NEED_WANTED_BYTES];
};

struct verdict {
	const struct machine *machine;
	uint64_t connections; /* asked about; 0: the user named no number */
	uint64_t holds;       /* what the lowest of LIMIT_HOLDS allows */
	bool fits;            /* holds >= connections */
	/* What breaks first, be that below `connections` or above; NULL: nothing does. */
	const struct finding *first;
	uint32_t count;
	struct finding findings[VERDICT_FINDINGS_MAX]; /* by kind, and within it the lowest first */
};

/* machine must outlive it. */
void verdict_make(struct verdict *verdict, const struct machine *machine, uint64_t connections);

#endif
