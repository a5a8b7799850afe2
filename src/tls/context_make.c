#include "tls/context_state.h"

#include "base/check.h"
#include "tls/certificate/cipher_list.h"
#include "tls/certificate/facts.h"
#include "tls/certificate/identity.h"
#include "tls/certificate/pem.h"
#include "tls/handshake_hooks.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdlib.h>

struct tls_context *tls_context_blank(bool is_server)
{
	struct tls_context *context = calloc(1, sizeof(*context));
	if (context == NULL)
		return NULL;
	atomic_init(&context->references, 1);
	context->is_server = is_server;
	context->bio = tls_hook_bio_method();
	if (context->bio == NULL)
		tls_context_put(&context);
	return context;
}

struct tls_context *tls_context_get(struct tls_context *context)
{
	CHECK_GT(atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed), 0u);
	return context;
}

void tls_context_put(struct tls_context **pointer)
{
	struct tls_context *context = *pointer;
	*pointer = NULL;
	if (context == NULL)
		return;
	uint32_t before = atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel);
	CHECK_GT(before, 0u);
	if (before > 1)
		return;
	for (size_t i = 0; i < context->set_count; i++)
		SSL_CTX_free(context->sets[i].ssl);
	tls_names_free(context->names);
	tls_facts_free(&context->facts);
	BIO_meth_free(context->bio);
	free(context);
}

bool tls_context_set_alpn(struct tls_context *context, const char *alpn, char fault[TLS_FAULT_BYTES_MAX])
{
	size_t size = alpn == NULL ? 0 : strlen(alpn);
	if (size >= TLS_ALPN_BYTES_MAX)
		return tls_fault(fault, "ALPN's name is longer than %u bytes", TLS_ALPN_BYTES_MAX - 1);
	if (size == 0)
		return true;
	context->alpn[0] = (uint8_t)size;
	memcpy(context->alpn + 1, alpn, size);
	context->alpn_bytes = size + 1;
	return true;
}

SSL_CTX *tls_context_ssl(struct tls_context *context, int version_min, char fault[TLS_FAULT_BYTES_MAX])
{
	SSL_CTX *ssl = SSL_CTX_new(context->is_server ? TLS_server_method() : TLS_client_method());
	if (ssl == NULL || SSL_CTX_set_min_proto_version(ssl, version_min) != 1 ||
	    SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set1_groups_list(ssl, "X25519:P-256:P-384") != 1) {
		tls_fault(fault, "OpenSSL has no TLS: %s", ERR_reason_error_string(ERR_peek_error()));
		ERR_clear_error();
		SSL_CTX_free(ssl);
		return NULL;
	}
	/* What openssl.cnf says of options is not asked: what a listener does is in Roost's configuration alone. */
	SSL_CTX_clear_options(ssl, SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SSL_OP_LEGACY_SERVER_CONNECT |
					   SSL_OP_ALLOW_NO_DHE_KEX | SSL_OP_ALLOW_CLIENT_RENEGOTIATION |
					   SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_early_data(ssl, 0);
	SSL_CTX_set_recv_max_early_data(ssl, 0);
	SSL_CTX_set_verify_depth(ssl, 8);
	tls_hook_records(ssl);
	return ssl;
}

bool tls_context_certificate(const struct tls_context *context, size_t number, struct tls_certificate_facts *facts)
{
	if (number >= context->facts.count)
		return false;
	*facts = context->facts.facts[number];
	return true;
}

int64_t tls_context_expires_s(const struct tls_context *context, const char **path)
{
	int64_t first_s = 0;
	for (size_t i = 0; i < context->facts.count; i++) {
		const struct tls_certificate_facts *fact = &context->facts.facts[i];
		if (fact->kind != TLS_CERTIFICATE_CLIENT_CRL && (first_s == 0 || fact->expires_s < first_s)) {
			first_s = fact->expires_s;
			*path = fact->path;
		}
	}
	return first_s;
}

char *tls_identity_name(enum tls_identity_from from, const X509 *certificate)
{
	switch (from) {
	case TLS_IDENTITY_NONE:
		return NULL;
	case TLS_IDENTITY_CN:
		return tls_certificate_cn(certificate);
	case TLS_IDENTITY_DNS:
		return tls_certificate_alternative(certificate, GEN_DNS);
	case TLS_IDENTITY_EMAIL:
		return tls_certificate_alternative(certificate, GEN_EMAIL);
	case TLS_IDENTITY_URI:
		return tls_certificate_alternative(certificate, GEN_URI);
	}
	return NULL;
}

/* ---- a client's ---- */

static bool trust(SSL_CTX *ssl, const struct tls_document *file, char fault[TLS_FAULT_BYTES_MAX])
{
	if (file->pem.size == 0)
		return SSL_CTX_set_default_verify_paths(ssl) == 1 ||
		       tls_fault(fault, "the system's certificates cannot be read");
	STACK_OF(X509) *certificates = tls_pem_certificates(file, fault);
	if (certificates == NULL)
		return false;
	bool good = true;
	for (int i = 0; good && i < sk_X509_num(certificates); i++)
		good = X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), sk_X509_value(certificates, i)) == 1 ||
		       tls_fault(fault, "%s: out of memory", file->path);
	sk_X509_pop_free(certificates, X509_free);
	/* A certificate in the file is trusted for itself, also where it is none of a CA, or not the chain's root. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
	return good;
}

static bool show(struct tls_context *context, SSL_CTX *ssl, const struct tls_identity *identity,
		 char fault[TLS_FAULT_BYTES_MAX])
{
	struct identity_read read;
	if (!tls_identity_read(identity, &read, fault))
		return false;
	bool good = tls_identity_use(ssl, identity, &read, fault) &&
		    (tls_facts_add_chain(&context->facts, identity->chain.path, read.chain) ||
		     tls_fault(fault, "out of memory"));
	tls_identity_read_fini(&read);
	return good;
}

static bool make_client(struct tls_context *context, const struct tls_client_options *options,
			char fault[TLS_FAULT_BYTES_MAX])
{
	context->checks = options->check;
	context->keeps_tickets = options->keeps_tickets;
	if (!tls_context_set_alpn(context, options->alpn, fault))
		return false;
	SSL_CTX *ssl = tls_context_ssl(context, TLS1_2_VERSION, fault);
	if (ssl == NULL)
		return false;
	context->sets[context->set_count++].ssl = ssl;
	if (!tls_cipher_list_use(ssl, options->ciphers, options->ciphersuites, fault))
		return false;
	if (options->only_tls_1_2 && SSL_CTX_set_max_proto_version(ssl, TLS1_2_VERSION) != 1)
		return tls_fault(fault, "OpenSSL has no TLS 1.2");
	if (context->alpn_bytes > 0 && SSL_CTX_set_alpn_protos(ssl, context->alpn, (unsigned)context->alpn_bytes) != 0)
		return tls_fault(fault, "out of memory");
	if (options->check && !trust(ssl, &options->ca, fault))
		return false;
	if (options->check)
		tls_hook_certificates(ssl, true);
	if (!options->keeps_tickets)
		SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
	else
		tls_hook_new_sessions(ssl);
	return options->identity.chain.pem.size == 0 || show(context, ssl, &options->identity, fault);
}

struct tls_context *tls_context_new_client(const struct tls_client_options *options, char fault[TLS_FAULT_BYTES_MAX])
{
	struct tls_context *context = tls_context_blank(false);
	if (context == NULL) {
		tls_fault(fault, "out of memory");
		return NULL;
	}
	if (!make_client(context, options, fault))
		tls_context_put(&context);
	ERR_clear_error();
	return context;
}
