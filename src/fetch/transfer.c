#include "fetch/transfer.h"

#include "fetch/caching.h"

#include <stdlib.h>

/* How long certificate authorities are kept before their file is read again. */
#define CA_CACHE_S 300L

/* ---- what curl calls ---- */

static size_t take_answer_body(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	size_t bytes = size * count;
	size_t room = transfer->request.answer_bytes_max - transfer->body.size;
	transfer->is_too_large = bytes > room;
	bytes_append(&transfer->body, data, bytes < room ? bytes : room);
	return transfer->is_too_large || transfer->body.failed ? 0 : bytes;
}

static void take_answer_text(struct slice line, const char *name, char *text)
{
	struct slice value;
	if (!header_line_value(line, name, &value) || value.size > FETCH_ANSWER_TEXT_BYTES_MAX ||
	    (value.size != 0 && memchr(value.data, '\0', value.size) != NULL))
		return;
	if (value.size != 0)
		memcpy(text, value.data, value.size);
	text[value.size] = '\0';
}

static size_t take_answer_header(char *data, size_t size, size_t count, void *context)
{
	struct transfer_texts *texts = &((struct transfer *)context)->texts;
	struct slice line = slice_of(data, size * count);
	if (line.size > 5 && memcmp(data, "HTTP/", 5) == 0)
		*texts = (struct transfer_texts){0};
	take_answer_text(line, "retry-after", texts->retry_after);
	take_answer_text(line, "cache-control", texts->cache_control);
	take_answer_text(line, "etag", texts->etag);
	take_answer_text(line, "content-type", texts->content_type);
	take_answer_text(line, "location", texts->location);
	return line.size;
}

/* ---- a request's options ---- */

static bool add_header_line(struct transfer *transfer, const char *line)
{
	struct curl_slist *longer = transfer->curl->slist_append(transfer->headers, line);
	if (longer != NULL)
		transfer->headers = longer;
	return longer != NULL;
}

static bool set_headers(struct transfer *transfer)
{
	/* libcurl asks before it sends a long body, and waits a second for servers that do not know of this. */
	bool good = add_header_line(transfer, "Expect:");
	for (uint32_t i = 0; i < transfer->request.header_count && good; i++)
		good = add_header_line(transfer, transfer->request.headers[i]);
	return good && transfer->curl->easy_setopt(transfer->handle, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK;
}

static bool set_method(const struct transfer *transfer)
{
	__typeof__(curl_easy_setopt) *set = transfer->curl->easy_setopt;
	const struct fetch_request *request = &transfer->request;
	bool posts = strcmp(request->method, "POST") == 0;
	bool good = posts || strcmp(request->method, "GET") == 0 ||
		    set(transfer->handle, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK;
	if (!posts && request->body.size == 0)
		return good;
	return good && set(transfer->handle, CURLOPT_POST, 1L) == CURLE_OK &&
	       set(transfer->handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size) == CURLE_OK &&
	       set(transfer->handle, CURLOPT_POSTFIELDS, request->body.data) == CURLE_OK;
}

static bool set_files(const struct transfer *transfer)
{
	__typeof__(curl_easy_setopt) *set = transfer->curl->easy_setopt;
	const struct fetch_request *request = &transfer->request;
	bool good = true;
	if (request->ca_file[0] != '\0')
		good = set(transfer->handle, CURLOPT_CAINFO, request->ca_file) == CURLE_OK;
	if (request->certificate_file[0] != '\0')
		good = good && set(transfer->handle, CURLOPT_SSLCERT, request->certificate_file) == CURLE_OK;
	if (request->key_file[0] != '\0')
		good = good && set(transfer->handle, CURLOPT_SSLKEY, request->key_file) == CURLE_OK;
	return good;
}

static bool set_request_options(struct transfer *transfer)
{
	__typeof__(curl_easy_setopt) *set = transfer->curl->easy_setopt;
	CURL *handle = transfer->handle;
	const struct fetch_request *request = &transfer->request;
	/* A name that does not resolve must not hold up the others until its resolver gives up; an older libcurl does
	 * not know the option. */
	set(handle, CURLOPT_QUICK_EXIT, 1L);
	set(handle, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S);
	return set(handle, CURLOPT_PRIVATE, transfer) == CURLE_OK &&
	       set(handle, CURLOPT_URL, request->url) == CURLE_OK &&
	       set(handle, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       set(handle, CURLOPT_USERAGENT, "roost/" ROOST_VERSION) == CURLE_OK &&
	       set(handle, CURLOPT_NOSIGNAL, 1L) == CURLE_OK && set(handle, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
	       set(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK &&
	       set(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_ms) == CURLE_OK &&
	       set(handle, CURLOPT_TIMEOUT_MS, (long)request->whole_ms) == CURLE_OK &&
	       set(handle, CURLOPT_WRITEFUNCTION, take_answer_body) == CURLE_OK &&
	       set(handle, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
	       set(handle, CURLOPT_HEADERFUNCTION, take_answer_header) == CURLE_OK &&
	       set(handle, CURLOPT_HEADERDATA, transfer) == CURLE_OK &&
	       set(handle, CURLOPT_ERRORBUFFER, transfer->error) == CURLE_OK && set_method(transfer) &&
	       set_files(transfer) && set_headers(transfer);
}

/* ---- a transfer's life ---- */

static bool copy_payload(struct transfer *transfer, struct slice payload)
{
	transfer->payload = malloc(payload.size + 1);
	if (transfer->payload == NULL)
		return false;
	if (payload.size != 0)
		memcpy(transfer->payload, payload.data, payload.size);
	return frame_read_job(slice_of(transfer->payload, payload.size), &transfer->request);
}

struct transfer *transfer_new(const struct curl_library *curl, uint64_t ticket, struct slice payload,
			      const char **fault)
{
	struct transfer *transfer = calloc(1, sizeof(*transfer));
	*fault = "out of memory";
	if (transfer == NULL)
		return NULL;
	transfer->curl = curl;
	transfer->ticket = ticket;
	if (!copy_payload(transfer, payload)) {
		*fault = "the job cannot be read, or memory is short";
	} else {
		transfer->handle = curl->easy_init();
		if (transfer->handle != NULL && set_request_options(transfer))
			return transfer;
		*fault = "libcurl is too old, or memory is short";
	}
	transfer_free(transfer);
	return NULL;
}

void transfer_free(struct transfer *transfer)
{
	if (transfer->handle != NULL)
		transfer->curl->easy_cleanup(transfer->handle);
	transfer->curl->slist_free_all(transfer->headers);
	bytes_free(&transfer->body);
	free(transfer->payload);
	free(transfer);
}

/* ---- its answer ---- */

static enum fetch_outcome outcome_of_code(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return FETCH_ANSWERED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return FETCH_NO_HOST;
	case CURLE_COULDNT_CONNECT:
		return FETCH_NO_CONNECTION;
	case CURLE_OPERATION_TIMEDOUT:
		return FETCH_TIMED_OUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
		return FETCH_NO_TRUST;
	default:
		return FETCH_BROKEN;
	}
}

static bool is_cut_as_wanted(const struct transfer *transfer)
{
	return transfer->is_too_large && transfer->request.cuts_answer;
}

/* An HTTP/2 server that has answered before it has read the whole request ends the stream, and the answer counts
 * [RFC 9113, 8.1]; libcurl calls that an error. nginx does it where it answers by itself. */
static bool was_answered_early(const struct transfer *transfer, CURLcode code, long status)
{
	curl_off_t whole = -1;
	if (code != CURLE_HTTP2_STREAM || status < 200 || transfer->is_too_large || transfer->body.failed)
		return false;
	transfer->curl->easy_getinfo(transfer->handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &whole);
	bool has_none = status == 204 || status == 304; /* [RFC 9110, 6.4.1] */
	return has_none || transfer->request.cuts_answer || (whole >= 0 && (size_t)whole == transfer->body.size);
}

static const char *fault_of(const struct transfer *transfer, CURLcode code)
{
	if (code == CURLE_OK || is_cut_as_wanted(transfer))
		return "";
	if (transfer->is_too_large)
		return "the answer is larger than it may be";
	if (transfer->body.failed)
		return "memory is short";
	return transfer->error[0] != '\0' ? transfer->error : transfer->curl->easy_strerror(code);
}

void transfer_answer(struct transfer *transfer, CURLcode code, struct fetch_answer *answer)
{
	long status = 0;
	curl_off_t took_us = 0;
	transfer->curl->easy_getinfo(transfer->handle, CURLINFO_RESPONSE_CODE, &status);
	transfer->curl->easy_getinfo(transfer->handle, CURLINFO_TOTAL_TIME_T, &took_us);
	if (was_answered_early(transfer, code, status))
		code = CURLE_OK;
	*answer = (struct fetch_answer){
		.outcome = outcome_of_code(code),
		.status = status > 0 && status <= 999 ? (uint32_t)status : 0,
		.took_us = took_us > 0 && took_us < UINT32_MAX ? (uint32_t)took_us : 0,
		.is_cut = is_cut_as_wanted(transfer),
		.fault = fault_of(transfer, code),
		.retry_after = transfer->texts.retry_after,
		.cache_control = transfer->texts.cache_control,
		.etag = transfer->texts.etag,
		.content_type = transfer->texts.content_type,
		.location = transfer->texts.location,
		.body = bytes_slice(&transfer->body),
	};
	if (transfer->is_too_large)
		answer->outcome = transfer->request.cuts_answer ? FETCH_ANSWERED : FETCH_TOO_LARGE;
}
