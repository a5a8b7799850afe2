/* What `roost bench run` does: groups of clients, the load they make, and what is expected of the server. Read from
 * YAML; every fault is reported with file, line and key. Pure; main thread. */
#ifndef BENCH_SCENARIO_H
#define BENCH_SCENARIO_H

#include "bench/dial/url.h"
#include "bench/scenario/topic_pattern.h"

#include "base/slice.h"

#define SCENARIO_FILE_BYTES_MAX (1024u * 1024u)
#define SCENARIO_GROUPS_MAX 16u
#define SCENARIO_STEPS_MAX 64u
#define SCENARIO_NAME_BYTES 40u
#define SCENARIO_PATH_BYTES 256u
#define SCENARIO_FAULT_BYTES 512u
#define SCENARIO_CLIENTS_MAX 2000000u
#define SCENARIO_RATE_MAX 10000000.0

/* Bits: BOTH is the two together. */
enum scenario_role { ROLE_IDLE = 0, ROLE_SUBSCRIBER = 1, ROLE_PUBLISHER = 2, ROLE_BOTH = 3 };

/* How often something happens, for all the group's clients together. */
struct scenario_rate {
	double a_second; /* if it does not depend on the step */
	bool is_load;    /* it is the step's load */
};

struct scenario_group {
	char name[SCENARIO_NAME_BYTES];
	uint32_t line; /* in the file */
	uint32_t count;
	uint32_t role;    /* enum scenario_role */
	uint32_t version; /* enum mqtt_version */
	uint32_t qos;     /* of messages and subscriptions */
	uint32_t keepalive_s;
	bool clean_start;
	struct topic_pattern subscribe;
	struct topic_pattern publish;
	uint32_t circles; /* %g */
	uint32_t targets; /* %t */
	uint32_t size_min;
	uint32_t size_max;
	uint32_t interval_ms; /* between two messages of one client; 0: see rate */
	struct scenario_rate rate;
	struct scenario_rate reconnects;
	uint32_t loops;    /* messages of each client in a step; 0: the duration ends the step */
	uint32_t inflight; /* above QoS 0: unacknowledged messages of a client at most */
	struct url url;    /* host and path "": the scenario's */
	char user_name[SCENARIO_NAME_BYTES];
	char token_secret[SCENARIO_PATH_BYTES]; /* a file; "": anonymous */
};

#define SCENARIO_COMMAND_BYTES 2048u
#define SCENARIO_WORDS_MAX 48u

/* The server is started for the run, and is ended and started again in each step. */
struct scenario_restart {
	uint32_t after_ms;                    /* from a step's first message; 0: the scenario has no restart */
	uint32_t signal;                      /* that ends it: SIGKILL or SIGTERM */
	char command[SCENARIO_COMMAND_BYTES]; /* words, each with its null; none: this program with a store */
	uint32_t word_count;
	char store[SCENARIO_PATH_BYTES]; /* a directory; "": a new one, which is removed if all went well */
};

/* NAN: no objective. */
struct objectives {
	double p99_ms;
	double p999_ms;
	double sign_in_p99_ms;
	double error_rate;
	double lost; /* messages in a step */
	double doubled;
};

struct scenario {
	char name[SCENARIO_NAME_BYTES];
	struct url url;
	uint32_t threads;
	uint32_t ramp_up_s;
	uint32_t warm_up_ms; /* of each step */
	uint32_t duration_s; /* of each step, after the warm-up */
	struct objectives objectives;
	struct scenario_restart restart;
	uint32_t step_count; /* 0: one step without a load of its own */
	double steps[SCENARIO_STEPS_MAX];
	uint32_t group_count;
	struct scenario_group groups[SCENARIO_GROUPS_MAX];
};

/* If it returns false, fault is "file:line: key: sentence", where name is the file. */
bool scenario_parse(const char *name, struct slice text, struct scenario *out, char fault[SCENARIO_FAULT_BYTES]);
bool scenario_read(const char *path, struct scenario *out, char fault[SCENARIO_FAULT_BYTES]);

/* Default values. */
void scenario_init(struct scenario *scenario);
void scenario_group_init(struct scenario_group *group);

/* Returns NULL, or which keys exclude each other; static storage. */
const char *scenario_group_fault(const struct scenario_group *group);
/* The same for the whole scenario, whose groups have passed by themselves. */
const char *scenario_fault(const struct scenario *scenario);

uint32_t scenario_clients(const struct scenario *scenario);
/* Messages and reconnects of a group a second at this load of the step. */
double scenario_group_rate(const struct scenario_group *group, double load);
double scenario_group_reconnects(const struct scenario_group *group, double load);
/* The words of the restart's command; out holds SCENARIO_WORDS_MAX + 1 and ends with NULL. */
void scenario_command(const struct scenario_restart *restart, const char **out);
/* Whether a step's load changes anything. */
bool scenario_rises(const struct scenario *scenario);

#endif
