#include "transport/tls/write.h"

#include "base/check.h"

#include <string.h>

/* What the caller offers, and how much of it is sealed. */
struct tls_parts {
	const struct iovec *parts;
	size_t part;   /* the next bytes are in this one */
	size_t offset; /* here */
	size_t left;
};

static struct tls_parts tls_parts_of(const struct iovec *parts, size_t count)
{
	struct tls_parts all = {.parts = parts};
	for (size_t i = 0; i < count; i++)
		all.left += parts[i].iov_len;
	return all;
}

static void tls_gather(struct tls_parts *from, uint8_t *to, size_t size)
{
	CHECK(size <= from->left);
	from->left -= size;
	while (size != 0) {
		const struct iovec *part = &from->parts[from->part];
		size_t rest = part->iov_len - from->offset;
		size_t taken = rest < size ? rest : size;
		if (taken != 0)
			memcpy(to, (const uint8_t *)part->iov_base + from->offset, taken);
		to += taken;
		size -= taken;
		from->offset += taken;
		if (from->offset == part->iov_len) {
			from->part++;
			from->offset = 0;
		}
	}
}

/* The bytes must leave, or nothing that follows may. Without memory for them this is the end of the output. */
static int tls_must_send(struct streams *streams, struct tls_state *state, struct slice sealed, size_t credit)
{
	if (tls_keep_out(&tls_of(streams)->slab, state, sealed, credit) == ERROR_OK)
		return 0;
	stream_shutdown(streams, state->below);
	return (int)tls_refuse(ENOMEM);
}

/* Goes on with the rest of what the socket took in part. 0 when there is none left. */
int tls_push(struct streams *streams, struct tls_state *state)
{
	struct tls_streams *tls = tls_of(streams);
	struct tls_waiting *waiting = tls_waiting_of(&tls->slab, state);
	if (waiting == NULL || waiting->out == 0)
		return 0;
	while (waiting->out_bytes != 0) {
		const uint8_t *bytes = (uint8_t *)slab_at(&tls->slab, waiting->out) + waiting->out_at;
		ssize_t sent = stream_send(streams, state->below, bytes, waiting->out_bytes);
		if (sent < 0)
			return -1;
		waiting->out_at += (uint32_t)sent;
		waiting->out_bytes -= (uint32_t)sent;
	}
	tls_drop_out(&tls->slab, state);
	return 0;
}

/* Bytes in a record that was cut count when it is out; the caller offers them again. 0: there are none. */
static ssize_t tls_collect_credit(struct tls_streams *tls, struct tls_state *state, size_t offered)
{
	struct tls_waiting *waiting = tls_waiting_of(&tls->slab, state);
	if (waiting == NULL)
		return 0;
	CHECK(waiting->out == 0);
	size_t taken = waiting->credit < offered ? waiting->credit : offered;
	waiting->credit -= (uint32_t)taken;
	tls_waiting_settle(&tls->slab, state);
	return (ssize_t)taken;
}

/* Our KeyUpdate, by itself: it is never taken back. */
static int tls_send_key_update(struct streams *streams, struct tls_state *state)
{
	struct tls_streams *tls = tls_of(streams);
	uint8_t record[TLS_KEY_UPDATE_BYTES_MAX];
	size_t size = tls_key_update_write(tls->ciphers, &state->session, record);
	tls->key_updates++;
	if (tls_must_send(streams, state, slice_of(record, size), 0) != 0)
		return -1;
	return tls_push(streams, state);
}

/* Seals records in scratch. Returns their length. */
static size_t tls_seal_batch(struct tls_streams *tls, struct tls_state *state, struct tls_parts *from)
{
	struct tls_session *session = &state->session;
	uint8_t *at = tls->scratch;
	const uint8_t *end = tls->scratch + TLS_SCRATCH_BYTES;
	while (from->left != 0) {
		size_t size = from->left < session->plain_bytes_max ? from->left : session->plain_bytes_max;
		if ((size_t)(end - at) < size + TLS_OVERHEAD_BYTES_MAX || tls_key_update_due(session))
			break;
		uint8_t *content = tls_record_begin(tls->ciphers, session, at);
		tls_gather(from, content, size);
		at = tls_record_end(tls->ciphers, session, content, size);
	}
	return (size_t)(at - tls->scratch);
}

/* The socket took `sent` bytes of the records, which hold `plain` bytes of the caller. Records that left whole count;
 * one that was cut is kept; those of which no byte left are taken back, since more may have come together by the time
 * that they can go. What was offered to another layer, that may have begun with it. Returns how many of the caller's
 * bytes left, or -1. */
static ssize_t tls_settle_records(struct streams *streams, struct tls_state *state, struct slice records, size_t plain,
				  size_t sent)
{
	bool keeps_all = stream_is_layered(state->below);
	size_t at = 0;
	size_t gone = 0;
	size_t credit = 0;
	size_t kept_end = keeps_all ? records.size : sent;
	while (at < records.size) {
		size_t size = 0;
		CHECK(tls_record_size(slice_of(records.data + at, records.size - at), &size) == ERROR_OK && size != 0);
		size_t left = plain - gone - credit;
		size_t part = left < state->session.plain_bytes_max ? left : state->session.plain_bytes_max;
		if (at + size <= sent) {
			gone += part;
		} else if (at < kept_end) {
			credit += part;
			kept_end = at + size > kept_end ? at + size : kept_end;
		} else {
			tls_record_unseal(&state->session);
		}
		at += size;
	}
	struct slice kept = slice_of(records.data + sent, kept_end - sent);
	if (kept.size != 0 && tls_must_send(streams, state, kept, credit) != 0)
		return -1;
	return (ssize_t)gone;
}

ssize_t tls_sendv(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count)
{
	struct tls_streams *tls = tls_of(streams);
	struct tls_state *state = tls_state_of(streams, stream);
	struct tls_parts from = tls_parts_of(parts, count);
	if (tls_push(streams, state) != 0)
		return -1;
	ssize_t credit = tls_collect_credit(tls, state, from.left);
	if (credit != 0)
		return credit;
	if (tls_key_update_due(&state->session) && tls_send_key_update(streams, state) != 0)
		return -1;
	size_t offered = from.left;
	size_t batch = tls_seal_batch(tls, state, &from);
	ssize_t sent = stream_send(streams, state->below, tls->scratch, batch);
	if (sent == (ssize_t)batch)
		return (ssize_t)(offered - from.left);
	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		return -1;
	int refusal = sent < 0 ? errno : EAGAIN;
	ssize_t gone = tls_settle_records(streams, state, slice_of(tls->scratch, batch), offered - from.left,
					  sent > 0 ? (size_t)sent : 0);
	if (gone < 0)
		return -1;
	/* A short write does not say that nothing more is taken: only EAGAIN brings an event. */
	if (tls_push(streams, state) == 0)
		gone += tls_collect_credit(tls, state, offered - (size_t)gone);
	else
		refusal = errno;
	return gone != 0 ? gone : tls_refuse(refusal);
}

/* ---- writing in two steps ---- */

int tls_stage_descriptor(const struct streams *streams, struct stream stream)
{
	const struct tls_state *state = tls_state_of(streams, stream);
	const struct tls_waiting *waiting = tls_waiting_of(&tls_of(streams)->slab, state);
	if ((waiting != NULL && (waiting->out != 0 || waiting->credit != 0)) || tls_key_update_due(&state->session))
		return -1;
	return stream_stage_descriptor(streams, state->below);
}

/* One record. */
bool tls_stage(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count,
	       struct stream_room room, struct slice *bytes)
{
	struct tls_streams *tls = tls_of(streams);
	struct tls_state *state = tls_state_of(streams, stream);
	struct tls_session *session = &state->session;
	struct tls_parts from = tls_parts_of(parts, count);
	size_t size = from.left;
	if (size > session->plain_bytes_max || room.bytes < size + TLS_OVERHEAD_BYTES_MAX)
		return false;
	uint8_t *content = tls_record_begin(tls->ciphers, session, room.at);
	tls_gather(&from, content, size);
	uint8_t *end = tls_record_end(tls->ciphers, session, content, size);
	struct iovec record = {room.at, (size_t)(end - room.at)};
	struct stream_room rest = {end, room.bytes - record.iov_len};
	/* tls_staged() has to find the record: what is beneath sends it as it is, or is written in the usual way. */
	if (stream_stage(streams, state->below, &record, 1, rest, bytes) && bytes->data == room.at)
		return true;
	tls_record_unseal(session);
	return false;
}

ssize_t tls_staged(struct streams *streams, struct stream stream, size_t size, struct slice bytes, ssize_t result)
{
	struct tls_state *state = tls_state_of(streams, stream);
	size_t record_bytes = tls_sealed_bytes(&state->session, size);
	ssize_t sent = stream_staged(streams, state->below, record_bytes, bytes, result);
	if (sent == (ssize_t)record_bytes)
		return (ssize_t)size;
	/* Of an error, too, for it may pass: who writes next in the usual way must not leave a number out. */
	CHECK_EQ(bytes.size, record_bytes);
	if (tls_settle_records(streams, state, bytes, size, sent > 0 ? (size_t)sent : 0) < 0)
		return -1;
	return tls_refuse(EAGAIN);
}
