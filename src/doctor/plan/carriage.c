#include "doctor/plan/carriage.h"

#include "base/check.h"
#include "transport/tls_connect.h"
#include "ws/upgrade.h"

#include <errno.h>
#include <openssl/rand.h>
#include <poll.h>
#include <string.h>

#define RESPONSE_BYTES_MAX 2048u

static bool has_tls(const struct carriage *carriage)
{
	return carriage->transport == PLAN_TLS || carriage->transport == PLAN_WSS;
}

static bool has_websocket(const struct carriage *carriage)
{
	return carriage->transport == PLAN_WS || carriage->transport == PLAN_WSS;
}

bool carriage_open(struct carriage *carriage, enum plan_transport transport, uint32_t limit)
{
	/* What the server shows is made for the moment: nobody trusts it, and nothing is told to it. */
	const struct tls_client_options options = {.keeps_tickets = true};
	*carriage = (struct carriage){.transport = transport};
	streams_init(&carriage->streams);
	if (has_tls(carriage)) {
		carriage->context = tls_context_new_client(&options, carriage->fault);
		if (carriage->context == NULL)
			return false;
		if (tls_streams_open(&carriage->tls, &carriage->streams, NULL) != ERROR_OK) {
			tls_context_put(&carriage->context);
			return tls_fault(carriage->fault, "%s", error_sentence(ERROR_NO_MEMORY));
		}
	}
	if (!has_websocket(carriage) ||
	    websocket_streams_open(&carriage->websockets, &carriage->streams, NULL, limit, true) == ERROR_OK)
		return true;
	carriage->transport = PLAN_TCP; /* of which nothing is left to close */
	if (carriage->context != NULL)
		tls_streams_close(&carriage->tls);
	tls_context_put(&carriage->context);
	return tls_fault(carriage->fault, "%s", error_sentence(ERROR_NO_MEMORY));
}

void carriage_close(struct carriage *carriage)
{
	if (has_websocket(carriage))
		websocket_streams_close(&carriage->websockets);
	if (carriage->context != NULL)
		tls_streams_close(&carriage->tls);
	tls_ticket_free(carriage->ticket);
	carriage->ticket = NULL;
	tls_context_put(&carriage->context);
}

/* ---- bytes ---- */

static bool await_stream(struct carriage *carriage, struct stream stream, short events)
{
	int fd = stream_borrow(&carriage->streams, stream);
	struct pollfd polled = {.fd = fd, .events = events};
	int count = poll(&polled, 1, (int)CARRIAGE_MS_MAX);
	stream_give_back(&carriage->streams, stream, fd);
	return count > 0 || (count < 0 && errno == EINTR);
}

ssize_t carriage_receive(struct carriage *carriage, struct stream stream, uint8_t *bytes, size_t size)
{
	for (;;) {
		bool more = false;
		ssize_t got = stream_receive(&carriage->streams, stream, bytes, size, &more);
		if (got >= 0)
			return got;
		if (errno != EAGAIN && errno != EINTR) {
			tls_fault(carriage->fault, "%s", tls_stream_fault(&carriage->streams, stream, errno));
			return -1;
		}
		if (!more && !await_stream(carriage, stream, POLLIN)) {
			tls_fault(carriage->fault, "no answer came in %u ms", CARRIAGE_MS_MAX);
			return -1;
		}
	}
}

bool carriage_send(struct carriage *carriage, struct stream stream, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t sent = stream_send(&carriage->streams, stream, bytes, size);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return tls_fault(carriage->fault, "%s", strerror(errno));
		if (sent < 0 && !await_stream(carriage, stream, POLLOUT))
			return tls_fault(carriage->fault, "nothing could be sent in %u ms", CARRIAGE_MS_MAX);
		bytes += sent > 0 ? sent : 0;
		size -= sent > 0 ? (size_t)sent : 0;
	}
	return true;
}

/* ---- opening ---- */

static struct stream put_tls(struct carriage *carriage, int fd)
{
	enum error error;
	struct tls_connected connected = {0};
	const struct tls_connect connect = {
		.context = carriage->context,
		.ticket = carriage->resumes ? carriage->ticket : NULL,
		.timeout_ms = CARRIAGE_MS_MAX,
	};
	struct stream stream = tls_connect(&carriage->streams, fd, &connect, &connected, &error, carriage->fault);
	carriage->resumed += connected.resumed ? 1 : 0;
	if (connected.ticket != NULL && !carriage->resumes) {
		tls_ticket_free(carriage->ticket);
		carriage->ticket = connected.ticket;
	} else {
		tls_ticket_free(connected.ticket);
	}
	return stream;
}

/* False: the stream is the caller's still. */
static bool upgrade(struct carriage *carriage, struct stream *stream)
{
	uint8_t random[16], response[RESPONSE_BYTES_MAX];
	char key[WS_KEY_BYTES + 1], request[WS_RESPONSE_BYTES_MAX];
	size_t size = 0, consumed = 0;
	int status = 0;
	enum error error = ERROR_MORE;
	if (RAND_bytes(random, sizeof(random)) != 1)
		return tls_fault(carriage->fault, "no random numbers");
	ws_key_write(random, key);
	size_t asked = ws_request_write("localhost", "/mqtt", key, request);
	CHECK_GT(asked, 0u);
	if (!carriage_send(carriage, *stream, (const uint8_t *)request, asked))
		return false;
	while (error == ERROR_MORE && size < sizeof(response)) {
		ssize_t got = carriage_receive(carriage, *stream, response + size, sizeof(response) - size);
		if (got <= 0)
			return false;
		size += (size_t)got;
		error = ws_response_read(slice_of(response, size), key, &consumed, &status);
	}
	if (error != ERROR_OK)
		return tls_fault(carriage->fault, "the server does not accept a WebSocket: HTTP status %d", status);
	struct stream over =
		websocket_stream_over(&carriage->streams, *stream, slice_of(response + consumed, size - consumed));
	if (!stream_exists(over))
		return tls_fault(carriage->fault, "%s", error_sentence(ERROR_NO_MEMORY));
	*stream = over;
	return true;
}

struct stream carriage_over(struct carriage *carriage, int fd)
{
	struct stream stream = has_tls(carriage) ? put_tls(carriage, fd) : stream_of(STREAM_DESCRIPTOR, fd);
	if (!has_websocket(carriage) || !stream_exists(stream) || upgrade(carriage, &stream))
		return stream;
	/* A stream over TLS that is given up leaves the socket to the caller. */
	struct stream_carry carry;
	if (stream_release(&carriage->streams, stream, &carry) >= 0)
		stream_carry_drop(&carriage->streams, &carry);
	return STREAM_NONE;
}
