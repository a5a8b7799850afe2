/* The ciphers of a context: only those that the record layer has, so nothing that a configuration says can bring in
 * another one. Any thread. */
#ifndef TLS_CERTIFICATE_CIPHER_LIST_H
#define TLS_CERTIFICATE_CIPHER_LIST_H

#include "tls/certificate/document.h"

#include <openssl/ssl.h>

/* Both may be NULL, which is the default. False: fault names the cipher that is not known, or not allowed. */
bool tls_cipher_list_use(SSL_CTX *ssl, const char *ciphers, const char *suites, char fault[TLS_FAULT_BYTES_MAX]);

#endif
