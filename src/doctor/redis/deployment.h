/* A Redis as its URL names it: a server, a cluster with all its masters, or what Sentinels watch; and whether what
 * rules send there stays, also when a server is lost. Main thread; blocks for some seconds for each server. */
#ifndef DOCTOR_REDIS_DEPLOYMENT_H
#define DOCTOR_REDIS_DEPLOYMENT_H

#include "doctor/redis/redis.h"

#define DEPLOYMENT_SERVERS_MAX 64u
#define DEPLOYMENT_WARNINGS_MAX 32u

struct deployment_server {
	struct redis_place place;
	bool looked; /* the verdict is there; else fault says why not */
	char fault[REDIS_LINE_BYTES];
	struct redis_verdict verdict;
};

struct deployment {
	enum redis_kind kind;
	struct deployment_server servers[DEPLOYMENT_SERVERS_MAX]; /* masters; those beyond are left out */
	uint32_t server_count;
	/* Of a cluster. */
	char state[REDIS_WORD_BYTES];
	uint32_t slots_covered;
	/* Of Sentinels. */
	uint32_t sentinels; /* that watch it, by what they say */
	uint32_t quorum;    /* how many have to find that it is down */
	char warnings[DEPLOYMENT_WARNINGS_MAX][REDIS_LINE_BYTES];
	uint32_t warning_count;
	bool good;
};

/* NULL: it could not be looked at, and stderr says why. Freed with free(). */
struct deployment *deployment_look(const char *url);

void deployment_show(const struct deployment *deployment, FILE *out);
/* One object, of a single server that server's; the caller owns it. */
json_t *deployment_json(const struct deployment *deployment);

#endif
