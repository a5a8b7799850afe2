#include "tls/certificate/fact_list.h"

#include "tls/certificate/facts.h"

#include <stdlib.h>

static void fact_fini(struct tls_certificate_facts *fact)
{
	free((void *)(uintptr_t)fact->path);
	free((void *)(uintptr_t)fact->subject);
	free((void *)(uintptr_t)fact->names);
	free((void *)(uintptr_t)fact->key);
}

/* Takes what the fact has, also where it fails. */
static bool add_fact(struct tls_fact_list *list, struct tls_certificate_facts fact)
{
	if (fact.path != NULL && fact.subject != NULL && fact.names != NULL && fact.key != NULL) {
		struct tls_certificate_facts *more = realloc(list->facts, (list->count + 1) * sizeof(*more));
		if (more != NULL) {
			list->facts = more;
			more[list->count++] = fact;
			return true;
		}
	}
	fact_fini(&fact);
	return false;
}

bool tls_facts_add_chain(struct tls_fact_list *list, const char *path, STACK_OF(X509) * chain)
{
	const X509 *own = sk_X509_value(chain, 0);
	struct tls_certificate_facts fact = {
		.kind = TLS_CERTIFICATE_OWN,
		.path = strdup(path),
		.subject = tls_certificate_subject(X509_get_subject_name(own)),
		.names = tls_certificate_names(own),
		.key = tls_certificate_key(own),
		.begins_s = tls_certificate_time(X509_get0_notBefore(own)),
		.expires_s = INT64_MAX,
		.self_signed = X509_NAME_cmp(X509_get_subject_name(own), X509_get_issuer_name(own)) == 0,
	};
	for (int i = 0; i < sk_X509_num(chain); i++) {
		int64_t expires_s = tls_certificate_time(X509_get0_notAfter(sk_X509_value(chain, i)));
		fact.expires_s = expires_s < fact.expires_s ? expires_s : fact.expires_s;
	}
	return add_fact(list, fact);
}

bool tls_facts_add_ca(struct tls_fact_list *list, const char *path, const X509 *certificate)
{
	return add_fact(list, (struct tls_certificate_facts){
				      .kind = TLS_CERTIFICATE_CLIENT_CA,
				      .path = strdup(path),
				      .subject = tls_certificate_subject(X509_get_subject_name(certificate)),
				      .names = strdup(""),
				      .key = tls_certificate_key(certificate),
				      .begins_s = tls_certificate_time(X509_get0_notBefore(certificate)),
				      .expires_s = tls_certificate_time(X509_get0_notAfter(certificate)),
				      .self_signed = X509_NAME_cmp(X509_get_subject_name(certificate),
								   X509_get_issuer_name(certificate)) == 0,
			      });
}

bool tls_facts_add_crl(struct tls_fact_list *list, const char *path, const X509_CRL *crl)
{
	return add_fact(list, (struct tls_certificate_facts){
				      .kind = TLS_CERTIFICATE_CLIENT_CRL,
				      .path = strdup(path),
				      .subject = tls_certificate_subject(X509_CRL_get_issuer(crl)),
				      .names = strdup(""),
				      .key = strdup(""),
				      .begins_s = tls_certificate_time(X509_CRL_get0_lastUpdate(crl)),
				      .expires_s = tls_certificate_time(X509_CRL_get0_nextUpdate(crl)),
			      });
}

void tls_facts_free(struct tls_fact_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		fact_fini(&list->facts[i]);
	free(list->facts);
}
