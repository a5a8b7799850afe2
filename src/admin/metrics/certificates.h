/* The certificates that TLS listeners have now, each once, for metrics and the API. Admin thread. */
#ifndef ADMIN_METRICS_CERTIFICATES_H
#define ADMIN_METRICS_CERTIFICATES_H

#include "runtime/tls_contexts.h"

/* More are not shown: each listener has a few. */
#define CERTIFICATES_MAX 256u

struct certificates {
	struct tls_context_set contexts; /* the facts' strings are theirs */
	struct tls_certificate_facts items[CERTIFICATES_MAX];
	size_t count;
};

void certificates_take(struct certificates *certificates, struct tls_contexts *contexts);
void certificates_drop(struct certificates *certificates);
/* "own", "client_ca", "client_crl"; static storage. */
const char *certificate_kind_name(enum tls_certificate_kind kind);
/* Whether it ends at all: a list of revoked certificates need not. */
bool certificate_ends(const struct tls_certificate_facts *facts);

#endif
