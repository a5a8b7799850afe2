/* Clients that outlive their connections, in a scenario with a restart: publishers that send again what was not
 * acknowledged, receivers that know a message at QoS 2 again. Owned by the group's thread. */
#ifndef BENCH_RUN_RESUME_H
#define BENCH_RUN_RESUME_H

#include "bench/run/run_group_state.h"

/* Without a restart it does nothing. Returns false without memory. */
bool run_resume_open(struct run_group *group);
/* Once the window is known. */
bool run_resume_open_window(struct run_group *group);
void run_resume_close(struct run_group *group);

/* The callbacks that a pool needs for it beside the group's own. */
void run_resume_set_events(struct client_events *events);

/* The client has its session, or a new one, and is subscribed: what the last connection left open goes out. */
void run_resume_ready(struct run_group *group, uint32_t index);
/* The acknowledgement ends the part of the handshake in which the server takes the message on. */
void run_resume_acknowledged(struct run_group *group, uint32_t index, uint64_t place);
/* A message arrived. Returns whether it is new to the receiver. */
bool run_resume_receive(struct run_group *group, uint32_t index, const struct mqtt_publish *publish,
			const struct audit_stream *stream, uint64_t number);

/* The subscription is there already: subscribing again would hide that the server had lost it. */
bool run_resume_is_subscribed(const struct run_group *group, uint32_t index);

/* Starts clients that are gone, unless the server is down. Between two turns. */
void run_resume_return(struct run_group *group, uint64_t now_ns);

#endif
