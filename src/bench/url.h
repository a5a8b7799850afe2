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

/* Returns NULL, or a sentence that says what is wrong with text; static storage. */
const char *url_parse(const char *text, struct url *out);

/* Returns NULL, or why the host has no address; static storage. */
const char *url_resolve(const struct url *url, struct address *out);

/* An IPv4 address in 127.0.0.0/8: the target lets us choose among 2^24 source addresses. */
bool address_is_loopback_v4(const struct address *address);

#endif
