/* One request of the process that stays: an easy handle of libcurl and what has come of the answer. Owned by that
 * process' only thread. */
#ifndef FETCH_TRANSFER_H
#define FETCH_TRANSFER_H

#include "fetch/curl_library.h"
#include "fetch/frame.h"

struct transfer_texts {
	char retry_after[FETCH_ANSWER_TEXT_BYTES_MAX + 1];
	char cache_control[FETCH_ANSWER_TEXT_BYTES_MAX + 1];
	char etag[FETCH_ANSWER_TEXT_BYTES_MAX + 1];
	char content_type[FETCH_ANSWER_TEXT_BYTES_MAX + 1];
	char location[FETCH_ANSWER_TEXT_BYTES_MAX + 1];
};

struct transfer {
	const struct curl_library *curl;
	uint64_t ticket;
	CURL *handle; /* its private pointer is the transfer */
	struct curl_slist *headers;
	uint8_t *payload; /* which the request points into */
	struct fetch_request request;
	struct bytes body;
	bool is_too_large;
	struct transfer_texts texts; /* of the last head: those before are informational [RFC 9110, 15.2] */
	char error[CURL_ERROR_SIZE];
};

/* Copies the payload of the job. NULL: it makes no sense, or memory is short: *fault says so. */
struct transfer *transfer_new(const struct curl_library *curl, uint64_t ticket, struct slice payload,
			      const char **fault);
void transfer_free(struct transfer *transfer);

/* What has become of it: code is libcurl's result. Points into the transfer. */
void transfer_answer(struct transfer *transfer, CURLcode code, struct fetch_answer *answer);

#endif
