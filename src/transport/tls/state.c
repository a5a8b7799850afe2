#include "transport/tls/state.h"
#include "base/layout_root.h"

#include "base/check.h"
#include "tls/record.h"

#include <stdlib.h>
#include <string.h>

LAYOUT_ROOT(tls_state);
LAYOUT_ROOT(tls_waiting);

size_t tls_own_bytes(const struct tls_session *session)
{
	return tls_session_bytes(session->version, session->suite) + session->owners;
}

struct slice tls_subject(const struct tls_session *session)
{
	const uint8_t *end = (const uint8_t *)session + tls_session_bytes(session->version, session->suite);
	return slice_of(end, session->owners);
}

static size_t tls_state_bytes(const struct tls_session *session)
{
	return offsetof(struct tls_state, session) + tls_own_bytes(session);
}

/* ---- what waits ---- */

struct tls_waiting *tls_waiting_make(struct slab *slab, struct tls_state *state)
{
	if (state->waiting == 0) {
		state->waiting = slab_take(slab, sizeof(struct tls_waiting));
		if (state->waiting == 0)
			return NULL;
		*tls_waiting_of(slab, state) = (struct tls_waiting){0};
	}
	return tls_waiting_of(slab, state);
}

void tls_waiting_settle(struct slab *slab, struct tls_state *state)
{
	const struct tls_waiting *waiting = tls_waiting_of(slab, state);
	if (waiting == NULL || waiting->in != 0 || waiting->out != 0 || waiting->credit != 0)
		return;
	slab_give(slab, state->waiting, sizeof(*waiting));
	state->waiting = 0;
}

void tls_drop_in(struct slab *slab, struct tls_state *state)
{
	struct tls_waiting *waiting = tls_waiting_of(slab, state);
	if (waiting == NULL || waiting->in == 0)
		return;
	slab_give(slab, waiting->in, waiting->in_capacity);
	waiting->in = waiting->in_capacity = waiting->in_at = waiting->plain_bytes = waiting->sealed_bytes = 0;
	tls_waiting_settle(slab, state);
}

void tls_drop_out(struct slab *slab, struct tls_state *state)
{
	struct tls_waiting *waiting = tls_waiting_of(slab, state);
	if (waiting == NULL)
		return;
	if (waiting->out != 0)
		slab_give(slab, waiting->out, waiting->out_capacity);
	waiting->out = waiting->out_capacity = waiting->out_at = waiting->out_bytes = 0;
	tls_waiting_settle(slab, state);
}

enum error tls_keep_in(struct slab *slab, struct tls_state *state, struct slice plain, struct slice sealed)
{
	size_t size = plain.size + sealed.size;
	struct tls_waiting *waiting = tls_waiting_make(slab, state);
	if (waiting == NULL)
		return ERROR_NO_MEMORY;
	CHECK(waiting->in == 0 && size != 0);
	waiting->in = slab_take(slab, size);
	if (waiting->in == 0) {
		tls_waiting_settle(slab, state);
		return ERROR_NO_MEMORY;
	}
	waiting->in_capacity = (uint32_t)slab_block_bytes(size);
	waiting->plain_bytes = (uint32_t)plain.size;
	waiting->sealed_bytes = (uint32_t)sealed.size;
	uint8_t *at = slab_at(slab, waiting->in);
	if (plain.size != 0)
		memcpy(at, plain.data, plain.size);
	if (sealed.size != 0)
		memcpy(at + plain.size, sealed.data, sealed.size);
	return ERROR_OK;
}

/* Blocks double, so that a record that comes byte by byte is not moved with
 * each; and a length that a head announces costs nothing until the bytes come. */
enum error tls_append_in(struct slab *slab, struct tls_state *state, struct slice more)
{
	struct tls_waiting *waiting = tls_waiting_of(slab, state);
	size_t used = waiting->sealed_bytes;
	CHECK(waiting->plain_bytes == 0 && used != 0);
	if (waiting->in_at + used + more.size > waiting->in_capacity) {
		size_t size = used + (more.size > used ? more.size : used);
		uint32_t ref = slab_take(slab, size);
		if (ref == 0)
			return ERROR_NO_MEMORY;
		memcpy(slab_at(slab, ref), (uint8_t *)slab_at(slab, waiting->in) + waiting->in_at, used);
		slab_give(slab, waiting->in, waiting->in_capacity);
		waiting->in = ref;
		waiting->in_capacity = (uint32_t)slab_block_bytes(size);
		waiting->in_at = 0;
	}
	memcpy((uint8_t *)slab_at(slab, waiting->in) + waiting->in_at + used, more.data, more.size);
	waiting->sealed_bytes += (uint32_t)more.size;
	return ERROR_OK;
}

struct slice tls_kept_records(const struct slab *slab, const struct tls_state *state)
{
	const struct tls_waiting *waiting = tls_waiting_of(slab, state);
	if (waiting == NULL || waiting->in == 0)
		return (struct slice){0};
	const uint8_t *block = slab_at(slab, waiting->in);
	return slice_of(block + waiting->in_at + waiting->plain_bytes, waiting->sealed_bytes);
}

enum error tls_keep_out(struct slab *slab, struct tls_state *state, struct slice sealed, size_t credit)
{
	struct tls_waiting *waiting = tls_waiting_make(slab, state);
	if (waiting == NULL)
		return ERROR_NO_MEMORY;
	CHECK(waiting->out == 0 && waiting->credit == 0 && sealed.size != 0);
	waiting->out = slab_take(slab, sealed.size);
	if (waiting->out == 0) {
		tls_waiting_settle(slab, state);
		return ERROR_NO_MEMORY;
	}
	waiting->out_capacity = (uint32_t)slab_block_bytes(sealed.size);
	waiting->out_at = 0;
	waiting->out_bytes = (uint32_t)sealed.size;
	waiting->credit = (uint32_t)credit;
	memcpy(slab_at(slab, waiting->out), sealed.data, sealed.size);
	return ERROR_OK;
}

/* ---- the whole ---- */

uint32_t tls_state_make(struct slab *slab, const void *own, size_t own_bytes)
{
	size_t size = offsetof(struct tls_state, session) + own_bytes;
	uint32_t ref = slab_take(slab, size);
	CHECK(ref <= STREAM_NUMBER_MAX);
	if (ref == 0)
		return 0;
	struct tls_state *state = slab_at(slab, ref);
	state->below = STREAM_NONE;
	state->waiting = 0;
	memcpy(&state->session, own, own_bytes);
	return ref;
}

void tls_state_forget(struct slab *slab, uint32_t ref)
{
	struct tls_state *state = slab_at(slab, ref);
	struct tls_waiting *waiting = tls_waiting_of(slab, state);
	if (waiting != NULL) {
		waiting->credit = 0;
		if (waiting->in != 0)
			explicit_bzero(slab_at(slab, waiting->in), waiting->in_capacity);
	}
	tls_drop_in(slab, state);
	tls_drop_out(slab, state);
	CHECK_EQ(state->waiting, 0);
	size_t size = tls_state_bytes(&state->session);
	explicit_bzero(state, size);
	slab_give(slab, ref, size);
}

/* ---- moving ---- */

static size_t tls_carry_bytes(const struct tls_carry *carried)
{
	return sizeof(*carried) + carried->own_bytes + carried->plain_bytes + carried->sealed_bytes +
	       carried->out_bytes;
}

void tls_carry_free(struct tls_carry *carried)
{
	explicit_bzero(carried, tls_carry_bytes(carried));
	free(carried);
}

struct tls_carry *tls_pack(const struct slab *slab, const struct tls_state *state)
{
	const struct tls_waiting *waiting = tls_waiting_of(slab, state);
	struct tls_carry sizes = {.own_bytes = (uint32_t)tls_own_bytes(&state->session)};
	if (waiting != NULL) {
		sizes.plain_bytes = waiting->plain_bytes;
		sizes.sealed_bytes = waiting->sealed_bytes;
		sizes.out_bytes = waiting->out_bytes;
		sizes.credit = waiting->credit;
	}
	struct tls_carry *carried = malloc(tls_carry_bytes(&sizes));
	if (carried == NULL)
		return NULL;
	*carried = sizes;
	uint8_t *at = carried->bytes;
	memcpy(at, &state->session, sizes.own_bytes);
	at += sizes.own_bytes;
	size_t in_bytes = sizes.plain_bytes + sizes.sealed_bytes;
	if (in_bytes != 0)
		memcpy(at, (uint8_t *)slab_at(slab, waiting->in) + waiting->in_at, in_bytes);
	if (sizes.out_bytes != 0)
		memcpy(at + in_bytes, (uint8_t *)slab_at(slab, waiting->out) + waiting->out_at, sizes.out_bytes);
	return carried;
}

enum error tls_unpack(struct slab *slab, struct tls_state *state, const struct tls_carry *carried)
{
	const uint8_t *at = carried->bytes + carried->own_bytes;
	struct slice plain = slice_of(at, carried->plain_bytes);
	struct slice sealed = slice_of(at + plain.size, carried->sealed_bytes);
	struct slice out = slice_of(at + plain.size + sealed.size, carried->out_bytes);
	if (plain.size + sealed.size != 0 && tls_keep_in(slab, state, plain, sealed) != ERROR_OK)
		return ERROR_NO_MEMORY;
	if (out.size != 0)
		return tls_keep_out(slab, state, out, carried->credit);
	if (carried->credit == 0)
		return ERROR_OK;
	struct tls_waiting *waiting = tls_waiting_make(slab, state);
	if (waiting == NULL)
		return ERROR_NO_MEMORY;
	waiting->credit = carried->credit;
	return ERROR_OK;
}
