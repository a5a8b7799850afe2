#include "tls/session.h"

#include "base/check.h"

#include <openssl/crypto.h>

size_t tls_key_bytes(enum tls_suite suite)
{
	CHECK(suite < TLS_SUITES);
	return suite == TLS_AES_128_GCM ? 16 : 32;
}

size_t tls_secret_bytes(enum tls_suite suite)
{
	CHECK(suite < TLS_SUITES);
	return suite == TLS_AES_256_GCM ? 48 : 32; /* SHA-384, SHA-256 */
}

size_t tls_explicit_bytes(const struct tls_session *session)
{
	return session->version == TLS_1_2 && session->suite != TLS_CHACHA20_POLY1305 ? TLS_EXPLICIT_BYTES : 0;
}

static size_t direction_bytes(enum tls_version version, enum tls_suite suite)
{
	return TLS_IV_BYTES + tls_key_bytes(suite) + (version == TLS_1_3 ? tls_secret_bytes(suite) : 0);
}

size_t tls_session_bytes(enum tls_version version, enum tls_suite suite)
{
	return sizeof(struct tls_session) + TLS_DIRECTIONS * direction_bytes(version, suite);
}

uint8_t *tls_session_iv(struct tls_session *session, enum tls_direction direction)
{
	CHECK(direction < TLS_DIRECTIONS);
	return session->bytes + direction * direction_bytes(session->version, session->suite);
}

uint8_t *tls_session_key(struct tls_session *session, enum tls_direction direction)
{
	return tls_session_iv(session, direction) + TLS_IV_BYTES;
}

uint8_t *tls_session_secret(struct tls_session *session, enum tls_direction direction)
{
	CHECK(session->version == TLS_1_3);
	return tls_session_key(session, direction) + tls_key_bytes(session->suite);
}

void tls_session_wipe(struct tls_session *session)
{
	OPENSSL_cleanse(session, tls_session_bytes(session->version, session->suite));
}
