/* Whether a Redis server keeps what rules send to it (docs/BACKENDS.md): its version, what it does when its memory is
 * full, and what it loses when it ends. Main thread; each call blocks for some seconds at most. */
#ifndef DOCTOR_REDIS_REDIS_H
#define DOCTOR_REDIS_REDIS_H

#include "redis/redis_url.h"

#include <hiredis/hiredis.h>
#include <jansson.h>
#include <stdio.h>

#define REDIS_MS_MAX 5000u
#define REDIS_WARNINGS_MAX 8u
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
	uint64_t memory_max;   /* 0: no limit */
	uint32_t replicas;     /* that are connected to it */
	uint32_t min_replicas; /* without which it takes no entries */
	bool is_cluster;
	bool wants_all_slots; /* cluster-require-full-coverage */
	char warnings[REDIS_WARNINGS_MAX][REDIS_LINE_BYTES];
	uint32_t warning_count;
	bool good; /* rules can use it, and it keeps what it has confirmed but for a second */
};

/* Connects and signs in. NULL: fault says why not. */
redisContext *redis_dial_up(const struct redis_place *place, const struct redis_login *login,
			    char fault[REDIS_LINE_BYTES]);
/* Returns the answer. NULL: the connection failed, or it is an error; fault says so. */
redisReply *redis_ask(redisContext *context, char fault[REDIS_LINE_BYTES], const char *format, ...);
/* The value of a line "name:value" of INFO and its like; "": it has none. */
void redis_read_info(const char *info, const char *name, char word[REDIS_WORD_BYTES]);
/* Copies the text. Returns false. */
bool redis_fault(char fault[REDIS_LINE_BYTES], const char *text);

/* Fills in what the server says. false: fault says why it does not. */
bool redis_look(struct redis_verdict *verdict, redisContext *context, char fault[REDIS_LINE_BYTES]);
/* Fills in warnings and good from the rest. kind: what it is part of. Pure. */
void redis_judge(struct redis_verdict *verdict, enum redis_kind kind);

/* The warnings, a line each. */
void redis_show(const struct redis_verdict *verdict, FILE *out);
/* One object; the caller owns it. */
json_t *redis_json(const struct redis_verdict *verdict);

#endif
