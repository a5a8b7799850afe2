#include "daemon/notify.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* The length of the address; 0: this is no name of a socket. */
static socklen_t notify_address(const char *name, struct sockaddr_un *address)
{
	size_t length = strlen(name);
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof(address->sun_path))
		return 0;
	memcpy(address->sun_path, name, length);
	if (name[0] != '@')
		return (socklen_t)sizeof(*address);
	/* An abstract name begins with a null byte and ends with the address: a further null byte would be part of it.
	 */
	address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

bool notify_send(const char *socket_name, const char *lines)
{
	struct sockaddr_un address;
	static const struct timeval WAIT = {.tv_sec = NOTIFY_WAIT_MS / 1000u, .tv_usec = NOTIFY_WAIT_MS % 1000u * 1000};
	socklen_t length = notify_address(socket_name, &address);
	CHECK(lines[0] != '\0');
	if (length == 0) {
		errno = EINVAL;
		return false;
	}
	int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return false;
	bool sent =
		setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &WAIT, sizeof(WAIT)) == 0 &&
		sendto(descriptor, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *)&address, length) >= 0;
	int why = errno;
	close(descriptor);
	errno = why;
	return sent;
}

/* Sends the state and the status, which is made one line: a further one could name a state. */
static void tell(const char *state, const char *status, va_list arguments)
{
	char lines[NOTIFY_BYTES_MAX];
	const char *name = getenv("NOTIFY_SOCKET");
	if (name == NULL || name[0] == '\0')
		return;
	int used = snprintf(lines, sizeof(lines), "%s\nSTATUS=", state);
	CHECK(used > 0 && (size_t)used < sizeof(lines));
	vsnprintf(lines + used, sizeof(lines) - (size_t)used, status, arguments);
	for (char *at = lines + used; *at != '\0'; at++)
		*at = (unsigned char)*at < ' ' ? ' ' : *at;
	if (!notify_send(name, lines))
		log_write(LOG_WARNING, "the service manager at %s cannot be told: %s", name, strerror(errno));
}

void notify_ready(const char *status, ...)
{
	va_list arguments;
	va_start(arguments, status);
	tell("READY=1", status, arguments);
	va_end(arguments);
}

static void tell_reloading(const char *status, ...)
{
	char state[64];
	va_list arguments;
	/* systemd 253 and later tells by the time whether this answers its own signal (Type=notify-reload). */
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)(clock_now_ns() / 1000u));
	va_start(arguments, status);
	tell(state, status, arguments);
	va_end(arguments);
}

void notify_reloading(void)
{
	tell_reloading("reading the configuration again");
}

void notify_stopping(const char *status, ...)
{
	va_list arguments;
	va_start(arguments, status);
	tell("STOPPING=1", status, arguments);
	va_end(arguments);
}

void notify_starting(const char *status, ...)
{
	char state[64];
	va_list arguments;
	snprintf(state, sizeof(state), "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)NOTIFY_START_MS * 1000u);
	va_start(arguments, status);
	tell(state, status, arguments);
	va_end(arguments);
}
