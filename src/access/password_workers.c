#include "access/password_workers.h"

#include "auth/password/password_hash.h"
#include "base/check.h"

#include <sched.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/resource.h>

/* Shards come before gates, gates before these. */
#define WORKER_NICE 5

struct lane {
	struct password_job *first;
	struct password_job **end;
	uint32_t count;
};

struct password_workers {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct lane lanes[PASSWORD_LANES];
	uint32_t next_lane;
	uint32_t waiting; /* in all lanes */
	bool stopping;
	uint32_t thread_count;
	pthread_t threads[PASSWORD_THREADS_MAX];
};

/* ---- jobs and results ---- */

static void password_jobs_free(struct password_job *job)
{
	while (job != NULL) {
		struct password_job *next = job->next;
		password_job_free(&job);
		job = next;
	}
}

void password_job_free(struct password_job **job)
{
	struct password_job *freed = *job;
	*job = NULL;
	if (freed == NULL)
		return;
	password_jobs_free(freed->followers); /* which have none */
	password_file_put(&freed->file);
	sodium_memzero(freed->bytes, (size_t)freed->hash_bytes + freed->user_bytes + freed->password_bytes);
	free(freed);
}

enum error password_job_join(struct password_job *job, uint32_t handshake, struct password_job **follower)
{
	CHECK(!atomic_load(&job->abandoned) || atomic_load(&job->shared));
	struct password_job *made = malloc(sizeof(*made));
	if (made == NULL)
		return ERROR_NO_MEMORY;
	*made = (struct password_job){.next = job->followers, .handshake = handshake};
	job->followers = made;
	atomic_store(&job->shared, true);
	*follower = made;
	return ERROR_OK;
}

void password_results_open(struct password_results *results, struct waker *waker)
{
	*results = (struct password_results){.waker = waker};
	results->end = &results->first;
	CHECK(pthread_mutex_init(&results->lock, NULL) == 0);
}

void password_results_close(struct password_results *results)
{
	password_jobs_free(results->first);
	pthread_mutex_destroy(&results->lock);
}

struct password_job *password_results_take(struct password_results *results)
{
	if (!atomic_load(&results->waiting))
		return NULL;
	pthread_mutex_lock(&results->lock);
	struct password_job *job = results->first;
	if (job != NULL)
		results->first = job->next;
	if (results->first == NULL) {
		results->end = &results->first;
		atomic_store(&results->waiting, false);
	}
	pthread_mutex_unlock(&results->lock);
	return job;
}

static void post_result(struct password_job *job)
{
	struct password_results *results = job->results;
	job->next = NULL;
	pthread_mutex_lock(&results->lock);
	*results->end = job;
	results->end = &job->next;
	atomic_store(&results->waiting, true);
	pthread_mutex_unlock(&results->lock);
	waker_wake(results->waker);
}

/* ---- the threads ---- */

/* Takes a job from the next lane that has one. The lock is held, and there is a job. */
static struct password_job *take_from_next_lane(struct password_workers *workers)
{
	CHECK_GT(workers->waiting, 0);
	for (uint32_t i = 0; i < PASSWORD_LANES; i++) {
		struct lane *lane = &workers->lanes[workers->next_lane];
		workers->next_lane = (workers->next_lane + 1) % PASSWORD_LANES;
		struct password_job *job = lane->first;
		if (job == NULL)
			continue;
		lane->first = job->next;
		if (lane->first == NULL)
			lane->end = &lane->first;
		CHECK_GT(lane->count, 0);
		lane->count--;
		workers->waiting--;
		return job;
	}
	return NULL;
}

/* Sleeps until there is a job. Returns NULL if the workers stop. */
static struct password_job *await_job(struct password_workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	while (workers->waiting == 0 && !workers->stopping)
		pthread_cond_wait(&workers->work, &workers->lock);
	struct password_job *job = workers->stopping ? NULL : take_from_next_lane(workers);
	CHECK(job != NULL || workers->stopping); /* NULL would end this thread for good */
	pthread_mutex_unlock(&workers->lock);
	return job;
}

static enum error verdict_of(const struct password_job *job)
{
	if (job->file != NULL)
		return password_check(job->file, password_job_user(job), password_job_password(job));
	return password_hash_verify(password_job_hash(job), password_job_password(job));
}

static void *worker_main(void *argument)
{
	struct password_workers *workers = argument;
	struct sched_param parameter = {0};
	sched_setscheduler(0, SCHED_BATCH, &parameter);
	setpriority(PRIO_PROCESS, 0, WORKER_NICE); /* on Linux this means the calling thread only */
	struct password_job *job;
	while ((job = await_job(workers)) != NULL) {
		if (!atomic_load(&job->abandoned) || atomic_load(&job->shared))
			job->verdict = verdict_of(job);
		post_result(job);
	}
	return NULL;
}

struct password_workers *password_workers_new(void)
{
	struct password_workers *workers = calloc(1, sizeof(*workers));
	if (workers == NULL)
		return NULL;
	CHECK(sodium_init() >= 0);
	CHECK(pthread_mutex_init(&workers->lock, NULL) == 0 && pthread_cond_init(&workers->work, NULL) == 0);
	for (uint32_t i = 0; i < PASSWORD_LANES; i++)
		workers->lanes[i].end = &workers->lanes[i].first;
	return workers;
}

enum error password_workers_start(struct password_workers *workers, uint32_t threads)
{
	CHECK_LE(threads, PASSWORD_THREADS_MAX);
	CHECK(!workers->stopping);
	while (workers->thread_count < threads) {
		if (pthread_create(&workers->threads[workers->thread_count], NULL, worker_main, workers) != 0)
			return ERROR_SYSTEM;
		workers->thread_count++;
	}
	return ERROR_OK;
}

void password_workers_stop(struct password_workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	workers->stopping = true;
	pthread_cond_broadcast(&workers->work);
	pthread_mutex_unlock(&workers->lock);
	for (uint32_t i = 0; i < workers->thread_count; i++)
		pthread_join(workers->threads[i], NULL);
	workers->thread_count = 0;
}

void password_workers_free(struct password_workers *workers)
{
	CHECK(workers->thread_count == 0);
	for (uint32_t i = 0; i < PASSWORD_LANES; i++)
		password_jobs_free(workers->lanes[i].first);
	pthread_cond_destroy(&workers->work);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
}

/* ---- called by gates ---- */

/* file: NULL where there is a hash. */
static struct password_job *password_job_new(struct password_file *file, struct slice hash, struct slice user,
					     struct slice password)
{
	CHECK((file != NULL) == (hash.size == 0));
	struct password_job *job = malloc(sizeof(*job) + hash.size + user.size + password.size);
	if (job == NULL)
		return NULL;
	*job = (struct password_job){
		.file = file != NULL ? password_file_get(file) : NULL,
		.verdict = ERROR_PASSWORD_WRONG,
		.hash_bytes = (uint32_t)hash.size,
		.user_bytes = (uint32_t)user.size,
		.password_bytes = (uint32_t)password.size,
	};
	const struct slice parts[] = {hash, user, password};
	uint8_t *at = job->bytes;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); at += parts[i++].size) {
		if (parts[i].size != 0)
			memcpy(at, parts[i].data, parts[i].size);
	}
	return job;
}

static bool lane_push(struct password_workers *workers, struct lane *lane, struct password_job *job)
{
	pthread_mutex_lock(&workers->lock);
	bool fits = lane->count < PASSWORD_LANE_JOBS_MAX;
	if (fits) {
		*lane->end = job;
		lane->end = &job->next;
		lane->count++;
		workers->waiting++;
		pthread_cond_signal(&workers->work);
	}
	pthread_mutex_unlock(&workers->lock);
	return fits;
}

/* Takes the job, which may be NULL. */
static enum error password_submit(struct password_workers *workers, struct password_results *results,
				  struct password_job *made, uint64_t lane_hash, uint32_t handshake,
				  struct password_job **job)
{
	if (made == NULL)
		return ERROR_NO_MEMORY;
	made->results = results;
	made->handshake = handshake;
	*job = made; /* before a worker may post its result */
	if (lane_push(workers, &workers->lanes[lane_hash % PASSWORD_LANES], made))
		return ERROR_OK;
	*job = NULL;
	password_job_free(&made);
	return ERROR_PASSWORD_QUEUE;
}

enum error password_workers_check(struct password_workers *workers, struct password_results *results,
				  struct password_file *file, struct slice user, struct slice password,
				  uint64_t lane_hash, uint32_t handshake, struct password_job **job)
{
	struct password_job *made = password_job_new(file, slice_of(NULL, 0), user, password);
	return password_submit(workers, results, made, lane_hash, handshake, job);
}

enum error password_workers_check_hash(struct password_workers *workers, struct password_results *results,
				       struct slice hash, struct slice user, struct slice password, uint64_t lane_hash,
				       uint32_t handshake, struct password_job **job)
{
	struct password_job *made = password_job_new(NULL, hash, user, password);
	return password_submit(workers, results, made, lane_hash, handshake, job);
}
