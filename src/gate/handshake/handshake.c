#include "gate/handshake/handshake.h"

#include "access/address_check.h"
#include "base/log.h"
#include "gate/handshake/tls_queue.h"

#include <stddef.h>
#include <stdlib.h>

_Static_assert(offsetof(struct handshake, conn) == 0 && offsetof(struct conn, stream) == 0,
	       "the free list's link overwrites nothing but conn.stream");
_Static_assert(offsetof(struct conn, generation) >= sizeof(uint32_t), "the generation outlives the handshake");

/* ---- addresses ---- */

bool gate_is_proxy(const struct gate *gate, uint8_t listener, const union peer *peer)
{
	const struct listener_settings *own = gate_listener_settings(gate, listener);
	struct sockaddr_storage address = peer_address(peer);
	struct prefix prefix;
	CHECK_LE(own->proxy_count, LISTENER_NETWORKS_MAX);
	if (!prefix_of(&address, 32, 128, &prefix))
		return own->proxy_all_unix && gate_listener(gate, listener)->scheme == LISTENER_UNIX;
	for (uint32_t i = 0; i < own->proxy_count; i++) {
		if (network_has(&own->proxies[i], &prefix))
			return true;
	}
	return false;
}

enum error gate_check_address(struct gate *gate, const union peer *peer, bool through_proxy, uint32_t *place)
{
	struct network counted;
	struct sockaddr_storage address = peer_address(peer);
	enum error error = address_check(gate->settings, gate->addresses, &address, gate->now_ms, &counted, place);
	if (error != ERROR_OK && counted.bits != 0 && gate->number == 0 && !through_proxy)
		drop_list_refused(&gate->drop_list, gate->settings, &counted, gate->now_ms, &gate->counters);
	return error;
}

/* ---- how a handshake ends ---- */

void gate_handshake_release(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	if (handshake->password != NULL) {
		atomic_store(&handshake->password->abandoned, true);
		handshake->password = NULL;
		COUNT_DOWN(&gate->counters, passwords_waiting);
	}
	if (handshake->asked != NULL) {
		atomic_store(&handshake->asked->abandoned, true);
		handshake->asked = NULL;
		COUNT_DOWN(&gate->counters, authority_waiting);
	}
	outside_answer_put(&handshake->answer);
	gate_tls_queue_remove(gate, index);
	gate_tls_free(gate, index);
	free(handshake->name);
	free(handshake->server_name);
	handshake->name = handshake->server_name = NULL;
	wheel_remove(&gate->wheel, index);
	handshake->conn.generation++;
	handshake->registered = false;
	io_drop_input(&gate->io, &handshake->conn);
	pool_give(&gate->handshakes, index);
	COUNT_DOWN(&gate->counters, handshakes_open);
}

void gate_log_refusal(const struct gate *gate, uint8_t listener, const union peer *peer, const char *server_name,
		      enum error reason)
{
	/* A flood causes many thousands of these per second. */
	bool quiet = reason == ERROR_CONNECTION_LOST || reason == ERROR_ADDRESS_DENIED ||
		     reason == ERROR_ADDRESS_CONNECTIONS || reason == ERROR_ADDRESS_HANDSHAKES ||
		     reason == ERROR_ADDRESS_RATE || reason == ERROR_TLS_HANDSHAKE_QUEUE;
	enum log_level level = quiet ? LOG_DEBUG : LOG_INFO;
	if (!log_enabled(level))
		return;
	char text[PEER_TEXT_BYTES_MAX];
	const char *rule = error_rule(reason);
	bool named = server_name != NULL;
	/* What the client has said itself comes last, behind what programs read (fail2ban). */
	log_write(level, "%s: refused a connection from %s: %s%s%s%s%.253s%s", gate_listener(gate, listener)->url,
		  peer_print(peer, text), error_sentence(reason), rule[0] != '\0' ? " " : "", rule,
		  named ? " (for " : "", named ? server_name : "", named ? ")" : "");
}

void gate_handshake_refuse(struct gate *gate, uint32_t index, enum error reason, uint8_t version)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	uint8_t refusal[REFUSAL_BYTES_MAX];
	size_t size = 0;
	if (handshake->stage == GATE_CONNECT)
		size = handshake_refusal(reason, drain_reference_for(&gate->settings->drain, reason), version,
					 handshake_retry_ms(reason), refusal);
	if (size != 0)
		io_send_last(&gate->io, &handshake->conn, slice_of(refusal, size));
	COUNT(&gate->counters, connections_refused);
	counter_add(&gate->counters.ends[reason], 1);
	gate_log_refusal(gate, handshake->listener, &handshake->peer, handshake->server_name, reason);
	addresses_leave(gate->addresses, handshake->address, false);
	io_disconnect(&gate->io, &handshake->conn);
	gate_handshake_release(gate, index);
}

/* A balancer looks whether somebody listens: it connects and closes, with a PROXY head that says LOCAL or without any,
 * perhaps after a TLS handshake. */
static void end_check(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	COUNT(&gate->counters, proxy_checks);
	addresses_leave(gate->addresses, handshake->address, false);
	io_disconnect(&gate->io, &handshake->conn);
	gate_handshake_release(gate, index);
}

void gate_handshake_lost(struct gate *gate, uint32_t index, enum error reason)
{
	const struct handshake *handshake = gate_handshake_at(gate, index);
	bool said_nothing = handshake->stage == GATE_PROXY && handshake->conn.kept == 0;
	if (handshake->is_check || (said_nothing && reason == ERROR_CONNECTION_LOST))
		end_check(gate, index);
	else
		gate_handshake_refuse(gate, index, reason, 0);
}

/* ---- waiting ---- */

bool gate_handshake_reads(const struct handshake *handshake)
{
	bool waits_its_turn = handshake->tls_wait != GATE_TLS_WAITS_NOT && handshake->tls_wait != GATE_TLS_CLIENT;
	return handshake->password == NULL && handshake->asked == NULL && !waits_its_turn &&
	       !(handshake->is_over && handshake->conn.backlog != 0);
}

void gate_handshake_wait(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	if (handshake->registered)
		return;
	uint64_t tag = (uint64_t)handshake->conn.generation << 32 | index;
	int fd = stream_borrow(&gate->io.streams, handshake->conn.stream);
	enum error error = poller_add(&gate->poller, fd, tag, POLLER_EDGE_BOTH);
	stream_give_back(&gate->io.streams, handshake->conn.stream, fd);
	if (error != ERROR_OK) {
		gate_handshake_refuse(gate, index, ERROR_SYSTEM, 0);
		return;
	}
	handshake->registered = true;
	bool in_tls = handshake->stage <= GATE_TLS;
	wheel_add(&gate->wheel, index, in_tls ? handshake->tls_deadline_ms : handshake->deadline_ms);
}

void gate_handshake_keep(struct gate *gate, uint32_t index, struct slice bytes, size_t packet_bytes, bool replay,
			 uint8_t version)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	if (gate_bytes_kept(gate) + bytes.size > gate->settings->handshake_bytes_max)
		gate_handshake_refuse(gate, index, ERROR_HANDSHAKE_BYTES, version);
	else if (io_keep(&gate->io, &handshake->conn, bytes, packet_bytes, replay) != ERROR_OK)
		gate_handshake_refuse(gate, index, ERROR_NO_MEMORY, version);
	else
		gate_handshake_wait(gate, index);
}

/* ---- writing ---- */

bool gate_handshake_send(struct gate *gate, uint32_t index, struct slice bytes)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	if (bytes.size == 0)
		return true;
	gate->write_failed = false;
	io_send(&gate->io, &handshake->conn, bytes);
	io_flush_conn(&gate->io, &handshake->conn);
	CHECK(handshake->conn.outbox == 0);
	return !gate->write_failed;
}

char *gate_copy_text(struct slice text)
{
	if (text.size == 0 || memchr(text.data, '\0', text.size) != NULL)
		return NULL;
	char *copy = malloc(text.size + 1);
	if (copy == NULL)
		return NULL;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	return copy;
}
