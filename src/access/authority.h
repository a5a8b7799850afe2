/* Signing in by asking somebody outside: what lies between the gates, which ask and go on with other clients meanwhile,
 * and the one thread that carries questions to the authority (asking/redis_users.h, asking/http_sign_ins.h). One for
 * all gates, so that clients with the same question ask once, and what one gate learnt all know. A lock guards it,
 * which is held for a look into a table.
 *
 * What waits is bounded per address as passwords are: a hash of the address chooses one of several lanes, each is
 * bounded, and questions are taken from the lanes in turn. */
#ifndef ACCESS_AUTHORITY_H
#define ACCESS_AUTHORITY_H

#include "auth/outside/cache.h"
#include "auth/outside/question.h"
#include "reactor/waker.h"
#include "runtime/settings/access_settings.h"

#include <pthread.h>

#define AUTHORITY_LANES 32u
#define AUTHORITY_LANE_JOBS_MAX 4096u

struct authority;

/* A client that waits. The authority's until authority_take_result(), then its gate's, which frees it. */
struct authority_job {
	struct authority_job *next;
	struct authority_results *results;
	_Atomic bool abandoned;        /* set by the gate: the client is gone */
	enum error error;              /* ERROR_AUTHORITY_AWAY, ERROR_NO_MEMORY; ERROR_OK: there is an answer */
	struct outside_answer *answer; /* a reference; NULL where there is an error */
	uint32_t handshake;            /* for the gate: which handshake it belongs to */
	uint32_t lane;
};

void authority_job_free(struct authority_job **job);

/* The queue of answers for one gate. The authority's lock guards it. */
struct authority_results {
	struct authority_job *first;
	struct authority_job **end;
	_Atomic bool waiting; /* the queue is not empty; read without the lock */
	struct waker *waker;
};

/* A question under way: whoever took it owes it to authority_answer() or authority_fail(). */
struct authority_question {
	struct authority_question *next;  /* in its lane, then its taker's */
	struct authority_question *other; /* in its bucket */
	struct authority_job *jobs;
	struct outside_mark mark;
	uint32_t value_at; /* of a key's name: where its value is */
	uint32_t value_bytes;
	uint32_t bytes;
	uint8_t text[];
};

static inline struct slice authority_question_text(const struct authority_question *question)
{
	return slice_of(question->text, question->bytes);
}

/* What stands for the placeholder in a key's name. */
static inline struct slice authority_question_value(const struct authority_question *question)
{
	return slice_of(question->text + question->value_at, question->value_bytes);
}

/* Whether users in Redis, or a server that decides, are configured. */
bool authority_is_configured(const struct access_settings *settings);
/* settings outlive it. NULL: memory or descriptors are short. */
struct authority *authority_new(const struct access_settings *settings);
/* No thread may use it any more. NULL is ignored. */
void authority_free(struct authority *authority);

/* ---- gates ---- */

void authority_results_open(struct authority_results *results, struct waker *waker);
/* Nobody answers any more. */
void authority_results_close(struct authority_results *results);
/* The oldest answer, which the caller frees; NULL: there is none. */
struct authority_job *authority_take_result(struct authority *authority, struct authority_results *results);

/* Where an answer is to go. */
struct authority_asker {
	struct authority_results *results;
	uint64_t lane_hash; /* of the client's address */
	uint32_t handshake;
};

/* ERROR_OK: *answer is a reference that is the caller's. ERROR_AUTHORITY_PENDING: *job belongs to the authority until
 * authority_take_result() returns it; until then the caller may only set `abandoned`. Otherwise ERROR_AUTHORITY_AWAY,
 * ERROR_AUTHORITY_QUEUE (the lane is full), ERROR_AUTHORITY_DENIED (there is nothing to ask for), ERROR_NO_MEMORY. */
enum error authority_ask(struct authority *authority, const struct outside_question *question,
			 const struct authority_asker *asker, uint64_t now_ms, struct authority_job **job,
			 struct outside_answer **answer);

/* From now on these times. Any thread. */
void authority_set_times(struct authority *authority, const struct access_settings *settings);

/* ---- the thread that carries questions ---- */

/* It is woken when there are questions. */
struct waker *authority_waker(struct authority *authority);
/* How the names of keys are made; only where Redis is asked. */
const struct outside_key *authority_key(const struct authority *authority);
/* Takes up to `most` questions, which are linked by `next`; *count: how many. */
struct authority_question *authority_take(struct authority *authority, uint32_t most, uint32_t *count);
/* The answer, whose reference it takes over, goes to the cache and to all who wait for it. Frees the question. */
void authority_answer(struct authority *authority, struct authority_question *question, struct outside_answer *answer,
		      uint64_t now_ms);
/* There is none. What is kept of an earlier one is good enough if that is configured. Frees the question. */
void authority_fail(struct authority *authority, struct authority_question *question, uint64_t now_ms);
/* While it is away nobody waits: whoever does hears of it, and questions are refused, or answered by what is kept. It
 * is not away at first. */
void authority_set_away(struct authority *authority, bool away, uint64_t now_ms);

/* What is kept of this question is so no more. */
void authority_forget(struct authority *authority, struct slice text);
/* Of all. */
void authority_forget_all(struct authority *authority);
/* It is not known any more whether what is kept is so: its time is up. */
void authority_suspect(struct authority *authority, uint64_t now_ms);

struct authority_figures {
	uint64_t entries;
	uint64_t bytes;
	uint64_t evictions;
};
struct authority_figures authority_figures(struct authority *authority);

#endif
