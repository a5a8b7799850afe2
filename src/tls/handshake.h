/* One TLS handshake, OpenSSL's: bytes of the socket in, bytes for the socket out. It reads exactly what belongs to the
 * handshake; what came behind it stays the caller's, for the session that follows (tls/record.h). Blocks for as long as
 * the cryptography takes, some 200 us. Owned by one thread at a time. */
#ifndef TLS_HANDSHAKE_H
#define TLS_HANDSHAKE_H

#include "base/error.h"
#include "base/slice.h"
#include "tls/context.h"
#include "tls/record.h"

/* The longest input that a step needs to go on, and so what a stranger may have waiting outside: a whole record. */
#define TLS_HANDSHAKE_INPUT_BYTES_MAX 20480u
struct tls_handshake;

/* Takes a reference to the context. NULL: no memory. A handshake is 1 KB until its first record is whole, so that a
 * stranger who is slow costs little; then OpenSSL's object comes, and they are 47 KB. name: which a client asks for
 * (SNI; an IP address is not sent) and, where the context checks, expects in the certificate; NULL at a server. ticket:
 * of an earlier connection of a client, which stays the caller's; NULL: none. */
struct tls_handshake *tls_handshake_new(struct tls_context *context, const char *name, const struct tls_ticket *ticket);
void tls_handshake_free(struct tls_handshake *handshake); /* NULL is allowed */

/* Goes on with the input; *consumed of its bytes are used up, which are whole records. The rest is to be given again,
 * with more behind it, up to TLS_HANDSHAKE_INPUT_BYTES_MAX. A client begins with no input. ERROR_OK: it is complete,
 * and what is left of the input is the session's. ERROR_MORE: it goes on. Other errors: it failed (ERROR_TLS_*,
 * ERROR_NO_MEMORY), and the output has the alert. After ERROR_OK or a failure there is no further step. */
enum error tls_handshake_step(struct tls_handshake *handshake, struct slice input, size_t *consumed);
/* What is to be written to the socket. Valid until the next step; each step's output is new. */
struct slice tls_handshake_output(const struct tls_handshake *handshake);
/* What failed, in OpenSSL's words or ours; the handshake's. "" if nothing did. */
const char *tls_handshake_fault(const struct tls_handshake *handshake);

/* ---- after ERROR_OK ---- */

/* The session, into memory for TLS_SESSION_BYTES_MAX; OpenSSL's object is no longer needed. */
void tls_handshake_session(struct tls_handshake *handshake, struct tls_ciphers *ciphers, struct tls_session *session);
bool tls_handshake_resumed(const struct tls_handshake *handshake);
/* The peer's certificate as the context maps it (enum tls_identity_from): the name, UTF-8 without NUL; and its subject,
 * for people ("CN=sensor-17,O=Example"). size 0: it showed none. Valid until tls_handshake_free(). */
struct slice tls_handshake_identity(const struct tls_handshake *handshake);
struct slice tls_handshake_subject(const struct tls_handshake *handshake);
/* The name that the client asked for; size 0: none, or one that no host can have. ASCII, without quotes and spaces. May
 * be asked for at any time, a failed handshake too. */
struct slice tls_handshake_server_name(const struct tls_handshake *handshake);

/* ---- a client that keeps tickets, after ERROR_OK ----
 *
 * In TLS 1.3 the server's ticket comes behind the handshake, as the first records of the session. The client may use
 * the session at once, and send its CONNECT. With what the server sends next, it calls tls_handshake_ticket_step()
 * until that does not say ERROR_MORE; then it goes on with the record layer, from input + *consumed:
 *
 *	tls_handshake_session(h, ciphers, session);       write CONNECT with tls_record_seal(), or what the socket is
 *	...bytes...
 *	tls_handshake_ticket_step(h, session, input, &consumed);
 *	ticket = tls_handshake_ticket(h);
 *	tls_handshake_free(h);
 *
 * With TLS 1.2, or where no tickets are kept, the first call says ERROR_OK, and consumes nothing. */

/* ERROR_OK: the ticket came. ERROR_MORE: the record is not whole. ERROR_NOT_FOUND: the first record is something else;
 * nothing is consumed, the record layer will open it. Counts consumed records in the session's sequence. */
enum error tls_handshake_ticket_step(struct tls_handshake *handshake, struct tls_session *session, struct slice input,
				     size_t *consumed);
/* The caller's from then on. NULL: there is none. */
struct tls_ticket *tls_handshake_ticket(struct tls_handshake *handshake);

#endif
