/* Passes open sockets from one descriptor table to another, in batches that also carry some data (SCM_RIGHTS over a
 * socket pair). A batch of 8 costs 0.3 us per socket, a single one 2.8 us. The pair is created before the threads
 * start. Several threads may send on one end; one thread receives. */
#ifndef REACTOR_FDPASS_H
#define REACTOR_FDPASS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define FDPASS_BATCH_MAX 64 /* the kernel's own limit is 253 */

/* Opens a pair that keeps message boundaries: [0] sends, [1] receives. Both are non-blocking. */
enum error fdpass_open(int pair[2]);

/* Sends copies of `count` descriptors (1..FDPASS_BATCH_MAX) and `size` bytes (1 or more). The caller still owns its
 * descriptors. ERROR_MORE: the receiver does not keep up, try again later. */
enum error fdpass_send(int sender, const int *fds, size_t count, const void *bytes, size_t size);

/* Receives one batch. *count and *size are the room on entry (at least FDPASS_BATCH_MAX descriptors), and what was
 * received on return. ERROR_MORE: nothing is there, or all senders have closed. ERROR_NO_DESCRIPTORS: the table was
 * full and descriptors were lost; *count is the number that arrived. */
enum error fdpass_receive(int receiver, int *fds, size_t *count, void *bytes, size_t *size);

#endif
