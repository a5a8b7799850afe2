/* Addresses of brokers as the command line gives them: tcp://127.0.0.1:1883, tcp://[::1]:1883, tcp://broker.example.
 * Parsing is pure; resolving may block on the name service. */
#ifndef BENCH_URL_H
#define BENCH_URL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define URL_HOST_BYTES 256u
#define URL_PORT_DEFAULT 1883u

struct url {
	char host[URL_HOST_BYTES]; /* without brackets */
	uint16_t port;
};

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

/* 192.0.2.0/24, or 192.0.2.1, which is /32. As url_parse(). Bits of the address below the prefix are passed over. */
const char *source_range_parse(const char *text, struct source_range *out);

/* Returns NULL, or why the host has no address; static storage. */
const char *url_resolve(const struct url *url, struct address *out);

/* An IPv4 address in 127.0.0.0/8: the target lets us choose among 2^24 source addresses. */
bool address_is_loopback_v4(const struct address *address);

#endif
