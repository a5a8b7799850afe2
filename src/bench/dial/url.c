#include "bench/dial/url.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define WEBSOCKET_PATH "/mqtt"

/* The first of a scheme's names is its usual one. */
static const struct {
	const char *text;
	enum url_scheme scheme;
	uint16_t port;
} SCHEMES[] = {
	{"tcp", URL_TCP, URL_PORT_DEFAULT},
	{"tls", URL_TLS, 8883},
	{"mqtts", URL_TLS, 8883},
	{"ws", URL_WS, 80},
	{"wss", URL_WSS, 443},
	{"unix", URL_UNIX, 0},
};

#define SCHEME_COUNT (sizeof(SCHEMES) / sizeof(SCHEMES[0]))

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

/* Takes the scheme off the front. Returns NULL if there is none that we know. */
static const char *take_scheme(const char *text, struct url *out)
{
	const char *end = strstr(text, "://");
	for (size_t i = 0; end != NULL && i < SCHEME_COUNT; i++) {
		size_t size = strlen(SCHEMES[i].text);
		if (size != (size_t)(end - text) || strncmp(text, SCHEMES[i].text, size) != 0)
			continue;
		*out = (struct url){.scheme = (uint8_t)SCHEMES[i].scheme, .port = SCHEMES[i].port};
		return end + 3;
	}
	return NULL;
}

/* Nothing in it may need an escape, in HTTP or in JSON. */
static const char *take_path(const char *text, struct url *out)
{
	if (strlen(text) >= sizeof(out->path))
		return "has a path that is too long";
	for (const char *at = text; *at != '\0'; at++) {
		if (*at <= ' ' || *at > '~' || *at == '"' || *at == '\\' || *at == '#')
			return "has a path with a blank, a quotation mark, a backslash, a # or a letter beyond ASCII";
	}
	memcpy(out->path, text, strlen(text) + 1);
	return NULL;
}

/* Returns NULL, or what is wrong; *rest is what follows the host. */
static const char *take_host(const char *host, struct url *out, const char **rest)
{
	const char *end;
	if (*host == '[') {
		host++;
		end = strchr(host, ']');
		if (end == NULL)
			return "has no ] after [";
		*rest = end + 1;
	} else {
		end = host + strcspn(host, ":/");
		*rest = end;
	}
	size_t size = (size_t)(end - host);
	if (size == 0)
		return "names no host";
	if (size >= URL_HOST_BYTES)
		return "names too long a host";
	memcpy(out->host, host, size);
	out->host[size] = '\0';
	return NULL;
}

/* What may follow the host: :port, and of a WebSocket /path. */
static const char *take_rest(const char *rest, struct url *out)
{
	char port[8];
	if (*rest == ':') {
		size_t size = strcspn(++rest, "/");
		snprintf(port, sizeof(port), "%.*s", (int)size, rest);
		if (size >= sizeof(port) || !parse_port(port, &out->port))
			return "has a port that is not 1..65535";
		rest += size;
	}
	if (!url_is_websocket(out))
		return *rest == '\0' ? NULL : "goes on after the host; only :port may follow";
	if (*rest == '\0')
		return take_path(WEBSOCKET_PATH, out);
	return *rest == '/' ? take_path(rest, out) : "goes on after the host; only :port and /path may follow";
}

const char *url_parse(const char *text, struct url *out)
{
	const char *host = take_scheme(text, out);
	const char *rest;
	if (host == NULL)
		return "does not begin with tcp://, tls://, ws://, wss:// or unix://";
	if (out->scheme == URL_UNIX)
		return *host == '/' ? take_path(host, out) : "names no path, as unix:///run/broker.sock does";
	const char *fault = take_host(host, out, &rest);
	return fault != NULL ? fault : take_rest(rest, out);
}

const char *url_scheme_name(enum url_scheme scheme)
{
	size_t i = 0;
	while (i < SCHEME_COUNT && SCHEMES[i].scheme != scheme)
		i++;
	CHECK(i < SCHEME_COUNT);
	return SCHEMES[i].text;
}

void url_print(const struct url *url, char out[URL_TEXT_BYTES])
{
	const char *scheme = url_scheme_name(url->scheme);
	bool is_v6 = strchr(url->host, ':') != NULL;
	if (url->scheme == URL_UNIX)
		snprintf(out, URL_TEXT_BYTES, "%s://%s", scheme, url->path);
	else
		snprintf(out, URL_TEXT_BYTES, "%s://%s%s%s:%u%s", scheme, is_v6 ? "[" : "", url->host, is_v6 ? "]" : "",
			 (unsigned int)url->port, url->path);
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

/* The path's length is bounded by the address's own. */
static const char *resolve_unix(const struct url *url, struct address *out)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&out->storage;
	_Static_assert(sizeof(un->sun_path) >= URL_PATH_BYTES, "a path that url_parse() takes fits");
	*un = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(un->sun_path, url->path, strlen(url->path) + 1);
	out->size = sizeof(*un);
	return NULL;
}

const char *url_resolve(const struct url *url, struct address *out)
{
	if (url->scheme == URL_UNIX)
		return resolve_unix(url, out);
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
