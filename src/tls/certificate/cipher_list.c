#include "tls/certificate/cipher_list.h"

#include <openssl/err.h>

#include <stdio.h>

/* Mozilla's intermediate profile, AES-128 before AES-256 for what each record costs. Its DHE-RSA suites are left out: a
 * stranger's hello that asks for them would cost milliseconds of CPU, and who has no ECDHE has no AES-GCM either. */
static const char INTERMEDIATE[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
				   "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
				   "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char SUITES_1_3[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

#define CIPHER_NAME_BYTES_MAX 80u

/* As tls_suite_of() knows them. */
static bool is_ours(const SSL_CIPHER *cipher)
{
	int aead = SSL_CIPHER_get_cipher_nid(cipher), exchange = SSL_CIPHER_get_kx_nid(cipher),
	    signature = SSL_CIPHER_get_auth_nid(cipher);
	return (aead == NID_aes_128_gcm || aead == NID_aes_256_gcm || aead == NID_chacha20_poly1305) &&
	       (exchange == NID_kx_ecdhe || exchange == NID_kx_dhe || exchange == NID_kx_any) &&
	       (signature == NID_auth_ecdsa || signature == NID_auth_rsa || signature == NID_auth_any);
}

/* OpenSSL passes over names that it does not know, as long as it knows one of the list. */
static bool knows_each(SSL_CTX *ssl, const char *list, bool is_1_3, char fault[TLS_FAULT_BYTES_MAX])
{
	char name[CIPHER_NAME_BYTES_MAX];
	for (const char *at = list; *at != '\0';) {
		size_t size = strcspn(at, ":, ");
		if (size >= sizeof(name))
			return tls_fault(fault, "cipher \"%.*s...\" is not known", (int)sizeof(name) - 1, at);
		memcpy(name, at, size);
		name[size] = '\0';
		at += size + strspn(at + size, ":, ");
		if (size == 0 || strchr("!-+@", name[0]) != NULL) /* it takes away, or sorts */
			continue;
		int known = is_1_3 ? SSL_CTX_set_ciphersuites(ssl, name) : SSL_CTX_set_cipher_list(ssl, name);
		ERR_clear_error();
		if (known != 1)
			return tls_fault(fault, "cipher \"%s\" is not one that OpenSSL knows for %s", name,
					 is_1_3 ? "TLS 1.3" : "TLS 1.2");
	}
	return true;
}

bool tls_cipher_list_use(SSL_CTX *ssl, const char *ciphers, const char *suites, char fault[TLS_FAULT_BYTES_MAX])
{
	if (ciphers != NULL && !knows_each(ssl, ciphers, false, fault))
		return false;
	if (suites != NULL && !knows_each(ssl, suites, true, fault))
		return false;
	ciphers = ciphers == NULL ? INTERMEDIATE : ciphers;
	suites = suites == NULL ? SUITES_1_3 : suites;
	bool used = SSL_CTX_set_ciphersuites(ssl, suites) == 1 && SSL_CTX_set_cipher_list(ssl, ciphers) == 1;
	ERR_clear_error();
	if (!used)
		return tls_fault(fault, "no cipher is left of \"%s\" and \"%s\"", ciphers, suites);
	/* A list may lower OpenSSL's level with @SECLEVEL, which takes in weak keys as well. */
	SSL_CTX_set_security_level(ssl, 2);
	const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ssl);
	for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);
		if (!is_ours(cipher))
			return tls_fault(
				fault,
				"cipher %s is not allowed: only ECDHE and DHE with AES-GCM or ChaCha20-Poly1305 "
				"are",
				SSL_CIPHER_get_name(cipher));
	}
	return true;
}
