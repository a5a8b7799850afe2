/* The thread of bridges: it carries messages and acknowledgements between this gateway and the brokers, and waits in
 * poll() for both sides of all bridges, for threads that connect, and for its end. A broker that is slow or away costs
 * the other bridges nothing. */
#ifndef RELAY_BRIDGING_BRIDGE_LOOP_H
#define RELAY_BRIDGING_BRIDGE_LOOP_H

#include "relay/bridging/bridge_lane.h"
#include "relay/session/session_thread.h"

/* At its end it waits for so long until the gateway has read what was acknowledged. */
#define BRIDGE_LOOP_STOP_MS 2000u

struct bridge_loop {
	struct session_thread thread;
	/* Set before the thread starts. */
	const struct mqtt_bridges *bridges;
	const char *node; /* the gateway's name */
	/* Shared with whoever shows it. */
	pthread_mutex_t *lock;
	struct bridges_status *status;
	/* The thread's own. */
	struct bridge_lane *lanes[MQTT_BRIDGES_MAX];
	uint32_t count; /* of those that there was memory for */
	int done_fd;    /* an eventfd: a thread has connected, or given up */
};

/* The thread's main function; argument is the loop. It leaves the last status. */
void *bridge_loop_main(void *argument);

#endif
