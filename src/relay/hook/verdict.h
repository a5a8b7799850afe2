/* What becomes of a request's events, by how it was answered. Pure: the time comes in. Any thread. */
#ifndef RELAY_HOOK_VERDICT_H
#define RELAY_HOOK_VERDICT_H

#include "fetch/frame.h"
#include "relay/hook/hook_status.h"

/* An endpoint that wants to be left alone for longer is asked again after so long all the same. */
#define RETRY_AFTER_S_MAX 3600u

enum verdict_kind {
	VERDICT_TAKEN,   /* 2xx */
	VERDICT_REFUSED, /* 400, 413 or 422: never as it is; one of the events may be why */
	VERDICT_FAILED,  /* to be sent again */
};

struct verdict {
	enum verdict_kind kind;
	enum hook_failure failure;    /* unless taken */
	uint32_t retry_after_s;       /* as the endpoint wants it; 0: it said nothing */
	char words[HOOK_FAULT_BYTES]; /* unless taken; printable ASCII */
};

/* now_s: since 1970. */
void verdict_of_answer(const struct fetch_answer *answer, uint64_t now_s, struct verdict *verdict);

#endif
