/* Fetches a document from a URL in a process of its own, which is started for it and ends with it: this program once
 * more, by its own executable, as `roost fetch`. The libraries for it are in no process that has clients' sockets and
 * keys, and what they do with bytes from elsewhere, or leak, is over when the process ends. It takes some 30 ms.
 *
 * The two speak through pipes: a struct fetch_job goes in, a struct fetch_report and the body come out. Both are the
 * same program, so the structs are the same; the report is taken as coming from outside all the same. */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include "base/error.h"
#include "net/waker.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FETCH_COMMAND "fetch"
#define FETCH_TEXT_BYTES_MAX 1024u
#define FETCH_ETAG_BYTES_MAX 200u
#define FETCH_FIELD_BYTES_MAX 200u
#define FETCH_FAULT_BYTES_MAX 200u
#define FETCH_BODY_BYTES_MAX ((size_t)16 << 20)
/* For the connection, and for all of it, both of which the process keeps to. */
#define FETCH_CONNECT_MS 5000u
#define FETCH_WHOLE_MS 10000u
/* A process that has not ended by then is killed. */
#define FETCH_KILL_MS (FETCH_WHOLE_MS + 2000u)

/* All texts end with a null character. */
struct fetch_job {
	char url[FETCH_TEXT_BYTES_MAX];     /* http:// or https:// */
	char ca_file[FETCH_TEXT_BYTES_MAX]; /* "": what the system trusts */
	char accept[FETCH_FIELD_BYTES_MAX]; /* Accept */
	char etag[FETCH_ETAG_BYTES_MAX];    /* If-None-Match; "": none */
	uint32_t body_bytes_max;            /* at most FETCH_BODY_BYTES_MAX */
};

struct fetch_report {
	bool good;       /* there was an answer, and it is whole */
	bool too_large;  /* it is not good because the body is longer than it may be */
	uint32_t status; /* of HTTP */
	uint32_t body_bytes;
	char fault[FETCH_FAULT_BYTES_MAX];         /* why it is not good */
	char etag[FETCH_ETAG_BYTES_MAX];           /* "": none, or one that is too long */
	char cache_control[FETCH_FIELD_BYTES_MAX]; /* likewise */
};

/* Does the job, and waits for it up to FETCH_KILL_MS; the waker wakes it to look at *stopping, and is the caller's
 * alone. *body, where it is not NULL, is the caller's to free. Redirects are not followed; a proxy is used as the
 * environment says. What failed is told by the report. The caller's process ignores SIGPIPE. */
void fetch_run(const struct fetch_job *job, struct waker *waker, const _Atomic bool *stopping,
	       struct fetch_report *report, uint8_t **body);

/* `roost fetch`: does the job that comes on its standard input. Not for people. */
int fetch_main(int argc, char **argv);

#endif
