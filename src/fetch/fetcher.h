/* A process that stays and sends HTTP requests: this program's own executable, run as `roost fetch --stay`. It alone
 * loads libcurl, for the reason in fetch/fetch.h. It has many requests under way at a time, keeps connections alive,
 * speaks HTTP/2 where TLS agrees on it, follows no redirects, and uses proxies as the environment says.
 *
 * Owned by one thread, which waits for fetcher_fd() and fetcher_due_ms() in its own poll(); each thread that sends
 * requests has one. No call blocks, but that which ends a process waits for its end. The process is started for the
 * first job. If it ends, or says nothing of a job long after its time, all jobs that are under way are answered with
 * FETCH_NO_PROCESS, and it is started anew for a later job, after a pause that grows. It ends when its descriptor is
 * closed here, so it outlives neither this process nor an execve() of it. Times are on the monotonic clock. */
#ifndef FETCH_FETCHER_H
#define FETCH_FETCHER_H

#include "fetch/frame.h"

#include <sys/types.h>

#define FETCHER_JOBS_MAX 256u
/* What all jobs under way may ask for and be answered with: a limit of the memory on both sides. */
#define FETCHER_BYTES_MAX ((size_t)64 << 20)
/* A job is given up, and the process with it, when it is so much late. */
#define FETCHER_LATE_MS 5000u
#define FETCHER_PAUSE_MS_LEAST 100u
#define FETCHER_PAUSE_MS_MAX 10000u
#define FETCHER_FAULT_BYTES 160u

struct fetcher_job {
	uint64_t id;
	uint64_t late_ms; /* when the process is given up because of it */
	size_t bytes;     /* of its request and its answer, at most */
	uint32_t turn;    /* tells apart the jobs that use this place one after another; part of the ticket */
	uint32_t answer_bytes_max;
	bool is_used;
	bool is_lost; /* the process ended: its answer is due from here */
};

struct fetcher {
	int fd; /* of the process; -1: there is none */
	pid_t process;
	uint32_t connections_max; /* to one host and port */
	struct bytes in;
	size_t read_at; /* what is before it in `in` was taken */
	struct bytes out;
	bool is_blocked;   /* the socket takes no more for now */
	uint64_t start_ms; /* before which it is not started */
	uint32_t pause_ms;
	uint64_t starts; /* how many times it was started */
	size_t bytes;    /* of all jobs */
	uint32_t job_count;
	uint32_t lost_count;
	uint32_t place_end; /* places from here on were never used */
	uint64_t late_ms;   /* no job is late before; UINT64_MAX: there is none */
	struct fetcher_job jobs[FETCHER_JOBS_MAX];
	char fault[FETCHER_FAULT_BYTES]; /* why the process ended the last time, or could not be started */
};

/* connections_max: to one host and port at a time. */
void fetcher_init(struct fetcher *fetcher, uint32_t connections_max);
/* Ends the process. Jobs under way are forgotten. */
void fetcher_fini(struct fetcher *fetcher);

/* Hands a job over; the request is copied. id: the caller's, of no other job that is under way. false: not now; *why
 * says why then, until the next call: there are too many jobs, they are too large together, memory is short, or the
 * process is not to be started yet. */
bool fetcher_post(struct fetcher *fetcher, uint64_t id, const struct fetch_request *request, uint64_t now_ms,
		  const char **why);
/* No answer is wanted any more, and the transfer ends. Does nothing where there is no such job. */
void fetcher_cancel(struct fetcher *fetcher, uint64_t id);

/* For poll(); -1: there is no process. */
int fetcher_fd(const struct fetcher *fetcher);
/* POLLIN, and POLLOUT where there is something that the socket did not take. */
short fetcher_events(const struct fetcher *fetcher);
/* When fetcher_work() is due at the latest. UINT64_MAX: when its descriptor is ready. */
uint64_t fetcher_due_ms(const struct fetcher *fetcher);

/* Writes, reads, and gives the process up where that is due. Then fetcher_next() is to be called until it returns
 * false. */
void fetcher_work(struct fetcher *fetcher, uint64_t now_ms);
/* Takes the next answer, in the order in which they came. It is valid until the next call of any of these. */
bool fetcher_next(struct fetcher *fetcher, uint64_t now_ms, struct fetch_answer *answer);

/* `roost fetch --stay N`: the process, which has up to N connections to one host. Not meant for people. */
int fetcher_main(uint32_t connections_max);

#define FETCHER_OPTION "--stay"

#endif
