#include "tls/certificate/development.h"

#include "base/check.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define CA_DAYS 3650u
#define DAY_S 86400
#define SERIAL_BYTES 16u
#define COMMON_NAME_BYTES_MAX 64u /* [RFC 5280, A.1: ub-common-name] */
#define ALTERNATIVES_BYTES_MAX (TLS_DEVELOPMENT_NAMES_MAX * 260u)

/* A certificate to be made. */
struct certificate_plan {
	const char *cn;
	const char *usage;        /* keyUsage */
	const char *purpose;      /* extendedKeyUsage; NULL: a CA */
	const char *alternatives; /* subjectAltName; NULL: none */
	int64_t begins_s;
	uint32_t days;
};

struct certified {
	X509 *certificate;
	EVP_PKEY *key;
};

static void certified_fini(struct certified *certified)
{
	X509_free(certified->certificate);
	EVP_PKEY_free(certified->key);
	*certified = (struct certified){0};
}

/* ---- one certificate ---- */

static bool set_serial(X509 *certificate)
{
	uint8_t bytes[SERIAL_BYTES];
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and of full length */
	BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	bool set = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
	BN_free(number);
	return set;
}

static bool add_extension(X509 *certificate, X509V3_CTX *about, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, about, nid, value);
	bool added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return added;
}

static bool add_extensions(X509 *certificate, X509 *issuer, const struct certificate_plan *plan)
{
	X509V3_CTX about;
	X509V3_set_ctx(&about, issuer, certificate, NULL, NULL, 0);
	bool is_ca = plan->purpose == NULL;
	return add_extension(certificate, &about, NID_basic_constraints,
			     is_ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
	       add_extension(certificate, &about, NID_key_usage, plan->usage) &&
	       add_extension(certificate, &about, NID_subject_key_identifier, "hash") &&
	       (is_ca || add_extension(certificate, &about, NID_authority_key_identifier, "keyid")) &&
	       (is_ca || add_extension(certificate, &about, NID_ext_key_usage, plan->purpose)) &&
	       (plan->alternatives == NULL ||
		add_extension(certificate, &about, NID_subject_alt_name, plan->alternatives));
}

static bool set_names_and_times(X509 *certificate, X509 *issuer, const struct certificate_plan *plan)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	const unsigned char *cn = (const unsigned char *)plan->cn;
	int64_t ends_s = plan->begins_s + (int64_t)plan->days * DAY_S;
	return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, cn, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
	       ASN1_TIME_set(X509_getm_notBefore(certificate), plan->begins_s) != NULL &&
	       ASN1_TIME_set(X509_getm_notAfter(certificate), ends_s) != NULL;
}

/* ca: NULL signs it with its own key. */
static bool certify(const struct certificate_plan *plan, bool rsa, const struct certified *ca, struct certified *made)
{
	*made = (struct certified){.certificate = X509_new(), .key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256")};
	X509 *certificate = made->certificate;
	bool good = certificate != NULL && made->key != NULL;
	if (good) {
		X509 *issuer = ca == NULL ? certificate : ca->certificate;
		good = X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
		       X509_set_pubkey(certificate, made->key) == 1 && set_names_and_times(certificate, issuer, plan) &&
		       add_extensions(certificate, issuer, plan) &&
		       X509_sign(certificate, ca == NULL ? made->key : ca->key, EVP_sha256()) > 0;
	}
	if (!good)
		certified_fini(made);
	return good;
}

/* ---- as files ---- */

/* Takes what the BIO has, with a NUL behind it that size does not count. */
static bool take_text(BIO *text, struct slice *pem)
{
	char *bytes;
	long size = BIO_get_mem_data(text, &bytes);
	uint8_t *copy = malloc((size_t)size + 1);
	if (copy == NULL)
		return false;
	memcpy(copy, bytes, (size_t)size);
	copy[size] = '\0';
	*pem = slice_of(copy, (size_t)size);
	return true;
}

static bool write_chain(X509 *first, X509 *second, struct slice *pem)
{
	BIO *text = BIO_new(BIO_s_mem());
	bool good = text != NULL && PEM_write_bio_X509(text, first) == 1 &&
		    (second == NULL || PEM_write_bio_X509(text, second) == 1) && take_text(text, pem);
	BIO_free(text);
	return good;
}

static bool development_write_key(EVP_PKEY *key, struct slice *pem)
{
	BIO *text = BIO_new(BIO_s_secmem()); /* which is wiped */
	bool good = text != NULL && PEM_write_bio_PKCS8PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		    take_text(text, pem);
	BIO_free(text);
	return good;
}

static bool development_read_ca(const struct tls_development *from, struct certified *ca)
{
	const struct slice *certificate = &from->pem[TLS_DEVELOPMENT_CA], *key = &from->pem[TLS_DEVELOPMENT_CA_KEY];
	BIO *text = BIO_new_mem_buf(certificate->data, (int)certificate->size);
	BIO *secret = BIO_new_mem_buf(key->data, (int)key->size);
	*ca = (struct certified){0};
	if (text != NULL && secret != NULL) {
		ca->certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);
		ca->key = PEM_read_bio_PrivateKey(secret, NULL, NULL, NULL);
	}
	BIO_free(text);
	BIO_free(secret);
	bool good = ca->certificate != NULL && ca->key != NULL && X509_check_private_key(ca->certificate, ca->key) == 1;
	if (!good)
		certified_fini(ca);
	return good;
}

static bool set_fingerprint(struct tls_development *made, const X509 *certificate)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned size;
	if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1)
		return false;
	CHECK_LE(size * 3u, sizeof(made->fingerprint));
	for (unsigned i = 0; i < size; i++)
		snprintf(made->fingerprint + 3 * i, 4, "%02X%s", digest[i], i + 1 < size ? ":" : "");
	return true;
}

/* ---- names ---- */

static bool is_address(const char *name)
{
	ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
	bool is = address != NULL;
	ASN1_OCTET_STRING_free(address);
	ERR_clear_error();
	return is;
}

static bool is_host(const char *name)
{
	size_t size = strlen(name);
	if (strncmp(name, "*.", 2) == 0)
		name += 2;
	if (size == 0 || size > 253 || *name == '\0' || *name == '.')
		return false;
	for (; *name != '\0'; name++) {
		if (!isalnum((unsigned char)*name) && strchr("-._", *name) == NULL)
			return false;
	}
	return true;
}

/* subjectAltName as OpenSSL's configuration has it: "DNS:localhost,IP:127.0.0.1". */
static bool write_alternatives(const struct tls_development_options *options, char out[ALTERNATIVES_BYTES_MAX],
			       char fault[TLS_FAULT_BYTES_MAX])
{
	size_t at = 0;
	if (options->name_count > TLS_DEVELOPMENT_NAMES_MAX)
		return tls_fault(fault, "a certificate takes at most %u names", TLS_DEVELOPMENT_NAMES_MAX);
	for (size_t i = 0; i < options->name_count; i++) {
		const char *name = options->names[i];
		bool address = is_address(name);
		if (!address && !is_host(name))
			return tls_fault(fault, "\"%s\" is no host's name and no address", name);
		int written = snprintf(out + at, ALTERNATIVES_BYTES_MAX - at, "%s%s:%s", i > 0 ? "," : "",
				       address ? "IP" : "DNS", name);
		CHECK(written > 0 && (size_t)written < ALTERNATIVES_BYTES_MAX - at);
		at += (size_t)written;
	}
	return true;
}

/* ---- all of it ---- */

static bool make_server_files(const struct tls_development_options *options, const struct certified *ca,
			      struct tls_development *made, char fault[TLS_FAULT_BYTES_MAX])
{
	char alternatives[ALTERNATIVES_BYTES_MAX];
	if (options->name_count == 0)
		return true;
	if (!write_alternatives(options, alternatives, fault))
		return false;
	const char *first = options->names[0];
	const struct certificate_plan plan = {
		.cn = strlen(first) <= COMMON_NAME_BYTES_MAX ? first : "Roost",
		.usage = options->rsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature",
		.purpose = "serverAuth",
		.alternatives = alternatives,
		.begins_s = options->begins_s,
		.days = options->days,
	};
	struct certified server;
	if (!certify(&plan, options->rsa, ca, &server))
		return tls_fault(fault, "no certificate could be made: %s", ERR_reason_error_string(ERR_peek_error()));
	bool good = write_chain(server.certificate, ca->certificate, &made->pem[TLS_DEVELOPMENT_SERVER]) &&
		    development_write_key(server.key, &made->pem[TLS_DEVELOPMENT_SERVER_KEY]) &&
		    set_fingerprint(made, server.certificate);
	certified_fini(&server);
	return good || tls_fault(fault, "out of memory");
}

static bool make_client_files(const struct tls_development_options *options, const struct certified *ca,
			      struct tls_development *made, char fault[TLS_FAULT_BYTES_MAX])
{
	if (options->client == NULL)
		return true;
	if (options->client[0] == '\0' || strlen(options->client) > COMMON_NAME_BYTES_MAX)
		return tls_fault(fault, "the client's name has 1 to %u bytes", COMMON_NAME_BYTES_MAX);
	const struct certificate_plan plan = {
		.cn = options->client,
		.usage = "critical,digitalSignature",
		.purpose = "clientAuth",
		.begins_s = options->begins_s,
		.days = options->days,
	};
	struct certified client;
	if (!certify(&plan, options->rsa, ca, &client))
		return tls_fault(fault, "no certificate could be made: %s", ERR_reason_error_string(ERR_peek_error()));
	bool good = write_chain(client.certificate, NULL, &made->pem[TLS_DEVELOPMENT_CLIENT]) &&
		    development_write_key(client.key, &made->pem[TLS_DEVELOPMENT_CLIENT_KEY]);
	certified_fini(&client);
	return good || tls_fault(fault, "out of memory");
}

static bool begin_ca(const struct tls_development_options *options, const struct tls_development *from,
		     struct certified *ca, char fault[TLS_FAULT_BYTES_MAX])
{
	if (from != NULL)
		return development_read_ca(from, ca) || tls_fault(fault, "the CA's certificate and key cannot be read");
	char cn[COMMON_NAME_BYTES_MAX + 1];
	uint8_t random[4];
	if (RAND_bytes(random, sizeof(random)) != 1)
		return tls_fault(fault, "there are no random numbers");
	/* A name of its own: two CAs of one name confuse whoever trusts both. */
	snprintf(cn, sizeof(cn), "Roost development CA %02x%02x%02x%02x", random[0], random[1], random[2], random[3]);
	const struct certificate_plan plan = {
		.cn = cn, .usage = "critical,keyCertSign,cRLSign", .begins_s = options->begins_s, .days = CA_DAYS};
	return certify(&plan, options->rsa, NULL, ca) ||
	       tls_fault(fault, "no CA could be made: %s", ERR_reason_error_string(ERR_peek_error()));
}

bool tls_development_make(const struct tls_development_options *options, const struct tls_development *from,
			  struct tls_development *made, char fault[TLS_FAULT_BYTES_MAX])
{
	*made = (struct tls_development){0};
	struct certified ca;
	ERR_clear_error();
	if (options->days == 0 || options->days > TLS_DEVELOPMENT_DAYS_MAX)
		return tls_fault(fault, "a certificate is valid for 1 to %u days", TLS_DEVELOPMENT_DAYS_MAX);
	if (!begin_ca(options, from, &ca, fault)) {
		ERR_clear_error();
		return false;
	}
	bool good = (write_chain(ca.certificate, NULL, &made->pem[TLS_DEVELOPMENT_CA]) &&
		     development_write_key(ca.key, &made->pem[TLS_DEVELOPMENT_CA_KEY])) ||
		    tls_fault(fault, "out of memory");
	good = good && make_server_files(options, &ca, made, fault) && make_client_files(options, &ca, made, fault);
	certified_fini(&ca);
	ERR_clear_error();
	if (!good)
		tls_development_fini(made);
	return good;
}

void tls_development_fini(struct tls_development *made)
{
	for (size_t i = 0; i < TLS_DEVELOPMENT_FILES; i++) {
		uint8_t *bytes = (uint8_t *)(uintptr_t)made->pem[i].data;
		if (bytes != NULL)
			OPENSSL_cleanse(bytes, made->pem[i].size);
		free(bytes);
	}
	*made = (struct tls_development){0};
}

bool tls_development_identity(const char *host, int64_t wall_s, struct tls_development *made,
			      char fault[TLS_FAULT_BYTES_MAX])
{
	const char *names[] = {"localhost", "127.0.0.1", "::1", host};
	const struct tls_development_options options = {
		.names = names,
		.name_count = host == NULL || !is_host(host) ? 3 : 4,
		.begins_s = wall_s - DAY_S, /* for clients whose clocks are behind */
		.days = 366,
	};
	return tls_development_make(&options, NULL, made, fault);
}
