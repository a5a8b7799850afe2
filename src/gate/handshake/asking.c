#include "gate/handshake/asking.h"

#include "gate/handshake/passwords.h"
#include "runtime/client_transport.h"

#include <arpa/inet.h>

/* Without the port, which is another one each time. */
static struct slice address_text(const struct handshake *handshake, char text[INET6_ADDRSTRLEN])
{
	const union peer *peer = &handshake->peer;
	const void *address = &peer->v4.sin_addr;
	if (peer->any.sa_family == AF_INET6)
		address = &peer->v6.sin6_addr;
	else if (peer->any.sa_family != AF_INET)
		return slice_of(NULL, 0);
	const char *printed = inet_ntop(peer->any.sa_family, address, text, INET6_ADDRSTRLEN);
	return printed != NULL ? slice_string(printed) : slice_of(NULL, 0);
}

static enum error put_question(struct gate *gate, uint32_t index, uint8_t version)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	const struct credentials *credentials = &gate->sign_in.asked;
	const struct authority_asker asker = {
		.results = &gate->answers, .lane_hash = gate_lane_of(gate, handshake), .handshake = index};
	char address[INET6_ADDRSTRLEN];
	struct stream_facts facts = stream_facts(&gate->io.streams, handshake->conn.stream);
	bool is_unix = gate_listener(gate, handshake->listener)->scheme == LISTENER_UNIX;
	const struct outside_question question = {
		.client_id = credentials->client_id,
		.user_name = credentials->user_name,
		.password = credentials->password,
		.address = address_text(handshake, address),
		.transport = slice_string(client_transport_name(client_transport(&facts, is_unix))),
		.certificate = facts.subject.size != 0 ? facts.subject : slice_of(NULL, 0),
		.version = version,
	};
	return authority_ask(gate->authority, &question, &asker, gate->now_ms, &handshake->asked, &handshake->answer);
}

bool gate_ask(struct gate *gate, uint32_t index, struct slice bytes, size_t packet_bytes, uint8_t version)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	CHECK(gate->authority != NULL && handshake->asked == NULL && handshake->answer == NULL);
	bool is_first = handshake->version == 0;
	enum error error = put_question(gate, index, version);
	if (error == ERROR_OK) {
		if (is_first) /* else this gate itself has had it asked a moment ago */
			COUNT(&gate->counters, authority_hits);
		return true;
	}
	if (error != ERROR_AUTHORITY_PENDING) {
		COUNT(&gate->counters, authority_refused);
		gate_handshake_refuse(gate, index, error, version);
		return false;
	}
	COUNT(&gate->counters, authority_misses);
	COUNT(&gate->counters, authority_waiting);
	handshake->version = version;
	gate_handshake_keep(gate, index, bytes, packet_bytes, true, version);
	return false;
}

bool gate_ask_answered(struct gate *gate, struct authority_job *job)
{
	if (atomic_load(&job->abandoned))
		return false;
	struct handshake *handshake = gate_handshake_at(gate, job->handshake);
	CHECK(handshake->asked == job && handshake->answer == NULL);
	handshake->asked = NULL;
	COUNT_DOWN(&gate->counters, authority_waiting);
	if (job->error != ERROR_OK) {
		COUNT(&gate->counters, authority_refused);
		gate_handshake_refuse(gate, job->handshake, job->error, handshake->version);
		return false;
	}
	handshake->answer = job->answer;
	job->answer = NULL;
	return true;
}
