/* What so many clients at such a rate will take of a machine, computed from the measured cost of one client, one
 * message and one connection on it: straight lines through measured points, and nothing else. Pure; any thread. */
#ifndef DOCTOR_PLAN_PREDICT_H
#define DOCTOR_PLAN_PREDICT_H

#include <stdbool.h>
#include <stdint.h>

/* The rest is kept free: for storms, for turns that take longer, and for the page cache. */
#define PREDICT_CPU_SHARE_MOST 0.70
#define PREDICT_MEMORY_SHARE_MOST 0.95
#define PREDICT_NETWORK_SHARE_MOST 0.70

/* How clients reach the server. */
enum plan_transport { PLAN_TCP, PLAN_TLS, PLAN_WS, PLAN_WSS, PLAN_TRANSPORTS };
/* As in a URL. */
const char *plan_transport_name(enum plan_transport transport);
bool plan_has_tls(enum plan_transport transport);

/* What was measured. Times are the server's processor time in nanoseconds, all threads together. */
struct cost {
	uint32_t clients;    /* that it was measured with */
	double base_bytes;   /* of the process, with as many shards as the clients need */
	double user_bytes;   /* per client */
	double kernel_bytes; /* of a client's socket on the server's side */
	double connect_ns;   /* accept, the transport's handshakes in full, CONNECT and SUBSCRIBE */
	double resumed_ns;   /* the same with TLS sessions that are resumed; 0: without TLS */
	double ping_ns;
	double message_ns;  /* with all its deliveries; 0 at a rate of 0 */
	double loopback_ns; /* one send and one receive without any server */
};

struct load {
	uint64_t connections;
	double rate;
	uint32_t payload_bytes;
	uint32_t subscribers;
	uint32_t keepalive_s;
	uint8_t qos;
	enum plan_transport transport;
};

/* What there is. NAN: not known; connections_max UINT64_MAX: no limit is known. */
struct resources {
	double memory_bytes;
	double cores;
	double link_bits;         /* per second, in each direction */
	uint64_t connections_max; /* by the table of limits */
};

enum resource {
	RESOURCE_MEMORY,
	RESOURCE_CPU,
	RESOURCE_NETWORK,
	RESOURCE_LIMITS,
	RESOURCE_COUNT,
};

struct prediction {
	double user_bytes;
	double kernel_bytes;
	double message_cores;
	double ping_cores;
	double bits_in; /* per second on an Ethernet, with all headers and acknowledgements */
	double bits_out;
	double return_s;                    /* until all are back, if all cores do nothing else */
	double return_resumed_s;            /* the same with resumed TLS sessions; 0: without TLS */
	double connects_a_second;           /* that all cores make, if they do nothing else */
	double resumed_a_second;            /* likewise; 0: without TLS */
	double share[RESOURCE_COUNT];       /* of what there is; NAN where that is not known */
	double connections[RESOURCE_COUNT]; /* held at the same rate for each; INFINITY: no limit */
	enum resource first;                /* the one that allows the fewest */
};

/* load->connections and there->cores are above 0. */
void predict(const struct cost *cost, const struct load *load, const struct resources *there,
	     struct prediction *prediction);

#endif
