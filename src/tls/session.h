/* What a connection keeps between two records of TLS: keys, IVs and sequence numbers, and in TLS 1.3 the traffic
 * secrets that the next keys are derived from. It is what the Linux kernel's TLS keeps (struct tls_crypto_info). Owned
 * by one thread at a time. */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_PLAIN_BYTES_MAX 16384u

enum tls_version { TLS_1_2, TLS_1_3 };

enum tls_suite {
	TLS_AES_128_GCM,       /* hash SHA-256 */
	TLS_AES_256_GCM,       /* hash SHA-384 */
	TLS_CHACHA20_POLY1305, /* hash SHA-256 */
	TLS_SUITES,
};

enum tls_direction { TLS_READ, TLS_WRITE, TLS_DIRECTIONS };

#define TLS_KEY_BYTES_MAX 32u
#define TLS_SECRET_BYTES_MAX 48u
#define TLS_IV_BYTES 12u

/* As long as its suite and version take: tls_session_bytes(). bytes: for each direction IV, key, and in TLS 1.3 the
 * secret. tls/schedule.h begins one. */
struct tls_session {
	uint64_t sequence[TLS_DIRECTIONS]; /* of the next record */
	uint8_t version;                   /* enum tls_version */
	uint8_t suite;                     /* enum tls_suite */
	uint16_t cipher;                   /* the cipher suite's number at IANA, such as 0x1301; for people */
	uint16_t plain_bytes_max;          /* of a record that we write: what the peer takes, or 16384 */
	bool is_server : 1;
	bool closed : 1;       /* close_notify was read, or there was an error: no record is read any more */
	bool update_due : 1;   /* the peer has asked for a KeyUpdate of ours, which comes before the next data */
	uint8_t alert;         /* what tls_alert_write() says: close_notify, or why there was an error */
	uint8_t error;         /* enum error: why it is closed; ERROR_OK: close_notify */
	uint8_t idle_records;  /* so many came in a row */
	uint8_t message_bytes; /* of message[]: a handshake message came in part */
	uint8_t owners;        /* for whoever keeps the session; 0 */
	uint8_t message[4];    /* its type, and how much of it is to come */
	uint8_t bytes[];
};
_Static_assert(sizeof(struct tls_session) == 32, "with AES-128 in TLS 1.3 a session has 152 bytes");
#define TLS_SESSION_BYTES_MAX                                                                                          \
	(sizeof(struct tls_session) + 2u * (TLS_IV_BYTES + TLS_KEY_BYTES_MAX + TLS_SECRET_BYTES_MAX))

/* The length of the suite's key, 16 or 32, and that of its hash and so of its secrets, 32 or 48. */
size_t tls_key_bytes(enum tls_suite suite);
size_t tls_secret_bytes(enum tls_suite suite);
size_t tls_session_bytes(enum tls_version version, enum tls_suite suite);
/* Overwrites the whole session, for the optimiser too. */
void tls_session_wipe(struct tls_session *session);

/* ---- for the files of this folder ---- */

uint8_t *tls_session_iv(struct tls_session *session, enum tls_direction direction);
uint8_t *tls_session_key(struct tls_session *session, enum tls_direction direction);
/* TLS 1.3. */
uint8_t *tls_session_secret(struct tls_session *session, enum tls_direction direction);
/* AES-GCM in TLS 1.2 sends eight bytes of each nonce, in front of the record [RFC 5288, 3]; else 0. */
#define TLS_EXPLICIT_BYTES 8u
size_t tls_explicit_bytes(const struct tls_session *session);

#endif
