#include "bench/durable/durable_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define METRICS_BYTES_MAX (1024u * 1024u)
#define TIMEOUT_S 5

double durable_sum_dropped(const char *metrics)
{
	static const char name[] = "\nroost_messages_dropped_total";
	double sum = (double)NAN;
	for (const char *at = metrics; (at = strstr(at, name)) != NULL;) {
		at += sizeof(name) - 1;
		const char *value = memchr(at, ' ', strcspn(at, "\n"));
		if (value != NULL)
			sum = (isnan(sum) ? 0 : sum) + strtod(value, NULL);
	}
	return sum;
}

/* Returns the size, or 0. */
static size_t fetch(int fd, char *out, size_t room)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	size_t size = 0;
	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
		return 0;
	for (ssize_t got; size < room && (got = recv(fd, out + size, room - size, 0)) > 0;)
		size += (size_t)got;
	return size;
}

double durable_read_dropped(const struct url *admin)
{
	static const struct timeval limit = {.tv_sec = TIMEOUT_S};
	struct address address;
	double dropped = (double)NAN;
	char *text = malloc(METRICS_BYTES_MAX + 1);
	if (text == NULL || url_resolve(admin, &address) != NULL) {
		free(text);
		return dropped;
	}
	int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		if (connect(fd, (const struct sockaddr *)&address.storage, address.size) == 0) {
			text[fetch(fd, text, METRICS_BYTES_MAX)] = '\0';
			dropped = durable_sum_dropped(text);
		}
		close(fd);
	}
	free(text);
	return dropped;
}
