#include "bench/target/url.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char SCHEME[] = "tcp://";

/* Digits only and 1..65535; strtoul would take signs and blanks. */
static bool parse_port(const char *text, uint16_t *out)
{
	uint32_t port = 0;
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		port = port * 10 + (uint32_t)(*text - '0');
		if (port > UINT16_MAX)
			return false;
	}
	*out = (uint16_t)port;
	return port != 0;
}

const char *url_parse(const char *text, struct url *out)
{
	if (strncmp(text, SCHEME, sizeof(SCHEME) - 1) != 0)
		return "does not begin with tcp://";
	const char *host = text + sizeof(SCHEME) - 1;
	const char *end;
	const char *rest;
	if (*host == '[') {
		host++;
		end = strchr(host, ']');
		if (end == NULL)
			return "has no ] after [";
		rest = end + 1;
	} else {
		end = host + strcspn(host, ":/");
		rest = end;
	}
	size_t size = (size_t)(end - host);
	if (size == 0)
		return "names no host";
	if (size >= URL_HOST_BYTES)
		return "names too long a host";
	memcpy(out->host, host, size);
	out->host[size] = '\0';
	out->port = URL_PORT_DEFAULT;
	if (*rest == '\0')
		return NULL;
	if (*rest != ':')
		return "goes on after the host; only :port may follow";
	return parse_port(rest + 1, &out->port) ? NULL : "has a port that is not 1..65535";
}

/* 0..32 in at most two digits; or -1. */
static int parse_prefix(const char *text)
{
	int prefix = 0;
	size_t size = strspn(text, "0123456789");
	if (size == 0 || size > 2 || text[size] != '\0')
		return -1;
	for (size_t i = 0; i < size; i++)
		prefix = prefix * 10 + (text[i] - '0');
	return prefix <= 32 ? prefix : -1;
}

const char *source_range_parse(const char *text, struct source_range *out)
{
	char address[INET_ADDRSTRLEN];
	struct in_addr in;
	size_t size = strcspn(text, "/");
	int prefix = text[size] == '/' ? parse_prefix(text + size + 1) : 32;
	if (size >= sizeof(address))
		return "is not an IPv4 address";
	memcpy(address, text, size);
	address[size] = '\0';
	if (inet_pton(AF_INET, address, &in) != 1)
		return "is not an IPv4 address";
	if (prefix < 1)
		return "has a prefix that is not 1..32";
	uint32_t below = (uint32_t)((1ull << (32 - prefix)) - 1);
	uint32_t edges = prefix <= 30; /* without the network's own address and its broadcast */
	out->first = (ntohl(in.s_addr) & ~below) + edges;
	out->hosts = below + 1 - 2 * edges;
	return NULL;
}

const char *url_resolve(const struct url *url, struct address *out)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	char port[8];
	snprintf(port, sizeof(port), "%u", (unsigned int)url->port);
	int failure = getaddrinfo(url->host, port, &hints, &found);
	if (failure != 0)
		return gai_strerror(failure);
	CHECK(found->ai_addrlen <= sizeof(out->storage));
	memcpy(&out->storage, found->ai_addr, found->ai_addrlen);
	out->size = found->ai_addrlen;
	freeaddrinfo(found);
	return NULL;
}

bool address_is_loopback_v4(const struct address *address)
{
	if (address->storage.ss_family != AF_INET)
		return false;
	const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;
	return ntohl(in->sin_addr.s_addr) >> 24 == 127;
}
