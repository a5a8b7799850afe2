/* Makes sessions, queues messages for them, and resumes some. Main thread; blocks. */
#ifndef BENCH_STORED_RUN_H
#define BENCH_STORED_RUN_H

#include "bench/client/losses.h"
#include "bench/dial/url.h"
#include "bench/stored/stored_options.h"

/* Makes the sessions, which are offline afterwards. Returns false, after saying why on stderr, if not all could be
 * made. */
bool stored_make_sessions(const struct stored_options *options, const struct address *address);

/* Publishes at QoS 1 to each session's topic. Returns false, after saying why on stderr, if not all is acknowledged. */
bool stored_queue_messages(const struct stored_options *options, const struct address *address);

struct stored_check {
	uint32_t checked;
	uint32_t present;    /* were resumed */
	uint64_t messages;   /* of those that are present, without repeated ones */
	uint64_t resumed_ns; /* when the first one was; 0: none was */
};

/* Resumes some sessions, and waits for their messages. */
void stored_resume(const struct stored_options *options, const struct address *address, struct stored_check *out);

#endif
