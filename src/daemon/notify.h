/* Tells a service manager how the server is: the datagrams of sd_notify(3), to the socket that the environment names as
 * NOTIFY_SOCKET, without libsystemd. Without that variable nothing is done; what cannot be told is logged, and the
 * server goes on. The variable outlives an upgrade: the new program tells the same manager, as the same process. Main
 * thread. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* A manager that does not read for so long is not told. */
#define NOTIFY_WAIT_MS 1000u
/* Of one message; more is cut off. */
#define NOTIFY_BYTES_MAX 1024u

/* Sends lines such as "READY=1\nSTATUS=serving" to a socket: its path, or behind "@" its name in the abstract
 * namespace. False: errno says why; EINVAL: no such name. */
bool notify_send(const char *socket_name, const char *lines);

/* The server serves: after the start, after a reload, and after an upgrade. The rest is what `systemctl status` shows.
 */
void notify_ready(const char *status, ...) __attribute__((format(printf, 1, 2)));
/* Until the next notify_ready(). */
void notify_reloading(void);
/* It will end, and takes no more clients. */
void notify_stopping(const char *status, ...) __attribute__((format(printf, 1, 2)));
/* The start has got so far, and may take NOTIFY_START_MS more. */
#define NOTIFY_START_MS 120000u
void notify_starting(const char *status, ...) __attribute__((format(printf, 1, 2)));

#endif
