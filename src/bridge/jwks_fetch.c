#include "bridge/jwks_fetch.h"

#include "auth/token/key_set.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "fetch/caching.h"
#include "fetch/fetch.h"
#include "reactor/fdtable.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define PAUSE_MS_LEAST 1000u
#define PAUSE_MS_MAX 60000u
#define STATUS_OK 200u
#define STATUS_NOT_MODIFIED 304u

_Static_assert(ACCESS_TEXT_BYTES_MAX <= FETCH_TEXT_BYTES_MAX, "URL and file fit in a job");
_Static_assert(KEY_SET_BYTES_MAX <= FETCH_BODY_BYTES_MAX, "a key set may be fetched");
_Static_assert(PAUSE_MS_LEAST * 2 < PAUSE_MS_MAX, "pauses grow");

struct jwks_fetch {
	struct jwks_settings settings;
	struct access *access;
	struct counters *counters;
	pthread_t thread;
	struct waker waker; /* wakes the thread while it waits for a fetch */
	_Atomic bool stopping;
	uint64_t fetched_ms;              /* when the last fetch ended */
	uint32_t pause_ms;                /* before the next fetch, after a failure */
	char etag[FETCH_ETAG_BYTES_MAX];  /* of the key set in use; "": none */
	char told[FETCH_FAULT_BYTES_MAX]; /* the fault that was logged last; "": none */
};

static bool jwks_is_stopping(const struct jwks_fetch *fetch)
{
	return atomic_load(&fetch->stopping);
}

bool jwks_url_check(const char *url, const char **why)
{
	*why = "begins neither with http:// nor with https://";
	return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

/* ---- one fetch ---- */

static bool put_in_use(struct jwks_fetch *fetch, struct slice keys, struct fetch_report *report)
{
	struct fault fault = {0};
	if (!access_use_fetched_keys(fetch->access, keys, &fault)) {
		snprintf(report->fault, sizeof(report->fault), "%s",
			 fault.text[0] != '\0' ? fault.text : "the keys could not be put in use");
		return false;
	}
	memcpy(fetch->etag, report->etag, sizeof(fetch->etag));
	log_write(LOG_INFO, "%s: fetched keys are in use", fetch->settings.url);
	return true;
}

/* Fetches the key set and puts it in use if it is new. On failure it returns false, and report->fault tells the reason.
 */
static bool run_fetch(struct jwks_fetch *fetch, struct fetch_report *report)
{
	uint8_t *body;
	struct fetch_job job = {
		.accept = "application/jwk-set+json, application/json",
		.body_bytes_max = KEY_SET_BYTES_MAX,
	};
	snprintf(job.url, sizeof(job.url), "%s", fetch->settings.url);
	snprintf(job.ca_file, sizeof(job.ca_file), "%s", fetch->settings.ca_file);
	memcpy(job.etag, fetch->etag, sizeof(job.etag));
	fetch_run(&job, &fetch->waker, &fetch->stopping, report, &body);
	bool good = report->good;
	if (report->too_large)
		snprintf(report->fault, sizeof(report->fault), "the answer is larger than a key set may be");
	if (good && report->status == STATUS_OK) {
		good = put_in_use(fetch, slice_of(body, report->body_bytes), report);
	} else if (good && report->status != STATUS_NOT_MODIFIED) {
		snprintf(report->fault, sizeof(report->fault), "the answer's status is %u", report->status);
		good = false;
	}
	free(body);
	return good;
}

/* ---- when ---- */

static uint64_t jwks_age_ms(const struct jwks_fetch *fetch, const struct fetch_report *report)
{
	uint32_t age_s = fetch->settings.refresh_s;
	uint32_t told_s;
	if (cache_control_max_age(slice_string(report->cache_control), &told_s) && told_s < age_s)
		age_s = told_s > JWKS_AGE_S_LEAST ? told_s : JWKS_AGE_S_LEAST;
	return (age_s < fetch->settings.refresh_s ? age_s : fetch->settings.refresh_s) * UINT64_C(1000);
}

/* Returns how long to wait after a failure; half of it is random. */
static uint64_t jwks_pause_ms(struct jwks_fetch *fetch)
{
	CHECK(fetch->pause_ms >= PAUSE_MS_LEAST && fetch->pause_ms <= PAUSE_MS_MAX);
	uint32_t half_ms = fetch->pause_ms / 2;
	fetch->pause_ms = fetch->pause_ms < PAUSE_MS_MAX / 2 ? fetch->pause_ms * 2 : PAUSE_MS_MAX;
	return half_ms + randombytes_uniform(half_ms + 1);
}

/* Logs a fault once, until it changes. */
static void note_fault(struct jwks_fetch *fetch, const char *fault)
{
	if (fault[0] != '\0' && strcmp(fault, fetch->told) != 0)
		log_write(LOG_WARNING, "%s: %s; the keys fetched before stay in use", fetch->settings.url, fault);
	else if (fault[0] == '\0' && fetch->told[0] != '\0')
		log_write(LOG_INFO, "%s: answers again", fetch->settings.url);
	snprintf(fetch->told, sizeof(fetch->told), "%s", fault);
}

/* Returns when the next fetch is due. */
static uint64_t fetch_once(struct jwks_fetch *fetch)
{
	struct fetch_report report;
	COUNT(fetch->counters, jwks_fetches);
	bool good = run_fetch(fetch, &report);
	fetch->fetched_ms = clock_now_ms();
	if (jwks_is_stopping(fetch))
		return 0;
	note_fault(fetch, report.fault);
	if (!good) {
		COUNT(fetch->counters, jwks_failures);
		return fetch->fetched_ms + jwks_pause_ms(fetch);
	}
	fetch->pause_ms = PAUSE_MS_LEAST;
	return fetch->fetched_ms + jwks_age_ms(fetch, &report);
}

static void *jwks_main(void *argument)
{
	struct jwks_fetch *fetch = argument;
	if (fetch->settings.private_table)
		fdtable_detach(&fetch->waker.fd, 1);
	uint64_t due_ms = 0;
	while (!jwks_is_stopping(fetch)) {
		if (clock_now_ms() >= due_ms)
			due_ms = fetch_once(fetch);
		uint64_t soonest_ms = fetch->fetched_ms + fetch->settings.cooldown_s * UINT64_C(1000);
		if (access_await_key_request(fetch->access, due_ms) && soonest_ms < due_ms)
			due_ms = soonest_ms;
	}
	return NULL;
}

struct jwks_fetch *jwks_fetch_start(const struct jwks_settings *settings, struct access *access,
				    struct counters *counters)
{
	struct jwks_fetch *fetch = calloc(1, sizeof(*fetch));
	if (fetch == NULL)
		return NULL;
	fetch->settings = *settings;
	fetch->access = access;
	fetch->counters = counters;
	fetch->pause_ms = PAUSE_MS_LEAST;
	if (waker_open(&fetch->waker) == ERROR_OK) {
		if (pthread_create(&fetch->thread, NULL, jwks_main, fetch) == 0)
			return fetch;
		waker_close(&fetch->waker);
	}
	free(fetch);
	return NULL;
}

void jwks_fetch_stop(struct jwks_fetch **fetch)
{
	struct jwks_fetch *own = *fetch;
	if (own == NULL)
		return;
	*fetch = NULL;
	atomic_store(&own->stopping, true);
	access_ask_for_keys(own->access);
	waker_wake(&own->waker);
	pthread_join(own->thread, NULL);
	waker_close(&own->waker);
	free(own);
}
