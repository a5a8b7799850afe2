/* What a certificate says, as text that people and other programs read. Texts are the caller's to free(); NULL: no
 * memory, unless another meaning is said. Any thread. */
#ifndef TLS_CERTIFICATE_FACTS_H
#define TLS_CERTIFICATE_FACTS_H

#include "base/slice.h"

#include <openssl/x509.h>

/* A longer subject is cut: strangers' certificates carry what they like. */
#define TLS_SUBJECT_BYTES_MAX 256u

/* "CN=mqtt.example.com,O=Example" [RFC 2253]: control characters are escaped, UTF-8 is not.
 * Always UTF-8. */
char *tls_certificate_subject(const X509_NAME *name);
/* The names that a server's certificate is shown for, in lower case with ", " between: its subjectAltNames, DNS and
 * addresses; without any, its CN. "" if there are none. What cannot be the name of a host is left out. */
char *tls_certificate_names(const X509 *certificate);
/* "RSA 2048", "EC prime256v1", "ED25519". */
char *tls_certificate_key(const X509 *certificate);
/* Seconds since 1970; INT64_MAX for NULL, which a CRL's next update may be. */
int64_t tls_certificate_time(const ASN1_TIME *time);

/* The last CN of the subject, or the first subjectAltName of a kind (GEN_DNS, GEN_EMAIL, GEN_URI), as UTF-8. NULL:
 * there is none, it is empty, longer than 65535 bytes or has a NUL in it, which no MQTT string may. */
#define TLS_NAME_BYTES_MAX 65535u
char *tls_certificate_cn(const X509 *certificate);
char *tls_certificate_alternative(const X509 *certificate, int kind);

#endif
