/* What the engine does with what its clients receive. For the engine alone. */
#ifndef BENCH_ENGINE_EVENTS_H
#define BENCH_ENGINE_EVENTS_H

#include "bench/client/pool.h"

/* The callbacks; their owner is a struct engine. Static storage. */
const struct client_events *engine_events(void);

#endif
