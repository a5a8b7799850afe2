#include "admin/metrics/certificates.h"

#include "base/check.h"

#include <string.h>

static bool is_same(const struct tls_certificate_facts *one, const struct tls_certificate_facts *other)
{
	return one->kind == other->kind && strcmp(one->path, other->path) == 0 &&
	       strcmp(one->subject, other->subject) == 0;
}

/* Listeners may share files, and Prometheus takes no two samples with the same labels: of those with one path and
 * subject, the one that ends first counts. */
static void certificates_add(struct certificates *certificates, const struct tls_certificate_facts *facts)
{
	for (size_t i = 0; i < certificates->count; i++) {
		struct tls_certificate_facts *other = &certificates->items[i];
		if (!is_same(other, facts))
			continue;
		if (facts->expires_s < other->expires_s)
			*other = *facts;
		return;
	}
	if (certificates->count < CERTIFICATES_MAX)
		certificates->items[certificates->count++] = *facts;
}

void certificates_take(struct certificates *certificates, struct tls_contexts *contexts)
{
	struct tls_certificate_facts facts;
	*certificates = (struct certificates){.count = 0};
	tls_contexts_take(contexts, &certificates->contexts);
	for (uint32_t i = 0; i < SETTINGS_TLS_MAX; i++) {
		const struct tls_context *context = certificates->contexts.items[i];
		for (size_t number = 0; context != NULL && tls_context_certificate(context, number, &facts); number++)
			certificates_add(certificates, &facts);
	}
	CHECK_LE(certificates->count, CERTIFICATES_MAX);
}

void certificates_drop(struct certificates *certificates)
{
	tls_context_set_drop(&certificates->contexts);
	certificates->count = 0;
}

const char *certificate_kind_name(enum tls_certificate_kind kind)
{
	switch (kind) {
	case TLS_CERTIFICATE_OWN:
		return "own";
	case TLS_CERTIFICATE_CLIENT_CA:
		return "client_ca";
	case TLS_CERTIFICATE_CLIENT_CRL:
		return "client_crl";
	}
	return "";
}

bool certificate_ends(const struct tls_certificate_facts *facts)
{
	return facts->expires_s != INT64_MAX;
}
