#include "tls/certificate/pem.h"

#include "base/check.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <limits.h>
#include <stdlib.h>

/* What the operator meant to give. */
struct pem_wanted {
	const char *what;     /* "certificate" */
	const char *der_kind; /* as in `openssl x509` */
};

static const struct pem_wanted WANTED_CERTIFICATE = {"certificate", "x509"};
static const struct pem_wanted WANTED_CRL = {"revocation list", "crl"};
static const struct pem_wanted WANTED_KEY = {"private key", "pkey"};

static bool pem_has(const struct tls_document *document, const char *text)
{
	return document->pem.size > 0 && memmem(document->pem.data, document->pem.size, text, strlen(text)) != NULL;
}

/* There is none of what was wanted: what is there instead? */
static void say_what_it_is(const struct tls_document *document, const struct pem_wanted *wanted,
			   char fault[TLS_FAULT_BYTES_MAX])
{
	const char *path = document->path;
	if (document->pem.size == 0)
		tls_fault(fault, "%s is empty", path);
	else if (pem_has(document, "-----BEGIN CERTIFICATE REQUEST") || pem_has(document, "-----BEGIN NEW CERTIFICATE"))
		tls_fault(fault, "%s has a request for a certificate, and no %s", path, wanted->what);
	else if (pem_has(document, "PRIVATE KEY-----"))
		tls_fault(fault, "%s has a private key, and no %s", path, wanted->what);
	else if (pem_has(document, "-----BEGIN CERTIFICATE-----"))
		tls_fault(fault, "%s has a certificate, and no %s", path, wanted->what);
	else if (pem_has(document, "-----BEGIN PUBLIC KEY"))
		tls_fault(fault, "%s has a public key, and no %s", path, wanted->what);
	else if (pem_has(document, "-----BEGIN "))
		tls_fault(fault, "%s has no %s", path, wanted->what);
	else if (document->pem.data[0] == 0x30) /* an ASN.1 sequence */
		tls_fault(fault,
			  "%s is not PEM; it may be DER (`openssl %s -inform DER` converts it) or PKCS #12 (`openssl "
			  "pkcs12`)",
			  path, wanted->der_kind);
	else
		tls_fault(fault, "%s is not PEM: it has no line -----BEGIN", path);
}

static BIO *pem_reader(const struct tls_document *document)
{
	CHECK_LE(document->pem.size, (size_t)INT_MAX);
	ERR_clear_error();
	return BIO_new_mem_buf(document->pem.size == 0 ? "" : (const char *)document->pem.data,
			       (int)document->pem.size);
}

/* How reading one after the other ended: with the end of the file, or with one that is damaged. */
static bool ended_well(const struct tls_document *document, const struct pem_wanted *wanted, int count,
		       char fault[TLS_FAULT_BYTES_MAX])
{
	unsigned long error = ERR_peek_last_error();
	bool at_end = error == 0 || (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE);
	if (at_end && count > 0)
		return true;
	if (at_end)
		say_what_it_is(document, wanted, fault);
	else if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
		tls_fault(fault, "%s: out of memory", document->path);
	else
		tls_fault(fault, "%s: %s %d of the file is damaged: %s", document->path, wanted->what, count + 1,
			  ERR_reason_error_string(error));
	return false;
}

STACK_OF(X509) * tls_pem_certificates(const struct tls_document *document, char fault[TLS_FAULT_BYTES_MAX])
{
	BIO *reader = pem_reader(document);
	STACK_OF(X509) *certificates = sk_X509_new_null();
	bool good = reader != NULL && certificates != NULL;
	X509 *certificate;
	if (!good)
		tls_fault(fault, "%s: out of memory", document->path);
	while (good && (certificate = PEM_read_bio_X509(reader, NULL, NULL, NULL)) != NULL) {
		if (sk_X509_push(certificates, certificate) == 0) {
			X509_free(certificate);
			good = tls_fault(fault, "%s: out of memory", document->path);
		}
	}
	good = good && ended_well(document, &WANTED_CERTIFICATE, sk_X509_num(certificates), fault);
	if (!good) {
		sk_X509_pop_free(certificates, X509_free);
		certificates = NULL;
	}
	BIO_free(reader);
	ERR_clear_error();
	return certificates;
}

STACK_OF(X509_CRL) * tls_pem_crls(const struct tls_document *document, char fault[TLS_FAULT_BYTES_MAX])
{
	BIO *reader = pem_reader(document);
	STACK_OF(X509_CRL) *crls = sk_X509_CRL_new_null();
	bool good = reader != NULL && crls != NULL;
	X509_CRL *crl;
	if (!good)
		tls_fault(fault, "%s: out of memory", document->path);
	while (good && (crl = PEM_read_bio_X509_CRL(reader, NULL, NULL, NULL)) != NULL) {
		if (sk_X509_CRL_push(crls, crl) == 0) {
			X509_CRL_free(crl);
			good = tls_fault(fault, "%s: out of memory", document->path);
		}
	}
	good = good && ended_well(document, &WANTED_CRL, sk_X509_CRL_num(crls), fault);
	if (!good) {
		sk_X509_CRL_pop_free(crls, X509_CRL_free);
		crls = NULL;
	}
	BIO_free(reader);
	ERR_clear_error();
	return crls;
}

static int refuse_passphrase(char *buffer, int size, int writing, void *asked)
{
	(void)buffer, (void)size, (void)writing;
	*(bool *)asked = true;
	return -1;
}

EVP_PKEY *tls_pem_key(const struct tls_document *document, char fault[TLS_FAULT_BYTES_MAX])
{
	bool encrypted = false;
	BIO *reader = pem_reader(document);
	EVP_PKEY *key = reader == NULL ? NULL : PEM_read_bio_PrivateKey(reader, NULL, refuse_passphrase, &encrypted);
	if (reader == NULL)
		tls_fault(fault, "%s: out of memory", document->path);
	else if (encrypted)
		tls_fault(fault,
			  "%s is encrypted with a passphrase, which nobody is there to give: `openssl pkey -in %s -out "
			  "NEW` writes it without",
			  document->path, document->path);
	else if (key == NULL && pem_has(document, "PRIVATE KEY-----"))
		tls_fault(fault, "%s: its private key is damaged, or of a kind that OpenSSL does not know",
			  document->path);
	else if (key == NULL)
		say_what_it_is(document, &WANTED_KEY, fault);
	BIO_free(reader);
	ERR_clear_error();
	return key;
}
