/* The command line of `roost bench durable`. Main thread. */
#ifndef BENCH_DURABLE_OPTIONS_H
#define BENCH_DURABLE_OPTIONS_H

#include "bench/dial/transport.h"
#include "bench/sessions/engine.h"

struct durable_options {
	struct engine_plan plan;
	struct url url;
	struct transport_options transport;
	struct url admin;
	const char *disk;  /* a directory on the server's file system; NULL: none */
	uint64_t messages; /* so many acknowledged ones end the run; 0: duration_s does */
	uint32_t duration_s;
	uint32_t warm_up_ms;
	uint32_t quiet_ms;
	uint32_t server_pid; /* 0: not given */
	bool has_admin;
	bool json;
};

/* Returns true to go on; else *status is the exit status, and what is wrong was said on stderr. */
bool durable_options_parse(int argc, char **argv, struct durable_options *options, int *status);

#endif
