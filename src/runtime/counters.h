/* Counters. A table gives their names; each thread has a block of values that it alone writes. A reader sums the
 * blocks. No locks, and no cache line that two threads write. */
#ifndef RUNTIME_COUNTERS_H
#define RUNTIME_COUNTERS_H

#include "base/error.h"
#include "runtime/timing.h"

#include <stdio.h>

#define COUNTER_TABLE(X)                                                                                               \
	/* name; kind; the metric family that exports it (admin/metrics/metrics.h), and its labels there; help. The    \
	 * family has the help of its first row. Rows of a family are adjacent. WHOLE: the sum of the family's other   \
	 * rows, which are exported instead. Names end in their unit. */                                               \
	/* ---- connections ---- */                                                                                    \
	X(connections_accepted, COUNT, "connections_accepted", "", "Sockets accepted")                                 \
	X(handshakes_open, GAUGE, "clients", "state=\"handshaking\"",                                                  \
	  "Clients by state: handshaking, connected, or offline, that is a session without a connection")              \
	X(connections_open, GAUGE, "clients", "state=\"connected\"", "Clients signed in, until their sockets close")   \
	X(sessions_offline, GAUGE, "clients", "state=\"offline\"", "Sessions without a connection")                    \
	X(connections_tcp, GAUGE, "clients_by_transport", "transport=\"tcp\"",                                         \
	  "Clients signed in, by how they come: tcp, tls, ws (WebSocket), wss (WebSocket over TLS), unix")             \
	X(connections_tls, GAUGE, "clients_by_transport", "transport=\"tls\"", "Clients over TLS")                     \
	X(connections_ws, GAUGE, "clients_by_transport", "transport=\"ws\"", "Clients over WebSocket")                 \
	X(connections_wss, GAUGE, "clients_by_transport", "transport=\"wss\"", "Clients over WebSocket over TLS")      \
	X(connections_unix, GAUGE, "clients_by_transport", "transport=\"unix\"", "Clients through unix sockets")       \
	X(connections_internal, GAUGE, "clients_internal", "",                                                         \
	  "Connections of Roost's own clients, such as the rules of streams; they count as no other clients")          \
	X(connections_fixed, GAUGE, "connections_fixed", "",                                                           \
	  "Clients whose socket is an io_uring fixed file, not a descriptor")                                          \
	X(fixed_file_failures, COUNT, "fixed_file_failures", "",                                                       \
	  "Calls on io_uring fixed files that the kernel refused; each ended the client concerned")                    \
	X(connections_signed_in, COUNT, "sign_ins", "result=\"accepted\"", "Sign-ins by result")                       \
	X(connections_refused, COUNT, "sign_ins", "result=\"refused\"",                                                \
	  "Connections ended before they were signed in")                                                              \
	X(handshake_bytes, GAUGE, "handshake_bytes", "", "Bytes of incomplete CONNECT packets that gates keep")        \
	X(tls_handshakes_open, GAUGE, "tls_handshakes_open", "", "TLS handshakes in progress")                         \
	X(tls_handshakes_waiting, GAUGE, "tls_handshakes_waiting", "",                                                 \
	  "Connections whose TLS handshake waits for its turn")                                                        \
	X(tls_handshakes_full, COUNT, "tls_handshakes", "kind=\"full\"", "TLS handshakes that succeeded, by kind")     \
	X(tls_handshakes_resumed, COUNT, "tls_handshakes", "kind=\"resumed\"", "TLS sessions that were resumed")       \
	X(tls_stream_bytes, GAUGE, "stream_bytes", "kind=\"tls\"",                                                     \
	  "Bytes that shards keep for clients over TLS (keys, records in part), WebSocket (frames in part) and "       \
	  "behind "                                                                                                    \
	  "proxies (addresses)")                                                                                       \
	X(websocket_stream_bytes, GAUGE, "stream_bytes", "kind=\"websocket\"", "Of clients over WebSocket")            \
	X(proxied_stream_bytes, GAUGE, "stream_bytes", "kind=\"proxied\"", "Of clients behind proxies")                \
	X(tls_key_updates, COUNT, "tls_key_updates", "", "Keys that were changed in the middle of a TLS session")      \
	X(proxy_checks, COUNT, "proxy_health_checks", "",                                                              \
	  "Connections of proxies themselves, such as health checks, that ended without a client")                     \
	X(passwords_waiting, GAUGE, "passwords_waiting", "",                                                           \
	  "Clients whose password is being checked or waits for it")                                                   \
	X(passwords_checked, COUNT, "passwords_checked", "",                                                           \
	  "Passwords compared with their hash, which is slow; a password in the cache is not compared again")          \
	X(admission_pauses, COUNT, "admission_pauses", "",                                                             \
	  "Turns in which no client was admitted because too many wills and other messages of the gateway itself "     \
	  "waited")                                                                                                    \
	X(accept_pauses, COUNT, "accept_pauses", "",                                                                   \
	  "Times that a gate stopped accepting for lack of descriptors or room")                                       \
	X(sessions_resumed, COUNT, "sessions_resumed", "", "Sessions that a client resumed")                           \
	X(sessions_moved_out, COUNT, "sessions_moved", "direction=\"out\"",                                            \
	  "Sessions that went to another node, or came")                                                               \
	X(sessions_moved_in, COUNT, "sessions_moved", "direction=\"in\"", "Sessions that came from other nodes")       \
	X(moves_failed, COUNT, "session_moves_failed", "", "Sessions of other nodes that did not come whole")          \
	X(claims_begun, COUNT, "claims", "", "CONNECTs that waited for what other nodes say of their client id")       \
	X(claims_late, COUNT, "claims_late", "", "CONNECTs that waited for too long, and got a new session")           \
	X(claims_refused, COUNT, "claims_refused", "", "CONNECTs that were refused because too many waited")           \
	X(sessions_expired, COUNT, "sessions_expired", "",                                                             \
	  "Sessions whose expiry interval passed without a connection")                                                \
	X(sessions_refused, COUNT, "sessions_refused", "",                                                             \
	  "Sessions that were not kept because the limit of offline sessions was reached")                             \
	X(wills_sent, COUNT, "wills_sent", "", "Wills published")                                                      \
	X(subscriptions_open, GAUGE, "subscriptions", "", "Subscriptions now")                                         \
	/* ---- messages ---- */                                                                                       \
	X(packets_in, COUNT, "packets_received", "", "Packets received")                                               \
	X(messages_in, WHOLE, "messages_received", "", "PUBLISH received, by QoS")                                     \
	X(messages_in_qos0, COUNT, "messages_received", "qos=\"0\"", "Of messages_in, at QoS 0")                       \
	X(messages_in_qos1, COUNT, "messages_received", "qos=\"1\"", "Of messages_in, at QoS 1")                       \
	X(messages_in_qos2, COUNT, "messages_received", "qos=\"2\"", "Of messages_in, at QoS 2")                       \
	X(messages_out, WHOLE, "messages_sent", "", "PUBLISH sent to subscribers' connections, by QoS")                \
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
	  "Bytes of payloads sent to subscribers' connections, by QoS")                                                \
	X(payloads_out_qos1_bytes, COUNT, "sent_payload_bytes", "qos=\"1\"", "The same at QoS 1")                      \
	X(payloads_out_qos2_bytes, COUNT, "sent_payload_bytes", "qos=\"2\"", "The same at QoS 2")                      \
	X(messages_unrouted, COUNT, "messages_unrouted", "", "PUBLISH that had no subscriber")                         \
	X(messages_dropped_queue_full, COUNT, "messages_dropped", "reason=\"queue_full\"",                             \
	  "Messages that a subscriber did not get, by reason")                                                         \
	X(messages_dropped_too_large, COUNT, "messages_dropped", "reason=\"too_large\"",                               \
	  "Messages above the subscriber's maximum packet size")                                                       \
	X(messages_dropped_memory, COUNT, "messages_dropped", "reason=\"no_memory\"",                                  \
	  "Messages dropped because memory was short")                                                                 \
	X(messages_expired, COUNT, "messages_dropped", "reason=\"expired\"",                                           \
	  "Messages that expired while they waited")                                                                   \
	X(messages_dropped_denied, COUNT, "messages_dropped", "reason=\"denied\"",                                     \
	  "Messages that waited for a client that lost the right to receive them")                                     \
	X(messages_dropped_session, COUNT, "messages_dropped", "reason=\"session_ended\"",                             \
	  "Messages that were still under way to a session when it ended")                                             \
	X(messages_lost_unreadable, COUNT, "messages_dropped", "reason=\"unreadable\"",                                \
	  "Messages that waited in the store alone and could not be read from it")                                     \
	X(messages_refused, COUNT, "messages_refused", "",                                                             \
	  "PUBLISH answered with a reason code of 0x80 or above, or dropped")                                          \
	X(store_refused_messages, COUNT, "store_refused", "what=\"message\"",                                          \
	  "What was refused because the store could not take it: messages, new sessions, subscriptions of sessions")   \
	X(store_refused_sessions, COUNT, "store_refused", "what=\"session\"",                                          \
	  "Sessions refused, new or resumed, for the same")                                                            \
	X(store_refused_subscriptions, COUNT, "store_refused", "what=\"subscription\"",                                \
	  "Subscriptions refused for the same")                                                                        \
	X(messages_skipped, COUNT, "messages_skipped", "",                                                             \
	  "PUBLISH above the maximum packet size, from clients before version 5, that were acknowledged and dropped")  \
	X(messages_repeated, COUNT, "messages_repeated", "", "Messages sent again after a reconnect")                  \
	X(messages_duplicate, COUNT, "messages_duplicate", "",                                                         \
	  "QoS 2 messages received again and not delivered again")                                                     \
	X(messages_handed_on, COUNT, "messages_handed_on", "",                                                         \
	  "Messages of a shared subscription passed on to another member")                                             \
	X(acks_unknown, COUNT, "acks_unknown", "", "Acknowledgements of a packet identifier that is not in use")       \
	X(retained_refused, COUNT, "retained_refused", "",                                                             \
	  "Retained messages that were not kept because a limit was reached")                                          \
	X(publisher_pauses, COUNT, "pauses", "why=\"inbox_full\"",                                                     \
	  "Times that the gateway stopped reading from a client, by reason: an inbox was full or a match took long; "  \
	  "the client did not read its answers; the turn's work was done")                                             \
	X(reader_pauses, COUNT, "pauses", "why=\"answers_unread\"",                                                    \
	  "Times that reading stopped because the client did not read its answers")                                    \
	X(filter_pauses, COUNT, "pauses", "why=\"many_filters\"",                                                      \
	  "Times that reading stopped because a SUBSCRIBE or UNSUBSCRIBE took several turns")                          \
	X(work_pauses, COUNT, "pauses", "why=\"turn_is_full\"",                                                        \
	  "Times that a client's packets waited for the next turn because this turn's work was done")                  \
	X(subscriber_pauses, COUNT, "pauses", "why=\"subscriber_full\"",                                               \
	  "Times that reading from a publisher stopped until a subscriber's queue became shorter")                     \
	X(ack_pauses, COUNT, "pauses", "why=\"unacknowledged\"",                                                       \
	  "Times that reading from a publisher stopped because too many messages, its own or its shard's, waited to "  \
	  "be acknowledged")                                                                                           \
	X(store_pauses, COUNT, "pauses", "why=\"store_full\"",                                                         \
	  "Times that reading from a publisher stopped until the store can take messages again")                       \
	X(congestions, COUNT, "congestions", "", "Times that publishers began to wait for a subscriber's queue")       \
	X(congestions_stuck, COUNT, "congestions_stuck", "",                                                           \
	  "Congestions in which the subscriber made no progress, so that publishers do not wait for it for a while")   \
	X(retained_expired, COUNT, "retained_expired", "", "Retained messages that expired and were removed")          \
	/* ---- access control and overload ---- */                                                                    \
	X(clients_greeting, GAUGE, "clients_by_grade", "grade=\"greeting\"",                                           \
	  "Connected clients by grade of keepalive")                                                                   \
	X(clients_active, GAUGE, "clients_by_grade", "grade=\"active\"", "Clients heard from within their keepalive")  \
	X(clients_quiet, GAUGE, "clients_by_grade", "grade=\"quiet\"",                                                 \
	  "Clients silent for longer than their keepalive")                                                            \
	X(clients_suspect, GAUGE, "clients_by_grade", "grade=\"suspect\"",                                             \
	  "Silent clients that are closed after a grace period")                                                       \
	X(clients_closing, GAUGE, "clients_by_grade", "grade=\"closing\"",                                             \
	  "Connections that close once their last output is sent")                                                     \
	X(clients_came_back, COUNT, "clients_came_back", "",                                                           \
	  "Clients that were quiet or suspect and were heard from again")                                              \
	X(addresses_kept_out, GAUGE, "addresses_kept_out", "",                                                         \
	  "Addresses that kept connecting although refused, which the kernel now keeps out")                           \
	X(denied_networks_kept_out, GAUGE, "denied_networks_kept_out", "",                                             \
	  "Denied networks that the kernel keeps out; connections from the others are refused after accept")           \
	X(listener_drops, COUNT, "listener_drops", "",                                                                 \
	  "Packets that the kernel dropped at the listeners: each attempt of an address that it keeps out, any "       \
	  "attempt while its queues were full, and with defer-accept the empty packet that ends each handshake")       \
	X(messages_denied, COUNT, "denied", "action=\"publish\"",                                                      \
	  "Requests that rules or a token did not allow, by action")                                                   \
	X(wills_denied, COUNT, "denied", "action=\"will\"",                                                            \
	  "Wills dropped because the client lost the right to publish them after CONNECT")                             \
	X(subscriptions_denied, COUNT, "denied", "action=\"subscribe\"", "Subscriptions that were not allowed")        \
	X(subscriptions_refused, COUNT, "subscriptions_refused", "",                                                   \
	  "Filters refused because the client has reached its limit of filters or of their bytes")                     \
	X(subscriptions_revoked, COUNT, "subscriptions_revoked", "",                                                   \
	  "Subscriptions ended because the client lost the right to them")                                             \
	X(sign_ins_renewed, COUNT, "sign_ins_renewed", "", "Tokens that a client replaced by AUTH")                    \
	X(tokens_verified, COUNT, "tokens_verified", "",                                                               \
	  "Tokens whose signature and claims were checked, valid or not")                                              \
	X(passwords_hashed, COUNT, "passwords_hashed", "", "Passwords that were hashed, which is slow by design")      \
	X(password_cache_hits, COUNT, "password_cache_lookups", "result=\"hit\"",                                      \
	  "Lookups in the cache of correct passwords, by result")                                                      \
	X(password_cache_misses, COUNT, "password_cache_lookups", "result=\"miss\"",                                   \
	  "Passwords that were not in the cache")                                                                      \
	X(authority_hits, COUNT, "authority_lookups", "result=\"hit\"",                                                \
	  "Sign-ins that neither a token nor the password file decides on, by whether the answer of the server that "  \
	  "does was kept")                                                                                             \
	X(authority_misses, COUNT, "authority_lookups", "result=\"miss\"", "Those that had to wait for it")            \
	X(authority_refused, COUNT, "authority_refused", "",                                                           \
	  "Sign-ins refused because that server was away, or because too many waited for it")                          \
	X(authority_waiting, GAUGE, "authority_waiting", "", "Clients that wait for that server")                      \
	X(authority_asked, COUNT, "authority_questions", "result=\"asked\"",                                           \
	  "Questions to that server: asked, of these failed for want of an answer, or with one that cannot be read")   \
	X(authority_failed, COUNT, "authority_questions", "result=\"failed\"", "Questions that got no answer")         \
	X(authority_bad, COUNT, "authority_questions", "result=\"bad\"", "Answers that cannot be read")                \
	X(authority_connected, GAUGE, "authority_connected", "",                                                       \
	  "Whether that server was there when it was asked last; Redis: whether it is connected")                      \
	X(authority_follows, GAUGE, "authority_follows", "",                                                           \
	  "Whether Redis tells of changes of what is kept; else it is good until its time is up")                      \
	X(authority_invalidations, COUNT, "authority_invalidations", "", "Changes that Redis has told of")             \
	X(authority_disabled, COUNT, "authority_disabled", "",                                                         \
	  "Users whose sessions ended because they were disabled")                                                     \
	X(authority_entries, GAUGE, "authority_entries", "", "Answers that are kept")                                  \
	X(authority_bytes, GAUGE, "authority_bytes", "", "Bytes of these answers")                                     \
	X(authority_evictions, COUNT, "authority_evictions", "", "Answers that made room for others")                  \
	X(acl_cache_hits, COUNT, "acl_cache_lookups", "result=\"hit\"",                                                \
	  "Decisions on PUBLISH where there are rules, by whether the cache had them")                                 \
	X(acl_cache_misses, COUNT, "acl_cache_lookups", "result=\"miss\"", "Decisions that the rules had to make")     \
	X(overload_grade, GAUGE, "overload_grade", "", "Grade of overload, 0 to 4, summed over the gates")             \
	X(overload_holds, COUNT, "overload_holds", "",                                                                 \
	  "Times that reading from a publisher stopped because of overload")                                           \
	X(rate_pauses, COUNT, "rate_pauses", "",                                                                       \
	  "Times that reading stopped because a client published above its rate")                                      \
	/* ---- the bridge ---- */                                                                                     \
	X(redis_connected, GAUGE, "redis_connected", "",                                                               \
	  "Whether the revocations in Redis are followed without a gap")                                               \
	X(redis_losses, COUNT, "redis_losses", "", "Times that the connection to Redis was lost")                      \
	X(redis_tls_failures, COUNT, "redis_tls_failures", "",                                                         \
	  "Attempts to reach Redis, or connections to it, that failed because of TLS")                                 \
	X(redis_scans, COUNT, "redis_scans", "", "Times that all revocations were read from Redis")                    \
	X(redis_revocations, COUNT, "redis_revocations", "",                                                           \
	  "Revocations received from Redis, repeated ones included")                                                   \
	X(redis_refused, COUNT, "redis_refused", "", "Revocations from Redis that could not be put in force")          \
	X(redis_lifted, COUNT, "redis_lifted", "", "Revocations that Redis lifted")                                    \
	X(redis_messages_bad, COUNT, "redis_messages_bad", "",                                                         \
	  "Messages on the Redis channels that could not be decoded")                                                  \
	X(jwks_fetches, COUNT, "jwks_fetches", "", "Times that the key set was requested from its URL")                \
	X(jwks_failures, COUNT, "jwks_failures", "", "Requests for the key set that failed")                           \
	/* ---- queues ---- */                                                                                         \
	X(queue_messages, GAUGE, "queue_messages", "",                                                                 \
	  "Messages that wait in sessions' queues or for an acknowledgement")                                          \
	X(stored_messages, GAUGE, "stored_messages", "", "Distinct messages kept for these queues")                    \
	X(stored_bytes, GAUGE, "stored_bytes", "", "Bytes of these messages' packets that are in memory")              \
	X(stored_absent_messages, GAUGE, "stored_absent_messages", "",                                                 \
	  "Of the stored messages, those whose packets are in the store alone")                                        \
	X(stored_absent_bytes, GAUGE, "stored_absent_bytes", "", "Bytes of these packets")                             \
	X(stored_evicted, COUNT, "stored_evicted", "", "Packets of waiting messages that have left memory")            \
	X(stored_loads, GAUGE, "stored_loads", "", "Clients that wait for packets to be read from the store")          \
	X(backlog_bytes, GAUGE, "backlog_bytes", "", "Bytes of output that wait for clients to read them")             \
	X(retained_owed, GAUGE, "retained_owed", "", "Subscriptions whose retained messages have not all been sent")   \
	X(acks_waiting, GAUGE, "acks_waiting", "",                                                                     \
	  "Messages of QoS 1 and 2 that clients have published and that are not acknowledged yet: other shards have "  \
	  "not said that they have them, or they are not safe yet")                                                    \
	X(acks_waiting_clients, GAUGE, "acks_waiting_clients", "", "Clients that wait for such acknowledgements")      \
	X(commits_waiting, GAUGE, "commits_waiting", "",                                                               \
	  "Acknowledgements, and clients' held answers, that wait for the store to make safe what they confirm")       \
	X(inbox_parcels, GAUGE, "inbox_parcels", "",                                                                   \
	  "Batches of records between shards that are sent and not yet returned")                                      \
	X(inbox_bytes, GAUGE, "inbox_bytes", "", "Bytes of records in these batches")                                  \
	/* ---- the loops ---- */                                                                                      \
	X(turns, COUNT, "turns", "", "Turns of the loops")                                                             \
	X(work_units, COUNT, "work_units", "", "Units of work that the loops have done, each about 100 ns")            \
	X(stalled_turns, COUNT, "stalled_turns", "",                                                                   \
	  "Turns that took long although their thread hardly ran, because the machine was busy or stood still")        \
	X(events, COUNT, "events", "", "Events that the kernel reported to the loops")                                 \
	X(reads, COUNT, "system_calls", "call=\"read\"", "System calls that move bytes, by kind")                      \
	X(writes, COUNT, "system_calls", "call=\"write\"", "Write system calls")                                       \
	X(quick_acks, COUNT, "quick_acks", "", "Reads after which TCP was asked to acknowledge at once")               \
	X(node_mails_unknown, COUNT, "node_mails_unknown", "",                                                         \
	  "Pieces from the nodes thread that no shard understands; always 0")                                          \
	X(commands, COUNT, "commands", "", "Commands of the admin API that shards have carried out")                   \
	X(allocations, COUNT, "allocations", "",                                                                       \
	  "Times that memory was taken from the system or touched for the first time")                                 \
	/* ---- memory: pools hold objects of one size; a free one was used before and is kept ---- */                 \
	X(pool_clients_used, GAUGE, "pool_objects", "pool=\"clients\",state=\"used\"",                                 \
	  "Objects in pools, used and free; a free object still takes memory")                                         \
	X(pool_clients_free, GAUGE, "pool_objects", "pool=\"clients\",state=\"free\"", "Free places for clients")      \
	X(pool_subscriptions_used, GAUGE, "pool_objects", "pool=\"subscriptions\",state=\"used\"", "Subscriptions")    \
	X(pool_subscriptions_free, GAUGE, "pool_objects", "pool=\"subscriptions\",state=\"free\"",                     \
	  "Free places for subscriptions")                                                                             \
	X(pool_lists_used, GAUGE, "pool_objects", "pool=\"subscriber_lists\",state=\"used\"",                          \
	  "Lists of the subscribers of a filter")                                                                      \
	X(pool_lists_free, GAUGE, "pool_objects", "pool=\"subscriber_lists\",state=\"free\"",                          \
	  "Free places for such lists")                                                                                \
	X(pool_queue_used, GAUGE, "pool_objects", "pool=\"queue_entries\",state=\"used\"",                             \
	  "Entries of sessions' queues")                                                                               \
	X(pool_queue_free, GAUGE, "pool_objects", "pool=\"queue_entries\",state=\"free\"",                             \
	  "Free places for queue entries")                                                                             \
	X(slab_used_bytes, GAUGE, "slab_bytes", "state=\"used\"",                                                      \
	  "Bytes in blocks of varying size, used and free: client ids, session extensions, kept packets")              \
	X(slab_free_bytes, GAUGE, "slab_bytes", "state=\"free\"", "Bytes in free blocks")

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

/* One row of COUNTER_TABLE. */
struct counter_row {
	const char *name;
	enum counter_kind kind;
	const char *family;
	const char *labels;
	const char *help;
};

struct counters {
	_Alignas(64) _Atomic uint64_t values[COUNTER_COUNT];
	_Atomic uint64_t ends[ERROR_COUNT];  /* ended connections, by reason */
	struct timing turn_time;             /* of turns, from wake-up to end */
	struct timing wake_lag;              /* from when a sleeping loop should wake until it does */
	struct timing delivery;              /* of messages, from read to write */
	_Atomic uint64_t turn_max_ns;        /* the longest turn; in a sum, the longest of all */
	_Atomic uint64_t turn_recent_max_ns; /* the longest of the last seconds (runtime/turn_stats.h) */
	_Atomic uint64_t turn_work_max;      /* the turn with the most work (runtime/turn_work.h); in a sum, of all */
	_Atomic uint64_t step_work_max;      /* the step with the most work; in a sum, of all */
	_Atomic uint64_t turned_ms;          /* when the last turn began, on the monotonic clock; not summed */
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
/* Prints one line "counter NAME VALUE" each, between "counters begin" and "counters end". */
void counters_print(const struct counters *counters, FILE *out);

#endif
