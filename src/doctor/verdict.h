/* The table of limits applied to one machine: how many connections each limit allows, in order, and for a wished number
 * which of them breaks first. Pure; any thread. */
#ifndef DOCTOR_VERDICT_H
#define DOCTOR_VERDICT_H

#include "doctor/limit.h"

#define VERDICT_FINDINGS_MAX 64u
#define VERDICT_UNBOUNDED UINT64_MAX

enum finding_state {
	FINDING_FINE,
	FINDING_SHORT,   /* too low for the number wished, or better changed */
	FINDING_UNKNOWN, /* the file is there and says nothing that can be used, or a file that always is there is not
			  */
};

struct finding {
	const struct limit *limit;
	enum finding_state state;
	struct reading now;
	uint64_t allows; /* connections; VERDICT_UNBOUNDED */
	uint64_t have;   /* of what the limit counts; UINT64_MAX */
	uint64_t need;   /* of what the limit counts, for the number wished; 0 where none is wished */
	bool mendable;   /* wanted says what to set */
	char wanted[LIMIT_WANTED_BYTES];
};

struct verdict {
	const struct machine *machine;
	uint64_t connections; /* wished; 0: none */
	uint64_t holds;       /* what the lowest of LIMIT_HOLDS allows */
	bool fits;            /* holds >= connections */
	const struct finding
		*first; /* what breaks first, whether below the number wished or above; NULL: nothing does */
	uint32_t count;
	struct finding findings[VERDICT_FINDINGS_MAX]; /* by kind, and within it the lowest first */
};

/* machine must outlive it. */
void verdict_make(struct verdict *verdict, const struct machine *machine, uint64_t connections);

#endif
