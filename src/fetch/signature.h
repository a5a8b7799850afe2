/* How a request is signed, so that its receiver knows who sent it and when: HMAC-SHA256 [RFC 2104] of the time in
 * seconds since 1970, in decimal, a dot, and the body. Pure; any thread. */
#ifndef FETCH_SIGNATURE_H
#define FETCH_SIGNATURE_H

#include "base/slice.h"

#define SIGNATURE_HEADER "Roost-Signature"
#define SIGNATURE_LINE_BYTES 128u

/* Writes the line of the header: "Roost-Signature: t=1790000000,v1=0c5b..." */
void signature_write(struct slice secret, uint64_t time_s, struct slice body, char line[SIGNATURE_LINE_BYTES]);

#endif
