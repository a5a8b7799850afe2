/* The name of a Redis stream with places for what a message says: telemetry:{topic.2}. Pure; any thread.
 *
 *	{topic}    the whole topic
 *	{topic.N}  its level N, from 1 on; nothing where it has fewer
 *	{client}   the publisher's client id; nothing where it is not known
 *	{user}     the name that it signed in with, likewise
 *	{{  }}     a brace, such as those around a hash tag of Redis Cluster: {{{client}}}
 */
#ifndef RELAY_ENTRY_STREAM_NAME_H
#define RELAY_ENTRY_STREAM_NAME_H

#include "relay/entry/message.h"

#define STREAM_NAME_BYTES_MAX 4096u

/* False: *why says what is wrong; static storage. */
bool stream_name_check(const char *pattern, const char **why);

/* Fills in a pattern that was checked. Returns the name's size; 0: it is empty or longer than STREAM_NAME_BYTES_MAX,
 * and *why says which. */
size_t stream_name_fill(const char *pattern, const struct relay_message *message, uint8_t name[STREAM_NAME_BYTES_MAX],
			const char **why);

#endif
