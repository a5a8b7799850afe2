/* The opening handshake of a WebSocket [RFC 6455, 4]: an HTTP/1.1 request in, a response out. Pure; any thread. */
#ifndef WS_UPGRADE_H
#define WS_UPGRADE_H

#include "base/error.h"
#include "base/slice.h"
#include "http/head.h"

#define WS_RESPONSE_BYTES_MAX 1024u
/* Of a request. What a stranger may have waiting here; browsers send cookies with it. */
#define WS_REQUEST_BYTES_MAX 8192u

struct ws_rules {
	const char *const *paths; /* "/mqtt": those that are served, each exactly; a query behind it is ignored */
	size_t path_count;        /* 0: any */
	/* "https://example.org"; "*" among them, or none at all: any. Requests without an Origin come from no browser,
	 * and are let in. */
	const char *const *origins;
	size_t origin_count;
};

/* bytes: all that has come so far. ERROR_OK: *response is 101 and the socket speaks frames from bytes[*consumed] on.
 * ERROR_MORE: the request is not whole. Otherwise the refusal: *response says so, and the connection is to be closed
 * after it: ERROR_WS_REQUEST (malformed, or longer than WS_REQUEST_BYTES_MAX; the status is the fault's),
 * ERROR_WS_NO_UPGRADE (HTTP that is no WebSocket: 404, 405 or 426), ERROR_WS_PATH (404), ERROR_WS_ORIGIN (403),
 * ERROR_WS_VERSION (426, with Sec-WebSocket-Version: 13), ERROR_WS_PROTOCOL (400: neither mqtt nor mqttv3.1 is among
 * the subprotocols). date_s: seconds since 1970. */
enum error ws_upgrade_read(const struct ws_rules *rules, struct slice bytes, int64_t date_s, size_t *consumed,
			   char response[WS_RESPONSE_BYTES_MAX], size_t *response_bytes);

/* ---- the client's side ---- */

/* A key is 24 characters of base64, of 16 random bytes; ws_accept_key() answers it. */
#define WS_KEY_BYTES 24u
#define WS_ACCEPT_BYTES 28u
void ws_key_write(const uint8_t random[16], char key[WS_KEY_BYTES + 1]);
void ws_accept_key(const char key[WS_KEY_BYTES], char accept[WS_ACCEPT_BYTES + 1]);
/* Asks for the subprotocol mqtt. Returns the request's length; 0: host and path are too long. */
size_t ws_request_write(const char *host, const char *path, const char *key, char request[WS_RESPONSE_BYTES_MAX]);
/* ERROR_OK: frames begin at bytes[*consumed]. ERROR_MORE; ERROR_WS_REQUEST: it is no acceptance of this key and of
 * mqtt; *status has its HTTP status, 0 if it is no HTTP. */
enum error ws_response_read(struct slice bytes, const char *key, size_t *consumed, int *status);

#endif
