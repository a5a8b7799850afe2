#include "auth/token/key_pem.h"

#include "base/check.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

struct block {
	char *name;
	char *header;
	uint8_t *data;
	long size;
};

static bool pem_read_block(BIO *text, struct block *block)
{
	*block = (struct block){0};
	return PEM_read_bio(text, &block->name, &block->header, &block->data, &block->size) == 1;
}

static void pem_free_block(struct block *block)
{
	OPENSSL_free(block->name);
	OPENSSL_free(block->header);
	OPENSSL_free(block->data);
	*block = (struct block){0};
}

static EVP_PKEY *pem_certificate_pkey(const uint8_t *data, long size)
{
	X509 *certificate = d2i_X509(NULL, &data, size);
	EVP_PKEY *pkey = certificate == NULL ? NULL : X509_get_pubkey(certificate);
	X509_free(certificate);
	return pkey;
}

static bool pem_key_from_block(struct key *key, struct slice id, const struct block *block, struct fault *fault)
{
	CHECK(block->name != NULL && block->size >= 0);
	const uint8_t *data = block->data;
	EVP_PKEY *pkey = NULL;
	if (strstr(block->name, "PRIVATE KEY") != NULL)
		return fault_set(fault, 0, "this is a private key; only the public one belongs here");
	if (strcmp(block->name, "PUBLIC KEY") == 0)
		pkey = d2i_PUBKEY(NULL, &data, block->size);
	else if (strcmp(block->name, "RSA PUBLIC KEY") == 0)
		pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &data, block->size);
	else if (strcmp(block->name, "CERTIFICATE") == 0)
		pkey = pem_certificate_pkey(data, block->size);
	else
		return fault_set(fault, 0, "\"%.64s\" is neither a public key nor a certificate", block->name);
	if (pkey == NULL)
		return fault_set(fault, 0, "the %.64s cannot be read", block->name);
	return key_from_pkey(key, id, &pkey, fault);
}

static bool pem_key_from_text(struct key *key, struct slice id, BIO *text, struct fault *fault)
{
	struct block block, second;
	bool made = false;
	if (!pem_read_block(text, &block)) {
		fault_set(fault, 0, "there is no PEM block in it");
	} else if (pem_read_block(text, &second)) {
		fault_set(fault, 0, "there is more than one PEM block in it; one key a file");
		pem_free_block(&second);
	} else {
		made = pem_key_from_block(key, id, &block, fault);
	}
	pem_free_block(&block);
	return made;
}

bool key_from_pem(struct key *key, struct slice id, struct slice text, struct fault *fault)
{
	if (text.size > INT_MAX)
		return fault_set(fault, 0, "the file is too large");
	BIO *memory = BIO_new_mem_buf(text.data, (int)text.size);
	if (memory == NULL)
		return fault_set(fault, 0, "out of memory");
	bool made = pem_key_from_text(key, id, memory, fault);
	BIO_free(memory);
	ERR_clear_error();
	return made;
}
