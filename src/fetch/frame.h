/* What the server and the process that stays (fetch/fetcher.h) say to each other: frames of a head, numbers, texts and
 * a body. Both ends are the same executable, so numbers are in the machine's order. What comes from the process counts
 * as coming from outside all the same: it has handled foreign bytes. Pure; any thread. */
#ifndef FETCH_FRAME_H
#define FETCH_FRAME_H

#include "memory/bytes.h"

#define FETCH_HEADERS_MAX 40u
/* Of all texts of a job together: its URL, its headers and the names of its files. */
#define FETCH_TEXTS_BYTES_MAX ((size_t)64 << 10)
#define FETCH_REQUEST_BYTES_MAX ((size_t)16 << 20)
#define FETCH_ANSWER_BYTES_MAX ((size_t)16 << 20)
/* Of each text of an answer. */
#define FETCH_ANSWER_TEXT_BYTES_MAX 256u

/* Texts end with a null character and are none where they are "". */
struct fetch_request {
	const char *method;           /* a token [RFC 9110, 9.1] */
	const char *url;              /* http:// or https:// */
	const char *ca_file;          /* PEM; "": the system's certificate authorities */
	const char *certificate_file; /* PEM, of this client; "": none */
	const char *key_file;
	const char *headers[FETCH_HEADERS_MAX]; /* "Name: value" */
	uint32_t header_count;
	uint32_t connect_ms;       /* until it is connected, TLS included */
	uint32_t whole_ms;         /* until the answer is complete */
	uint32_t answer_bytes_max; /* of its body; at most FETCH_ANSWER_BYTES_MAX */
	bool cuts_answer;  /* a longer body is no fault: what is beyond is not read, and the connection is closed */
	struct slice body; /* at most FETCH_REQUEST_BYTES_MAX */
};

enum fetch_outcome {
	FETCH_ANSWERED,      /* completely, with whatever status */
	FETCH_NO_HOST,       /* the name does not resolve */
	FETCH_NO_CONNECTION, /* nobody listens there, or it cannot be reached */
	FETCH_NO_TRUST,      /* TLS: no agreement, or the wrong certificate */
	FETCH_TIMED_OUT,
	FETCH_BROKEN,     /* closed early, or no HTTP */
	FETCH_TOO_LARGE,  /* the body exceeds answer_bytes_max */
	FETCH_NO_PROCESS, /* the process that fetches ended, hung, or lacks libcurl */
	FETCH_OUTCOME_COUNT,
};

/* "no_host": for a metric's label. */
const char *fetch_outcome_name(enum fetch_outcome outcome);

struct fetch_answer {
	uint64_t id; /* of the job, as its poster named it */
	enum fetch_outcome outcome;
	uint32_t status;  /* of HTTP; 0: none came */
	uint32_t took_us; /* from when the process took the job on */
	bool is_cut;      /* the body was longer */
	/* "": none, or longer than FETCH_ANSWER_TEXT_BYTES_MAX. */
	const char *fault; /* in words, where it was not answered */
	const char *retry_after, *cache_control, *etag, *content_type, *location;
	struct slice body;
};

enum frame_kind {
	FRAME_JOB = 1, /* to the process */
	FRAME_CANCEL,  /* to the process: no answer is wanted; the payload is empty */
	FRAME_ANSWER,  /* from it */
};

struct frame {
	enum frame_kind kind;
	uint64_t ticket; /* of the job */
	struct slice payload;
	size_t size; /* of all of it */
};

enum frame_state {
	FRAME_WHOLE,
	FRAME_MORE, /* the rest is still to come */
	FRAME_BAD,
};

/* Looks for a frame at the front of the bytes, whose payload is at most payload_max. */
enum frame_state frame_read(struct slice bytes, size_t payload_max, struct frame *frame);
/* The longest payload of a frame with so long a body. */
size_t frame_payload_max(size_t body_bytes_max);

/* Each appends a frame; bytes->failed says that memory was short. */
void frame_append_job(struct bytes *bytes, uint64_t ticket, const struct fetch_request *request);
void frame_append_cancel(struct bytes *bytes, uint64_t ticket);
/* Texts that are too long are cut where they are faults, and left out where they are headers'. */
void frame_append_answer(struct bytes *bytes, uint64_t ticket, const struct fetch_answer *answer);

/* Reads a payload, which has to outlive the result. false: it makes no sense. */
bool frame_read_job(struct slice payload, struct fetch_request *request);
/* Does not set id. */
bool frame_read_answer(struct slice payload, struct fetch_answer *answer);

#endif
