/* Streams whose sockets are in io_uring's file tables rather than in the descriptor table (net/fixed_files.h). */
#ifndef NET_STREAM_FIXED_H
#define NET_STREAM_FIXED_H

#include "net/fixed_files.h"
#include "net/stream.h"

/* From now on stream_settle() moves sockets with the number first_descriptor or a higher one to `files`, which must
 * outlive streams. Once only. */
void stream_fixed_add(struct streams *streams, struct fixed_files *files, int first_descriptor);

#endif
