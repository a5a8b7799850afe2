/* The facts of what a context has. Filled while it is made; any thread afterwards. */
#ifndef TLS_CERTIFICATE_FACT_LIST_H
#define TLS_CERTIFICATE_FACT_LIST_H

#include <openssl/x509.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_certificate_kind {
	TLS_CERTIFICATE_OWN,        /* of an identity */
	TLS_CERTIFICATE_CLIENT_CA,  /* of the CA file */
	TLS_CERTIFICATE_CLIENT_CRL, /* not a certificate: the CRL's issuer, its last and next update */
};
/* The first certificate of each identity, then each of the CA file,
 * then each CRL. Strings are the context's. A certificate that is past expires_s, or before begins_s, or a CRL that is
 * past expires_s (with which every client's certificate is refused), is worth an error in the log. */
struct tls_certificate_facts {
	enum tls_certificate_kind kind;
	const char *path;
	const char *subject; /* "CN=mqtt.example.com,O=Example" */
	const char *names;   /* that it is shown for, with ", " between; "" for a CA */
	const char *key;     /* "RSA 2048", "EC prime256v1"; "" for a CRL */
	/* Seconds since 1970. Of an identity: when the first certificate of its chain ends. INT64_MAX: a CRL that names
	 * no next update. */
	int64_t begins_s;
	int64_t expires_s;
	bool self_signed;
};
struct tls_fact_list {
	struct tls_certificate_facts *facts;
	size_t count;
};

/* One more; path is copied. False: no memory. */
bool tls_facts_add_chain(struct tls_fact_list *list, const char *path, STACK_OF(X509) * chain);
bool tls_facts_add_ca(struct tls_fact_list *list, const char *path, const X509 *certificate);
bool tls_facts_add_crl(struct tls_fact_list *list, const char *path, const X509_CRL *crl);
void tls_facts_free(struct tls_fact_list *list);

#endif
