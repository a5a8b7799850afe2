#include "transport/tls/read.h"

#include "base/check.h"

#include <string.h>

/* Of the peer, in one call: deriving keys takes longer than opening records. With data between them the rest waits for
 * the next call, in a later turn, since a busy server reads at once what a client has sent one by one. Without, the
 * peer is after our time. */
#define KEY_UPDATES_MAX 8u
/* So much of a record that comes in part is moved each time that more of it comes; a longer part stays where it is. */
#define MOVED_BYTES_MAX 1024u

/* Whether the bytes begin with something that can be dealt with: a whole record, or no record at all. */
static bool tls_is_ripe(struct slice bytes)
{
	size_t size;
	return tls_record_size(bytes, &size) != ERROR_OK || (size != 0 && size <= bytes.size);
}

/* What one call has read, and where it opens it to. */
struct tls_reading {
	uint8_t *bytes; /* in scratch: records */
	size_t size;
	uint8_t *buffer; /* the caller's */
	size_t room;
	size_t given;
	struct slice left; /* plain bytes, in scratch, that it had no room for */
};

/* Gives out what the last call had no room for. */
static ssize_t tls_give_kept(struct tls_streams *tls, struct tls_state *state, void *buffer, size_t size)
{
	struct tls_waiting *waiting = tls_waiting_of(&tls->slab, state);
	size_t part = waiting->plain_bytes < size ? waiting->plain_bytes : size;
	memcpy(buffer, (uint8_t *)slab_at(&tls->slab, waiting->in) + waiting->in_at, part);
	waiting->in_at += (uint32_t)part;
	waiting->plain_bytes -= (uint32_t)part;
	if (waiting->plain_bytes + waiting->sealed_bytes == 0)
		tls_drop_in(&tls->slab, state);
	return (ssize_t)part;
}

/* What was read has no data to give out yet. The socket's event may have told of the peer's end, too, which is still to
 * be read: without bytes nobody looks for it, and no other event comes. */
static ssize_t tls_took_no_data(bool *more)
{
	*more = true;
	return tls_refuse(EAGAIN);
}

/* Reads from the socket, unless a whole record is kept. 1: records are to be opened. Otherwise what receive() says: 0
 * at the end, whether or not a record was cut there, since MQTT has frames of its own to tell; or -1. */
static ssize_t tls_pull(struct streams *streams, struct tls_state *state, struct tls_reading *reading, bool *more)
{
	struct tls_streams *tls = tls_of(streams);
	struct slice kept = tls_kept_records(&tls->slab, state);
	size_t got = 0;
	*more = true;
	CHECK(kept.size <= TLS_BATCH_BYTES);
	if (!tls_is_ripe(kept)) {
		/* No more than the caller has room for, but a record must come whole. */
		size_t wanted = reading->room > TLS_RECORD_BYTES_MAX ? reading->room : TLS_RECORD_BYTES_MAX;
		if (wanted > TLS_BATCH_BYTES)
			wanted = TLS_BATCH_BYTES;
		ssize_t count = stream_receive(streams, state->below, tls->scratch + kept.size, wanted, more);
		if (count <= 0)
			return count;
		got = (size_t)count;
	}
	size_t size = 0;
	if (kept.size > MOVED_BYTES_MAX && tls_record_size(kept, &size) == ERROR_OK && size > kept.size + got) {
		if (tls_append_in(&tls->slab, state, slice_of(tls->scratch + kept.size, got)) != ERROR_OK)
			return tls_refuse(ENOMEM);
		return tls_took_no_data(more);
	}
	if (kept.size != 0)
		memcpy(tls->scratch, kept.data, kept.size);
	tls_drop_in(&tls->slab, state);
	reading->bytes = tls->scratch;
	reading->size = kept.size + got;
	return 1;
}

/* Opens one record. Its content goes to the caller's buffer; where that has no room for it with its padding, into the
 * record's own bytes, and what fits is copied. */
static enum error tls_open_one(struct tls_streams *tls, struct tls_state *state, struct tls_reading *reading,
			       uint8_t *record, size_t size, enum tls_content *what)
{
	uint8_t *to = reading->buffer + reading->given;
	size_t room = reading->room - reading->given;
	bool fits = size - TLS_HEAD_BYTES <= room;
	struct slice plain;
	enum error error = tls_record_open(tls->ciphers, &state->session, record, size, fits ? to : NULL, &plain, what);
	if (error != ERROR_OK || *what != TLS_CONTENT_DATA)
		return error;
	size_t part = plain.size < room ? plain.size : room;
	if (!fits)
		memcpy(to, plain.data, part);
	reading->given += part;
	reading->left = slice_of(plain.data + part, plain.size - part);
	return ERROR_OK;
}

/* Opens records while the caller has room. Returns how many bytes of them are done with. */
static size_t tls_open_records(struct tls_streams *tls, struct tls_state *state, struct tls_reading *reading)
{
	struct tls_session *session = &state->session;
	size_t at = 0;
	size_t updates = 0;
	while (!session->closed && reading->given != reading->room) {
		size_t size = 0;
		enum tls_content what = TLS_CONTENT_NONE;
		enum error error = tls_record_size(slice_of(reading->bytes + at, reading->size - at), &size);
		if (error != ERROR_OK) {
			tls_session_fail(session, error);
			break;
		}
		if (size == 0 || size > reading->size - at)
			break;
		error = tls_open_one(tls, state, reading, reading->bytes + at, size, &what);
		at += size;
		updates += what == TLS_CONTENT_UPDATE;
		if (error != ERROR_OK || updates <= KEY_UPDATES_MAX)
			continue;
		if (reading->given == 0)
			tls_session_fail(session, ERROR_TLS_MESSAGE);
		break;
	}
	tls->failures += session->error != ERROR_OK;
	return at;
}

ssize_t tls_receive(struct streams *streams, struct stream stream, void *buffer, size_t size, bool *more)
{
	struct tls_streams *tls = tls_of(streams);
	struct tls_state *state = tls_state_of(streams, stream);
	const struct tls_waiting *waiting = tls_waiting_of(&tls->slab, state);
	if (waiting != NULL && waiting->plain_bytes != 0) {
		*more = true;
		return tls_give_kept(tls, state, buffer, size);
	}
	struct tls_reading reading = {.buffer = buffer, .room = size};
	if (!state->session.closed) {
		ssize_t count = tls_pull(streams, state, &reading, more);
		if (count <= 0)
			return count;
		size_t done = tls_open_records(tls, state, &reading);
		struct slice rest = slice_of(reading.bytes + done, state->session.closed ? 0 : reading.size - done);
		if (reading.left.size + rest.size != 0 &&
		    tls_keep_in(&tls->slab, state, reading.left, rest) != ERROR_OK)
			return tls_refuse(ENOMEM);
		*more |= reading.left.size != 0 || tls_is_ripe(rest);
	}
	*more |= state->session.closed; /* the end is for the next call, where this one has bytes */
	if (reading.given != 0)
		return (ssize_t)reading.given;
	if (state->session.closed)
		return state->session.error == ERROR_OK ? 0 : tls_refuse(EPROTO);
	return tls_took_no_data(more);
}

bool tls_pending(struct streams *streams, struct stream stream)
{
	const struct tls_streams *tls = tls_of(streams);
	const struct tls_state *state = tls_state_of(streams, stream);
	const struct tls_waiting *waiting = tls_waiting_of(&tls->slab, state);
	return (waiting != NULL && waiting->plain_bytes != 0) || state->session.closed ||
	       tls_is_ripe(tls_kept_records(&tls->slab, state)) || stream_pending(streams, state->below);
}
