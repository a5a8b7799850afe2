#include "admin/http/handshake.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>

bool http_handshake_begin(struct http_handshake *handshake, struct tls_context *context)
{
	*handshake = (struct http_handshake){.tls = tls_handshake_new(context, NULL, NULL), .outcome = ERROR_MORE};
	return handshake->tls != NULL;
}

void http_handshake_end(struct http_handshake *handshake)
{
	tls_handshake_free(handshake->tls);
	handshake->tls = NULL;
}

/* DONE: all of it is sent. */
static enum http_handshake_result send_handshake_output(struct http_handshake *handshake, struct streams *streams,
							struct stream stream)
{
	struct slice output = tls_handshake_output(handshake->tls);
	CHECK_LE(handshake->sent, output.size);
	while (handshake->sent < output.size) {
		ssize_t taken =
			stream_send(streams, stream, output.data + handshake->sent, output.size - handshake->sent);
		if (taken < 0 && errno != EINTR)
			return errno == EAGAIN ? HTTP_HANDSHAKE_WAITS : HTTP_HANDSHAKE_BROKEN;
		handshake->sent += taken > 0 ? (size_t)taken : 0;
	}
	return HTTP_HANDSHAKE_DONE;
}

/* Receives, and takes a step with what has come. */
static enum http_handshake_result take_handshake_input(struct http_handshake *handshake, struct streams *streams,
						       struct stream stream, uint8_t *input)
{
	bool more;
	size_t consumed = 0;
	CHECK_LT(handshake->input_bytes, HTTP_HANDSHAKE_INPUT_BYTES); /* a step takes a whole record */
	ssize_t received = stream_receive(streams, stream, input + handshake->input_bytes,
					  HTTP_HANDSHAKE_INPUT_BYTES - handshake->input_bytes, &more);
	if (received < 0 && errno == EINTR)
		return HTTP_HANDSHAKE_GOES_ON;
	if (received <= 0)
		return received < 0 && errno == EAGAIN ? HTTP_HANDSHAKE_WAITS : HTTP_HANDSHAKE_BROKEN;
	handshake->input_bytes += (size_t)received;
	handshake->outcome = tls_handshake_step(handshake->tls, slice_of(input, handshake->input_bytes), &consumed);
	CHECK_LE(consumed, handshake->input_bytes);
	handshake->input_bytes -= consumed;
	memmove(input, input + consumed, handshake->input_bytes);
	handshake->sent = 0;
	return HTTP_HANDSHAKE_GOES_ON;
}

static enum http_handshake_result put_tls_over(struct http_handshake *handshake, struct streams *streams,
					       struct stream *stream, const uint8_t *input)
{
	union {
		struct tls_session session;
		uint8_t room[TLS_SESSION_BYTES_MAX];
	} own;
	const struct tls_streams *tls = streams->contexts[STREAM_TLS];
	tls_handshake_session(handshake->tls, tls->ciphers, &own.session);
	struct stream over = tls_stream_over(streams, *stream, &own.session, slice_of(input, handshake->input_bytes),
					     tls_handshake_subject(handshake->tls));
	if (!stream_exists(over)) {
		tls_session_wipe(&own.session);
		return HTTP_HANDSHAKE_BROKEN;
	}
	*stream = over;
	http_handshake_end(handshake);
	return HTTP_HANDSHAKE_DONE;
}

enum http_handshake_result http_handshake_step(struct http_handshake *handshake, struct streams *streams,
					       struct stream *stream, uint8_t *input)
{
	CHECK(handshake->tls != NULL);
	enum http_handshake_result sent = send_handshake_output(handshake, streams, *stream);
	if (sent != HTTP_HANDSHAKE_DONE)
		return sent;
	if (handshake->outcome == ERROR_MORE)
		return take_handshake_input(handshake, streams, *stream, input);
	if (handshake->outcome == ERROR_OK)
		return put_tls_over(handshake, streams, stream, input);
	return HTTP_HANDSHAKE_REFUSED;
}
