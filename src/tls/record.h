/* The record layer of TLS 1.3 [RFC 8446, 5] and of the AEAD suites of TLS 1.2 [RFC 5246, 6.2.3.3; RFC 5288; RFC 7905],
 * from the end of the handshake on: bytes in, bytes out. OpenSSL does the handshake (tls/handshake.h), and its object
 * is freed when that has given the session away (tls/session.h). The ciphers are OpenSSL's, too (tls/ciphers.h).
 *
 * A session and the ciphers are used by one thread at a time. */
#ifndef TLS_RECORD_H
#define TLS_RECORD_H

#include "base/error.h"
#include "base/slice.h"
#include "tls/ciphers.h"
#include "tls/session.h"

#define TLS_HEAD_BYTES 5u
/* What a record may have more than its content: head, explicit nonce or content type, tag. */
#define TLS_OVERHEAD_BYTES_MAX (TLS_HEAD_BYTES + 8u + 1u + 16u)
/* The longest record that is taken, head included [RFC 8446, 5.2]. Of TLS 1.2 it is taken up to the same length. */
#define TLS_RECORD_BYTES_MAX (TLS_HEAD_BYTES + TLS_PLAIN_BYTES_MAX + 256u)
/* Our own KeyUpdate comes before so many records with one key, AES-GCM's bound [RFC 8446, 5.5]. */
#define TLS_RECORDS_PER_KEY ((uint64_t)1 << 24)
/* Records without data for the caller that may come in a row: one who sends nothing else keeps us busy for nothing. */
#define TLS_IDLE_RECORDS_MAX 32u

/* What one record was. */
enum tls_content {
	TLS_CONTENT_DATA,   /* *plain has bytes, perhaps none */
	TLS_CONTENT_NONE,   /* something was dealt with, such as a ticket at a client */
	TLS_CONTENT_UPDATE, /* a KeyUpdate: new keys were derived, which takes as long as some ten records */
	TLS_CONTENT_END,    /* close_notify */
};

/* The length of the record that bytes begin, head included; 0: fewer bytes than a head. ERROR_TLS_RECORD_LENGTH,
 * ERROR_TLS_RECORD_TYPE: no session would take it. */
enum error tls_record_size(struct slice bytes, size_t *size);
/* Opens one whole record, which tls_record_size() took, of a session that is not closed. out: where its content goes,
 * with room for record_bytes - TLS_HEAD_BYTES, and apart from the record; NULL: into the record's own bytes. *plain is
 * the content. An error is one of ERROR_TLS_*, and the session is closed: tls_alert_write() says why to the peer, where
 * the error is not the peer's own alert. */
enum error tls_record_open(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t *record,
			   size_t record_bytes, uint8_t *out, struct slice *plain, enum tls_content *content);
/* Closes the session for what is wrong before a record can be opened, an error of tls_record_size(). */
void tls_session_fail(struct tls_session *session, enum error error);

/* Seals `size` (1..plain_bytes_max) bytes of the parts, from the front, as one record of application data. out has room
 * for size + TLS_SEAL_BYTES_MAX. Returns how much of it is used: now and then a KeyUpdate comes first, before
 * TLS_RECORDS_PER_KEY or because the peer has asked for it. Cannot fail. */
#define TLS_KEY_UPDATE_BYTES_MAX (TLS_OVERHEAD_BYTES_MAX + 5u)
#define TLS_SEAL_BYTES_MAX (TLS_OVERHEAD_BYTES_MAX + TLS_KEY_UPDATE_BYTES_MAX)
size_t tls_record_seal(struct tls_ciphers *ciphers, struct tls_session *session, const struct slice *parts,
		       size_t count, size_t size, uint8_t *out);
/* The same, for a caller that puts the content in place itself: begin() says where in `out` it goes, end() seals it
 * there and returns where the record ends. */
uint8_t *tls_record_begin(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t *out);
uint8_t *tls_record_end(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t *content, size_t size);
/* How long a record with so much content is. */
size_t tls_sealed_bytes(const struct tls_session *session, size_t size);
/* Takes back the last record that was sealed and of which no byte left: its number is used again, for the same bytes or
 * others, since nobody saw it. Not across a KeyUpdate. */
void tls_record_unseal(struct tls_session *session);
/* Whether the next tls_record_seal() writes a KeyUpdate first. */
static inline bool tls_key_update_due(const struct tls_session *session)
{
	return session->version == TLS_1_3 &&
	       (session->update_due || session->sequence[TLS_WRITE] >= TLS_RECORDS_PER_KEY);
}

/* Our KeyUpdate, and new keys for what we write. Returns its length; 0 in TLS 1.2, which has none. */
size_t tls_key_update_write(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t *out);
#define TLS_ALERT_BYTES_MAX (TLS_OVERHEAD_BYTES_MAX + 2u)
/* Our last words: the alert that says why there was an error, or close_notify [RFC 8446, 6]. Returns its length. */
size_t tls_alert_write(struct tls_ciphers *ciphers, struct tls_session *session, uint8_t *out);

#endif
