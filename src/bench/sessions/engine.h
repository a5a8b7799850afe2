/* Clients whose sessions outlive their connections, and the account of what they were promised: publishers that resume
 * half-done handshakes, subscribers of which some are offline while messages flow. The server may end and come back at
 * any moment. One thread, which has its own descriptor table and makes every call. */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "bench/sessions/engine_state.h"

/* Returns false without memory or descriptors. Large: on the heap. */
bool engine_open(struct engine *engine, const struct engine_plan *plan, const struct dial *dial);
void engine_close(struct engine *engine);

/* Removes the sessions from the server, where there are any: before and after a run. Returns false if the server does
 * not let every client in. */
bool engine_forget(struct engine *engine);

/* Wants everyone online, and waits until they are. Returns false if the time is over. */
bool engine_connect(struct engine *engine, uint32_t timeout_ms);
/* Takes the round's offline subscribers off. Returns how many. */
uint32_t engine_part(struct engine *engine, uint32_t round);

/* From now on messages flow, or no new ones do. */
void engine_flow(struct engine *engine, bool flows);
/* Handles what has come, sends what is due, and starts wanted clients that are gone. */
void engine_turn(struct engine *engine, uint64_t timeout_ns);

/* Breaks all connections: as if the network had failed. engine_server_up() ends it. */
void engine_break(struct engine *engine);
/* The server has ended: what breaks is expected. Afterwards every client is gone. */
void engine_server_down(struct engine *engine);
void engine_server_up(struct engine *engine);

/* Waits until every handshake of a publisher has ended. Returns false if nothing moves any more. */
bool engine_finish_publishers(struct engine *engine, uint32_t quiet_ms);
/* Waits until all that was acknowledged has arrived, at those who are online; gives up what does not come
 * (measure/quiet.h). */
void engine_drain(struct engine *engine, uint32_t quiet_ms);
/* Waits until nothing has arrived for so long. */
void engine_rest(struct engine *engine, uint32_t quiet_ms);

/* Nothing acknowledged is missing, doubled, or out of order, and there are no faults and no losses. */
bool engine_is_clean(const struct engine *engine);
/* On stdout: the first faults, a line each; nothing if there are none. */
void engine_print_faults(const struct engine *engine);

#endif
