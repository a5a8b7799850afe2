/* Keys from secrets: the key schedule of TLS 1.3 from the traffic secrets on [RFC 8446, 7.1 to 7.3], and the PRF of
 * TLS 1.2 [RFC 5246, 5 and 6.3]. A handshake begins its session here; the record layer asks for the next keys of one.
 * Pure; as struct tls_ciphers is, each call belongs to one thread. */
#ifndef TLS_SCHEDULE_H
#define TLS_SCHEDULE_H

#include "tls/ciphers.h"
#include "tls/session.h"

#define TLS_MASTER_SECRET_BYTES 48u
#define TLS_RANDOM_BYTES 32u

/* What the cipher suite with this number at IANA is here. False: it is none that a session has. */
bool tls_suite_of(uint16_t cipher, enum tls_version *version, enum tls_suite *suite);

/* A session with sequence numbers 0, into memory for TLS_SESSION_BYTES_MAX. The caller adds what the handshake has sent
 * already with these keys: tickets in TLS 1.3, Finished in TLS 1.2 (then both numbers are 1). cipher is one that
 * tls_suite_of() knows with this version.
 *
 * client_secret, server_secret: {CLIENT,SERVER}_TRAFFIC_SECRET_0, tls_secret_bytes() each. */
void tls_session_init_1_3(struct tls_ciphers *ciphers, struct tls_session *session, uint16_t cipher,
			  const uint8_t *client_secret, const uint8_t *server_secret, bool is_server);
void tls_session_init_1_2(struct tls_ciphers *ciphers, struct tls_session *session, uint16_t cipher,
			  const uint8_t master_secret[TLS_MASTER_SECRET_BYTES],
			  const uint8_t client_random[TLS_RANDOM_BYTES], const uint8_t server_random[TLS_RANDOM_BYTES],
			  bool is_server);

/* The next secret, key and IV of a direction, and sequence number 0. TLS 1.3. */
void tls_session_update(struct tls_ciphers *ciphers, struct tls_session *session, enum tls_direction direction);

#endif
