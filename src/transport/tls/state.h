/* What a stream over TLS keeps (transport/stream_tls.h): at rest one block, and blocks of what is under way between two
 * calls. All are in the slab of the thread's kind. For the files of this kind. */
#ifndef TRANSPORT_TLS_STATE_H
#define TRANSPORT_TLS_STATE_H

#include "base/error.h"
#include "base/slice.h"
#include "memory/slab.h"
#include "net/stream.h"
#include "tls/record.h"

#include <errno.h>

#define STREAM_TLS STREAM_LAYERED_FIRST

/* The kind, of one thread. */
struct tls_streams {
	struct slab slab;
	struct tls_ciphers *ciphers;
	uint8_t *scratch;     /* records on their way out, or in */
	uint64_t key_updates; /* of ours */
	uint64_t failures;    /* streams that ended because the peer broke TLS */
};

/* At rest all that there is of a stream, in the slab. Behind the session stands the subject, session.owners bytes. */
struct tls_state {
	struct stream below;
	uint32_t waiting; /* slab reference of struct tls_waiting, or 0 */
	struct tls_session session;
};
_Static_assert(sizeof(struct tls_state) == 40, "160 bytes with AES-128 in TLS 1.3, which is a size of blocks");

/* What a call has left, in the slab. */
struct tls_waiting {
	uint32_t in; /* slab reference: plain bytes that the caller had no room for, then records; or 0 */
	uint32_t in_capacity;
	uint32_t in_at; /* where it begins */
	uint32_t plain_bytes;
	uint32_t sealed_bytes;
	uint32_t out; /* slab reference: the rest of what the socket took in part, or 0 */
	uint32_t out_capacity;
	uint32_t out_at;
	uint32_t out_bytes;
	uint32_t credit; /* bytes of the caller that are in there, and are told as taken when it is out */
};

/* Of the socket's bytes that are read at once, and of the caller's that are sealed for one call. */
#define TLS_BATCH_BYTES ((size_t)64 * 1024)
/* A batch, and in front of what is read the rest of a record, which is shorter than one; or behind what is written the
 * heads and tags. */
#define TLS_SCRATCH_BYTES (TLS_BATCH_BYTES + TLS_RECORD_BYTES_MAX)

static inline struct tls_streams *tls_of(const struct streams *streams)
{
	return streams->contexts[STREAM_TLS];
}

static inline struct tls_state *tls_state_of(const struct streams *streams, struct stream stream)
{
	CHECK(stream_kind_of(stream) == (enum stream_kind)STREAM_TLS);
	return slab_at(&tls_of(streams)->slab, (uint32_t)stream_number(stream));
}

static inline ssize_t tls_refuse(int error)
{
	errno = error;
	return -1;
}

/* Of the session with its subject: what moves between threads. */
size_t tls_own_bytes(const struct tls_session *session);
struct slice tls_subject(const struct tls_session *session); /* size 0: there is none */
/* own: a session with its subject, of own_bytes. Without a stream beneath. The block's reference; 0: no memory. */
uint32_t tls_state_make(struct slab *slab, const void *own, size_t own_bytes);
/* Gives all blocks back. Keys and plain bytes leave no trace. */
void tls_state_forget(struct slab *slab, uint32_t ref);

/* ---- what waits ---- */

/* NULL: nothing does. */
static inline struct tls_waiting *tls_waiting_of(const struct slab *slab, const struct tls_state *state)
{
	return state->waiting != 0 ? slab_at(slab, state->waiting) : NULL;
}

struct tls_waiting *tls_waiting_make(struct slab *slab, struct tls_state *state); /* NULL: no memory */
/* Where nothing waits any more, there is no block for it. */
void tls_waiting_settle(struct slab *slab, struct tls_state *state);

/* Keeps input, where there is none so far. ERROR_NO_MEMORY. */
enum error tls_keep_in(struct slab *slab, struct tls_state *state, struct slice plain, struct slice sealed);
/* More of a record whose beginning is kept. ERROR_NO_MEMORY. */
enum error tls_append_in(struct slab *slab, struct tls_state *state, struct slice more);
/* The records that are kept, behind the plain bytes. */
struct slice tls_kept_records(const struct slab *slab, const struct tls_state *state);
void tls_drop_in(struct slab *slab, struct tls_state *state);

/* Keeps output, where there is none so far and no credit. ERROR_NO_MEMORY. */
enum error tls_keep_out(struct slab *slab, struct tls_state *state, struct slice sealed, size_t credit);
void tls_drop_out(struct slab *slab, struct tls_state *state);

/* ---- moving ---- */

/* On the heap. bytes: the session with its subject, what waits of the input, and of the output. */
struct tls_carry {
	struct stream_carry below;
	uint32_t own_bytes;
	uint32_t plain_bytes;
	uint32_t sealed_bytes;
	uint32_t out_bytes;
	uint32_t credit;
	uint8_t bytes[];
};

/* All but the stream beneath. NULL: no memory. */
struct tls_carry *tls_pack(const struct slab *slab, const struct tls_state *state);
/* What waits, into a state that was made. ERROR_NO_MEMORY: it has a part of it. */
enum error tls_unpack(struct slab *slab, struct tls_state *state, const struct tls_carry *carried);
void tls_carry_free(struct tls_carry *carried);

#endif
