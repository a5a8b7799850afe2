/* Fetches a document from a URL in a separate process, which is started for one fetch: this program's own executable,
 * run as `roost fetch`. So the HTTP and TLS libraries, and the foreign bytes they parse, never share a process with
 * clients' sockets and keys. Starting it takes some 30 ms.
 *
 * A struct fetch_job goes to the process through a pipe; a struct fetch_report and the body come back through another.
 * Both ends are the same executable, so the layout agrees. The report is still treated as data from outside. */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include "base/error.h"
#include "reactor/waker.h"

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
/* Limits for connecting and for the whole transfer. The process itself enforces them. */
#define FETCH_CONNECT_MS 5000u
#define FETCH_WHOLE_MS 10000u
/* A process that runs longer than this is killed. */
#define FETCH_KILL_MS (FETCH_WHOLE_MS + 2000u)

/* All strings end with a null character. */
struct fetch_job {
	char url[FETCH_TEXT_BYTES_MAX];     /* http:// or https:// */
	char ca_file[FETCH_TEXT_BYTES_MAX]; /* "": the system's certificate authorities */
	char accept[FETCH_FIELD_BYTES_MAX]; /* Accept */
	char etag[FETCH_ETAG_BYTES_MAX];    /* If-None-Match; "": none */
	uint32_t body_bytes_max;            /* at most FETCH_BODY_BYTES_MAX */
};

struct fetch_report {
	bool good;       /* a complete answer was received */
	bool too_large;  /* it is not good because the body exceeds body_bytes_max */
	uint32_t status; /* of HTTP */
	uint32_t body_bytes;
	char fault[FETCH_FAULT_BYTES_MAX];         /* why not */
	char etag[FETCH_ETAG_BYTES_MAX];           /* "": none, or too long */
	char cache_control[FETCH_FIELD_BYTES_MAX]; /* likewise */
};

/* Does the job. Waits for it up to FETCH_KILL_MS, or until *stopping is set and the waker woken; the waker is the
 * caller's alone. *body is the caller's to free; NULL if there is none. Failures are told by the report. Redirects are
 * not followed; a proxy is used as the environment says. The caller's process must ignore SIGPIPE. */
void fetch_run(const struct fetch_job *job, struct waker *waker, const _Atomic bool *stopping,
	       struct fetch_report *report, uint8_t **body);

/* `roost fetch`: does the job that it reads from standard input; with --stay, many (fetch/fetcher.h). Not meant for
 * people. */
int fetch_main(int argc, char **argv);

#endif
