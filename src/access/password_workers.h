/* Threads that compare passwords with their hashes, which is slow by design. A gate hands a password over, goes on with
 * other clients, and is woken when the verdict is there. The threads run at a low priority, so that a storm of wrong
 * passwords gets only the time that shards and gates leave.
 *
 * Waiting jobs are bounded per address: a hash of the address chooses one of several lanes, each lane is bounded, and
 * the threads serve the lanes in turn. A client that fills a lane only shuts out addresses in the same lane. */
#ifndef ACCESS_PASSWORD_WORKERS_H
#define ACCESS_PASSWORD_WORKERS_H

#include "auth/password/password_cache.h"
#include "auth/password/password_file.h"
#include "reactor/waker.h"

#include <pthread.h>
#include <stdint.h>

#define PASSWORD_LANES 32u
#define PASSWORD_LANE_JOBS_MAX 128u
#define PASSWORD_THREADS_MAX 64u

struct password_workers;

/* Created by password_workers_check(). Owned by the workers until password_results_take(), then by its gate, which
 * frees it. */
struct password_job {
	struct password_job *next;
	struct password_results *results;
	struct password_file *file; /* a reference to the file that the verdict is based on; NULL: a hash is */
	_Atomic bool abandoned;     /* set by the gate: the client is gone */
	_Atomic bool shared;        /* set by the gate: others have joined, so it is checked all the same */
	/* The gate's own: those who have joined; how it finds the job by what it is about. */
	struct password_job *followers;
	struct password_job *pending_next;
	struct password_mark mark;
	enum error verdict; /* ERROR_OK, ERROR_PASSWORD_WRONG, ERROR_NO_MEMORY */
	uint32_t handshake; /* for the gate: which handshake it belongs to */
	uint32_t hash_bytes;
	uint32_t user_bytes;
	uint32_t password_bytes;
	uint8_t bytes[]; /* hash, user, password */
};

static inline struct slice password_job_hash(const struct password_job *job)
{
	return slice_of(job->bytes, job->hash_bytes);
}

static inline struct slice password_job_user(const struct password_job *job)
{
	return slice_of(job->bytes + job->hash_bytes, job->user_bytes);
}

static inline struct slice password_job_password(const struct password_job *job)
{
	return slice_of(job->bytes + job->hash_bytes + job->user_bytes, job->password_bytes);
}

/* And those who have joined it. */
void password_job_free(struct password_job **job);
/* Another client with the same user, password and hash waits for the same verdict; it gets a job of its own, which is
 * found among `followers` and goes with the other. By its gate, of a job that it has not taken from the results, and
 * that is not abandoned by all. ERROR_NO_MEMORY. */
enum error password_job_join(struct password_job *job, uint32_t handshake, struct password_job **follower);

/* The queue of verdicts for one gate. */
struct password_results {
	pthread_mutex_t lock;
	struct password_job *first;
	struct password_job **end;
	_Atomic bool waiting; /* the queue is not empty; read without the lock */
	struct waker *waker;
};

void password_results_open(struct password_results *results, struct waker *waker);
/* No worker may run any more. */
void password_results_close(struct password_results *results);
/* Takes the oldest job off the queue; the caller frees it. NULL: there is none. */
struct password_job *password_results_take(struct password_results *results);

/* Returns NULL if memory is short. */
struct password_workers *password_workers_new(void);
/* Starts `threads` threads, at most PASSWORD_THREADS_MAX. On failure those that started keep running. */
enum error password_workers_start(struct password_workers *workers, uint32_t threads);
/* Ends the threads, each after its current password. Waiting jobs are not checked any more. */
void password_workers_stop(struct password_workers *workers);
void password_workers_free(struct password_workers *workers);

/* Queues a password to be checked against the file. lane_hash: hash of the client's address. *job belongs to the
 * workers until password_results_take() returns it; until then the caller may only set `abandoned`.
 * ERROR_PASSWORD_QUEUE: the lane is full. ERROR_NO_MEMORY. Any gate; holds a lock for a moment. */
enum error password_workers_check(struct password_workers *workers, struct password_results *results,
				  struct password_file *file, struct slice user, struct slice password,
				  uint64_t lane_hash, uint32_t handshake, struct password_job **job);
/* The same against this hash, which was checked (auth/password/password_hash.h). */
enum error password_workers_check_hash(struct password_workers *workers, struct password_results *results,
				       struct slice hash, struct slice user, struct slice password, uint64_t lane_hash,
				       uint32_t handshake, struct password_job **job);

#endif
