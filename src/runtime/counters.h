/* What a thread counts: a table of names, one block of numbers a thread, written by that thread only and summed by
 * whoever reads. No lock, no shared line. */
#ifndef RUNTIME_COUNTERS_H
#define RUNTIME_COUNTERS_H

#include "base/error.h"
#include "runtime/timing.h"

#include <stdio.h>

#define COUNTER_TABLE(X)                                                                                               \
	/* name; how it moves; the family that shows it to others (admin/metrics.h), and its labels there; help, of    \
	 * which the first row's is the family's. Rows of a family stand together. WHOLE: the sum of the family's      \
	 * other rows, which are shown instead. Names end in their unit. */                                            \
	/* ---- connections ---- */                                                                                    \
	X(connections_accepted, COUNT, "connections_accepted", "", "Sockets accepted")                                 \
	X(handshakes_open, GAUGE, "clients", "state=\"handshaking\"",                                                  \
	  "Clients by state: handshaking, connected, or a session without a connection")                               \
	X(connections_open, GAUGE, "clients", "state=\"connected\"", "Clients signed in now")                          \
	X(sessions_offline, GAUGE, "clients", "state=\"offline\"", "Sessions without a connection")                    \
	X(connections_fixed, GAUGE, "connections_fixed", "",                                                           \
	  "Clients whose socket is in a table of io_uring's, not in a descriptor table")                               \
	X(fixed_file_failures, COUNT, "fixed_file_failures", "",                                                       \
	  "Calls on sockets in io_uring's tables that the kernel refused; the client that it concerned was ended")     \
	X(connections_signed_in, COUNT, "sign_ins", "result=\"accepted\"", "Sign-ins by result")                       \
	X(connections_refused, COUNT, "sign_ins", "result=\"refused\"",                                                \
	  "Connections ended before they were signed in")                                                              \
	X(handshake_bytes, GAUGE, "handshake_bytes", "", "Bytes that gates keep of CONNECTs that came in part")        \
	X(passwords_waiting, GAUGE, "passwords_waiting", "", "Clients whose password waits to be checked, or is")      \
	X(passwords_checked, COUNT, "passwords_checked", "",                                                           \
	  "Passwords compared with their hash, which takes long; those that were found good before are not")           \
	X(admission_pauses, COUNT, "admission_pauses", "",                                                             \
	  "Turns in which nobody was let in because too many wills and other messages of the gateway's own waited")    \
	X(accept_pauses, COUNT, "accept_pauses", "",                                                                   \
	  "Times that accepting was stopped for want of descriptors or places")                                        \
	X(sessions_resumed, COUNT, "sessions_resumed", "", "Sessions that a client came back to")                      \
	X(sessions_expired, COUNT, "sessions_expired", "", "Sessions whose time without a connection was over")        \
	X(sessions_refused, COUNT, "sessions_refused", "",                                                             \
	  "Sessions that could not be kept: there are as many as there may be")                                        \
	X(wills_sent, COUNT, "wills_sent", "", "Wills published")                                                      \
	X(subscriptions_open, GAUGE, "subscriptions", "", "Subscriptions now")                                         \
	/* ---- messages ---- */                                                                                       \
	X(packets_in, COUNT, "packets_received", "", "Packets received")                                               \
	X(messages_in, WHOLE, "messages_received", "", "PUBLISH received, by QoS")                                     \
	X(messages_in_qos0, COUNT, "messages_received", "qos=\"0\"", "Of messages_in, at QoS 0")                       \
	X(messages_in_qos1, COUNT, "messages_received", "qos=\"1\"", "Of messages_in, at QoS 1")                       \
	X(messages_in_qos2, COUNT, "messages_received", "qos=\"2\"", "Of messages_in, at QoS 2")                       \
	X(messages_out, WHOLE, "messages_sent", "", "PUBLISH given to a subscriber's connection, by QoS")              \
	X(messages_out_qos0, COUNT, "messages_sent", "qos=\"0\"", "Of messages_out, at QoS 0")                         \
	X(messages_out_qos1, COUNT, "messages_sent", "qos=\"1\"", "Of messages_out, at QoS 1")                         \
	X(messages_out_qos2, COUNT, "messages_sent", "qos=\"2\"", "Of messages_out, at QoS 2")                         \
	X(messages_from_api, COUNT, "messages_from_api", "", "Messages published through the admin API")               \
	X(bytes_in, COUNT, "received_bytes", "", "Bytes received from clients")                                        \
	X(bytes_out, COUNT, "sent_bytes", "", "Bytes sent to clients")                                                 \
	X(payloads_in_qos0_bytes, COUNT, "received_payload_bytes", "qos=\"0\"", "Bytes of payloads received, by QoS")  \
	X(payloads_in_qos1_bytes, COUNT, "received_payload_bytes", "qos=\"1\"", "The same at QoS 1")                   \
	X(payloads_in_qos2_bytes, COUNT, "received_payload_bytes", "qos=\"2\"", "The same at QoS 2")                   \
	X(payloads_out_qos0_bytes, COUNT, "sent_payload_bytes", "qos=\"0\"",                                           \
	  "Bytes of payloads given to subscribers' connections, by QoS")                                               \
	X(payloads_out_qos1_bytes, COUNT, "sent_payload_bytes", "qos=\"1\"", "The same at QoS 1")                      \
	X(payloads_out_qos2_bytes, COUNT, "sent_payload_bytes", "qos=\"2\"", "The same at QoS 2")                      \
	X(messages_unrouted, COUNT, "messages_unrouted", "", "PUBLISH that had no subscriber")                         \
	X(messages_dropped_queue_full, COUNT, "messages_dropped", "reason=\"queue_full\"",                             \
	  "Messages that a subscriber did not get, by reason")                                                         \
	X(messages_dropped_too_large, COUNT, "messages_dropped", "reason=\"too_large\"",                               \
	  "Messages above the subscriber's maximum packet size")                                                       \
	X(messages_dropped_memory, COUNT, "messages_dropped", "reason=\"no_memory\"", "Messages dropped: no memory")   \
	X(messages_expired, COUNT, "messages_dropped", "reason=\"expired\"",                                           \
	  "Messages that expired while they waited")                                                                   \
	X(messages_dropped_denied, COUNT, "messages_dropped", "reason=\"denied\"",                                     \
	  "Messages that waited for a client that may not have them any more")                                         \
	X(messages_dropped_session, COUNT, "messages_dropped", "reason=\"session_ended\"",                             \
	  "Messages that were still under way to a session when it ended")                                             \
	X(messages_refused, COUNT, "messages_refused", "",                                                             \
	  "PUBLISH that was answered with a reason code above 0x80, or left out")                                      \
	X(messages_skipped, COUNT, "messages_skipped", "",                                                             \
	  "PUBLISH above the maximum packet size that were acknowledged before version 5, and left out")               \
	X(messages_repeated, COUNT, "messages_repeated", "", "Messages sent again after a reconnect")                  \
	X(messages_duplicate, COUNT, "messages_duplicate", "",                                                         \
	  "QoS 2 messages that came again and were not delivered again")                                               \
	X(messages_handed_on, COUNT, "messages_handed_on", "",                                                         \
	  "Messages of a shared subscription that went to another member")                                             \
	X(acks_unknown, COUNT, "acks_unknown", "", "Acknowledgements of a packet identifier that was not under way")   \
	X(retained_refused, COUNT, "retained_refused", "",                                                             \
	  "Retained messages that were not kept: there are as many as there may be")                                   \
	X(publisher_pauses, COUNT, "pauses", "why=\"inbox_full\"",                                                     \
	  "Times that a client was left unread, by reason: an inbox was full or its message's match long; it did not " \
	  "read its answers; the turn had done its work")                                                              \
	X(reader_pauses, COUNT, "pauses", "why=\"answers_unread\"",                                                    \
	  "Times that a client was left unread because it did not read its answers")                                   \
	X(filter_pauses, COUNT, "pauses", "why=\"many_filters\"",                                                      \
	  "Times that a client was left unread because its SUBSCRIBE or UNSUBSCRIBE goes on over several turns")       \
	X(work_pauses, COUNT, "pauses", "why=\"turn_is_full\"",                                                        \
	  "Times that a client's packets waited for the next turn because this one had done its share of work")        \
	X(subscriber_pauses, COUNT, "pauses", "why=\"subscriber_full\"",                                               \
	  "Times that a publisher was left unread because a subscriber's queue was to fall first")                     \
	X(ack_pauses, COUNT, "pauses", "why=\"unacknowledged\"",                                                       \
	  "Times that a publisher was left unread because too many messages, its own or its shard's, waited to be "    \
	  "acknowledged")                                                                                              \
	X(congestions, COUNT, "congestions", "", "Times that publishers began to wait for a subscriber's queue")       \
	X(congestions_stuck, COUNT, "congestions_stuck", "",                                                           \
	  "Of them, those in which it did not take its messages, so that nobody waits for it for a while")             \
	X(retained_expired, COUNT, "retained_expired", "", "Retained messages that expired and were taken away")       \
	/* ---- who may come in and what gives way ---- */                                                             \
	X(clients_greeting, GAUGE, "clients_by_grade", "grade=\"greeting\"",                                           \
	  "Connected clients by what is heard of them")                                                                \
	X(clients_active, GAUGE, "clients_by_grade", "grade=\"active\"", "Heard of as they should be")                 \
	X(clients_quiet, GAUGE, "clients_by_grade", "grade=\"quiet\"", "Silent for longer than their keepalive")       \
	X(clients_suspect, GAUGE, "clients_by_grade", "grade=\"suspect\"", "Closed after a grace unless heard of")     \
	X(clients_closing, GAUGE, "clients_by_grade", "grade=\"closing\"",                                             \
	  "Connections whose last words are under way")                                                                \
	X(clients_came_back, COUNT, "clients_came_back", "",                                                           \
	  "Clients that were quiet or suspect and were heard of again")                                                \
	X(addresses_kept_out, GAUGE, "addresses_kept_out", "",                                                         \
	  "Addresses that went on although refused, and are kept out by the kernel now")                               \
	X(denied_networks_kept_out, GAUGE, "denied_networks_kept_out", "",                                             \
	  "Denied networks that the kernel keeps out; those of the others are refused after accept")                   \
	X(listener_drops, COUNT, "listener_drops", "",                                                                 \
	  "Packets that the kernel dropped in front of the listeners: each try of those that it keeps out, anyone's "  \
	  "while its queues were full, and with defer-accept the empty packet that ends each handshake")               \
	X(messages_denied, COUNT, "denied", "action=\"publish\"", "What rules or a token did not allow")               \
	X(wills_denied, COUNT, "denied", "action=\"will\"",                                                            \
	  "Wills left out: the right that their client had at CONNECT was taken")                                      \
	X(subscriptions_denied, COUNT, "denied", "action=\"subscribe\"", "Subscriptions that were not allowed")        \
	X(subscriptions_refused, COUNT, "subscriptions_refused", "",                                                   \
	  "Filters refused because their client has as many of them as it may, or as many bytes")                      \
	X(subscriptions_revoked, COUNT, "subscriptions_revoked", "",                                                   \
	  "Subscriptions ended because their client may not have them any more")                                       \
	X(sign_ins_renewed, COUNT, "sign_ins_renewed", "", "Tokens that AUTH replaced by a later one")                 \
	X(tokens_verified, COUNT, "tokens_verified", "",                                                               \
	  "Tokens whose signature and claims were checked, good or not")                                               \
	X(passwords_hashed, COUNT, "passwords_hashed", "", "Passwords that were hashed, which takes long by intent")   \
	X(password_cache_hits, COUNT, "password_cache_lookups", "result=\"hit\"",                                      \
	  "Passwords of known users, by whether they were found good before")                                          \
	X(password_cache_misses, COUNT, "password_cache_lookups", "result=\"miss\"",                                   \
	  "Passwords that were not remembered")                                                                        \
	X(acl_cache_hits, COUNT, "acl_cache_lookups", "result=\"hit\"",                                                \
	  "Decisions on PUBLISH where there are rules, by whether they were made before")                              \
	X(acl_cache_misses, COUNT, "acl_cache_lookups", "result=\"miss\"", "Decisions that the rules were asked for")  \
	X(overload_grade, GAUGE, "overload_grade", "", "Grade of overload, 0 to 4, summed over the gates")             \
	X(overload_holds, COUNT, "overload_holds", "",                                                                 \
	  "Times that a publisher was left unread because there was too much to do")                                   \
	X(rate_pauses, COUNT, "rate_pauses", "",                                                                       \
	  "Times that a client was left unread because it published faster than it may")                               \
	/* ---- the bridge ---- */                                                                                     \
	X(redis_connected, GAUGE, "redis_connected", "",                                                               \
	  "Whether the revocations in Redis are followed without a gap")                                               \
	X(redis_losses, COUNT, "redis_losses", "", "Times that Redis was lost")                                        \
	X(redis_scans, COUNT, "redis_scans", "", "Times that all revocations were read from Redis")                    \
	X(redis_revocations, COUNT, "redis_revocations", "", "Revocations that Redis told of, each time that it did")  \
	X(redis_refused, COUNT, "redis_refused", "", "Of its revocations, those that could not be put in force")       \
	X(redis_lifted, COUNT, "redis_lifted", "", "Revocations that Redis lifted")                                    \
	X(redis_messages_bad, COUNT, "redis_messages_bad", "", "Messages on its channels that could not be read")      \
	X(jwks_fetches, COUNT, "jwks_fetches", "", "Times that the key set's URL was asked")                           \
	X(jwks_failures, COUNT, "jwks_failures", "", "Of those, the times that no keys came")                          \
	/* ---- what waits ---- */                                                                                     \
	X(queue_messages, GAUGE, "queue_messages", "",                                                                 \
	  "Messages that wait for sessions, or for their acknowledgement")                                             \
	X(stored_messages, GAUGE, "stored_messages", "", "Distinct messages kept for that")                            \
	X(stored_bytes, GAUGE, "stored_bytes", "", "Bytes of their packets")                                           \
	X(backlog_bytes, GAUGE, "backlog_bytes", "", "Bytes that wait for clients to read")                            \
	X(retained_owed, GAUGE, "retained_owed", "", "Subscriptions whose retained messages were not all sent yet")    \
	X(acks_waiting, GAUGE, "acks_waiting", "",                                                                     \
	  "Messages of QoS 1 and 2 that clients have published and that are not acknowledged yet: other shards have "  \
	  "not said that they have them")                                                                              \
	X(acks_waiting_clients, GAUGE, "acks_waiting_clients", "", "Clients that wait for such acknowledgements")      \
	X(inbox_parcels, GAUGE, "inbox_parcels", "",                                                                   \
	  "Batches of records on their way between shards, or not yet given back")                                     \
	X(inbox_bytes, GAUGE, "inbox_bytes", "", "Bytes of records in them")                                           \
	/* ---- the loops ---- */                                                                                      \
	X(turns, COUNT, "turns", "", "Turns of the loops")                                                             \
	X(work_units, COUNT, "work_units", "", "Units of work that the loops have done, each about 100 ns")            \
	X(stalled_turns, COUNT, "stalled_turns", "",                                                                   \
	  "Turns that took long although their thread hardly ran: the machine was busy with something else, "          \
	  "or stood still")                                                                                            \
	X(events, COUNT, "events", "", "Events that the kernel reported to the loops")                                 \
	X(reads, COUNT, "system_calls", "call=\"read\"", "System calls that move bytes, by kind")                      \
	X(writes, COUNT, "system_calls", "call=\"write\"", "Write system calls")                                       \
	X(quick_acks, COUNT, "quick_acks", "", "Reads that TCP was asked to acknowledge at once")                      \
	X(commands, COUNT, "commands", "", "Commands of the admin side that shards have carried out")                  \
	X(allocations, COUNT, "allocations", "",                                                                       \
	  "Times that memory was taken from the system or touched for the first time")                                 \
	/* ---- memory: pools hold objects of one size, which were used once and are free, or are used now ---- */     \
	X(pool_clients_used, GAUGE, "pool_objects", "pool=\"clients\",state=\"used\"",                                 \
	  "Objects in pools, used and free; free ones hold memory that was used before")                               \
	X(pool_clients_free, GAUGE, "pool_objects", "pool=\"clients\",state=\"free\"",                                 \
	  "Clients' places that are free")                                                                             \
	X(pool_subscriptions_used, GAUGE, "pool_objects", "pool=\"subscriptions\",state=\"used\"", "Subscriptions")    \
	X(pool_subscriptions_free, GAUGE, "pool_objects", "pool=\"subscriptions\",state=\"free\"",                     \
	  "Subscriptions' places that are free")                                                                       \
	X(pool_lists_used, GAUGE, "pool_objects", "pool=\"subscriber_lists\",state=\"used\"",                          \
	  "Lists of a filter's subscribers")                                                                           \
	X(pool_lists_free, GAUGE, "pool_objects", "pool=\"subscriber_lists\",state=\"free\"",                          \
	  "Lists' places that are free")                                                                               \
	X(pool_queue_used, GAUGE, "pool_objects", "pool=\"queue_entries\",state=\"used\"",                             \
	  "Entries of sessions' queues")                                                                               \
	X(pool_queue_free, GAUGE, "pool_objects", "pool=\"queue_entries\",state=\"free\"",                             \
	  "Entries' places that are free")                                                                             \
	X(slab_used_bytes, GAUGE, "slab_bytes", "state=\"used\"",                                                      \
	  "Bytes in blocks of varying size, used and free: client ids, sessions' extension, kept packets")             \
	X(slab_free_bytes, GAUGE, "slab_bytes", "state=\"free\"", "Bytes in blocks that are free")

enum counter {
#define X(name, kind, family, labels, help) COUNTER_##name,
	COUNTER_TABLE(X)
#undef X
		COUNTER_COUNT
};

enum counter_kind {
	COUNTER_KIND_COUNT,
	COUNTER_KIND_GAUGE,
	COUNTER_KIND_WHOLE,
};

/* A row of the table. */
struct counter_row {
	const char *name;
	enum counter_kind kind;
	const char *family;
	const char *labels;
	const char *help;
};

struct counters {
	_Alignas(64) _Atomic uint64_t values[COUNTER_COUNT];
	_Atomic uint64_t ends[ERROR_COUNT];  /* connections that ended, by reason */
	struct timing turn_time;             /* of a turn, from its waking to its end */
	struct timing wake_lag;              /* from when a sleeping loop was to wake until it did */
	struct timing delivery;              /* of a message, from reading to writing it */
	_Atomic uint64_t turn_max_ns;        /* the longest turn; in a sum the longest of all */
	_Atomic uint64_t turn_recent_max_ns; /* the same within the last seconds (runtime/turn_stats.h) */
	_Atomic uint64_t turn_work_max;      /* the turn with the most work (runtime/turn_work.h); in a sum likewise */
	_Atomic uint64_t step_work_max;      /* the same of what is not interrupted */
	_Atomic uint64_t turned_ms;          /* when its last turn began, on the monotonic clock; not in a sum */
};

const struct counter_row *counter_row(enum counter counter);

#define COUNT(counters, name) counter_add(&(counters)->values[COUNTER_##name], 1)
#define COUNT_DOWN(counters, name) counter_add(&(counters)->values[COUNTER_##name], UINT64_MAX)
#define COUNT_SET(counters, name, value)                                                                               \
	atomic_store_explicit(&(counters)->values[COUNTER_##name], (value), memory_order_relaxed)

static inline uint64_t counter_of(const struct counters *counters, enum counter counter)
{
	return atomic_load_explicit(&counters->values[counter], memory_order_relaxed);
}

/* Adds one thread's numbers to a sum. Any thread. */
void counters_add(struct counters *sum, const struct counters *counters);
/* "counter NAME VALUE" a line, between "counters begin" and "counters end". */
void counters_print(const struct counters *counters, FILE *out);

#endif
