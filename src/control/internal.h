/* Connections of Roost's own clients: parts of the process that are MQTT clients of it, such as the relay that takes
 * messages to Redis. Each is one end of a socket pair whose other end a gate takes in like an accepted connection, so
 * that all that holds for a session holds for theirs: their queue is bounded, durable by the store, and visible by the
 * API.
 *
 * What is other than for anybody else's connection:
 * - Its client id has to begin with SESSION_INTERNAL_PREFIX (session/session.h), with which nobody else is let in.
 * - It needs no credentials, and no rules, revocations or limits apply to it: rates, places, addresses, overload,
 * drain.
 * - It gets the session expiry and the keepalive that it asks for. Its session is kept whatever `sessions_offline_max`
 *   says.
 *
 * It ends with the program: upgrades do not carry it over, and the session is there for its next connection. */
#ifndef CONTROL_INTERNAL_H
#define CONTROL_INTERNAL_H

#include "base/error.h"

struct gateway;

/* Opens a connection. The client has to send a CONNECT of version 5 within `connect_timeout_ms`, as any. Returns the
 * client's end, a non-blocking stream socket that the caller owns and closes, whenever it likes; or -1, and errno says
 * why. Then, or when the connection ends, another one may be opened after a while. The main thread, or any that has
 * gateway_internal_fd() in its descriptor table, between gateway_start() and gateway_stop(), and not between
 * gateway_freeze() and gateway_thaw(). */
int gateway_open_internal(struct gateway *gateway);
int gateway_internal_fd(const struct gateway *gateway);

/* Another thread may open them, too, at the same times, with this descriptor in its table. */
int gateway_internal_fd(const struct gateway *gateway);

/* For control/gateway.c: what the gates need to take them in, and the end of that. */
enum error internal_open(struct gateway *gateway);
void internal_close(struct gateway *gateway);

#endif
