/* How the hooks are doing, as the admin side shows it. Copied under a lock; any thread. */
#ifndef RELAY_HOOK_HOOK_STATUS_H
#define RELAY_HOOK_HOOK_STATUS_H

#include "relay/item/hook.h"

#define HOOK_FAULT_BYTES 384u

enum hook_state {
	HOOK_STARTING, /* its session is not there yet */
	HOOK_WORKING,
	HOOK_WAITING, /* the endpoint is away, or does not take events now: the fault says why */
};

/* Why a request did not deliver its events. */
enum hook_failure {
	HOOK_NO_HOST,
	HOOK_NO_CONNECTION,
	HOOK_NO_TRUST,
	HOOK_TIMED_OUT,
	HOOK_BROKEN,       /* closed early, or no HTTP */
	HOOK_NO_PROCESS,   /* of Roost's own process that sends requests, or a file of the hook's */
	HOOK_REDIRECTED,   /* 3xx */
	HOOK_CLIENT_ERROR, /* 4xx, but for those below */
	HOOK_REFUSED,      /* 400, 413 and 422: for what is in it */
	HOOK_SERVER_ERROR, /* 5xx, and whatever is no status of HTTP */
	HOOK_FAILURE_COUNT,
};

/* What is counted since the process began, or its program was replaced. */
struct hook_counts {
	uint64_t delivered; /* events that the endpoint has taken */
	uint64_t bytes;     /* of their topics and payloads */
	uint64_t requests;  /* that were answered with 2xx */
	uint64_t failures[HOOK_FAILURE_COUNT];
	uint64_t dead;     /* events that went to the dead-letter file */
	uint64_t took_us;  /* requests that were answered, with whatever status, took so long in sum */
	uint64_t answered; /* so many of them */
};

struct hook_status {
	char name[ITEM_NAME_BYTES_MAX];
	char url[HOOK_URL_BYTES_MAX];
	uint8_t qos;
	enum hook_state state;
	struct hook_counts counts;
	/* Messages that the hook has taken and the endpoint has not. */
	uint64_t backlog_messages;
	uint64_t backlog_bytes;
	uint64_t refused; /* messages that were not taken because the backlog was full */
	double oldest_s;  /* since the oldest of them arrived; 0: there is none */
	double fault_age_s;
	char fault[HOOK_FAULT_BYTES]; /* the last one, in words; "": there was none */
};

struct hooks_status {
	uint32_t count;
	struct hook_status hooks[HOOKS_MAX];
};

const char *hook_state_name(enum hook_state state);
const char *hook_failure_name(enum hook_failure failure);

#endif
