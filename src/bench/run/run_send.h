/* Messages of a group's publishers, on their way out. Owned by the group's thread. */
#ifndef BENCH_RUN_SEND_H
#define BENCH_RUN_SEND_H

#include "bench/run/run_group_state.h"

/* Fixed header, topic length, topic, packet identifier and properties: the room in group->packet beside the payload. */
#define RUN_SEND_OVERHEAD_BYTES_MAX (TOPIC_BYTES_MAX + 32u)

/* Sends what is due for one client and was not sent yet, as far as its window allows. */
void run_send_due(struct run_group *group, uint32_t index);
/* Sends the message; again: with DUP. */
void run_send_message(struct run_group *group, uint32_t index, const struct run_sent *sent, uint16_t packet_id,
		      bool again);

#endif
