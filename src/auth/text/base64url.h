/* Base64url without padding [RFC 7515, section 2], as strict as it can be: any byte outside the alphabet, padding, a
 * length that no encoder makes and bits left over that are not zero are all refused, so that one value has one
 * spelling. For untrusted input; not in constant time, so not for secrets. Pure; any thread. */
#ifndef AUTH_BASE64URL_H
#define AUTH_BASE64URL_H

#include "base/slice.h"

/* What `size` characters decode to at most, and `size` bytes encode to. */
#define BASE64URL_DECODED_BYTES_MAX(size) ((size) / 4 * 3 + 2)
#define BASE64URL_ENCODED_BYTES(size) (((size)*4 + 2) / 3)

/* Decodes into out, which holds BASE64URL_DECODED_BYTES_MAX(text.size). False where it is malformed: out is then
 * undefined. *size is set in any case. */
bool base64url_decode(struct slice text, uint8_t *out, size_t *size);

/* Encodes into out, which holds BASE64URL_ENCODED_BYTES(bytes.size) characters; returns how many it wrote. */
size_t base64url_encode(struct slice bytes, char *out);

#endif
