#include "fetch/signature.h"

#include "base/check.h"

#include <sodium.h>
#include <stdio.h>

void signature_write(struct slice secret, uint64_t time_s, struct slice body, char line[SIGNATURE_LINE_BYTES])
{
	crypto_auth_hmacsha256_state state;
	unsigned char tag[crypto_auth_hmacsha256_BYTES];
	char hex[2 * crypto_auth_hmacsha256_BYTES + 1], time[24];
	int size = snprintf(time, sizeof(time), "%lu.", (unsigned long)time_s);
	crypto_auth_hmacsha256_init(&state, secret.data, secret.size);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)time, (unsigned long long)size);
	crypto_auth_hmacsha256_update(&state, body.data, body.size);
	crypto_auth_hmacsha256_final(&state, tag);
	sodium_bin2hex(hex, sizeof(hex), tag, sizeof(tag));
	size = snprintf(line, SIGNATURE_LINE_BYTES, SIGNATURE_HEADER ": t=%lu,v1=%s", (unsigned long)time_s, hex);
	CHECK(size > 0 && (unsigned)size < SIGNATURE_LINE_BYTES);
}
