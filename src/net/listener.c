#include "net/listener.h"

#include "base/check.h"
#include "net/health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEME "tcp://"

/* Splits "host:port" or "[host]:port". */
static enum error split_authority(const char *authority, char *host, size_t host_size, const char **port,
				  const char **fault)
{
	const char *end;
	const char *begin = authority;
	if (*authority == '[') {
		begin++;
		end = strchr(begin, ']');
		if (end == NULL || end[1] != ':') {
			*fault = "an IPv6 address is written [address]:port";
			return ERROR_LIMIT;
		}
		*port = end + 2;
	} else {
		end = strrchr(begin, ':');
		if (end == NULL) {
			*fault = "the port is missing";
			return ERROR_LIMIT;
		}
		if (memchr(begin, ':', (size_t)(end - begin)) != NULL) {
			*fault = "an IPv6 address is written [address]:port";
			return ERROR_LIMIT;
		}
		*port = end + 1;
	}
	size_t size = (size_t)(end - begin);
	if (size == 0 || size >= host_size) {
		*fault = "the address is missing or too long";
		return ERROR_LIMIT;
	}
	memcpy(host, begin, size);
	host[size] = '\0';
	return ERROR_OK;
}

static enum error parse_port(const char *text, in_port_t *port, const char **fault)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value > 65535) {
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

enum error listener_parse(const char *url, struct listener *listener, const char **fault)
{
	*listener = (struct listener){.fd = -1};
	*fault = "";
	if (strncmp(url, SCHEME, strlen(SCHEME)) != 0) {
		*fault = "the scheme is not tcp://";
		return ERROR_LIMIT;
	}
	if (strlen(url) >= sizeof(listener->url)) {
		*fault = "the URL is too long";
		return ERROR_LIMIT;
	}
	memcpy(listener->url, url, strlen(url) + 1);

	char host[LISTENER_URL_BYTES_MAX];
	const char *port_text;
	in_port_t port;
	enum error error = split_authority(url + strlen(SCHEME), host, sizeof(host), &port_text, fault);
	if (error == ERROR_OK)
		error = parse_port(port_text, &port, fault);
	if (error != ERROR_OK)
		return error;

	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
	bool brackets = url[strlen(SCHEME)] == '[';
	if (!brackets && inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		note_address(listener, (struct sockaddr *)&v4, sizeof(v4));
	} else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
		note_address(listener, (struct sockaddr *)&v6, sizeof(v6));
	} else if (!brackets && is_host_name(host)) {
		listener->named = true;
	} else {
		*fault = brackets ? "the address in brackets is not a numeric IPv6 address"
				  : "the address is neither a numeric IPv4 or IPv6 address nor a host name";
		return ERROR_LIMIT;
	}
	return ERROR_OK;
}

/* The URL with the address in numbers. */
static void write_url(struct listener *listener, const struct sockaddr *address, socklen_t size)
{
	char host[INET6_ADDRSTRLEN + 16]; /* it may have a scope */
	char port[8];
	CHECK(getnameinfo(address, size, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0);
	bool v6 = address->sa_family == AF_INET6;
	snprintf(listener->url, sizeof(listener->url), "%s%s%s%s:%s", SCHEME, v6 ? "[" : "", host, v6 ? "]" : "", port);
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
	const char *port;
	CHECK(split_authority(listener->url + strlen(SCHEME), host, sizeof(host), &port, fault) == ERROR_OK);
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
				 .ai_socktype = SOCK_STREAM,
				 .ai_protocol = IPPROTO_TCP,
				 .ai_flags = AI_NUMERICSERV};
	struct addrinfo *addresses = NULL;
	int error = getaddrinfo(host, port, &hints, &addresses);
	if (error != 0) {
		*fault = error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error);
		return 0;
	}
	size_t count = 0;
	for (const struct addrinfo *at = addresses; at != NULL && count < LISTENER_ADDRESSES_MAX; at = at->ai_next) {
		if (at->ai_family != AF_INET && at->ai_family != AF_INET6)
			continue;
		found[count] = (struct listener){.fd = -1, .named = true};
		note_address(&found[count], at->ai_addr, at->ai_addrlen);
		write_url(&found[count], at->ai_addr, at->ai_addrlen);
		if (!is_among(found, count, &found[count]))
			count++;
	}
	freeaddrinfo(addresses);
	*fault = "the name has no IPv4 or IPv6 address";
	return count;
}

static enum error set_options(int fd, int family, struct listener_options options)
{
	int on = 1;
	/* Accepted sockets inherit TCP_NODELAY: one system call a connection saved. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		return ERROR_SYSTEM;
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
		return ERROR_SYSTEM;
	if (options.idle_s != 0)
		health_configure(fd, options.idle_s);
	int defer_s = options.defer_accept_s;
	if (defer_s > 0 && setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof(defer_s)) != 0)
		return ERROR_SYSTEM;
	return ERROR_OK;
}

/* The URL as it is now known, with the port that was chosen for port 0. */
static void name_bound_address(struct listener *listener)
{
	struct sockaddr_storage bound = {0};
	socklen_t size = sizeof(bound);
	CHECK(getsockname(listener->fd, (struct sockaddr *)&bound, &size) == 0);
	write_url(listener, (struct sockaddr *)&bound, size);
}

enum error listener_open(struct listener *listener, struct listener_options options)
{
	CHECK(listener->fd < 0 && listener->address_bytes != 0);
	int family = listener->address.ss_family;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERROR_SYSTEM;
	if (set_options(fd, family, options) != ERROR_OK ||
	    bind(fd, (struct sockaddr *)&listener->address, listener->address_bytes) != 0 ||
	    listen(fd, options.backlog) != 0) {
		int why = errno;
		close(fd);
		errno = why;
		return ERROR_SYSTEM;
	}
	listener->fd = fd;
	name_bound_address(listener);
	return ERROR_OK;
}

void listener_close(struct listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

void listener_close_copy(const struct listener *listener)
{
	CHECK(listener->fd >= 0);
	close(listener->fd);
}

enum listener_result listener_accept(const struct listener *listener, int *fd, struct sockaddr_storage *peer)
{
	CHECK(listener->fd >= 0);
	socklen_t size = sizeof(*peer);
	*peer = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
	*fd = accept4(listener->fd, (struct sockaddr *)peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (*fd >= 0)
		return LISTENER_ACCEPTED;
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		return LISTENER_SHORT;
	return errno == ECONNABORTED || errno == EINTR ? LISTENER_AGAIN : LISTENER_EMPTY;
}
