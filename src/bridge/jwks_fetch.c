#include "bridge/jwks_fetch.h"

#include "auth/token/key_set.h"
#include "base/clock.h"
#include "base/log.h"
#include "bridge/jwks_cache.h"
#include "reactor/fdtable.h"

#include <curl/curl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_MS 5000L
#define WHOLE_MS 10000L
#define PAUSE_MS_LEAST 1000u
#define PAUSE_MS_MAX 60000u
#define ETAG_BYTES 200u
#define FAULT_BYTES 200u
#define STATUS_OK 200L
#define STATUS_NOT_MODIFIED 304L

struct jwks_fetch {
	struct jwks_settings settings;
	struct access *access;
	struct counters *counters;
	pthread_t thread;
	_Atomic bool stopping;
	uint64_t fetched_ms;    /* the last try */
	uint32_t pause_ms;      /* before the next, after a failure */
	char etag[ETAG_BYTES];  /* of the set that is in use; "": none */
	char told[FAULT_BYTES]; /* what is wrong with the URL, as the log knows it already; "": nothing */
};

/* One transfer. */
struct transfer {
	struct jwks_fetch *fetch;
	uint8_t *body;
	size_t size;
	bool too_large;
	bool has_age;
	uint32_t age_s;
	char etag[ETAG_BYTES];
	char fault[FAULT_BYTES];
};

static bool is_stopping(const struct jwks_fetch *fetch)
{
	return atomic_load(&fetch->stopping);
}

bool jwks_url_check(const char *url, const char **why)
{
	*why = "begins neither with http:// nor with https://";
	return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

/* ---- what curl calls ---- */

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	size_t bytes = size * count;
	transfer->too_large = transfer->size + bytes > KEY_SET_BYTES_MAX;
	if (transfer->too_large)
		return 0;
	uint8_t *grown = realloc(transfer->body, transfer->size + bytes);
	if (grown == NULL)
		return 0;
	memcpy(grown + transfer->size, data, bytes);
	transfer->body = grown;
	transfer->size += bytes;
	return bytes;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	struct slice line = slice_of(data, size * count), value;
	if (http_header_value(line, "cache-control", &value)) {
		transfer->has_age = cache_control_max_age(value, &transfer->age_s);
	} else if (http_header_value(line, "etag", &value) && value.size < ETAG_BYTES) {
		memcpy(transfer->etag, value.data, value.size);
		transfer->etag[value.size] = '\0';
	}
	return line.size;
}

static int keep_going(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
	(void)total, (void)now, (void)up_total, (void)up;
	return is_stopping(context);
}

/* ---- a transfer ---- */

static bool fail(struct transfer *transfer, const char *text)
{
	snprintf(transfer->fault, sizeof(transfer->fault), "%.*s", (int)sizeof(transfer->fault) - 1, text);
	return false;
}

static bool prepare(CURL *curl, struct transfer *transfer)
{
	const struct jwks_settings *settings = &transfer->fetch->settings;
	bool good = curl_easy_setopt(curl, CURLOPT_URL, settings->url) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_USERAGENT, "roost/" ROOST_VERSION) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, WHOLE_MS) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, keep_going) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer->fetch) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
	if (good && settings->ca_file[0] != '\0')
		good = curl_easy_setopt(curl, CURLOPT_CAINFO, settings->ca_file) == CURLE_OK;
	return good || fail(transfer, "out of memory");
}

/* NULL: no memory. */
static struct curl_slist *request_headers(const struct jwks_fetch *fetch)
{
	char line[ETAG_BYTES + 32];
	struct curl_slist *first = curl_slist_append(NULL, "Accept: application/jwk-set+json, application/json");
	if (first == NULL || fetch->etag[0] == '\0')
		return first;
	snprintf(line, sizeof(line), "If-None-Match: %s", fetch->etag);
	struct curl_slist *both = curl_slist_append(first, line);
	if (both == NULL)
		curl_slist_free_all(first);
	return both;
}

/* True: *status is what the server answered. */
static bool perform(CURL *curl, struct transfer *transfer, long *status)
{
	char text[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = request_headers(transfer->fetch);
	if (headers == NULL || !prepare(curl, transfer)) {
		curl_slist_free_all(headers);
		return fail(transfer, "out of memory");
	}
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
	curl_slist_free_all(headers);
	if (transfer->too_large)
		return fail(transfer, "the answer is larger than a key set may be");
	return code == CURLE_OK || fail(transfer, text[0] != '\0' ? text : curl_easy_strerror(code));
}

static bool put_in_use(struct transfer *transfer)
{
	struct jwks_fetch *fetch = transfer->fetch;
	struct fault fault = {0};
	if (!access_use_fetched_keys(fetch->access, slice_of(transfer->body, transfer->size), &fault))
		return fail(transfer, fault.text[0] != '\0' ? fault.text : "the keys could not be put in use");
	memcpy(fetch->etag, transfer->etag, sizeof(fetch->etag));
	log_write(LOG_INFO, "%s: fetched keys are in use", fetch->settings.url);
	return true;
}

static bool run(struct transfer *transfer)
{
	CURL *curl = curl_easy_init();
	if (curl == NULL)
		return fail(transfer, "out of memory");
	long status = 0;
	bool good = perform(curl, transfer, &status);
	curl_easy_cleanup(curl);
	if (!good || status == STATUS_NOT_MODIFIED)
		return good;
	if (status == STATUS_OK)
		return put_in_use(transfer);
	snprintf(transfer->fault, sizeof(transfer->fault), "the answer's status is %ld", status);
	return false;
}

/* ---- when ---- */

static uint64_t age_ms(const struct jwks_fetch *fetch, const struct transfer *transfer)
{
	uint32_t age_s = fetch->settings.refresh_s;
	if (transfer->has_age && transfer->age_s < age_s)
		age_s = transfer->age_s > JWKS_AGE_S_LEAST ? transfer->age_s : JWKS_AGE_S_LEAST;
	return (age_s < fetch->settings.refresh_s ? age_s : fetch->settings.refresh_s) * UINT64_C(1000);
}

/* How long until the next try after one that failed; half of it is drawn. */
static uint64_t next_pause_ms(struct jwks_fetch *fetch)
{
	uint32_t half_ms = fetch->pause_ms / 2;
	fetch->pause_ms = fetch->pause_ms < PAUSE_MS_MAX / 2 ? fetch->pause_ms * 2 : PAUSE_MS_MAX;
	return half_ms + randombytes_uniform(half_ms + 1);
}

/* The log hears of a fault once, and again where it is another. */
static void note(struct jwks_fetch *fetch, const char *fault)
{
	if (fault[0] != '\0' && strcmp(fault, fetch->told) != 0)
		log_write(LOG_WARNING, "%s: %s; the keys fetched before stay in use", fetch->settings.url, fault);
	else if (fault[0] == '\0' && fetch->told[0] != '\0')
		log_write(LOG_INFO, "%s: answers again", fetch->settings.url);
	snprintf(fetch->told, sizeof(fetch->told), "%s", fault);
}

/* Returns when the next one is due. */
static uint64_t fetch_once(struct jwks_fetch *fetch)
{
	struct transfer transfer = {.fetch = fetch};
	COUNT(fetch->counters, jwks_fetches);
	bool good = run(&transfer);
	free(transfer.body);
	fetch->fetched_ms = clock_now_ms();
	if (is_stopping(fetch))
		return 0;
	note(fetch, transfer.fault);
	if (!good) {
		COUNT(fetch->counters, jwks_failures);
		return fetch->fetched_ms + next_pause_ms(fetch);
	}
	fetch->pause_ms = PAUSE_MS_LEAST;
	return fetch->fetched_ms + age_ms(fetch, &transfer);
}

static void *fetch_main(void *argument)
{
	struct jwks_fetch *fetch = argument;
	if (fetch->settings.private_table)
		fdtable_detach(NULL, 0);
	uint64_t due_ms = 0;
	while (!is_stopping(fetch)) {
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
	if (pthread_create(&fetch->thread, NULL, fetch_main, fetch) == 0)
		return fetch;
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
	pthread_join(own->thread, NULL);
	free(own);
}
