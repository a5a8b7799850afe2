/* The URLs of listeners (net/listener.h). */
#include "net/listener.h"

#include "base/check.h"
#include "base/slice.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* The first of each scheme is what a bound listener is called. */
static const struct {
	const char *prefix;
	uint8_t scheme;
	in_port_t port; /* where the URL names none; 0: it must */
} SCHEMES[] = {
	{"tcp://", LISTENER_TCP, 1883},   {"mqtt://", LISTENER_TCP, 1883}, {"tls://", LISTENER_TLS, 8883},
	{"mqtts://", LISTENER_TLS, 8883}, {"ws://", LISTENER_WS, 0},       {"wss://", LISTENER_WSS, 0},
	{"unix://", LISTENER_UNIX, 0},
};
#define SCHEME_COUNT (sizeof(SCHEMES) / sizeof(SCHEMES[0]))
#define DEFAULT_PATH "/mqtt"

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) <= LISTENER_PATH_BYTES_MAX, "a unix socket's path fits");

/* The place in SCHEMES, or SCHEME_COUNT. */
static size_t listener_scheme_of(const char *url)
{
	size_t place = 0;
	while (place < SCHEME_COUNT && strncmp(url, SCHEMES[place].prefix, strlen(SCHEMES[place].prefix)) != 0)
		place++;
	return place;
}

static const char *prefix_of_scheme(uint8_t scheme)
{
	size_t place = 0;
	while (place < SCHEME_COUNT && SCHEMES[place].scheme != scheme)
		place++;
	CHECK(place < SCHEME_COUNT);
	return SCHEMES[place].prefix;
}

/* Splits "host", "host:port", "[host]" or "[host]:port"; *port is NULL where there is none. */
static enum error split_authority(struct slice authority, char *host, size_t host_size, struct slice *port,
				  const char **fault)
{
	const char *begin = (const char *)authority.data;
	const char *stop = begin + authority.size;
	const char *end;
	const char *after; /* the host */
	if (authority.size != 0 && *begin == '[') {
		begin++;
		end = memchr(begin, ']', (size_t)(stop - begin));
		after = end != NULL ? end + 1 : NULL;
	} else {
		end = memchr(begin, ':', authority.size);
		after = end = end != NULL ? end : stop;
		if (after != stop && memchr(after + 1, ':', (size_t)(stop - after - 1)) != NULL)
			after = NULL;
	}
	if (after == NULL || (after != stop && *after != ':')) {
		*fault = "an IPv6 address is written [address]:port";
		return ERROR_LIMIT;
	}
	*port = after != stop ? slice_of(after + 1, (size_t)(stop - after - 1)) : slice_of(NULL, 0);
	size_t size = (size_t)(end - begin);
	if (size == 0 || size >= host_size) {
		*fault = "the address is missing or too long";
		return ERROR_LIMIT;
	}
	memcpy(host, begin, size);
	host[size] = '\0';
	return ERROR_OK;
}

/* text: as it follows the colon; data is NULL where there is none. */
static enum error parse_port(struct slice text, in_port_t by_default, in_port_t *port, const char **fault)
{
	if (text.data == NULL && by_default != 0) {
		*port = htons(by_default);
		return ERROR_OK;
	}
	if (text.data == NULL) {
		*fault = "the port is missing, and MQTT over WebSocket has no usual one";
		return ERROR_LIMIT;
	}
	uint32_t value = 0;
	for (size_t i = 0; i < text.size && value <= 65535; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			value = 65536;
		else
			value = value * 10 + text.data[i] - '0';
	}
	if (text.size == 0 || value > 65535) {
		*fault = "the port is not a number from 0 to 65535";
		return ERROR_LIMIT;
	}
	*port = htons((uint16_t)value);
	return ERROR_OK;
}

static void note_address(struct listener *listener, const struct sockaddr *address, socklen_t size)
{
	CHECK(size <= sizeof(listener->address));
	memcpy(&listener->address, address, size);
	listener->address_bytes = size;
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, address, sizeof(v6));
		listener->loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
	} else {
		struct sockaddr_in v4;
		memcpy(&v4, address, sizeof(v4));
		listener->loopback = (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
	}
}

/* Letters, digits, hyphens, dots and underscores. A name whose last label is a number is a mistyped address, which the
 * resolver would accept in one of the old notations ("127.1", "0x7f000001"). */
static bool is_host_name(const char *host)
{
	static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char OTHERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	if (host[0] == '.' || strstr(host, "..") != NULL || host[strspn(host, OTHERS)] != '\0')
		return false;
	const char *dot = memrchr(host, '.', strlen(host) - 1); /* a name may end with one */
	const char *last = dot != NULL ? dot + 1 : host;
	return strpbrk(last, LETTERS) != NULL && strncasecmp(last, "0x", 2) != 0;
}

/* Printable ASCII; what would begin a query or a fragment, or needs an escape, is none of a path. */
static bool is_path(const char *path)
{
	size_t size = 0;
	for (; path[size] > ' ' && path[size] < 0x7f && strchr("?#%\"<>\\^`{|}", path[size]) == NULL; size++)
		;
	return path[0] == '/' && path[size] == '\0';
}

static enum error parse_websocket_path(const char *path, struct listener *listener, const char **fault)
{
	if (path == NULL)
		path = DEFAULT_PATH;
	if (!is_path(path) || strlen(path) >= sizeof(listener->path)) {
		*fault = "the path is too long, or has characters that a path may not have";
		return ERROR_LIMIT;
	}
	memcpy(listener->path, path, strlen(path) + 1);
	return ERROR_OK;
}

static enum error parse_unix(const char *path, struct listener *listener, const char **fault)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (path[0] != '/') {
		*fault = "a unix socket is written unix:///path, with a path from the root on";
		return ERROR_LIMIT;
	}
	if (strlen(path) >= sizeof(address.sun_path)) {
		*fault = "the path of a unix socket has more than 107 bytes";
		return ERROR_LIMIT;
	}
	if (path[strlen(path) - 1] == '/') {
		*fault = "the path of a unix socket ends with /";
		return ERROR_LIMIT;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	memcpy(listener->path, path, strlen(path) + 1);
	memcpy(&listener->address, &address, sizeof(address));
	listener->address_bytes = sizeof(address);
	listener->loopback = true;
	return ERROR_OK;
}

/* The authority, from the scheme to the path or the end. */
static struct slice authority_of(const char *url)
{
	size_t place = listener_scheme_of(url);
	CHECK(place < SCHEME_COUNT);
	const char *begin = url + strlen(SCHEMES[place].prefix);
	return slice_of(begin, strcspn(begin, "/"));
}

static enum error parse_address(const char *url, in_port_t default_port, struct listener *listener, const char **fault)
{
	char host[LISTENER_URL_BYTES_MAX];
	struct slice port_text;
	in_port_t port;
	struct slice authority = authority_of(url);
	enum error error = split_authority(authority, host, sizeof(host), &port_text, fault);
	if (error == ERROR_OK)
		error = parse_port(port_text, default_port, &port, fault);
	if (error != ERROR_OK)
		return error;

	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
	bool brackets = authority.data[0] == '[';
	if (!brackets && inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		note_address(listener, (struct sockaddr *)&v4, sizeof(v4));
	} else if (brackets && inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
		note_address(listener, (struct sockaddr *)&v6, sizeof(v6));
		listener->dual_stack = IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
	} else if (!brackets && is_host_name(host)) {
		listener->named = true;
	} else {
		*fault = brackets ? "the address in brackets is not a numeric IPv6 address"
				  : "the address is neither a numeric IPv4 or IPv6 address nor a host name";
		return ERROR_LIMIT;
	}
	return ERROR_OK;
}

enum error listener_parse(const char *url, struct listener *listener, const char **fault)
{
	*listener = (struct listener){.fd = -1};
	*fault = "";
	size_t place = listener_scheme_of(url);
	if (place == SCHEME_COUNT) {
		*fault = "the scheme is none of tcp://, tls://, ws://, wss:// and unix://";
		return ERROR_LIMIT;
	}
	if (strlen(url) >= sizeof(listener->url)) {
		*fault = "the URL is too long";
		return ERROR_LIMIT;
	}
	memcpy(listener->url, url, strlen(url) + 1);
	listener->scheme = SCHEMES[place].scheme;
	const char *rest = url + strlen(SCHEMES[place].prefix);
	if (listener->scheme == LISTENER_UNIX)
		return parse_unix(rest, listener, fault);
	enum error error = parse_address(url, SCHEMES[place].port, listener, fault);
	if (error != ERROR_OK)
		return error;
	const char *path = strchr(rest, '/');
	if (listener_is_websocket(listener))
		return parse_websocket_path(path, listener, fault);
	if (path != NULL) {
		*fault = "something follows the port, and only ws:// and wss:// have a path";
		return ERROR_LIMIT;
	}
	return ERROR_OK;
}

void listener_write_url(struct listener *listener, const struct sockaddr *address, socklen_t size)
{
	char host[INET6_ADDRSTRLEN + 16]; /* it may have a scope */
	char port[8];
	CHECK(listener->scheme != LISTENER_UNIX);
	CHECK(getnameinfo(address, size, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0);
	bool v6 = address->sa_family == AF_INET6;
	snprintf(listener->url, sizeof(listener->url), "%s%s%s%s:%s%s", prefix_of_scheme(listener->scheme),
		 v6 ? "[" : "", host, v6 ? "]" : "", port, listener->path);
}

/* /etc/hosts often has an address of localhost in two of its lines: the resolver finds it twice. */
static bool is_among(const struct listener *listeners, size_t count, const struct listener *wanted)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(listeners[i].url, wanted->url) == 0)
			return true;
	}
	return false;
}

size_t listener_resolve(const struct listener *listener, struct listener found[LISTENER_ADDRESSES_MAX],
			const char **fault)
{
	found[0] = *listener;
	if (!listener->named)
		return 1;
	char host[LISTENER_URL_BYTES_MAX];
	char service[8];
	struct slice port_text;
	in_port_t port;
	in_port_t default_port = SCHEMES[listener_scheme_of(listener->url)].port;
	CHECK(split_authority(authority_of(listener->url), host, sizeof(host), &port_text, fault) == ERROR_OK);
	CHECK(parse_port(port_text, default_port, &port, fault) == ERROR_OK);
	snprintf(service, sizeof(service), "%u", ntohs(port));
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
				 .ai_socktype = SOCK_STREAM,
				 .ai_protocol = IPPROTO_TCP,
				 .ai_flags = AI_NUMERICSERV};
	struct addrinfo *addresses = NULL;
	int error = getaddrinfo(host, service, &hints, &addresses);
	if (error != 0) {
		*fault = error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error);
		return 0;
	}
	size_t count = 0;
	for (const struct addrinfo *at = addresses; at != NULL && count < LISTENER_ADDRESSES_MAX; at = at->ai_next) {
		if (at->ai_family != AF_INET && at->ai_family != AF_INET6)
			continue;
		found[count] = *listener;
		note_address(&found[count], at->ai_addr, at->ai_addrlen);
		listener_write_url(&found[count], at->ai_addr, at->ai_addrlen);
		if (!is_among(found, count, &found[count]))
			count++;
	}
	freeaddrinfo(addresses);
	*fault = "the name has no IPv4 or IPv6 address";
	return count;
}
