#include "transport/tls_connect.h"

#include "base/check.h"
#include "base/clock.h"
#include "tls/handshake.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* What of a handshake is under way. */
struct connecting {
	struct streams *streams;
	struct stream stream; /* the socket */
	struct tls_handshake *handshake;
	uint64_t until_ms;
	uint8_t input[TLS_HANDSHAKE_INPUT_BYTES_MAX];
	size_t input_bytes;
	char *fault;
};

static enum error connecting_fail(struct connecting *connecting, enum error error, const char *sentence)
{
	tls_fault(connecting->fault, "%s", sentence);
	return error;
}

/* Waits until the socket can be read or written. */
static enum error await_socket(struct connecting *connecting, short events)
{
	uint64_t now_ms = clock_now_ms();
	struct pollfd polled = {.fd = stream_number(connecting->stream), .events = events};
	if (now_ms < connecting->until_ms) {
		int count = poll(&polled, 1, (int)(connecting->until_ms - now_ms));
		if (count > 0 || (count < 0 && errno == EINTR))
			return ERROR_OK;
	}
	return connecting_fail(connecting, ERROR_TIMEOUT, "the server does not go on with the TLS handshake");
}

static enum error send_output(struct connecting *connecting)
{
	struct slice output = tls_handshake_output(connecting->handshake);
	while (output.size != 0) {
		ssize_t sent = stream_send(connecting->streams, connecting->stream, output.data, output.size);
		if (sent > 0)
			output = slice_of(output.data + sent, output.size - (size_t)sent);
		else if (errno != EAGAIN && errno != EINTR)
			return connecting_fail(connecting, ERROR_SYSTEM, strerror(errno));
		else if (await_socket(connecting, POLLOUT) != ERROR_OK)
			return ERROR_TIMEOUT;
	}
	return ERROR_OK;
}

static enum error receive_input(struct connecting *connecting)
{
	bool more;
	size_t room = sizeof(connecting->input) - connecting->input_bytes;
	enum error error = await_socket(connecting, POLLIN);
	if (error != ERROR_OK)
		return error;
	CHECK(room != 0); /* a step takes a whole record, and there is room for the longest */
	ssize_t got = stream_receive(connecting->streams, connecting->stream,
				     connecting->input + connecting->input_bytes, room, &more);
	if (got == 0)
		return connecting_fail(connecting, ERROR_CONNECTION_LOST,
				       "the server closed the connection in the TLS handshake");
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? ERROR_OK
							 : connecting_fail(connecting, ERROR_SYSTEM, strerror(errno));
	connecting->input_bytes += (size_t)got;
	return ERROR_OK;
}

static enum error take_step(struct connecting *connecting)
{
	size_t consumed = 0;
	enum error error = tls_handshake_step(connecting->handshake,
					      slice_of(connecting->input, connecting->input_bytes), &consumed);
	CHECK_LE(consumed, connecting->input_bytes);
	connecting->input_bytes -= consumed;
	memmove(connecting->input, connecting->input + consumed, connecting->input_bytes);
	enum error sent = send_output(connecting);
	if (error == ERROR_OK || error == ERROR_MORE)
		return sent == ERROR_OK ? error : sent;
	return connecting_fail(connecting, error, tls_handshake_fault(connecting->handshake));
}

static enum error shake_hands(struct connecting *connecting)
{
	enum error error = take_step(connecting);
	while (error == ERROR_MORE) {
		error = receive_input(connecting);
		if (error == ERROR_OK)
			error = take_step(connecting);
	}
	return error;
}

/* A ticket comes behind the handshake, as the first records of the session. Without one, things go on all the same. */
static void await_ticket(struct connecting *connecting, struct tls_session *session)
{
	enum error error = ERROR_MORE;
	while (error == ERROR_MORE) {
		size_t consumed = 0;
		error = tls_handshake_ticket_step(connecting->handshake, session,
						  slice_of(connecting->input, connecting->input_bytes), &consumed);
		CHECK_LE(consumed, connecting->input_bytes);
		connecting->input_bytes -= consumed;
		memmove(connecting->input, connecting->input + consumed, connecting->input_bytes);
		if (error == ERROR_MORE && receive_input(connecting) != ERROR_OK)
			return;
	}
}

static struct stream put_stream_over(struct connecting *connecting, struct tls_connected *connected)
{
	union {
		struct tls_session session;
		uint8_t room[TLS_SESSION_BYTES_MAX];
	} own;
	const struct tls_streams *tls = connecting->streams->contexts[STREAM_TLS];
	tls_handshake_session(connecting->handshake, tls->ciphers, &own.session);
	/* A session that is resumed need not bring another. */
	if (connected != NULL && !tls_handshake_resumed(connecting->handshake))
		await_ticket(connecting, &own.session);
	if (connected != NULL)
		*connected = (struct tls_connected){.ticket = tls_handshake_ticket(connecting->handshake),
						    .resumed = tls_handshake_resumed(connecting->handshake)};
	struct stream stream = tls_stream_over(connecting->streams, connecting->stream, &own.session,
					       slice_of(connecting->input, connecting->input_bytes),
					       tls_handshake_subject(connecting->handshake));
	if (!stream_exists(stream))
		tls_session_wipe(&own.session);
	return stream;
}

struct stream tls_connect(struct streams *streams, int fd, const struct tls_connect *connect,
			  struct tls_connected *connected, enum error *error, char fault[TLS_FAULT_BYTES_MAX])
{
	struct connecting connecting = {
		.streams = streams,
		.stream = stream_of(STREAM_DESCRIPTOR, fd),
		.handshake = tls_handshake_new(connect->context, connect->name, connect->ticket),
		.until_ms = clock_now_ms() + connect->timeout_ms,
		.fault = fault,
	};
	struct stream stream = STREAM_NONE;
	CHECK(streams->ops[STREAM_TLS] != NULL);
	*error = connecting.handshake != NULL ? shake_hands(&connecting) : ERROR_NO_MEMORY;
	if (*error == ERROR_OK) {
		stream = put_stream_over(&connecting, connected);
		*error = stream_exists(stream) ? ERROR_OK : ERROR_NO_MEMORY;
	}
	if (*error == ERROR_NO_MEMORY)
		tls_fault(fault, "%s", error_sentence(ERROR_NO_MEMORY));
	tls_handshake_free(connecting.handshake);
	return stream;
}

const char *tls_stream_fault(const struct streams *streams, struct stream stream, int number)
{
	enum error error = stream_facts(streams, stream).error;
	return number == EPROTO && error != ERROR_OK ? error_sentence(error) : strerror(number);
}
