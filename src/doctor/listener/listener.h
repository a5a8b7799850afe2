/* What a TLS listener shows to whoever connects: its certificate, until when it is valid, whether the chain is complete
 * and leads to somebody trusted. Looked at from outside, with OpenSSL alone. Main thread; blocks for some seconds. */
#ifndef DOCTOR_LISTENER_LISTENER_H
#define DOCTOR_LISTENER_LISTENER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define LISTENER_MS_MAX 5000u
#define LISTENER_WARNINGS_MAX 4u
#define LISTENER_LINE_BYTES 320u

struct listener_verdict {
	const char *target; /* as it was given: host:port */
	char protocol[16];  /* "TLSv1.3" */
	char cipher[64];
	char subject[256];
	char issuer[256]; /* of the last certificate of the chain */
	uint32_t chain;   /* certificates that were sent */
	int64_t begins_s; /* the latest, and the earliest of all of them; seconds since 1970 */
	int64_t expires_s;
	long verified;     /* X509_V_OK, or what is wrong with it */
	bool ends_in_root; /* the last one is signed by itself */
	char warnings[LISTENER_WARNINGS_MAX][LISTENER_LINE_BYTES];
	uint32_t warning_count;
	bool good; /* no client that checks certificates is turned away now */
};

/* target: host:port, "[address]:port". ca_file: NULL: the system's certificate authorities. False: it could not be
 * looked at, and stderr says why. */
bool listener_look(struct listener_verdict *verdict, const char *target, const char *ca_file);
/* Fills in warnings and good from the rest. Pure. */
void listener_judge(struct listener_verdict *verdict, int64_t now_s);

void listener_show(const struct listener_verdict *verdict, FILE *out);
/* One object; the caller owns it. */
json_t *listener_json(const struct listener_verdict *verdict);

#endif
