/* What carried MQTT over many connections: TLS handshakes, upgrades to a WebSocket, and what both took. Counted by one
 * thread; merged after the threads have ended. */
#ifndef BENCH_CARRIAGE_H
#define BENCH_CARRIAGE_H

#include "bench/report/report.h"

struct carriage {
	uint64_t handshakes; /* of TLS that succeeded */
	uint64_t resumed;    /* of these */
	uint64_t upgrades;   /* to a WebSocket that succeeded */
	uint64_t bytes;      /* of handshakes and upgrades, both ways, also of those that failed */
	uint16_t version;    /* of the last handshake, as on the wire; 0: there was none */
	uint16_t cipher;     /* its number at IANA */
};

static inline void carriage_add(struct carriage *into, const struct carriage *from)
{
	into->handshakes += from->handshakes;
	into->resumed += from->resumed;
	into->upgrades += from->upgrades;
	into->bytes += from->bytes;
	if (from->version != 0) {
		into->version = from->version;
		into->cipher = from->cipher;
	}
}

/* "TLS 1.3, AES-128-GCM"; "" without a handshake. */
#define CARRIAGE_CIPHER_BYTES 48u
void carriage_cipher(const struct carriage *carriage, char out[CARRIAGE_CIPHER_BYTES]);
/* NAN: no handshakes. */
double carriage_resumed_percent(const struct carriage *carriage);
/* Bytes of handshake and upgrade for one connection; NAN: there was neither. */
double carriage_bytes_each(const struct carriage *carriage);

/* Figures of a report, where anything was carried. seconds: in which they were counted; 0: no rate. */
void carriage_report(struct report *report, const char *prefix, const struct carriage *carriage, double seconds);

#endif
