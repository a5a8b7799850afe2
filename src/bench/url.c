#include "bench/url.h"

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

const char *url_resolve(const struct url *url, struct address *out)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found;
	char port[8];
	snprintf(port, sizeof(port), "%u", (unsigned int)url->port);
	int failure = getaddrinfo(url->host, port, &hints, &found);
	if (failure != 0)
		return gai_strerror(failure);
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
