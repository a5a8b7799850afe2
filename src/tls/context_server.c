#include "tls/context_state.h"

#include "base/check.h"
#include "tls/certificate/cipher_list.h"
#include "tls/certificate/identity.h"
#include "tls/certificate/pem.h"
#include "tls/handshake_hooks.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <stdlib.h>

/* What is needed while a context is made. */
struct server_making {
	struct tls_context *context;
	const struct tls_server_options *options;
	char *fault;
	struct identity_read identities[TLS_IDENTITIES_MAX];
	X509_STORE *trusted;
	STACK_OF(X509) * client_ca;
	uint8_t session_id_context[SSL_MAX_SID_CTX_LENGTH];
};

static bool no_memory(const struct server_making *making)
{
	ERR_clear_error();
	return tls_fault(making->fault, "out of memory");
}

/* ---- files ---- */

/* With room for the rest of a flight, a few hundred bytes, and for what a handshake's output may be. */
#define CERTIFICATES_BYTES_MAX (TLS_HANDSHAKE_OUTPUT_BYTES_MAX - 8192u)

static bool is_short_enough(const struct server_making *making, STACK_OF(X509) * certificates, const char *path)
{
	size_t bytes = 0;
	for (int i = 0; i < sk_X509_num(certificates); i++)
		bytes += (size_t)i2d_X509(sk_X509_value(certificates, i), NULL) + 3;
	return bytes <= CERTIFICATES_BYTES_MAX ||
	       tls_fault(making->fault, "%s: its certificates have %zu bytes, at most %u", path, bytes,
			 CERTIFICATES_BYTES_MAX);
}

static bool read_identities(struct server_making *making)
{
	const struct tls_server_options *options = making->options;
	CHECK_LE(options->identity_count, TLS_IDENTITIES_MAX);
	if (options->identity_count == 0)
		return tls_fault(making->fault, "there is no certificate");
	making->context->names = tls_names_new();
	if (making->context->names == NULL)
		return no_memory(making);
	for (size_t i = 0; i < options->identity_count; i++) {
		const struct tls_identity *identity = &options->identities[i];
		struct identity_read *read = &making->identities[i];
		if (!tls_identity_read(identity, read, making->fault) ||
		    !is_short_enough(making, read->chain, identity->chain.path))
			return false;
		if (!tls_facts_add_chain(&making->context->facts, identity->chain.path, read->chain))
			return no_memory(making);
		const char *names = making->context->facts.facts[i].names;
		if (!tls_names_add(making->context->names, names, (unsigned)i))
			return no_memory(making);
	}
	return true;
}

static bool read_client_ca(struct server_making *making)
{
	const struct tls_document *file = &making->options->client_ca;
	if (making->options->clients != TLS_CLIENTS_NONE && file->pem.size == 0)
		return tls_fault(making->fault,
				 "clients are asked for certificates, and there is no file of the CA that "
				 "signs them");
	if (file->pem.size == 0)
		return true;
	making->client_ca = tls_pem_certificates(file, making->fault);
	if (making->client_ca == NULL || !is_short_enough(making, making->client_ca, file->path))
		return false;
	for (int i = 0; i < sk_X509_num(making->client_ca); i++) {
		X509 *ca = sk_X509_value(making->client_ca, i);
		if (X509_check_ca(ca) == 0)
			return tls_fault(making->fault,
					 "%s: its certificate %d is none of a CA, so it can sign no client's",
					 file->path, i + 1);
		if (X509_STORE_add_cert(making->trusted, ca) != 1 ||
		    !tls_facts_add_ca(&making->context->facts, file->path, ca))
			return no_memory(making);
	}
	/* Each CA in the file is trusted for itself, also where another one has signed it that is not there. */
	return X509_STORE_set_flags(making->trusted, X509_V_FLAG_PARTIAL_CHAIN) == 1;
}

/* Whether one of the CAs has issued and signed it. */
static bool is_signed(const struct server_making *making, X509_CRL *crl)
{
	for (int i = 0; i < sk_X509_num(making->client_ca); i++) {
		X509 *ca = sk_X509_value(making->client_ca, i);
		if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(ca)) == 0 &&
		    X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1)
			return true;
	}
	return false;
}

static bool read_client_crl(struct server_making *making)
{
	const struct tls_document *file = &making->options->client_crl;
	if (file->pem.size == 0)
		return true;
	if (making->client_ca == NULL)
		return tls_fault(making->fault, "%s: there is no CA that it could belong to", file->path);
	STACK_OF(X509_CRL) *crls = tls_pem_crls(file, making->fault);
	bool good = crls != NULL;
	for (int i = 0; good && i < sk_X509_CRL_num(crls); i++) {
		X509_CRL *crl = sk_X509_CRL_value(crls, i);
		if (!is_signed(making, crl))
			good = tls_fault(making->fault, "%s: its revocation list %d is not signed by a CA in %s",
					 file->path, i + 1, making->options->client_ca.path);
		else if (X509_STORE_add_crl(making->trusted, crl) != 1 ||
			 !tls_facts_add_crl(&making->context->facts, file->path, crl))
			good = no_memory(making);
	}
	sk_X509_CRL_pop_free(crls, X509_CRL_free);
	ERR_clear_error();
	/* The client's own certificate: a CRL of the CAs themselves is mostly not at hand. */
	return good && X509_STORE_set_flags(making->trusted, X509_V_FLAG_CRL_CHECK) == 1;
}

/* ---- sessions ---- */

/* A session resumes only where everything is as it was that decided on its client: who is asked for a certificate, who
 * signs it, who is revoked, what its name is, and what is spoken inside. */
static bool make_session_id_context(struct server_making *making)
{
	const struct tls_server_options *options = making->options;
	const uint8_t modes[] = {(uint8_t)options->clients, (uint8_t)options->identity_from};
	const struct slice parts[] = {slice_of(modes, sizeof(modes)), options->client_ca.pem, options->client_crl.pem,
				      slice_of(making->context->alpn, making->context->alpn_bytes)};
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	bool good = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
	for (size_t i = 0; good && i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint64_t size = parts[i].size;
		good = EVP_DigestUpdate(hash, &size, sizeof(size)) == 1 &&
		       EVP_DigestUpdate(hash, parts[i].data, parts[i].size) == 1;
	}
	_Static_assert(sizeof(making->session_id_context) == 32, "SHA-256 fits");
	good = good && EVP_DigestFinal_ex(hash, making->session_id_context, NULL) == 1;
	EVP_MD_CTX_free(hash);
	return good || no_memory(making);
}

static bool set_sessions(struct server_making *making, SSL_CTX *ssl)
{
	struct tls_tickets *tickets = making->context->tickets;
	if (SSL_CTX_set_session_id_context(ssl, making->session_id_context, sizeof(making->session_id_context)) != 1)
		return no_memory(making);
	if (tickets == NULL) {
		SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ssl, 0);
		return true;
	}
	SSL_CTX_set_num_tickets(ssl, 1);
	SSL_CTX_set_timeout(ssl, (long)tls_tickets_lifetime_s(tickets));
	tls_hook_tickets(ssl);
	return true;
}

/* ---- OpenSSL's contexts ---- */

static bool set_clients(struct server_making *making, SSL_CTX *ssl)
{
	const struct tls_context *context = making->context;
	if (!context->wants_certificate)
		return true;
	SSL_CTX_set1_cert_store(ssl, making->trusted);
	for (int i = 0; i < sk_X509_num(making->client_ca); i++) {
		if (SSL_CTX_add_client_CA(ssl, sk_X509_value(making->client_ca, i)) != 1)
			return no_memory(making);
	}
	/* A client's hello may be as long as it likes below the bound of all of its bytes. */
	SSL_CTX_set_max_cert_list(ssl, TLS_HANDSHAKE_CLIENT_BYTES_MAX);
	tls_hook_certificates(ssl, context->requires_certificate);
	return true;
}

/* The context that shows these identities, made where there is none yet. False: the fault says why. */
static bool add_set(struct server_making *making, uint16_t identities)
{
	struct tls_context *context = making->context;
	const struct tls_server_options *options = making->options;
	for (size_t i = 0; i < context->set_count; i++) {
		if (context->sets[i].identities == identities)
			return true;
	}
	if (context->set_count == TLS_SETS_MAX)
		return tls_fault(making->fault, "certificates overlap in too many ways, more than %u", TLS_SETS_MAX);
	SSL_CTX *ssl = tls_context_ssl(context, options->only_tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION, making->fault);
	if (ssl == NULL)
		return false;
	context->sets[context->set_count].identities = identities;
	context->sets[context->set_count++].ssl = ssl;
	if (!tls_cipher_list_use(ssl, options->ciphers, options->ciphersuites, making->fault) ||
	    !set_sessions(making, ssl) || !set_clients(making, ssl))
		return false;
	tls_hook_hello(ssl);
	/* The first of each kind of key wins, so it is put in last. */
	for (size_t i = options->identity_count; i-- > 0;) {
		if ((identities & 1u << i) != 0 &&
		    !tls_identity_use(ssl, &options->identities[i], &making->identities[i], making->fault))
			return false;
	}
	return true;
}

/* Those that the first identity shares a name with: they are for one host. */
static uint16_t identities_of_nobody(const struct server_making *making)
{
	const char *names = making->context->facts.facts[0].names;
	struct slice first = slice_of(names, strcspn(names, ","));
	uint16_t identities = tls_names_with(making->context->names, first);
	return identities == 0 ? 1 : identities;
}

static bool add_sets(struct server_making *making)
{
	uint16_t identities;
	if (!add_set(making, identities_of_nobody(making)))
		return false;
	for (size_t i = 0; (identities = tls_names_set(making->context->names, i)) != 0; i++) {
		if (!add_set(making, identities))
			return false;
	}
	CHECK_GE(making->context->set_count, 1u);
	return true;
}

static bool make_server(struct server_making *making)
{
	struct tls_context *context = making->context;
	const struct tls_server_options *options = making->options;
	context->wants_certificate = options->clients != TLS_CLIENTS_NONE;
	context->requires_certificate = options->clients == TLS_CLIENTS_REQUIRED;
	context->identity_from = options->identity_from;
	context->tickets = options->tickets;
	making->trusted = X509_STORE_new();
	if (making->trusted == NULL)
		return no_memory(making);
	return tls_context_set_alpn(context, options->alpn, making->fault) && read_identities(making) &&
	       read_client_ca(making) && read_client_crl(making) && make_session_id_context(making) && add_sets(making);
}

struct tls_context *tls_context_new_server(const struct tls_server_options *options, char fault[TLS_FAULT_BYTES_MAX])
{
	struct server_making making = {.options = options, .fault = fault, .context = tls_context_blank(true)};
	if (making.context == NULL) {
		no_memory(&making);
		return NULL;
	}
	bool made = make_server(&making);
	for (size_t i = 0; i < TLS_IDENTITIES_MAX; i++)
		tls_identity_read_fini(&making.identities[i]);
	X509_STORE_free(making.trusted);
	sk_X509_pop_free(making.client_ca, X509_free);
	if (!made)
		tls_context_put(&making.context);
	ERR_clear_error();
	return making.context;
}
