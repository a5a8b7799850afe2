/* The table of who is online, which a thread keeps in Redis (table_loop.h). The main thread makes, starts and stops it;
 * it may be stopped and started again, and is made anew then. */
#ifndef RELAY_TABLE_RELAY_H
#define RELAY_TABLE_RELAY_H

#include "bridge/redis_connection.h"
#include "relay/table/table_status.h"

struct gateway;
struct table_relay;

/* prefix: of the keys in Redis; "": there is no table. node: this gateway's name. Both are copied, and the settings are
 * but for their strings. attention_fd: as in stream_relay_new(). NULL: memory is short. */
struct table_relay *table_relay_new(const char *prefix, const char *node, const struct redis_target *redis,
				    int attention_fd, bool private_table);
/* After table_relay_stop(). */
void table_relay_free(struct table_relay *relay);

/* Starts the thread, where there is to be a table. False: after logging why. */
bool table_relay_start(struct table_relay *relay, struct gateway *gateway);
/* Ends the thread, within little more than TABLE_STOP_MS; longer where Redis is just being connected to. leaves: the
 * gateway ends, and its table is deleted. Does nothing where it was not started. */
void table_relay_stop(struct table_relay *relay, bool leaves);
/* Whether it is to be stopped and started: its session was lost. */
bool table_relay_is_due(const struct table_relay *relay);

/* Any thread. */
void table_relay_status(struct table_relay *relay, struct table_status *status);

#endif
