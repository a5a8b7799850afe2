/* Handshakes between two of our own ends, in memory, with certificates made for the test. */
#ifndef UNIT_TLS_HANDSHAKE_SCENE_H
#define UNIT_TLS_HANDSHAKE_SCENE_H

#include "tls/certificate/development.h"
#include "tls/ciphers.h"
#include "tls/handshake.h"
#include "tls/session.h"

#define SCENE_DAYS 825u
/* When the scene's certificates begin: a while before the test did. Seconds since 1970. */
int64_t scene_wall_s(void);

/* What is made once for a program: keys take a while. */
struct scene_files {
	struct tls_development ecdsa; /* of localhost, with a client "sensor-17" */
	struct tls_development rsa;   /* the same, with the same CA's name and another key */
};
const struct scene_files *scene_files(void);
void scene_files_free(void);

struct tls_document scene_document(const char *path, const struct tls_development *made,
				   enum tls_development_file file);
struct tls_identity scene_identity(const struct tls_development *made);
struct tls_identity scene_client_identity(const struct tls_development *made);

/* A server with the ECDSA identity and no clients' certificates, ALPN "mqtt"; a client that trusts its CA and checks.
 */
struct tls_server_options scene_server_options(void);
struct tls_client_options scene_client_options(void);
/* Fails the test with the fault. */
struct tls_context *scene_server(const struct tls_server_options *options);
struct tls_context *scene_client(const struct tls_client_options *options);

/* Certificates for localhost, and for a client where it is named: under the CA of `from`, or one of its own. The caller
 * frees them. */
struct tls_development scene_make(const struct tls_development *from, const char *client, int64_t begins_s,
				  uint32_t days);
/* A revocation list of the CA, as PEM with memory of its own, with the certificate of a file in it, or none (NULL). */
struct slice scene_crl(const struct tls_development *ca, const struct slice *revoked, int64_t next_update_s);

/* Both ends, as long as either has something to say. */
struct scene_pair {
	struct tls_handshake *server, *client;
	enum error server_error, client_error;
	void (*around_server)(bool begins);         /* called before and after its steps; NULL: nothing */
	size_t step_bytes;                          /* given to an end at a time at most; 0: all there is */
	uint8_t to_server[70000], to_client[70000]; /* under way; what an end has not taken yet */
	size_t to_server_bytes, to_client_bytes;
};
void scene_pair_begin(struct scene_pair *pair, struct tls_context *server, struct tls_context *client,
		      const struct tls_ticket *ticket);
void scene_pair_run(struct scene_pair *pair);
void scene_pair_end(struct scene_pair *pair);
/* All of it with a fresh pair; the errors of both. */
struct scene_result {
	enum error server, client;
	bool resumed;
	char server_fault[640], client_fault[640];
};
struct scene_result scene_shake(const struct tls_server_options *server, const struct tls_client_options *client);
struct scene_result scene_shake_contexts(struct tls_context *server, struct tls_context *client,
					 const struct tls_ticket *ticket, struct tls_ticket **fresh);

#endif
