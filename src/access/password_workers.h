/* Threads that compare passwords with their hashes, which is made to take long: a gate hands a password over, goes on
 * with others, and is woken when the verdict is there. They run at a low priority, so that a storm of wrong passwords
 * takes what the shards and gates leave.
 *
 * What waits is bounded, and by the address that it comes from: there are lanes, each takes so many, and the threads
 * take from one lane after another. Who fills a lane keeps out those alone whose address falls into the same one. */
#ifndef ACCESS_PASSWORD_WORKERS_H
#define ACCESS_PASSWORD_WORKERS_H

#include "auth/password/password_file.h"
#include "reactor/waker.h"

#include <pthread.h>
#include <stdint.h>

#define PASSWORD_LANES 32u
#define PASSWORD_LANE_JOBS_MAX 128u

struct password_workers;

/* Made by password_workers_check(), then the workers', then its gate's, which frees it. */
struct password_job {
	struct password_job *next;
	struct password_results *results;
	struct password_file *file; /* a reference: the verdict is about this one */
	_Atomic bool abandoned;     /* by the gate: nobody waits for it any more */
	enum error verdict;         /* ERROR_OK, ERROR_PASSWORD_WRONG, ERROR_NO_MEMORY */
	uint32_t handshake;         /* the gate's own */
	uint32_t user_bytes;
	uint32_t password_bytes;
	uint8_t bytes[]; /* user, password */
};

static inline struct slice password_job_user(const struct password_job *job)
{
	return slice_of(job->bytes, job->user_bytes);
}

static inline struct slice password_job_password(const struct password_job *job)
{
	return slice_of(job->bytes + job->user_bytes, job->password_bytes);
}

void password_job_free(struct password_job **job);

/* Where verdicts for one gate come in. */
struct password_results {
	pthread_mutex_t lock;
	struct password_job *first;
	struct password_job **end;
	_Atomic bool waiting; /* there are some; read without the lock */
	struct waker *waker;
};

void password_results_open(struct password_results *results, struct waker *waker);
/* No worker runs any more. */
void password_results_close(struct password_results *results);
/* The oldest, which is the caller's; NULL: there is none. */
struct password_job *password_results_take(struct password_results *results);

/* NULL: out of memory. */
struct password_workers *password_workers_new(void);
/* Starts so many threads. On failure those that started go on. */
enum error password_workers_start(struct password_workers *workers, uint32_t threads);
/* Ends the threads, each after the password that it is at; what waits is dropped. */
void password_workers_stop(struct password_workers *workers);
void password_workers_free(struct password_workers *workers);

/* Has a password checked against the file. lane_hash: of the address that it comes from. *job stays with the workers
 * until password_results_take() returns it; until then the caller may only set `abandoned`. ERROR_PASSWORD_QUEUE: the
 * lane is full; ERROR_NO_MEMORY. Any gate; blocks for a moment at most. */
enum error password_workers_check(struct password_workers *workers, struct password_results *results,
				  struct password_file *file, struct slice user, struct slice password,
				  uint64_t lane_hash, uint32_t handshake, struct password_job **job);

#endif
