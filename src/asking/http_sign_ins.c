#include "asking/http_sign_ins.h"

#include "access/authority.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "control/gateway.h"
#include "fetch/fetcher.h"
#include "fetch/signature.h"
#include "reactor/fdtable.h"

#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#define CONNECTIONS_MAX 32u
/* So many questions in a row without an answer are no chance. */
#define FAILURES_MAX 16u
#define AWAY_MS_LEAST 500u
#define AWAY_MS_MAX 5000u
#define FIGURES_MS 1000u
#define WHY_BYTES 320u
#define CA_FILE_BYTES_MAX ((size_t)16 << 20)

_Static_assert(OUTSIDE_JSON_BYTES_MAX <= FETCH_ANSWER_BYTES_MAX, "an answer may be fetched");
_Static_assert(HTTP_SECRET_BYTES_MAX + ACCESS_TEXT_BYTES_MAX * 4 < FETCH_TEXTS_BYTES_MAX, "all headers fit");

struct http_sign_ins {
	struct http_sign_in_settings settings;
	struct http_secrets secrets;
	struct authority *authority;
	struct counters *counters;
	pthread_t thread;
	int *keep_fds; /* for a descriptor table of its own: the wakers of the gates and, last, the authority's */
	size_t keep_count;
	_Atomic bool stopping;
	struct fetcher fetcher;
	struct authority_question *under_way[FETCHER_JOBS_MAX]; /* by the ids of their jobs */
	uint32_t count;                                         /* of these */
	uint32_t failures;                                      /* in a row */
	uint32_t away_ms;                                       /* the next time */
	uint64_t back_ms;                                       /* it is away until then; 0: it is not */
	char told[WHY_BYTES];                                   /* the failure that was logged last; "": none */
};

static bool http_is_stopping(const struct http_sign_ins *asks)
{
	return atomic_load(&asks->stopping);
}

/* ---- what came of a question ---- */

static void note_answered(struct http_sign_ins *asks)
{
	if (asks->told[0] != '\0')
		log_write(LOG_INFO, "%s: answers again", asks->settings.url);
	asks->told[0] = '\0';
	asks->failures = 0;
	asks->away_ms = AWAY_MS_LEAST;
	COUNT_SET(asks->counters, authority_connected, 1);
}

/* Half of each pause is random, so that many gateways do not come back at the same time. */
static void go_away(struct http_sign_ins *asks, uint64_t now_ms)
{
	uint32_t half_ms = asks->away_ms / 2;
	asks->back_ms = now_ms + half_ms + randombytes_uniform(half_ms + 1);
	asks->away_ms = asks->away_ms < AWAY_MS_MAX / 2 ? asks->away_ms * 2 : AWAY_MS_MAX;
	authority_set_away(asks->authority, true, now_ms);
}

/* Logs a reason once, until another one or an answer comes. */
static void note_failed(struct http_sign_ins *asks, const char *why, uint64_t now_ms)
{
	COUNT(asks->counters, authority_failed);
	COUNT_SET(asks->counters, authority_connected, 0);
	if (strcmp(asks->told, why) != 0)
		log_write(LOG_WARNING, "%s: %s; clients that have to be asked about are refused", asks->settings.url,
			  why);
	snprintf(asks->told, sizeof(asks->told), "%s", why);
	asks->failures++;
	if (asks->failures >= FAILURES_MAX && asks->back_ms == 0)
		go_away(asks, now_ms);
}

/* The answer to a question that 200 brings. NULL: it is none. */
static struct outside_answer *http_read_body(struct http_sign_ins *asks, struct slice body, char why[WHY_BYTES])
{
	struct fault fault = {0};
	uint8_t *copy = malloc(body.size + 1); /* the reader changes it */
	struct outside_answer *answer = NULL;
	if (copy != NULL) {
		if (body.size != 0)
			memcpy(copy, body.data, body.size);
		answer = outside_answer_of_json(copy, body.size, &fault);
		sodium_memzero(copy, body.size);
		free(copy);
	}
	if (answer == NULL) {
		COUNT(asks->counters, authority_bad);
		snprintf(why, WHY_BYTES, "the answer cannot be read: %s",
			 copy != NULL ? fault.text : error_sentence(ERROR_NO_MEMORY));
	}
	return answer;
}

static struct outside_answer *http_read_answer(struct http_sign_ins *asks, const struct fetch_answer *answer,
					       char why[WHY_BYTES])
{
	if (answer->outcome != FETCH_ANSWERED) {
		snprintf(why, WHY_BYTES, "%s", answer->fault[0] != '\0' ? answer->fault : "there is no answer");
		return NULL;
	}
	if (answer->status == 401 || answer->status == 403)
		return outside_answer_denied();
	if (answer->status == 200)
		return http_read_body(asks, answer->body, why);
	bool redirects = answer->status >= 300 && answer->status < 400;
	snprintf(why, WHY_BYTES, "the answer's status is %u%s", answer->status,
		 redirects ? ", and redirects are not followed" : "");
	return NULL;
}

static void take_answer_to(struct http_sign_ins *asks, const struct fetch_answer *answer)
{
	char why[WHY_BYTES] = "";
	CHECK(answer->id < FETCHER_JOBS_MAX);
	struct authority_question *question = asks->under_way[answer->id];
	CHECK(question != NULL);
	asks->under_way[answer->id] = NULL;
	asks->count--;
	uint64_t now_ms = clock_now_ms();
	struct outside_answer *read = http_read_answer(asks, answer, why);
	if (read != NULL) {
		note_answered(asks);
		authority_answer(asks->authority, question, read, now_ms);
	} else {
		authority_fail(asks->authority, question, now_ms);
		note_failed(asks, why[0] != '\0' ? why : error_sentence(ERROR_NO_MEMORY), now_ms);
	}
}

/* ---- asks ---- */

static uint32_t free_place(const struct http_sign_ins *asks)
{
	uint32_t place = 0;
	while (asks->under_way[place] != NULL)
		place++;
	CHECK(place < FETCHER_JOBS_MAX);
	return place;
}

static void post_question(struct http_sign_ins *asks, struct authority_question *question, uint64_t now_ms)
{
	struct slice body = authority_question_text(question);
	char signature[SIGNATURE_LINE_BYTES];
	struct fetch_request request = {
		.method = "POST",
		.url = asks->settings.url,
		.ca_file = asks->settings.ca_file,
		.certificate_file = "",
		.key_file = "",
		.headers = {"Content-Type: application/json", "Accept: application/json"},
		.header_count = 2,
		.connect_ms = asks->settings.timeout_ms,
		.whole_ms = asks->settings.timeout_ms,
		.answer_bytes_max = OUTSIDE_JSON_BYTES_MAX,
		.body = body,
	};
	if (asks->secrets.authorization[0] != '\0')
		request.headers[request.header_count++] = asks->secrets.authorization;
	if (asks->secrets.secret_bytes != 0) {
		signature_write(slice_of(asks->secrets.secret, asks->secrets.secret_bytes), (uint64_t)time(NULL), body,
				signature);
		request.headers[request.header_count++] = signature;
	}
	uint32_t place = free_place(asks);
	const char *why;
	COUNT(asks->counters, authority_asked);
	if (fetcher_post(&asks->fetcher, place, &request, now_ms, &why)) {
		asks->under_way[place] = question;
		asks->count++;
		return;
	}
	authority_fail(asks->authority, question, now_ms);
	note_failed(asks, why, now_ms);
}

static void post_questions(struct http_sign_ins *asks, struct authority_question *questions, uint64_t now_ms)
{
	if (questions != NULL)
		http_secrets_refresh(&asks->secrets, now_ms);
	while (questions != NULL) {
		struct authority_question *next = questions->next;
		post_question(asks, questions, now_ms);
		questions = next;
	}
}

/* ---- the thread ---- */

static void come_back(struct http_sign_ins *asks, uint64_t now_ms)
{
	if (asks->back_ms == 0 || now_ms < asks->back_ms)
		return;
	asks->back_ms = 0;
	authority_set_away(asks->authority, false, now_ms);
}

static int http_sleep_ms(const struct http_sign_ins *asks, uint64_t now_ms)
{
	uint64_t until_ms = fetcher_due_ms(&asks->fetcher);
	if (asks->back_ms != 0 && asks->back_ms < until_ms)
		until_ms = asks->back_ms;
	if (http_is_stopping(asks) || until_ms <= now_ms)
		return 0;
	return until_ms - now_ms < FIGURES_MS ? (int)(until_ms - now_ms) : (int)FIGURES_MS;
}

static void http_show_figures(const struct http_sign_ins *asks)
{
	struct authority_figures figures = authority_figures(asks->authority);
	COUNT_SET(asks->counters, authority_entries, figures.entries);
	COUNT_SET(asks->counters, authority_bytes, figures.bytes);
	COUNT_SET(asks->counters, authority_evictions, figures.evictions);
}

static void http_turn(struct http_sign_ins *asks)
{
	struct waker *waker = authority_waker(asks->authority);
	struct pollfd pollers[] = {
		{.fd = waker->fd, .events = POLLIN},
		{.fd = fetcher_fd(&asks->fetcher), .events = fetcher_events(&asks->fetcher)},
	};
	struct fetch_answer answer;
	uint32_t count;
	waker_sleep(waker);
	struct authority_question *questions = authority_take(asks->authority, FETCHER_JOBS_MAX - asks->count, &count);
	poll(pollers, 2, questions != NULL ? 0 : http_sleep_ms(asks, clock_now_ms()));
	waker_awake(waker);
	uint64_t now_ms = clock_now_ms();
	come_back(asks, now_ms);
	post_questions(asks, questions, now_ms);
	fetcher_work(&asks->fetcher, now_ms);
	while (fetcher_next(&asks->fetcher, now_ms, &answer))
		take_answer_to(asks, &answer);
	http_show_figures(asks);
}

static void *http_main(void *argument)
{
	struct http_sign_ins *asks = argument;
	if (asks->settings.private_table)
		fdtable_detach(asks->keep_fds, asks->keep_count);
	while (!http_is_stopping(asks))
		http_turn(asks);
	/* Nobody is to wait for a thread that has gone. */
	uint64_t now_ms = clock_now_ms();
	authority_set_away(asks->authority, true, now_ms);
	for (uint32_t i = 0; i < FETCHER_JOBS_MAX; i++) {
		if (asks->under_way[i] != NULL)
			authority_fail(asks->authority, asks->under_way[i], now_ms);
	}
	fetcher_fini(&asks->fetcher);
	return NULL;
}

/* ---- starting and stopping ---- */

static struct http_secrets secrets_of(const struct http_sign_in_settings *settings)
{
	return (struct http_secrets){.token_file = settings->token_file, .secret_file = settings->secret_file};
}

/* libcurl reads it for each connection; at the start it is to be there. */
static bool check_ca_file(const char *path, struct fault *fault)
{
	uint8_t *data = NULL;
	size_t size;
	const char *why = path[0] != '\0' ? file_read(path, CA_FILE_BYTES_MAX, FILE_PUBLIC, &data, &size) : NULL;
	free(data);
	return why == NULL || fault_set(fault, 0, "%.150s: %s", path, why);
}

bool http_sign_ins_check(const struct http_sign_in_settings *settings, struct fault *fault)
{
	struct http_secrets secrets = secrets_of(settings);
	if (strncmp(settings->url, "http://", 7) != 0 && strncmp(settings->url, "https://", 8) != 0)
		return fault_set(fault, 0, "--auth-http: %.120s begins neither with http:// nor with https://",
				 settings->url);
	bool good = http_secrets_read(&secrets, 0, fault);
	http_secrets_clear(&secrets);
	return good && check_ca_file(settings->ca_file, fault);
}

static void http_free(struct http_sign_ins *asks)
{
	http_secrets_clear(&asks->secrets);
	free(asks->keep_fds);
	free(asks);
}

static bool http_list_keeps(struct http_sign_ins *asks, const struct gateway *gateway)
{
	size_t gates = gateway_gate_waker_fds(gateway, NULL);
	asks->keep_count = gates + 1;
	asks->keep_fds = calloc(asks->keep_count, sizeof(int));
	if (asks->keep_fds == NULL)
		return false;
	gateway_gate_waker_fds(gateway, asks->keep_fds);
	asks->keep_fds[gates] = authority_waker(asks->authority)->fd;
	return true;
}

/* The process of the program before, which ended with that. */
static void reap_predecessor(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

struct http_sign_ins *http_sign_ins_start(const struct http_sign_in_settings *settings, struct gateway *gateway,
					  struct counters *counters)
{
	struct fault fault;
	struct http_sign_ins *asks = calloc(1, sizeof(*asks));
	if (asks == NULL)
		return NULL;
	asks->settings = *settings;
	asks->authority = gateway_authority(gateway);
	asks->counters = counters;
	asks->away_ms = AWAY_MS_LEAST;
	asks->secrets = secrets_of(settings);
	CHECK(asks->authority != NULL);
	reap_predecessor();
	fetcher_init(&asks->fetcher, CONNECTIONS_MAX);
	if (!http_secrets_read(&asks->secrets, clock_now_ms(), &fault)) {
		log_write(LOG_ERROR, "%s", fault.text);
	} else if (http_list_keeps(asks, gateway) && pthread_create(&asks->thread, NULL, http_main, asks) == 0) {
		return asks;
	}
	http_free(asks);
	return NULL;
}

void http_sign_ins_stop(struct http_sign_ins **asks)
{
	struct http_sign_ins *own = *asks;
	if (own == NULL)
		return;
	*asks = NULL;
	atomic_store(&own->stopping, true);
	waker_wake(authority_waker(own->authority));
	pthread_join(own->thread, NULL);
	http_free(own);
}
