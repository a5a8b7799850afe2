/* How the clients of a calibration reach the server: TCP by itself, or TLS and WebSocket over it. Blocks, for 5 s at
 * the most a call. A function that fails has written the reason into carriage->fault. Owned by one thread. */
#ifndef DOCTOR_PLAN_CARRIAGE_H
#define DOCTOR_PLAN_CARRIAGE_H

#include "doctor/plan/predict.h"
#include "tls/context.h"
#include "transport/stream_tls.h"
#include "transport/stream_websocket.h"

#define CARRIAGE_MS_MAX 5000u

struct carriage {
	enum plan_transport transport;
	struct streams streams;
	struct tls_streams tls;
	struct websocket_streams websockets;
	struct tls_context *context; /* NULL: without TLS */
	struct tls_ticket *ticket;   /* of the last full handshake; NULL: none came */
	bool resumes;                /* connections that are opened from now on show it */
	uint32_t resumed;            /* of those, so many were taken up */
	char fault[TLS_FAULT_BYTES_MAX];
};

/* limit: connections. */
bool carriage_open(struct carriage *carriage, enum plan_transport transport, uint32_t limit);
void carriage_close(struct carriage *carriage);

/* Puts what there is of TLS and WebSocket over a connected socket; takes it over. STREAM_NONE: it is the caller's
 * still.
 */
struct stream carriage_over(struct carriage *carriage, int fd);
/* How many bytes came, at least one; 0: the server's end. -1: nothing came in time, or the connection is broken. */
ssize_t carriage_receive(struct carriage *carriage, struct stream stream, uint8_t *bytes, size_t size);
bool carriage_send(struct carriage *carriage, struct stream stream, const uint8_t *bytes, size_t size);

#endif
