#include "tls/certificate/facts.h"

#include "base/check.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>

/* A copy of so many bytes with a NUL behind them. */
static char *text_copy(const void *bytes, size_t size)
{
	char *text = malloc(size + 1);
	if (text == NULL)
		return NULL;
	if (size > 0)
		memcpy(text, bytes, size);
	text[size] = '\0';
	return text;
}

/* So that it ends with a whole character of UTF-8: back over continuation bytes, and the byte that they continue. */
static size_t whole_characters(const char *text, size_t size, size_t size_max)
{
	if (size <= size_max)
		return size;
	size = size_max;
	while (size > 0 && ((uint8_t)text[size] & 0xc0) == 0x80)
		size--;
	return size;
}

static bool is_utf8(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	int left = (int)strlen(text), taken;
	unsigned long character;
	for (; left > 0; at += taken, left -= taken) {
		taken = UTF8_getc(at, left, &character);
		if (taken <= 0)
			return false;
	}
	return true;
}

/* flags: XN_FLAG_*, ASN1_STRFLGS_*. */
static char *subject_as(const X509_NAME *name, unsigned long flags)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *text = NULL, *bytes;
	if (out != NULL && X509_NAME_print_ex(out, name, 0, flags) >= 0) {
		long size = BIO_get_mem_data(out, &bytes);
		text = text_copy(bytes, whole_characters(bytes, (size_t)size, TLS_SUBJECT_BYTES_MAX));
	}
	BIO_free(out);
	ERR_clear_error();
	return text;
}

/* OpenSSL takes what says that it is UTF-8 at its word. Where it is not, each of its bytes above 127 is escaped. */
char *tls_certificate_subject(const X509_NAME *name)
{
	char *text = subject_as(name, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
	if (text != NULL && !is_utf8(text)) {
		free(text);
		text = subject_as(name, XN_FLAG_RFC2253);
	}
	return text;
}

/* ---- names of a server ---- */

static bool is_host_character(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '*';
}

/* Appends ", " and the name, in lower case, to what is in the memory. Nothing, if it can be no host's. */
static void add_name(BIO *names, const uint8_t *name, int size)
{
	char lower[256];
	if (size <= 0 || (size_t)size >= sizeof(lower))
		return;
	for (int i = 0; i < size; i++) {
		uint8_t c = name[i] >= 'A' && name[i] <= 'Z' ? (uint8_t)(name[i] + ('a' - 'A')) : name[i];
		if (!is_host_character(c))
			return;
		lower[i] = (char)c;
	}
	BIO_printf(names, "%s%.*s", BIO_pending(names) > 0 ? ", " : "", size, lower);
}

static void add_address(BIO *names, const uint8_t *bytes, int size)
{
	const char *between = BIO_pending(names) > 0 ? ", " : "";
	if (size == 4)
		BIO_printf(names, "%s%d.%d.%d.%d", between, bytes[0], bytes[1], bytes[2], bytes[3]);
	if (size == 16) {
		BIO_printf(names, "%s", between);
		for (int i = 0; i < 16; i += 2)
			BIO_printf(names, "%s%x", i > 0 ? ":" : "", bytes[i] << 8 | bytes[i + 1]);
	}
}

static void add_alternatives(BIO *out, const GENERAL_NAMES *names)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		int kind;
		const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
		if (kind == GEN_DNS)
			add_name(out, ASN1_STRING_get0_data(value), ASN1_STRING_length(value));
		if (kind == GEN_IPADD)
			add_address(out, ASN1_STRING_get0_data(value), ASN1_STRING_length(value));
	}
}

char *tls_certificate_names(const X509 *certificate)
{
	BIO *out = BIO_new(BIO_s_mem());
	if (out == NULL)
		return NULL;
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	if (names != NULL) {
		add_alternatives(out, names);
	} else {
		char *cn = tls_certificate_cn(certificate);
		if (cn != NULL && strlen(cn) < 256)
			add_name(out, (const uint8_t *)cn, (int)strlen(cn));
		free(cn);
	}
	char *bytes;
	long size = BIO_get_mem_data(out, &bytes);
	char *text = text_copy(bytes, (size_t)size);
	GENERAL_NAMES_free(names);
	BIO_free(out);
	ERR_clear_error();
	return text;
}

char *tls_certificate_key(const X509 *certificate)
{
	char text[128] = "unknown", group[80];
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	size_t group_bytes;
	if (key == NULL)
		return text_copy(text, strlen(text));
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		snprintf(text, sizeof(text), "RSA %d", EVP_PKEY_get_bits(key));
	else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
		 EVP_PKEY_get_group_name(key, group, sizeof(group), &group_bytes) == 1)
		snprintf(text, sizeof(text), "EC %s", group);
	else
		snprintf(text, sizeof(text), "%s", OBJ_nid2sn(EVP_PKEY_get_base_id(key)));
	ERR_clear_error();
	return text_copy(text, strlen(text));
}

int64_t tls_certificate_time(const ASN1_TIME *time)
{
	int days = 0, seconds = 0;
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	bool good = time != NULL && epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
	ASN1_TIME_free(epoch);
	ERR_clear_error();
	return good ? (int64_t)days * 86400 + seconds : INT64_MAX;
}

/* ---- names of a client ---- */

/* As UTF-8, whatever the certificate has it in; NULL: it cannot be a string of MQTT. */
static char *utf8_of(const ASN1_STRING *value)
{
	uint8_t *utf8 = NULL;
	char *text = NULL;
	int size = ASN1_STRING_to_UTF8(&utf8, value);
	if (size > 0 && (size_t)size <= TLS_NAME_BYTES_MAX && memchr(utf8, '\0', (size_t)size) == NULL)
		text = text_copy(utf8, (size_t)size);
	OPENSSL_free(utf8);
	ERR_clear_error();
	return text;
}

char *tls_certificate_cn(const X509 *certificate)
{
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int last = -1, next;
	while ((next = X509_NAME_get_index_by_NID(subject, NID_commonName, last)) >= 0)
		last = next;
	return last < 0 ? NULL : utf8_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
}

char *tls_certificate_alternative(const X509 *certificate, int kind)
{
	CHECK(kind == GEN_DNS || kind == GEN_EMAIL || kind == GEN_URI);
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	char *text = NULL;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		int its_kind;
		const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &its_kind);
		if (its_kind == kind) {
			text = utf8_of(value);
			break;
		}
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return text;
}
