#include "tls/certificate/identity.h"

#include "tls/certificate/pem.h"

#include <openssl/err.h>

void tls_identity_read_fini(struct identity_read *read)
{
	sk_X509_pop_free(read->chain, X509_free);
	EVP_PKEY_free(read->key);
	*read = (struct identity_read){0};
}

bool tls_identity_read(const struct tls_identity *identity, struct identity_read *read, char fault[TLS_FAULT_BYTES_MAX])
{
	*read = (struct identity_read){0};
	read->chain = tls_pem_certificates(&identity->chain, fault);
	if (read->chain == NULL)
		return false;
	read->key = tls_pem_key(&identity->key, fault);
	if (read->key == NULL) {
		tls_identity_read_fini(read);
		return false;
	}
	for (int i = 0; i < sk_X509_num(read->chain); i++) {
		bool matches = X509_check_private_key(sk_X509_value(read->chain, i), read->key) == 1;
		ERR_clear_error();
		if (matches && i == 0)
			return true;
		if (matches) {
			tls_fault(fault, "%s: its certificate %d is the one of the key in %s; it must come first",
				  identity->chain.path, i + 1, identity->key.path);
			tls_identity_read_fini(read);
			return false;
		}
	}
	tls_fault(fault, "the key in %s is not that of the certificate in %s", identity->key.path,
		  identity->chain.path);
	tls_identity_read_fini(read);
	return false;
}

/* OpenSSL's refusal of a certificate, in our words. */
static bool say_why_unusable(const struct tls_identity *identity, char fault[TLS_FAULT_BYTES_MAX])
{
	unsigned long error = ERR_peek_error();
	const char *path = identity->chain.path;
	switch (ERR_GET_REASON(error)) {
	case SSL_R_EE_KEY_TOO_SMALL:
		tls_fault(fault, "%s: its key is too weak; RSA takes 2048 bits at least, ECDSA 224", path);
		break;
	case SSL_R_CA_KEY_TOO_SMALL:
		tls_fault(fault, "%s: the key of a certificate that signs it is too weak", path);
		break;
	case SSL_R_CA_MD_TOO_WEAK:
		tls_fault(fault, "%s: a certificate in it is signed with a hash that is too weak, such as SHA-1", path);
		break;
	default:
		tls_fault(fault, "%s cannot be used: %s", path, ERR_reason_error_string(error));
	}
	ERR_clear_error();
	return false;
}

bool tls_identity_use(SSL_CTX *ssl, const struct tls_identity *identity, const struct identity_read *read,
		      char fault[TLS_FAULT_BYTES_MAX])
{
	STACK_OF(X509) *behind = sk_X509_dup(read->chain);
	X509 *own = behind == NULL ? NULL : sk_X509_shift(behind);
	ERR_clear_error();
	bool used = own != NULL && SSL_CTX_use_cert_and_key(ssl, own, read->key, behind, 1) == 1;
	sk_X509_free(behind);
	return used || say_why_unusable(identity, fault);
}
