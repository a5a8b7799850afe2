/* Which of a listener's identities a client gets that names a host (SNI [RFC 6066, 3]). An identity is a number below
 * 16; a set of them one bit each. Any thread, once it is filled. */
#ifndef TLS_CERTIFICATE_NAMES_H
#define TLS_CERTIFICATE_NAMES_H

#include "base/slice.h"

#define TLS_NAMES_IDENTITIES_MAX 16u

struct tls_names;

struct tls_names *tls_names_new(void); /* NULL: no memory */
void tls_names_free(struct tls_names *names);
/* Names as tls_certificate_names() writes them. False: no memory. */
bool tls_names_add(struct tls_names *names, const char *list, unsigned identity);
/* All identities with exactly this name; without one, those whose wildcard stands for its first label [RFC
 * 6125, 6.4.3]; else 0. Letters' case does not matter. */
uint16_t tls_names_find(const struct tls_names *names, struct slice host);
/* The identities with exactly this name, which may be a wildcard, in lower case. */
uint16_t tls_names_with(const struct tls_names *names, struct slice name);
/* Those of the name with this number; 0: there is no such number. */
uint16_t tls_names_set(const struct tls_names *names, size_t number);

#endif
