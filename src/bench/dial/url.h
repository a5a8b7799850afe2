/* Addresses of brokers as the command line gives them: tcp://127.0.0.1:1883, tls://[::1]:8883,
 * ws://broker.example/mqtt, wss://broker.example/mqtt, unix:///run/broker.sock. Parsing is pure; resolving may block on
 * the name service. */
#ifndef BENCH_URL_H
#define BENCH_URL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define URL_HOST_BYTES 256u
#define URL_PATH_BYTES 108u /* as long as a unix socket's may be */
#define URL_PORT_DEFAULT 1883u

enum url_scheme {
	URL_TCP,
	URL_TLS,  /* tls, mqtts */
	URL_WS,   /* MQTT in the frames of a WebSocket */
	URL_WSS,  /* the same over TLS */
	URL_UNIX, /* a socket in the file system: path alone counts */
	URL_SCHEMES,
};

struct url {
	char host[URL_HOST_BYTES]; /* without brackets */
	char path[URL_PATH_BYTES]; /* of a WebSocket, "/mqtt" by default, or of a unix socket; otherwise "" */
	uint16_t port;
	uint8_t scheme; /* enum url_scheme */
};

#define URL_TEXT_BYTES (URL_HOST_BYTES + URL_PATH_BYTES + 24u)

struct address {
	struct sockaddr_storage storage;
	socklen_t size;
};

/* The IPv4 addresses of ADDRESS/PREFIX that hosts may have. */
struct source_range {
	uint32_t first; /* in the machine's byte order */
	uint32_t hosts; /* 0: no network */
};

/* Returns NULL, or a sentence that says what is wrong with text; static storage. */
const char *url_parse(const char *text, struct url *out);

/* "tls": the scheme's usual name. */
const char *url_scheme_name(enum url_scheme scheme);
static inline bool url_is_tls(const struct url *url)
{
	return url->scheme == URL_TLS || url->scheme == URL_WSS;
}
static inline bool url_is_websocket(const struct url *url)
{
	return url->scheme == URL_WS || url->scheme == URL_WSS;
}

/* The whole URL, as url_parse() takes it. */
void url_print(const struct url *url, char out[URL_TEXT_BYTES]);

/* 192.0.2.0/24, or 192.0.2.1, which is /32. As url_parse(). Bits of the address below the prefix are passed over. */
const char *source_range_parse(const char *text, struct source_range *out);

/* Returns NULL, or why the host has no address; static storage. */
const char *url_resolve(const struct url *url, struct address *out);

/* An IPv4 address in 127.0.0.0/8: the target lets us choose among 2^24 source addresses. */
bool address_is_loopback_v4(const struct address *address);

#endif
