#include "gate/connect.h"

#include "access/access.h"
#include "access/addresses.h"
#include "access/admission.h"
#include "gate/handshake/asking.h"
#include "gate/handshake/passwords.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- handing over ---- */

/* The batch holds fewer than FDPASS_BATCH_MAX. Takes over fd and admission. */
static void gate_batch_add(struct gate *gate, uint16_t shard, int fd, struct admission *admission)
{
	CHECK_LT(shard, gate->shard_count);
	struct gate_batch *batch = &gate->batches[shard];
	CHECK_LT(batch->count, FDPASS_BATCH_MAX);
	batch->fds[batch->count] = fd;
	batch->admissions[batch->count++] = admission;
	gate->batched++;
	batch->bytes += admission_bytes(admission);
	gate->batched_bytes += admission_bytes(admission);
}

bool gate_batch_send(struct gate *gate, uint16_t shard)
{
	struct gate_batch *batch = &gate->batches[shard];
	if (batch->count == 0)
		return true;
	enum error error = fdpass_send(gate->admission_fds[shard], batch->fds, batch->count, batch->admissions,
				       batch->count * sizeof(batch->admissions[0]));
	if (error == ERROR_MORE)
		return false;
	CHECK(error == ERROR_OK);
	CHECK_GE(gate->batched, batch->count);
	CHECK_GE(gate->batched_bytes, batch->bytes);
	for (uint32_t i = 0; i < batch->count; i++)
		stream_close_descriptor(batch->fds[i]); /* the shard has the socket by now */
	gate->batched -= batch->count;
	gate->batched_bytes -= batch->bytes;
	batch->count = 0;
	batch->bytes = 0;
	return true;
}

/* ---- admission ---- */

/* Roost's own connections are few, and bounded by the configuration. */
static enum quota_taken connect_place(const struct gate *gate, const struct handshake *handshake, uint16_t shard)
{
	struct quota *quota = gate->shards[shard].env.quota;
	if (handshake->listener != GATE_INTERNAL)
		return quota_take(quota);
	quota_take_beyond(quota);
	return QUOTA_ONE;
}

static void connect_admit(struct gate *gate, uint32_t index, struct admission *admission)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	CHECK(handshake->password == NULL && handshake->asked == NULL); /* what they wait for would come too late */
	uint16_t number = shard_of_hash(admission->hash, gate->shard_count);
	CHECK_LT(number, gate->shard_count);
	struct gate_batch *batch = &gate->batches[number];
	bool fits = (batch->count < FDPASS_BATCH_MAX || gate_batch_send(gate, number)) &&
		    gate->batched_bytes < gate->settings->handshake_bytes_max;
	enum quota_taken taken = fits ? connect_place(gate, handshake, number) : QUOTA_NONE;
	if (taken == QUOTA_NONE) {
		uint8_t version = admission->version;
		free(admission);
		gate_handshake_refuse(gate, index, ERROR_SERVER_FULL, version);
		return;
	}
	int fd = io_release(&gate->io, &handshake->conn, &admission->carry);
	if (fd < 0) {
		uint8_t version = admission->version;
		free(admission);
		quota_give(gate->shards[number].env.quota);
		gate_handshake_refuse(gate, index, ERROR_NO_MEMORY, version);
		return;
	}
	addresses_sign_in(gate->addresses, handshake->address);
	admission->address = handshake->address;
	admission->is_unix = gate_listener(gate, handshake->listener)->scheme == LISTENER_UNIX;
	admission->is_beyond = taken == QUOTA_BEYOND;
	/* epoll reports a socket as long as any copy of its descriptor is open, and the shard keeps one. */
	if (handshake->registered)
		poller_remove(&gate->poller, fd);
	if (!admission->is_unix)
		drop_list_let_in(gate->settings, fd);
	gate_batch_add(gate, number, fd, admission);
	gate_handshake_release(gate, index);
}

/* ---- CONNECT ---- */

/* "unix:" and the number of a user. */
#define UNIX_USER_BYTES_MAX 16u

/* Of those that have come to a loopback address. A proxy on this machine brings clients from elsewhere, and of one
 * whose address it does not tell (UNKNOWN, UNSPEC) nothing is known. */
static bool comes_from_here(const struct handshake *handshake)
{
	if (!handshake->is_proxied || handshake->is_check)
		return true;
	return handshake->is_named && peer_is_local(&handshake->peer);
}

/* What the stages before, and the kernel, know of the client. */
static struct handshake_origin origin_of(const struct gate *gate, const struct handshake *handshake,
					 char unix_user[UNIX_USER_BYTES_MAX])
{
	const struct listener_settings *own = gate_listener_settings(gate, handshake->listener);
	struct handshake_origin origin = {.loopback = gate_listener(gate, handshake->listener)->loopback &&
						      comes_from_here(handshake),
					  .is_internal = handshake->listener == GATE_INTERNAL};
	struct slice name = handshake->name != NULL ? slice_string(handshake->name) : slice_of(NULL, 0);
	if (own->certificate_names == CERTIFICATE_NAMES_USER)
		origin.user = name;
	else if (own->certificate_names == CERTIFICATE_NAMES_CLIENT_ID)
		origin.client_id = name;
	if (own->peer_names_user && handshake->peer.any.sa_family == AF_UNIX && !handshake->is_proxied) {
		snprintf(unix_user, UNIX_USER_BYTES_MAX, "unix:%u", handshake->peer.process.uid);
		origin.user = slice_string(unix_user);
	}
	return origin;
}

/* True: what was asked about the client outside is known, and CONNECT is to be read with it. */
static bool connect_read(struct gate *gate, uint32_t index, struct slice bytes)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	struct admission *admission = NULL;
	char unix_user[UNIX_USER_BYTES_MAX];
	size_t packet_bytes;
	uint8_t version;
	bool is_answered = false;
	struct handshake_origin origin = origin_of(gate, handshake, unix_user);
	struct outside_answer *answer = handshake->answer;
	gate->sign_in.answer = answer;
	handshake->answer = NULL; /* the next reading is to hear what has changed meanwhile */
	enum error error = handshake_read(&gate->environment, &origin, bytes, &admission, &packet_bytes, &version);
	if (error == ERROR_TOKEN_KEY_UNKNOWN)
		access_ask_for_keys(gate->access);
	if (error == ERROR_OK)
		connect_admit(gate, index, admission);
	else if (error == ERROR_PASSWORD_PENDING)
		gate_passwords_submit(gate, index, bytes, packet_bytes, version);
	else if (error == ERROR_AUTHORITY_PENDING)
		is_answered = gate_ask(gate, index, bytes, packet_bytes, version);
	else if (error != ERROR_MORE)
		gate_handshake_refuse(gate, index, error, version);
	else
		gate_handshake_keep(gate, index, bytes, packet_bytes, false, version);
	gate->sign_in.answer = NULL;
	outside_answer_put(&answer);
	return is_answered;
}

void gate_connect_take(struct gate *gate, uint32_t index, struct slice bytes)
{
	while (connect_read(gate, index, bytes))
		;
}
