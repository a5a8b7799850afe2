/* Certificates, keys and revocation lists out of the files that an operator wrote. A fault names the file and what it
 * has instead. Any thread. */
#ifndef TLS_CERTIFICATE_PEM_H
#define TLS_CERTIFICATE_PEM_H

#include "tls/certificate/document.h"

#include <openssl/x509.h>

/* All certificates of the file, in its order; at least one. The caller frees them. NULL: fault says why. */
STACK_OF(X509) * tls_pem_certificates(const struct tls_document *document, char fault[TLS_FAULT_BYTES_MAX]);
STACK_OF(X509_CRL) * tls_pem_crls(const struct tls_document *document, char fault[TLS_FAULT_BYTES_MAX]);
/* The file's first private key, which may not be encrypted: nobody could be asked for its passphrase. */
EVP_PKEY *tls_pem_key(const struct tls_document *document, char fault[TLS_FAULT_BYTES_MAX]);

#endif
