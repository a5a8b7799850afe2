/* Streams over TLS: the kind's operations. A session's records are opened straight into the caller's buffer, and sealed
 * in the thread's scratch; what is under way when a call ends is kept in blocks (struct tls_waiting). */
#include "transport/stream_tls.h"
#include "base/layout_root.h"

#include "base/check.h"
#include "memory/notes.h"
#include "transport/tls/read.h"
#include "transport/tls/write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Limit of a thread's slab, 4 GiB: a block's reference has to be a stream's number, whatever else has taken blocks. */
#define TLS_SLAB_BYTES_MAX ((size_t)4 << 30)
_Static_assert(TLS_SLAB_BYTES_MAX <= ((size_t)1 << STREAM_NUMBER_BITS) * SLAB_UNIT_BYTES, "see above");

static ssize_t tls_send(struct streams *streams, struct stream stream, const void *bytes, size_t size)
{
	struct iovec part = {(void *)(uintptr_t)bytes, size};
	return tls_sendv(streams, stream, &part, 1);
}

static int tls_flush(struct streams *streams, struct stream stream)
{
	struct tls_state *state = tls_state_of(streams, stream);
	if (tls_push(streams, state) != 0)
		return -1;
	return stream_is_layered(state->below) ? stream_flush(streams, state->below) : 0;
}

/* ---- what is the socket's ---- */

static void tls_acknowledge(struct streams *streams, struct stream stream)
{
	stream_acknowledge(streams, tls_state_of(streams, stream)->below);
}

static int tls_borrow(struct streams *streams, struct stream stream)
{
	return stream_borrow(streams, tls_state_of(streams, stream)->below);
}

static void tls_give_back(struct streams *streams, struct stream stream, int fd)
{
	stream_give_back(streams, tls_state_of(streams, stream)->below, fd);
}

static struct stream tls_settle(struct streams *streams, struct stream stream)
{
	struct tls_state *state = tls_state_of(streams, stream);
	state->below = stream_settle(streams, state->below);
	return stream;
}

static void tls_describe(const struct streams *streams, struct stream stream, struct stream_facts *facts)
{
	const struct tls_state *state = tls_state_of(streams, stream);
	const struct tls_session *session = &state->session;
	*facts = stream_facts(streams, state->below);
	facts->tls_version = session->version == TLS_1_3 ? 0x0304 : 0x0303;
	facts->tls_cipher = session->cipher;
	facts->subject = tls_subject(session);
	if (session->error != ERROR_OK)
		facts->error = session->error;
}

/* ---- the end ---- */

/* Nothing follows a record that was cut; and TLS is over that the peer has ended with an alert. */
static void tls_say_last_words(struct streams *streams, struct tls_state *state)
{
	uint8_t record[TLS_ALERT_BYTES_MAX];
	if (state->session.error == ERROR_TLS_ALERT || tls_push(streams, state) != 0)
		return;
	size_t size = tls_alert_write(tls_of(streams)->ciphers, &state->session, record);
	stream_send(streams, state->below, record, size);
}

static void tls_shutdown(struct streams *streams, struct stream stream)
{
	stream_shutdown(streams, tls_state_of(streams, stream)->below);
}

static void tls_close(struct streams *streams, struct stream stream)
{
	struct tls_state *state = tls_state_of(streams, stream);
	tls_say_last_words(streams, state);
	stream_close(streams, state->below);
	tls_state_forget(&tls_of(streams)->slab, (uint32_t)stream_number(stream));
}

/* ---- moving ---- */

static int tls_release(struct streams *streams, struct stream stream, struct stream_carry *carry)
{
	struct tls_streams *tls = tls_of(streams);
	struct tls_state *state = tls_state_of(streams, stream);
	struct tls_carry *carried = tls_pack(&tls->slab, state);
	if (carried == NULL)
		return (int)tls_refuse(ENOMEM);
	int fd = stream_release(streams, state->below, &carried->below);
	if (fd < 0) {
		tls_carry_free(carried);
		return -1;
	}
	tls_state_forget(&tls->slab, (uint32_t)stream_number(stream));
	*carry = (struct stream_carry){.state = carried, .kind = STREAM_TLS};
	return fd;
}

static struct stream tls_handle(uint32_t ref)
{
	return stream_of(STREAM_TLS, (int)ref);
}

static struct stream tls_adopt(struct streams *streams, int fd, struct stream_carry *carry)
{
	struct tls_streams *tls = tls_of(streams);
	struct tls_carry *carried = carry->state;
	CHECK(carried != NULL);
	uint32_t ref = tls_state_make(&tls->slab, carried->bytes, carried->own_bytes);
	if (ref == 0)
		return STREAM_NONE;
	struct tls_state *state = slab_at(&tls->slab, ref);
	if (tls_unpack(&tls->slab, state, carried) == ERROR_OK)
		state->below = stream_adopt(streams, fd, &carried->below);
	if (!stream_exists(state->below)) {
		tls_waiting_settle(&tls->slab, state);
		tls_state_forget(&tls->slab, ref);
		return STREAM_NONE;
	}
	tls_carry_free(carried);
	return tls_handle(ref);
}

static void tls_drop(const struct streams *streams, struct stream_carry *carry)
{
	struct tls_carry *carried = carry->state;
	stream_carry_drop(streams, &carried->below);
	tls_carry_free(carried);
}

/* ---- opening ---- */

static const struct stream_ops TLS_OPS = {
	.receive = tls_receive,
	.pending = tls_pending,
	.send = tls_send,
	.sendv = tls_sendv,
	.flush = tls_flush,
	.stage_descriptor = tls_stage_descriptor,
	.stage = tls_stage,
	.staged = tls_staged,
	.acknowledge = tls_acknowledge,
	.shutdown = tls_shutdown,
	.close = tls_close,
	.borrow = tls_borrow,
	.give_back = tls_give_back,
	.describe = tls_describe,
	.settle = tls_settle,
	.release = tls_release,
	.adopt = tls_adopt,
	.drop = tls_drop,
};

/* What the kind is beside its slab. */
struct tls_streams_note {
	uint64_t key_updates;
	uint64_t failures;
};
LAYOUT_ROOT(tls_streams_note);

static enum error tls_find_note(struct tls_streams *tls, const struct arena *arena)
{
	struct tls_streams_note note;
	if (!arena_is_adopted(arena))
		return ERROR_OK;
	if (!arena_get_exact(arena, "tls streams", &note, sizeof(note)))
		return ERROR_NOT_FOUND;
	tls->key_updates = note.key_updates;
	tls->failures = note.failures;
	return ERROR_OK;
}

enum error tls_streams_save(const struct tls_streams *tls, const struct arena *arena)
{
	struct tls_streams_note note = {.key_updates = tls->key_updates, .failures = tls->failures};
	enum error error = arena_put(arena, "tls streams", &note, sizeof(note));
	return error == ERROR_OK ? slab_save(&tls->slab, arena) : error;
}

enum error tls_streams_open(struct tls_streams *tls, struct streams *streams, struct arena *arena)
{
	*tls = (struct tls_streams){0};
	if (slab_open_in(&tls->slab, arena, "tls", TLS_SLAB_BYTES_MAX) != ERROR_OK)
		return ERROR_NO_MEMORY;
	tls->ciphers = tls_ciphers_new();
	tls->scratch = malloc(TLS_SCRATCH_BYTES);
	if (tls->ciphers == NULL || tls->scratch == NULL || tls_find_note(tls, arena) != ERROR_OK) {
		tls_streams_close(tls);
		return ERROR_NO_MEMORY;
	}
	streams_add_kind(streams, STREAM_TLS, &TLS_OPS, tls);
	return ERROR_OK;
}

void tls_streams_close(struct tls_streams *tls)
{
	if (tls->scratch != NULL)
		explicit_bzero(tls->scratch, TLS_SCRATCH_BYTES);
	free(tls->scratch);
	tls_ciphers_free(tls->ciphers);
	slab_close(&tls->slab);
	*tls = (struct tls_streams){0};
}

struct stream tls_stream_over(struct streams *streams, struct stream below, struct tls_session *session,
			      struct slice unread, struct slice subject)
{
	struct tls_streams *tls = tls_of(streams);
	session->owners = 0;
	size_t session_bytes = tls_own_bytes(session);
	size_t subject_bytes = subject.size < UINT8_MAX ? subject.size : UINT8_MAX;
	_Alignas(struct tls_session) uint8_t own[TLS_SESSION_BYTES_MAX + UINT8_MAX];
	memcpy(own, session, session_bytes);
	if (subject_bytes != 0)
		memcpy(own + session_bytes, subject.data, subject_bytes);
	((struct tls_session *)(void *)own)->owners = (uint8_t)subject_bytes;
	uint32_t ref = tls_state_make(&tls->slab, own, session_bytes + subject_bytes);
	explicit_bzero(own, sizeof(own));
	if (ref == 0)
		return STREAM_NONE;
	struct tls_state *state = slab_at(&tls->slab, ref);
	if (unread.size != 0 && tls_keep_in(&tls->slab, state, (struct slice){0}, unread) != ERROR_OK) {
		tls_state_forget(&tls->slab, ref);
		return STREAM_NONE;
	}
	state->below = below;
	tls_session_wipe(session);
	return tls_handle(ref);
}
