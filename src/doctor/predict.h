/* What so many clients at such a rate will take of a machine, from what one client, one message and one connection were
 * measured to cost on it. Straight lines through measured points, and nothing else. Pure; any thread. */
#ifndef DOCTOR_PREDICT_H
#define DOCTOR_PREDICT_H

#include <stdint.h>

/* Beyond these shares the rest is needed: for storms and turns that take longer, and for the page cache. */
#define PREDICT_CPU_SHARE_MOST 0.70
#define PREDICT_MEMORY_SHARE_MOST 0.95
#define PREDICT_NETWORK_SHARE_MOST 0.70

/* What was measured; times in nanoseconds of processor time of the server, all threads together. */
struct cost {
	uint32_t clients;    /* measured with */
	double base_bytes;   /* of the process, with the shards that so many clients get */
	double user_bytes;   /* a client */
	double kernel_bytes; /* a client's socket on the server's side */
	double connect_ns;   /* accept, CONNECT and SUBSCRIBE */
	double ping_ns;
	double message_ns; /* with all its deliveries; 0 at a rate of 0 */
	double floor_ns;   /* one receive and one send, and no server */
};

struct load {
	uint64_t connections;
	double rate;
	uint32_t payload_bytes;
	uint32_t subscribers;
	uint32_t keepalive_s;
	uint8_t qos;
};

/* UINT64_MAX and NAN are "not known". */
struct resources {
	double memory_bytes;
	double cores;
	double link_bits;         /* a second, each way */
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
	double bits_in; /* a second, with all headers and acknowledgements, on an Ethernet */
	double bits_out;
	double return_s;                    /* all come back at once, and all cores do nothing else */
	double share[RESOURCE_COUNT];       /* of what there is; NAN where that is not known */
	double connections[RESOURCE_COUNT]; /* that would be held with the same rate for each; INFINITY: no bound */
	enum resource first;                /* with the fewest */
};

void predict(const struct cost *cost, const struct load *load, const struct resources *there,
	     struct prediction *prediction);

#endif
