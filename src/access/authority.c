#include "access/authority.h"

#include "base/check.h"

#include <sodium.h>
#include <stdlib.h>

/* Of questions under way: as many as lanes hold in the worst case come to 32 in a bucket. */
#define QUESTION_BUCKETS 4096u

_Static_assert((QUESTION_BUCKETS & (QUESTION_BUCKETS - 1)) == 0, "a bucket is found by mask");

struct question_lane {
	struct authority_question *first;
	struct authority_question **end;
	uint32_t jobs; /* that wait, those whose question was taken included */
};

struct authority {
	pthread_mutex_t lock;
	struct outside_cache cache;
	struct question_lane lanes[AUTHORITY_LANES];
	struct authority_question *buckets[QUESTION_BUCKETS];
	uint32_t next_lane;
	uint32_t waiting; /* questions in all lanes */
	bool away;
	bool asks_redis;
	struct outside_key key;
	struct waker waker;
};

/* ---- jobs and results ---- */

void authority_job_free(struct authority_job **job)
{
	if (*job != NULL)
		outside_answer_put(&(*job)->answer);
	free(*job);
	*job = NULL;
}

void authority_results_open(struct authority_results *results, struct waker *waker)
{
	*results = (struct authority_results){.waker = waker};
	results->end = &results->first;
}

static void authority_jobs_free(struct authority_job *job)
{
	while (job != NULL) {
		struct authority_job *next = job->next;
		authority_job_free(&job);
		job = next;
	}
}

void authority_results_close(struct authority_results *results)
{
	authority_jobs_free(results->first);
	*results = (struct authority_results){0};
}

struct authority_job *authority_take_result(struct authority *authority, struct authority_results *results)
{
	if (!atomic_load(&results->waiting))
		return NULL;
	pthread_mutex_lock(&authority->lock);
	struct authority_job *job = results->first;
	if (job != NULL)
		results->first = job->next;
	if (results->first == NULL) {
		results->end = &results->first;
		atomic_store(&results->waiting, false);
	}
	pthread_mutex_unlock(&authority->lock);
	return job;
}

/* With the lock, as all that follow where nothing else is said. answer: NULL where there is an error. */
static void settle_job(struct authority *authority, struct authority_job *job, enum error error,
		       struct outside_answer *answer)
{
	struct authority_results *results = job->results;
	struct question_lane *lane = &authority->lanes[job->lane];
	CHECK_GT(lane->jobs, 0);
	lane->jobs--;
	job->error = error;
	job->answer = answer != NULL ? outside_answer_get(answer) : NULL;
	job->next = NULL;
	*results->end = job;
	results->end = &job->next;
	atomic_store(&results->waiting, true);
	waker_wake(results->waker);
}

/* ---- questions under way ---- */

static struct authority_question **question_link(struct authority *authority, const struct outside_mark *mark)
{
	uint32_t bucket;
	memcpy(&bucket, mark->bytes, sizeof(bucket));
	struct authority_question **link = &authority->buckets[bucket & (QUESTION_BUCKETS - 1)];
	while (*link != NULL && memcmp((*link)->mark.bytes, mark->bytes, sizeof(mark->bytes)) != 0)
		link = &(*link)->other;
	return link;
}

/* Without the lock. There may be a password in it. */
static void question_free(struct authority_question *question)
{
	sodium_memzero(question->text, question->bytes);
	free(question);
}

static void settle_question(struct authority *authority, struct authority_question *question, enum error error,
			    struct outside_answer *answer)
{
	struct authority_question **link = question_link(authority, &question->mark);
	CHECK(*link == question);
	*link = question->other;
	struct authority_job *job = question->jobs;
	while (job != NULL) {
		struct authority_job *next = job->next;
		settle_job(authority, job, error, answer);
		job = next;
	}
	question_free(question);
}

/* There is a question. */
static struct authority_question *take_in_turn(struct authority *authority)
{
	CHECK_GT(authority->waiting, 0);
	for (;;) {
		struct question_lane *lane = &authority->lanes[authority->next_lane];
		authority->next_lane = (authority->next_lane + 1) % AUTHORITY_LANES;
		struct authority_question *question = lane->first;
		if (question == NULL)
			continue;
		lane->first = question->next;
		if (lane->first == NULL)
			lane->end = &lane->first;
		question->next = NULL;
		authority->waiting--;
		return question;
	}
}

/* ---- life ---- */

static struct outside_times times_of(const struct access_settings *settings)
{
	return (struct outside_times){
		.good_s = settings->auth_cache_s,
		.denied_s = settings->auth_cache_denied_s,
		.stale_s = settings->auth_stale_s,
	};
}

bool authority_is_configured(const struct access_settings *settings)
{
	return settings->auth_redis[0] != '\0' || settings->auth_http[0] != '\0';
}

struct authority *authority_new(const struct access_settings *settings)
{
	struct outside_times times = times_of(settings);
	struct authority *authority = calloc(1, sizeof(*authority));
	if (authority == NULL)
		return NULL;
	authority->asks_redis = settings->auth_redis[0] != '\0';
	/* The options were checked. */
	CHECK(!authority->asks_redis || outside_key_read(&authority->key, settings->auth_redis) == NULL);
	for (uint32_t i = 0; i < AUTHORITY_LANES; i++)
		authority->lanes[i].end = &authority->lanes[i].first;
	CHECK(pthread_mutex_init(&authority->lock, NULL) == 0);
	if (outside_cache_open(&authority->cache, settings->auth_cache_entries, &times) == ERROR_OK &&
	    waker_open(&authority->waker) == ERROR_OK)
		return authority;
	outside_cache_close(&authority->cache);
	free(authority);
	return NULL;
}

void authority_free(struct authority *authority)
{
	if (authority == NULL)
		return;
	for (uint32_t i = 0; i < QUESTION_BUCKETS; i++) {
		struct authority_question *question = authority->buckets[i];
		while (question != NULL) {
			struct authority_question *other = question->other;
			authority_jobs_free(question->jobs);
			question_free(question);
			question = other;
		}
	}
	waker_close(&authority->waker);
	outside_cache_close(&authority->cache);
	pthread_mutex_destroy(&authority->lock);
	free(authority);
}

/* ---- asking ---- */

/* Without the lock. NULL: memory is short. */
static struct authority_question *question_new(const struct authority *authority,
					       const struct outside_question *question)
{
	struct slice value = slice_of(NULL, 0);
	size_t bytes;
	if (authority->asks_redis) {
		value = outside_key_value(&authority->key, question);
		bytes = outside_key_write(&authority->key, value, NULL, 0);
	} else {
		bytes = outside_json_write(question, NULL, 0);
	}
	struct authority_question *made = malloc(sizeof(*made) + bytes);
	if (made == NULL)
		return NULL;
	*made = (struct authority_question){.bytes = (uint32_t)bytes, .value_bytes = (uint32_t)value.size};
	if (authority->asks_redis) {
		made->value_at = (uint32_t)authority->key.before.size;
		outside_key_write(&authority->key, value, made->text, bytes);
	} else {
		outside_json_write(question, made->text, bytes);
	}
	made->mark = outside_mark_of(&authority->cache, authority_question_text(made));
	return made;
}

/* The job waits for the question that is under way, or for this one, which then is. Returns which. */
static struct authority_question *enqueue(struct authority *authority, struct authority_question *made,
					  struct authority_job *job)
{
	struct authority_question **link = question_link(authority, &made->mark);
	struct question_lane *lane = &authority->lanes[job->lane];
	lane->jobs++;
	if (*link == NULL) {
		*link = made;
		*lane->end = made;
		lane->end = &made->next;
		authority->waiting++;
	}
	job->next = (*link)->jobs;
	(*link)->jobs = job;
	return *link;
}

static enum error ask_locked(struct authority *authority, struct authority_question **made, struct authority_job *job,
			     uint64_t now_ms, struct outside_answer **answer)
{
	struct outside_answer *kept = outside_cache_find(&authority->cache, &(*made)->mark, now_ms, authority->away);
	if (kept != NULL) {
		*answer = outside_answer_get(kept);
		return ERROR_OK;
	}
	if (authority->away)
		return ERROR_AUTHORITY_AWAY;
	if (authority->lanes[job->lane].jobs >= AUTHORITY_LANE_JOBS_MAX)
		return ERROR_AUTHORITY_QUEUE;
	if (enqueue(authority, *made, job) == *made)
		*made = NULL;
	return ERROR_AUTHORITY_PENDING;
}

enum error authority_ask(struct authority *authority, const struct outside_question *question,
			 const struct authority_asker *asker, uint64_t now_ms, struct authority_job **job,
			 struct outside_answer **answer)
{
	*job = NULL;
	*answer = NULL;
	if (authority->asks_redis && outside_key_value(&authority->key, question).size == 0)
		return ERROR_AUTHORITY_DENIED;
	struct authority_question *made = question_new(authority, question);
	struct authority_job *waiting = malloc(sizeof(*waiting));
	enum error error = ERROR_NO_MEMORY;
	if (made != NULL && waiting != NULL) {
		*waiting = (struct authority_job){.results = asker->results,
						  .handshake = asker->handshake,
						  .lane = (uint32_t)(asker->lane_hash % AUTHORITY_LANES)};
		pthread_mutex_lock(&authority->lock);
		error = ask_locked(authority, &made, waiting, now_ms, answer);
		if (error == ERROR_AUTHORITY_PENDING)
			*job = waiting;
		pthread_mutex_unlock(&authority->lock);
	}
	if (made != NULL)
		question_free(made);
	else if (error == ERROR_AUTHORITY_PENDING)
		waker_wake(&authority->waker);
	if (error != ERROR_AUTHORITY_PENDING)
		free(waiting);
	return error;
}

void authority_set_times(struct authority *authority, const struct access_settings *settings)
{
	pthread_mutex_lock(&authority->lock);
	authority->cache.times = times_of(settings);
	pthread_mutex_unlock(&authority->lock);
}

/* ---- answering ---- */

struct waker *authority_waker(struct authority *authority)
{
	return &authority->waker;
}

const struct outside_key *authority_key(const struct authority *authority)
{
	CHECK(authority->asks_redis);
	return &authority->key;
}

struct authority_question *authority_take(struct authority *authority, uint32_t most, uint32_t *count)
{
	struct authority_question *first = NULL;
	struct authority_question **end = &first;
	*count = 0;
	pthread_mutex_lock(&authority->lock);
	for (; *count < most && authority->waiting != 0; ++*count) {
		*end = take_in_turn(authority);
		end = &(*end)->next;
	}
	pthread_mutex_unlock(&authority->lock);
	return first;
}

void authority_answer(struct authority *authority, struct authority_question *question, struct outside_answer *answer,
		      uint64_t now_ms)
{
	pthread_mutex_lock(&authority->lock);
	outside_cache_put(&authority->cache, &question->mark, answer, now_ms);
	settle_question(authority, question, ERROR_OK, answer);
	pthread_mutex_unlock(&authority->lock);
	outside_answer_put(&answer);
}

static void fail_locked(struct authority *authority, struct authority_question *question, uint64_t now_ms)
{
	struct outside_answer *kept = outside_cache_find(&authority->cache, &question->mark, now_ms, true);
	settle_question(authority, question, kept != NULL ? ERROR_OK : ERROR_AUTHORITY_AWAY, kept);
}

void authority_fail(struct authority *authority, struct authority_question *question, uint64_t now_ms)
{
	pthread_mutex_lock(&authority->lock);
	fail_locked(authority, question, now_ms);
	pthread_mutex_unlock(&authority->lock);
}

void authority_set_away(struct authority *authority, bool away, uint64_t now_ms)
{
	pthread_mutex_lock(&authority->lock);
	authority->away = away;
	while (away && authority->waiting != 0)
		fail_locked(authority, take_in_turn(authority), now_ms);
	pthread_mutex_unlock(&authority->lock);
}

/* ---- what is kept ---- */

void authority_forget(struct authority *authority, struct slice text)
{
	struct outside_mark mark = outside_mark_of(&authority->cache, text);
	pthread_mutex_lock(&authority->lock);
	outside_cache_drop(&authority->cache, &mark);
	pthread_mutex_unlock(&authority->lock);
}

void authority_forget_all(struct authority *authority)
{
	pthread_mutex_lock(&authority->lock);
	outside_cache_clear(&authority->cache);
	pthread_mutex_unlock(&authority->lock);
}

void authority_suspect(struct authority *authority, uint64_t now_ms)
{
	pthread_mutex_lock(&authority->lock);
	outside_cache_suspect(&authority->cache, now_ms);
	pthread_mutex_unlock(&authority->lock);
}

struct authority_figures authority_figures(struct authority *authority)
{
	pthread_mutex_lock(&authority->lock);
	struct authority_figures figures = {
		.entries = outside_cache_count(&authority->cache),
		.bytes = authority->cache.bytes,
		.evictions = authority->cache.evictions,
	};
	pthread_mutex_unlock(&authority->lock);
	return figures;
}
