/* Counts why clients were lost. One per thread; merged after the threads have ended. */
#ifndef BENCH_LOSSES_H
#define BENCH_LOSSES_H

#include <stddef.h>
#include <stdint.h>

#define LOSS_TABLE(X)                                                                                                  \
	/* kind, what its code is, sentence */                                                                         \
	X(CONNECT, ERRNO, "could not connect")                                                                         \
	X(TRANSPORT, ERROR, "no TLS or WebSocket")                                                                     \
	X(UPGRADE, HTTP, "refused by HTTP status")                                                                     \
	X(REFUSED, RETURN_CODE, "refused by CONNACK")                                                                  \
	X(SUBSCRIBE, REASON, "subscription refused by SUBACK")                                                         \
	X(GRANTED, NONE, "subscription granted at another QoS")                                                        \
	X(PUBLISH, REASON, "message refused by PUBACK or PUBREC")                                                      \
	X(NO_ANSWER, NONE, "no CONNACK or SUBACK in time")                                                             \
	X(CLOSED, NONE, "connection closed by the server")                                                             \
	X(RESET, ERRNO, "connection broken")                                                                           \
	X(DISCONNECT, REASON, "ended by DISCONNECT from the server")                                                   \
	X(NO_PINGRESP, NONE, "no PINGRESP in time")                                                                    \
	X(BLOCKED, NONE, "server does not read")                                                                       \
	X(PROTOCOL, NONE, "server broke the protocol")

enum loss {
#define X(kind, code, sentence) LOSS_##kind,
	LOSS_TABLE(X)
#undef X
		LOSS_COUNT
};

#define LOSS_CODES 256u

struct losses {
	uint32_t counts[LOSS_COUNT][LOSS_CODES];
};

/* A status of HTTP as a code: 300 to 511 fit. */
#define LOSS_HTTP_CODE(status) ((uint32_t)((status) < 256 ? 0 : (status)-256))

/* code is an errno, an enum error, LOSS_HTTP_CODE(), a return code or a reason code, as the table says; 0 if there is
 * none. */
void losses_add(struct losses *losses, enum loss kind, uint32_t code);
void losses_merge(struct losses *into, const struct losses *from);
uint64_t losses_total(const struct losses *losses);

/* Writes "3 connection broken: Connection reset by peer; 1 ..." into out, truncated to out_size; "" if nothing was
 * lost. version is MQTT's level, for the names of codes. */
void losses_describe(const struct losses *losses, uint8_t version, char *out, size_t out_size);

#endif
