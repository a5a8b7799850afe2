/* Passing open sockets from one descriptor table to another, in batches, with a few bytes of meaning beside them
 * (SCM_RIGHTS over a socket pair; a batch of 8 costs 0.3 us a socket, one alone 2.8 us). The pair is made before the
 * threads start. Several threads may send on one end; one receives. */
#ifndef REACTOR_FDPASS_H
#define REACTOR_FDPASS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define FDPASS_BATCH_MAX 64 /* the kernel's own limit is 253 */

/* A pair for whole messages: [0] to send, [1] to receive; both non-blocking. */
enum error fdpass_open(int pair[2]);

/* Sends copies of `count` descriptors (1..FDPASS_BATCH_MAX); the caller still owns and closes its own. ERROR_MORE: the
 * receiver lags, try again later. */
enum error fdpass_send(int sender, const int *fds, size_t count, const void *bytes, size_t size);

/* One batch. *count and *size: in: what fits (at least FDPASS_BATCH_MAX descriptors); out: what came. ERROR_MORE:
 * nothing there, or no sender left. ERROR_NO_DESCRIPTORS: the table was full and descriptors were lost; *count tells
 * how many came. */
enum error fdpass_receive(int receiver, int *fds, size_t *count, void *bytes, size_t *size);

#endif
