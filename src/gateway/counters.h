/* What a thread counts: a table of names, one block of numbers a thread, written by that thread only and summed by
 * whoever reads. No lock, no shared line. */
#ifndef GATEWAY_COUNTERS_H
#define GATEWAY_COUNTERS_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#define COUNTER_TABLE(X)                                                                                               \
	/* name, help; gauges go up and down */                                                                        \
	X(connections_accepted, "sockets accepted")                                                                    \
	X(connections_refused, "connections ended before they were signed in")                                         \
	X(connections_signed_in, "CONNECTs accepted")                                                                  \
	X(connections_open, "clients signed in now (gauge)")                                                           \
	X(clients_greeting, "of connections_open, those that are being greeted (gauge)")                               \
	X(clients_active, "of connections_open, those that are heard of as they should be (gauge)")                    \
	X(clients_quiet, "of connections_open, those that were silent for longer than their keepalive (gauge)")        \
	X(clients_suspect, "of connections_open, those that are closed after a grace unless heard of (gauge)")         \
	X(clients_closing, "connections whose last words are under way (gauge)")                                       \
	X(clients_came_back, "clients that were quiet or suspect and were heard of again")                             \
	X(handshakes_open, "sockets that have not signed in yet (gauge)")                                              \
	X(addresses_kept_out, "addresses that went on although refused, and are kept out by the kernel now (gauge)")   \
	X(accept_pauses, "times that accepting was stopped for want of descriptors or places")                         \
	X(packets_in, "packets received")                                                                              \
	X(messages_in, "PUBLISH received")                                                                             \
	X(messages_out, "PUBLISH given to a subscriber's connection")                                                  \
	X(messages_unrouted, "PUBLISH that had no subscriber")                                                         \
	X(messages_dropped_queue_full, "QoS 0 messages dropped: the subscriber's queue was full")                      \
	X(messages_dropped_too_large, "messages above the subscriber's maximum packet size")                           \
	X(messages_dropped_memory, "messages dropped: no memory")                                                      \
	X(messages_in_qos1, "of messages_in, at QoS 1")                                                                \
	X(messages_in_qos2, "of messages_in, at QoS 2")                                                                \
	X(messages_out_qos1, "of messages_out, at QoS 1")                                                              \
	X(messages_out_qos2, "of messages_out, at QoS 2")                                                              \
	X(messages_repeated, "messages sent again after a reconnect")                                                  \
	X(messages_duplicate, "QoS 2 messages that came again and were not delivered again")                           \
	X(messages_refused, "PUBLISH that was answered with a reason code above 0x80, or left out")                    \
	X(sign_ins_renewed, "tokens that AUTH replaced by a later one")                                                \
	X(messages_denied, "of messages_refused, those that rules or a token did not allow")                           \
	X(subscriptions_denied, "subscriptions that rules or a token did not allow")                                   \
	X(messages_expired, "messages that expired while they waited")                                                 \
	X(messages_dropped_session, "messages that were still under way to a session when it ended")                   \
	X(messages_handed_on, "messages of a shared subscription that went to another member")                         \
	X(acks_unknown, "acknowledgements of a packet identifier that was not under way")                              \
	X(queue_messages, "messages that wait for sessions, or for their acknowledgement (gauge)")                     \
	X(stored_messages, "distinct messages kept for that (gauge)")                                                  \
	X(stored_bytes, "bytes of their packets (gauge)")                                                              \
	X(sessions_offline, "sessions without a connection (gauge)")                                                   \
	X(sessions_resumed, "sessions that a client came back to")                                                     \
	X(sessions_expired, "sessions whose time without a connection was over")                                       \
	X(sessions_refused, "sessions that could not be kept: there are as many as there may be")                      \
	X(retained_refused, "retained messages that were not kept: there are as many as there may be")                 \
	X(wills_sent, "wills published")                                                                               \
	X(publisher_pauses, "times that a publisher's socket was left unread because an inbox was full")               \
	X(overload_grade, "grade of overload, 0 to 4 (gauge)")                                                         \
	X(overload_holds, "times that a publisher was left unread because there was too much to do")                   \
	X(rate_pauses, "times that a client was left unread because it published faster than it may")                  \
	X(reader_pauses, "times that a client was left unread because it did not read its answers")                    \
	X(subscriptions_open, "subscriptions now (gauge)")                                                             \
	X(redis_connected, "whether the revocations in Redis are followed without a gap (gauge)")                      \
	X(redis_losses, "times that Redis was lost")                                                                   \
	X(redis_scans, "times that all revocations were read from Redis")                                              \
	X(redis_revocations, "revocations that Redis told of, each time that it did")                                  \
	X(redis_refused, "of its revocations, those that could not be put in force")                                   \
	X(redis_lifted, "revocations that Redis lifted")                                                               \
	X(redis_messages_bad, "messages on its channels that could not be read")                                       \
	X(jwks_fetches, "times that the key set's URL was asked")                                                      \
	X(jwks_failures, "of those, the times that no keys came")                                                      \
	X(turns, "turns of the loop")                                                                                  \
	X(reads, "read system calls")                                                                                  \
	X(writes, "write system calls")                                                                                \
	X(bytes_in, "bytes received")                                                                                  \
	X(bytes_out, "bytes sent")                                                                                     \
	X(backlog_bytes, "bytes that wait for clients to read (gauge)")                                                \
	X(allocations, "times that memory was taken from the system or touched for the first time")

enum counter {
#define X(name, help) COUNTER_##name,
	COUNTER_TABLE(X)
#undef X
		COUNTER_COUNT
};

struct counters {
	_Alignas(64) _Atomic uint64_t values[COUNTER_COUNT];
	_Atomic uint64_t ends[ERROR_COUNT]; /* connections that ended, by reason */
};

/* By the owning thread only: a plain add, made visible without a locked instruction. */
static inline void counter_add(_Atomic uint64_t *value, uint64_t amount)
{
	atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + amount, memory_order_relaxed);
}

#define COUNT(counters, name) counter_add(&(counters)->values[COUNTER_##name], 1)
#define COUNT_DOWN(counters, name) counter_add(&(counters)->values[COUNTER_##name], UINT64_MAX)
#define COUNT_SET(counters, name, value)                                                                               \
	atomic_store_explicit(&(counters)->values[COUNTER_##name], (value), memory_order_relaxed)

/* Adds one thread's numbers to a sum. Any thread. */
void counters_add(struct counters *sum, const struct counters *counters);
/* "counter NAME VALUE" a line, between "counters begin" and "counters end". */
void counters_print(const struct counters *counters, FILE *out);

#endif
