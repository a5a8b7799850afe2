/* A file that an operator wrote, in memory, and the sentence that says what is wrong with it. */
#ifndef TLS_CERTIFICATE_DOCUMENT_H
#define TLS_CERTIFICATE_DOCUMENT_H

#include "base/slice.h"

#define TLS_FAULT_BYTES_MAX 512u

/* path: only for messages. */
struct tls_document {
	const char *path;
	struct slice pem;
};

struct tls_identity {
	struct tls_document chain; /* the certificate first, then those that sign it */
	struct tls_document key;
};

/* Writes the sentence, cut to its room. False, so that a caller may return it. */
bool tls_fault(char fault[TLS_FAULT_BYTES_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
