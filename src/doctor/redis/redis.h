/* Whether a Redis keeps what rules send to it (docs/BACKENDS.md): its version, what it does when its memory is full,
 * and what it loses when it ends. Main thread; blocks for some seconds. */
#ifndef DOCTOR_REDIS_REDIS_H
#define DOCTOR_REDIS_REDIS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define REDIS_MS_MAX 5000u
#define REDIS_WARNINGS_MAX 6u
#define REDIS_LINE_BYTES 256u
#define REDIS_WORD_BYTES 64u

struct redis_verdict {
	/* As Redis says it; "": it does not say. */
	char version[REDIS_WORD_BYTES];
	char policy[REDIS_WORD_BYTES]; /* maxmemory-policy */
	char append[REDIS_WORD_BYTES]; /* appendonly */
	char fsync[REDIS_WORD_BYTES];  /* appendfsync */
	char save[REDIS_WORD_BYTES];
	char role[REDIS_WORD_BYTES];
	uint64_t memory_max; /* 0: no limit */
	bool is_cluster;
	char warnings[REDIS_WARNINGS_MAX][REDIS_LINE_BYTES];
	uint32_t warning_count;
	bool good; /* rules can use it, and it keeps what it has confirmed but for a second */
};

/* url: redis:// or unix://. False: it could not be looked at, and stderr says why. */
bool redis_look(struct redis_verdict *verdict, const char *url);
/* Fills in warnings and good from the rest. Pure. */
void redis_judge(struct redis_verdict *verdict);

void redis_show(const struct redis_verdict *verdict, FILE *out);
/* One object; the caller owns it. */
json_t *redis_json(const struct redis_verdict *verdict);

#endif
