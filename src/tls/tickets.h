/* The keys of session tickets [RFC 5077, RFC 8446 4.6.1], which all gates share: the newest seals, and each opens. A
 * new one comes with each rotation and the oldest goes, so that a key that leaks tells nothing of longer ago. Kept in a
 * file by whoever rotates them, a restart does not cost its clients a full handshake, and several nodes can share one
 * file.
 *
 * tls_tickets_rotate(), _load() and _save() by one thread; sealing and opening happen inside handshakes, on any. */
#ifndef TLS_TICKETS_H
#define TLS_TICKETS_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define TLS_TICKET_KEYS_MAX 3u
#define TLS_TICKETS_FILE_BYTES_MAX 1024u
#define TLS_TICKET_LIFETIME_S_MAX 604800u /* seven days [RFC 8446, 4.6.1] */

struct tls_tickets;

/* With one fresh key. NULL: no memory or no random numbers. lifetime_s: how long a ticket is good for, 2 s to
 * TLS_TICKET_LIFETIME_S_MAX. wall_s, here and below: seconds since 1970. */
struct tls_tickets *tls_tickets_new(uint32_t lifetime_s, int64_t wall_s);
void tls_tickets_free(struct tls_tickets *tickets);
/* A fresh key where the newest is older than half of the lifetime; keys that no good ticket can have go. True:
 * something changed. */
bool tls_tickets_rotate(struct tls_tickets *tickets, int64_t wall_s);
/* The keys as a file has them (secret: for its owner only), and back. load: ERROR_NOT_FOUND: it is none of ours, or
 * damaged; ERROR_TIMEOUT: its keys are too old for any ticket. Then nothing has changed. A rotation may be due behind
 * it. Nodes that share a file: one rotates and saves, the others load. */
size_t tls_tickets_save(struct tls_tickets *tickets, uint8_t out[TLS_TICKETS_FILE_BYTES_MAX]);
enum error tls_tickets_load(struct tls_tickets *tickets, struct slice file, int64_t wall_s);
/* Keys that tickets can be opened with, and when the newest was made. For metrics. */
size_t tls_tickets_keys(struct tls_tickets *tickets, int64_t *newest_s);
uint32_t tls_tickets_lifetime_s(const struct tls_tickets *tickets);

/* For the handshakes (tls/context.c): give OpenSSL's contexts a key. seal: also the key's name and an IV; false: no
 * random numbers. open: false: no key has this name; *newest: whether it is the one that seals. */
#define TLS_TICKET_NAME_BYTES 16u
#define TLS_TICKET_IV_BYTES 16u
struct evp_cipher_ctx_st;
struct evp_mac_ctx_st;
bool tls_tickets_seal(struct tls_tickets *tickets, uint8_t name[TLS_TICKET_NAME_BYTES], uint8_t iv[TLS_TICKET_IV_BYTES],
		      struct evp_cipher_ctx_st *cipher, struct evp_mac_ctx_st *mac);
bool tls_tickets_open(struct tls_tickets *tickets, const uint8_t name[TLS_TICKET_NAME_BYTES], const uint8_t *iv,
		      struct evp_cipher_ctx_st *cipher, struct evp_mac_ctx_st *mac, bool *newest);

/* What a client keeps to resume (bench): the session, with its secrets and the server's certificate, in one block of
 * some 800 bytes. */
struct tls_ticket;
void tls_ticket_free(struct tls_ticket *ticket); /* NULL is allowed */
size_t tls_ticket_bytes(const struct tls_ticket *ticket);

#endif
