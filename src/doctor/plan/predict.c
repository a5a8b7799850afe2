#include "doctor/plan/predict.h"

#include "base/check.h"

#include <math.h>
#include <stdbool.h>

/* Around what TCP carries: preamble, Ethernet header, checksum and gap 38, IPv4 20, TCP with time stamps 32. */
#define FRAME_BYTES 90.0
#define SEGMENT_BYTES_MAX 1448.0
#define TOPIC_BYTES 12.0
#define ACK_PACKET_BYTES 4.0 /* PUBACK, PUBREC, PUBREL, PUBCOMP */
#define PING_BYTES 2.0

/* Head, content type and tag of a record of TLS 1.3; head of a frame of WebSocket, and the mask that clients put over
 * it. A packet by itself is one of each. */
#define RECORD_BYTES 22.0
#define RECORD_CONTENT_BYTES_MAX 16384.0
#define MASK_BYTES 4.0

const char *plan_transport_name(enum plan_transport transport)
{
	static const char *const NAMES[] = {
		[PLAN_TCP] = "tcp", [PLAN_TLS] = "tls", [PLAN_WS] = "ws", [PLAN_WSS] = "wss"};
	CHECK_LT(transport, PLAN_TRANSPORTS);
	return NAMES[transport];
}

bool plan_has_tls(enum plan_transport transport)
{
	return transport == PLAN_TLS || transport == PLAN_WSS;
}

enum direction { IN, OUT };

static double wire_bytes(const struct load *load, enum direction direction, double bytes)
{
	if (load->transport == PLAN_WS || load->transport == PLAN_WSS)
		bytes += (bytes < 126 ? 2 : bytes < 65536 ? 4 : 10) + (direction == IN ? MASK_BYTES : 0);
	if (plan_has_tls(load->transport))
		bytes += RECORD_BYTES * ceil(bytes / RECORD_CONTENT_BYTES_MAX);
	return bytes + FRAME_BYTES * ceil(bytes / SEGMENT_BYTES_MAX);
}

/* PUBLISH: fixed header, topic, packet identifier, payload. */
static double publish_bytes(const struct load *load)
{
	CHECK(load->qos <= 2);
	double body = 2 + TOPIC_BYTES + (load->qos > 0 ? 2 : 0) + load->payload_bytes;
	double length = body < 128 ? 1 : body < 16384 ? 2 : 3;
	return 1 + length + body;
}

/* One message over one connection: from its sender, and back to it. What MQTT does not answer, TCP acknowledges. */
static double forth_bytes(const struct load *load, enum direction direction)
{
	double bytes = wire_bytes(load, direction, publish_bytes(load));
	if (load->qos == 2)
		bytes += wire_bytes(load, direction, ACK_PACKET_BYTES); /* PUBREL */
	return load->qos > 0 ? bytes + FRAME_BYTES : bytes;
}

static double back_bytes(const struct load *load, enum direction direction)
{
	return load->qos == 0 ? FRAME_BYTES : load->qos * wire_bytes(load, direction, ACK_PACKET_BYTES);
}

static double pings_a_second(const struct load *load)
{
	return load->keepalive_s == 0 ? 0 : (double)load->connections / load->keepalive_s;
}

static void predict_network(const struct load *load, struct prediction *out)
{
	double delivered = load->rate * load->subscribers;
	double pings = pings_a_second(load);
	out->bits_in = 8 * (load->rate * forth_bytes(load, IN) + delivered * back_bytes(load, IN) +
			    pings * (wire_bytes(load, IN, PING_BYTES) + FRAME_BYTES));
	out->bits_out = 8 * (load->rate * back_bytes(load, OUT) + delivered * forth_bytes(load, OUT) +
			     pings * wire_bytes(load, OUT, PING_BYTES));
}

static double greater(double a, double b)
{
	return a > b ? a : b;
}

/* At the same rate for each client, processor time and traffic grow with the number of clients. */
static double scale(double connections, double share, double share_most)
{
	return share > 0 ? floor(connections * share_most / share) : (double)INFINITY;
}

static void find_first(struct prediction *out)
{
	out->first = RESOURCE_MEMORY;
	for (int i = 0; i < RESOURCE_COUNT; i++) {
		if (out->connections[i] < out->connections[out->first])
			out->first = (enum resource)i;
	}
}

void predict(const struct cost *cost, const struct load *load, const struct resources *there, struct prediction *out)
{
	/* Shares are divided by them. */
	CHECK(load->connections > 0 && there->cores > 0);
	double n = (double)load->connections;
	double each = cost->user_bytes + cost->kernel_bytes;
	*out = (struct prediction){
		.user_bytes = cost->base_bytes + n * cost->user_bytes,
		.kernel_bytes = n * cost->kernel_bytes,
		.message_cores = load->rate * cost->message_ns / 1e9,
		.ping_cores = pings_a_second(load) * cost->ping_ns / 1e9,
		.return_s = n * cost->connect_ns / 1e9 / there->cores,
		.return_resumed_s = n * cost->resumed_ns / 1e9 / there->cores,
		.connects_a_second = cost->connect_ns > 0 ? 1e9 * there->cores / cost->connect_ns : 0,
		.resumed_a_second = cost->resumed_ns > 0 ? 1e9 * there->cores / cost->resumed_ns : 0,
	};
	predict_network(load, out);
	out->share[RESOURCE_MEMORY] = (out->user_bytes + out->kernel_bytes) / there->memory_bytes;
	out->share[RESOURCE_CPU] = (out->message_cores + out->ping_cores) / there->cores;
	out->share[RESOURCE_NETWORK] = greater(out->bits_in, out->bits_out) / there->link_bits;
	bool bounded = there->connections_max != UINT64_MAX;
	out->share[RESOURCE_LIMITS] = bounded ? n / (double)there->connections_max : 0;

	double room = there->memory_bytes * PREDICT_MEMORY_SHARE_MOST - cost->base_bytes;
	out->connections[RESOURCE_MEMORY] = isnan(room) ? (double)INFINITY : floor(greater(room, 0) / each);
	out->connections[RESOURCE_CPU] = scale(n, out->share[RESOURCE_CPU], PREDICT_CPU_SHARE_MOST);
	out->connections[RESOURCE_NETWORK] = scale(n, out->share[RESOURCE_NETWORK], PREDICT_NETWORK_SHARE_MOST);
	out->connections[RESOURCE_LIMITS] = bounded ? (double)there->connections_max : (double)INFINITY;
	find_first(out);
}
