/* The bench's own relay in a thread, as the server for a test's load. */
#ifndef UNIT_RELAY_SCENE_H
#define UNIT_RELAY_SCENE_H

#include "bench/floor/relay.h"
#include "bench/target/target.h"

#include <pthread.h>
#include <stdatomic.h>

struct relay_scene {
	struct relay relay;
	struct target target;
	pthread_t thread;
	atomic_bool stopping;
};

void relay_scene_open(struct relay_scene *scene);
void relay_scene_close(struct relay_scene *scene);

#endif
