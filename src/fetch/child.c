/* The process that fetches: it reads one job, does it, writes the report and the body, and ends. */
#include "fetch/caching.h"
#include "fetch/curl_library.h"
#include "fetch/fetch.h"
#include "fetch/fetcher.h"

#include "base/check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct transfer {
	const struct fetch_job *job;
	struct curl_library curl;
	struct fetch_report report;
	uint8_t *body;
};

static bool transfer_fail(struct transfer *transfer, const char *text)
{
	snprintf(transfer->report.fault, sizeof(transfer->report.fault), "%.*s",
		 (int)sizeof(transfer->report.fault) - 1, text);
	return false;
}

/* ---- what curl calls ---- */

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	size_t had = transfer->report.body_bytes;
	CHECK(had <= transfer->job->body_bytes_max);
	size_t bytes = size * count;
	transfer->report.too_large = had + bytes > transfer->job->body_bytes_max;
	if (transfer->report.too_large)
		return 0;
	uint8_t *grown = realloc(transfer->body, had + bytes + 1);
	if (grown == NULL)
		return 0;
	memcpy(grown + had, data, bytes);
	transfer->body = grown;
	transfer->report.body_bytes = (uint32_t)(had + bytes);
	return bytes;
}

/* Keeps the value if the line is the field with this name and the value fits. */
static void take_field(struct slice line, const char *name, char *value, size_t room)
{
	struct slice found;
	if (!header_line_value(line, name, &found) || found.size >= room ||
	    memchr(found.data, '\0', found.size) != NULL)
		return;
	memcpy(value, found.data, found.size);
	value[found.size] = '\0';
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
	struct fetch_report *report = &((struct transfer *)context)->report;
	struct slice line = slice_of(data, size * count);
	take_field(line, "cache-control", report->cache_control, sizeof(report->cache_control));
	take_field(line, "etag", report->etag, sizeof(report->etag));
	return size * count;
}

/* ---- the transfer ---- */

static bool set_transfer_options(struct transfer *transfer, CURL *handle)
{
	const struct curl_library *curl = &transfer->curl;
	const struct fetch_job *job = transfer->job;
	bool good = curl->easy_setopt(handle, CURLOPT_URL, job->url) == CURLE_OK &&
		    curl->easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
		    curl->easy_setopt(handle, CURLOPT_USERAGENT, "roost/" ROOST_VERSION) == CURLE_OK &&
		    curl->easy_setopt(handle, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
		    curl->easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)FETCH_CONNECT_MS) == CURLE_OK &&
		    curl->easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)FETCH_WHOLE_MS) == CURLE_OK &&
		    curl->easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
		    curl->easy_setopt(handle, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
		    curl->easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
		    curl->easy_setopt(handle, CURLOPT_HEADERDATA, transfer) == CURLE_OK;
	if (good && job->ca_file[0] != '\0')
		good = curl->easy_setopt(handle, CURLOPT_CAINFO, job->ca_file) == CURLE_OK;
	return good || transfer_fail(transfer, "libcurl is too old, or memory is short");
}

/* NULL: no memory. */
static struct curl_slist *make_header(const struct transfer *transfer)
{
	const struct fetch_job *job = transfer->job;
	char line[FETCH_FIELD_BYTES_MAX + 32];
	snprintf(line, sizeof(line), "Accept: %s", job->accept);
	struct curl_slist *first = transfer->curl.slist_append(NULL, line);
	if (first == NULL || job->etag[0] == '\0')
		return first;
	snprintf(line, sizeof(line), "If-None-Match: %s", job->etag);
	struct curl_slist *both = transfer->curl.slist_append(first, line);
	if (both == NULL)
		transfer->curl.slist_free_all(first);
	return both;
}

static bool perform(struct transfer *transfer, CURL *handle)
{
	const struct curl_library *curl = &transfer->curl;
	char text[CURL_ERROR_SIZE] = "";
	long status = 0;
	struct curl_slist *header = make_header(transfer);
	if (header == NULL)
		return transfer_fail(transfer, "out of memory");
	curl->easy_setopt(handle, CURLOPT_HTTPHEADER, header);
	curl->easy_setopt(handle, CURLOPT_ERRORBUFFER, text);
	CURLcode code = curl->easy_perform(handle);
	curl->easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
	curl->easy_setopt(handle, CURLOPT_ERRORBUFFER, NULL);
	curl->slist_free_all(header);
	transfer->report.status = (uint32_t)status;
	if (transfer->report.too_large)
		return transfer_fail(transfer, "the answer is larger than it may be");
	return code == CURLE_OK || transfer_fail(transfer, text[0] != '\0' ? text : curl->easy_strerror(code));
}

static bool run_transfer(struct transfer *transfer)
{
	const char *fault;
	if (!curl_library_load(&transfer->curl, &fault))
		return transfer_fail(transfer, fault);
	CURL *handle = transfer->curl.easy_init();
	bool good = handle != NULL || transfer_fail(transfer, "out of memory");
	good = good && set_transfer_options(transfer, handle) && perform(transfer, handle);
	if (handle != NULL)
		transfer->curl.easy_cleanup(handle);
	transfer->curl.global_cleanup();
	return good;
}

/* ---- the pipes ---- */

static bool read_whole(void *bytes, size_t size)
{
	size_t had = 0;
	while (had < size) {
		ssize_t got = read(STDIN_FILENO, (char *)bytes + had, size - had);
		if (got <= 0 && !(got < 0 && errno == EINTR))
			return false;
		had += got > 0 ? (size_t)got : 0;
	}
	return true;
}

static bool write_whole(const void *bytes, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t put = write(STDOUT_FILENO, (const char *)bytes + done, size - done);
		if (put < 0 && errno != EINTR)
			return false;
		done += put > 0 ? (size_t)put : 0;
	}
	return true;
}

/* It comes from the server. */
static uint32_t read_connections_max(const char *text)
{
	unsigned long number = strtoul(text, NULL, 10);
	return number != 0 && number <= FETCHER_JOBS_MAX ? (uint32_t)number : 1;
}

int fetch_main(int argc, char **argv)
{
	static struct fetch_job job; /* static: zero if there is none */
	if (argc == 3 && strcmp(argv[1], FETCHER_OPTION) == 0 && !isatty(STDIN_FILENO))
		return fetcher_main(read_connections_max(argv[2]));
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* if the server dies, no one needs the answer */
	if (isatty(STDIN_FILENO) || !read_whole(&job, sizeof(job))) {
		fputs("roost " FETCH_COMMAND ": this is what `roost serve` starts to fetch from a URL\n", stderr);
		return 2;
	}
	job.url[sizeof(job.url) - 1] = job.ca_file[sizeof(job.ca_file) - 1] = '\0';
	job.accept[sizeof(job.accept) - 1] = job.etag[sizeof(job.etag) - 1] = '\0';
	struct transfer transfer = {.job = &job};
	transfer.report.good = run_transfer(&transfer);
	if (!transfer.report.good)
		transfer.report.body_bytes = 0;
	CHECK(transfer.report.body_bytes <= job.body_bytes_max);
	bool told = write_whole(&transfer.report, sizeof(transfer.report)) &&
		    write_whole(transfer.body, transfer.report.body_bytes);
	free(transfer.body);
	return told ? 0 : 1;
}
