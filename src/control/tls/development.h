/* A certificate for listeners that were given none, so that TLS can be tried at once: made at the first start and kept,
 * so that clients go on trusting it. Main thread, or whichever reloads; blocks on the disk. */
#ifndef CONTROL_DEVELOPMENT_H
#define CONTROL_DEVELOPMENT_H

#include "base/slice.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct development {
	char path[PATH_MAX];    /* certificate, its CA's and the key; "": in memory alone */
	char ca_path[PATH_MAX]; /* what clients are to trust */
	char fingerprint[96];   /* SHA-256 of the certificate; "": not known */
	uint8_t *pem;           /* as in the file; on the heap */
	size_t size;
};

/* Reads it from the store's directory, else from that of the state of services or of the user (STATE_DIRECTORY,
 * XDG_STATE_HOME, HOME); makes it where there is none or it ends within a month. False: fault says why, in a sentence.
 */
#define DEVELOPMENT_FAULT_BYTES_MAX 1024u
bool development_load(struct development *development, const char *store_directory, int64_t wall_s,
		      char fault[DEVELOPMENT_FAULT_BYTES_MAX]);
/* Wipes the key. */
void development_fini(struct development *development);

#endif
