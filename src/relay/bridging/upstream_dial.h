/* The way to the broker of a bridge: a thread of its own looks the name up, connects and does the TLS handshake, so
 * that nobody else waits for a server that does not answer. While it is under way the thread has what it writes to, and
 * the owner touches none of it. Files of TLS and the password are read each time, so that what is renewed counts from
 * the next connection on. Owned by one thread. */
#ifndef RELAY_BRIDGING_UPSTREAM_DIAL_H
#define RELAY_BRIDGING_UPSTREAM_DIAL_H

#include "net/stream.h"
#include "relay/item/mqtt_bridge.h"
#include "transport/stream_tls.h"

#include <pthread.h>
#include <stdatomic.h>

/* For each address of the name, and for the TLS handshake. The system decides how long a name is looked up. */
#define UPSTREAM_DIAL_MS 5000u
#define UPSTREAM_FAULT_BYTES 256u
#define UPSTREAM_PASSWORD_BYTES_MAX 4096u

struct upstream_dial {
	const struct mqtt_bridge *bridge;
	int done_fd; /* an eventfd that is written to when it is done */
	struct streams streams;
	struct tls_streams tls; /* where the bridge has TLS */
	struct tls_context *context;
	pthread_t thread;
	bool is_running;
	_Atomic bool is_done;
	_Atomic bool given_up;
	/* The thread's, until it is done. */
	bool good;
	int fd; /* for poll(); the stream has it */
	struct stream stream;
	uint8_t *password; /* NULL: there is none */
	size_t password_bytes;
	char fault[UPSTREAM_FAULT_BYTES];
};

/* bridge outlives it. False: memory is short. The struct must not move from then on. */
bool upstream_dial_init(struct upstream_dial *dial, const struct mqtt_bridge *bridge, int done_fd);
/* After upstream_dial_give_up(), and when the stream is closed. */
void upstream_dial_fini(struct upstream_dial *dial);

/* False: there is no thread to be had, and fault says so. */
bool upstream_dial_begin(struct upstream_dial *dial);
/* Whether upstream_dial_end() is due, and will not wait. */
static inline bool upstream_dial_is_over(const struct upstream_dial *dial)
{
	return dial->is_running && atomic_load_explicit(&dial->is_done, memory_order_acquire);
}
/* Waits for the thread. True: stream, which is the caller's from now on, is connected; else fault says why not. */
bool upstream_dial_end(struct upstream_dial *dial);
/* Waits for the thread, where there is one, to have done with the address that it is just about. */
void upstream_dial_give_up(struct upstream_dial *dial);

/* Reads all files of a bridge, as the thread does. False: fault says what is wrong with which. Any thread. */
bool upstream_files_check(const struct mqtt_bridge *bridge, char fault[ITEM_FAULT_BYTES_MAX]);

#endif
